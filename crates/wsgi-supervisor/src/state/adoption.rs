//! Pools and daemons of a supervisor that was killed.

use wsgi_sys::table::PoolState;

use super::configuration::RECONFIGURED;
use super::daemon::{Daemon, Phase, Slot, SlotPhase};
use super::pool::Pool;
use super::{Action, Millis, OldPool, Supervisor};

impl Supervisor {
    /// Takes over a pool, with its index and serial, from a supervisor that was killed.
    pub(super) fn adopt(&mut self, old: OldPool, now: Millis) {
        let OldPool { index, shape, processes, epochs } = old;
        let Some(slots) = shape.processes.checked_mul(shape.threads) else { return };
        let fits = self.indices.claim(index, 1)
            && self.processes.claim(shape.first_process, shape.processes)
            && self.slots.claim(shape.first_slot, slots);
        if !fits {
            return;
        }
        let state = if processes.iter().any(|process| process.ready) {
            PoolState::Ready
        } else {
            PoolState::Starting
        };
        // The table does not say which pool was its group's first: it is the one
        // with the lowest index. The others keep the size that they had grown to.
        let first = !self.pools.values().any(|pool| pool.group == shape.process_group);
        let target = u32::try_from(processes.len()).unwrap_or(1).max(1);
        for process in processes {
            let slot = Slot { epoch: 0, phase: SlotPhase::Live, run: None, reported: None };
            let slots = (0..shape.threads).map(|_| slot).collect();
            let daemon = Daemon {
                pid: process.pid,
                phase: if process.ready { Phase::Ready } else { Phase::Draining },
                loaded: true,
                outgoing: Some(RECONFIGURED.to_owned()),
                adopted: true,
                retry_at: (!process.ready).then_some(now),
                asked: !process.ready,
                ..Daemon::new(process.daemon, index, process.entry, slots, now)
            };
            self.daemons.insert(daemon.id, daemon);
        }
        let pool = Pool {
            first,
            group: shape.process_group,
            application: shape.application_group,
            target,
            first_process: shape.first_process,
            entries: shape.processes,
            first_slot: shape.first_slot,
            threads: shape.threads,
            epochs,
            state,
            ..Pool::default()
        };
        self.act(Action::PoolState { pool: index, state });
        self.pools.insert(index, pool);
    }
}
