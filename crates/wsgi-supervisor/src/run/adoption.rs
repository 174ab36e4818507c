//! What a supervisor that was killed left behind: its pools and their daemons.
//!
//! Its daemons go on serving over the channels that children hold, but nobody
//! has a control socket to them any more: they are replaced once there is a
//! configuration. Pools keep their index and serial, so that children do not
//! notice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wsgi_sys::table::{MAX_POOLS, PoolShape, ProcessState, SUPERVISOR_LEASE, SlotState};
use wsgi_sys::{clock, process};

use super::Loop;
use super::worker::Worker;
use crate::state::{DaemonId, Event, OldPool, OldProcess};

/// Time between two looks for what leases of the earlier supervisor hold: until then a child that
/// waits has registered anew.
const OLD_LEASES: Duration = Duration::from_millis(1_500);
/// Such looks that come by themselves; others follow when requests wait.
const LOOKS: u32 = 20;

impl Loop {
    pub(super) fn adopt(&mut self) {
        self.table.take_office(std::process::id().cast_signed(), clock::microseconds());
        // What the earlier supervisor held while it handed slots over.
        self.table.void_lease(SUPERVISOR_LEASE);
        for index in 0..MAX_POOLS {
            let Some((reference, _, shape)) = self.table.pool(index) else { continue };
            self.pools.insert(index, reference);
            self.took_over = Some((Instant::now(), 0));
            let mut processes = Vec::new();
            for entry in 0..shape.processes {
                if let Some(ready) = self.adopt_process(&shape, entry) {
                    processes.push(ready);
                }
            }
            let slots = shape.processes.saturating_mul(shape.threads);
            let epochs = (0..slots)
                .map(|offset| self.table.slot(shape.first_slot.saturating_add(offset)).epoch)
                .collect();
            self.events.push_back(Event::Adopted(OldPool { index, shape, processes, epochs }));
        }
    }

    /// Finds out whether an entry's process lives; clears the entry if not.
    fn adopt_process(&mut self, shape: &PoolShape, entry: u32) -> Option<OldProcess> {
        let process = shape.first_process.checked_add(entry)?;
        let first = shape.first_slot.checked_add(entry.checked_mul(shape.threads)?)?;
        let slots = first..first.checked_add(shape.threads)?;
        let (state, pid, start_time) = self.table.process(process);
        if state == ProcessState::Absent {
            return None;
        }
        let pidfd = process::open_pidfd(pid).ok();
        let alive = pid > 0 && process::start_time(pid).is_ok_and(|time| time == start_time);
        let Some(pidfd) = pidfd.filter(|_| alive) else {
            self.table.set_process(process, ProcessState::Absent, 0, 0);
            slots.for_each(|slot| self.table.clear_slot(slot));
            return None;
        };
        let daemon = self.state.number_daemon();
        let worker = Worker {
            pid,
            start_time,
            pidfd: Some(pidfd),
            link: None,
            own: false,
            polite: false,
            kills: self.kills,
            group: shape.process_group.clone(),
            process: Some(process),
            slots,
            buffers: (0, 0),
            socket_timeout: Duration::MAX,
            // Children have them already.
            lanes: None,
        };
        self.workers.insert(daemon, worker);
        let ready = state == ProcessState::Ready;
        Some(OldProcess { daemon, entry, pid, ready })
    }

    /// Requests wait, or some time has passed: children may have ended while there was no
    /// supervisor, and hold slots or places in queues still.
    pub(super) fn look_for_old_leases(&mut self) {
        if let Some((since, looks)) = self.took_over
            && since.elapsed() >= OLD_LEASES
        {
            self.took_over = Some((Instant::now(), looks + 1));
            self.take_from_old_leases();
        }
    }

    /// Time until the next such look that comes by itself.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let (since, _) = self.took_over.filter(|(_, looks)| *looks < LOOKS)?;
        Some(OLD_LEASES.saturating_sub(since.elapsed()))
    }

    /// Takes tickets, and slots of this supervisor's own daemons, from leases that nobody has
    /// registered with it. Nothing was sent yet over their channels, which only a registered
    /// child can fetch; the holder, if it lives, finds another one. Where earlier daemons run,
    /// their slots are left alone: a child may be busy with a long request and has had no reason
    /// to register.
    fn take_from_old_leases(&mut self) {
        let leases: Vec<u32> = self.children.values().map(|child| child.lease).collect();
        let own = self.workers.values().filter(|worker| worker.own);
        let slots: Vec<u32> = own.flat_map(|worker| worker.slots.clone()).collect();
        let words = slots.iter().map(|&slot| self.table.slot(slot));
        let held = words.filter(|word| word.state == SlotState::Busy).map(|word| word.lease);
        let mut old: BTreeSet<u32> = held.collect();
        old.extend(self.table.ticket_holders());
        old.retain(|lease| !leases.contains(lease) && *lease != SUPERVISOR_LEASE);
        for lease in old {
            if self.adopted() == 0 {
                self.void(lease);
            } else {
                let broken = self.table.recall(lease, &slots);
                self.broken(broken);
            }
        }
    }

    /// The number of daemons of an earlier supervisor that still run.
    fn adopted(&self) -> usize {
        self.workers.values().filter(|worker| !worker.own).count()
    }

    pub(super) fn forget(&mut self, daemon: DaemonId) {
        let forgotten = self.workers.remove(&daemon);
        if forgotten.is_some_and(|worker| !worker.own) && self.adopted() == 0 {
            self.take_from_old_leases();
        }
    }
}
