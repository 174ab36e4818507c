//! What a supervisor that was killed left behind: its pools and their daemons.
//!
//! Its daemons go on serving over the channels that children hold, but nobody
//! has a control socket to them any more: they are replaced once there is a
//! configuration. Pools keep their index and serial, so that children do not
//! notice.

use std::time::{Duration, Instant};

use wsgi_sys::table::{MAX_POOLS, PoolShape, ProcessState, SUPERVISOR_LEASE, SlotState};
use wsgi_sys::{clock, process};

use super::Loop;
use super::worker::Worker;
use crate::state::{DaemonId, Event, OldPool, OldProcess};

/// How long a child may go on with a lease of the earlier supervisor, for a
/// request that waited when that one ended.
const OLD_LEASE_LIMIT: Duration = Duration::from_secs(60);

impl Loop {
    pub(super) fn adopt(&mut self) {
        self.table.take_office(std::process::id().cast_signed(), clock::microseconds());
        // What the earlier supervisor held while it handed slots over.
        self.table.void_lease(SUPERVISOR_LEASE);
        for index in 0..MAX_POOLS {
            let Some((reference, _, shape)) = self.table.pool(index) else { continue };
            self.pools.insert(index, reference);
            self.took_over = Some(Instant::now());
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
        };
        self.workers.insert(daemon, worker);
        let ready = state == ProcessState::Ready;
        Some(OldProcess { daemon, entry, pid, ready })
    }

    /// Requests wait: perhaps for slots that were handed to children which ended
    /// while there was no supervisor.
    pub(super) fn look_for_old_leases(&mut self) {
        if self.took_over.is_some_and(|since| since.elapsed() > OLD_LEASE_LIMIT) {
            self.void_old_leases();
        }
    }

    /// Slots that are still reserved under leases of the earlier supervisor were
    /// handed to children that are gone or have new ones.
    fn void_old_leases(&mut self) {
        let leases: Vec<u32> = self.children.values().map(|child| child.lease).collect();
        let slots = self.workers.values().flat_map(|worker| worker.slots.clone());
        let words = slots.map(|slot| self.table.slot(slot));
        let old: Vec<u32> = words
            .filter(|word| word.state == SlotState::Busy && !leases.contains(&word.lease))
            .map(|word| word.lease)
            .collect();
        for lease in old {
            self.void(lease);
        }
    }

    /// The number of daemons of an earlier supervisor that still run.
    fn adopted(&self) -> usize {
        self.workers.values().filter(|worker| !worker.own).count()
    }

    pub(super) fn forget(&mut self, daemon: DaemonId) {
        let forgotten = self.workers.remove(&daemon);
        if forgotten.is_some_and(|worker| !worker.own) && self.adopted() == 0 {
            self.void_old_leases();
        }
    }
}
