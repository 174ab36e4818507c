//! What time does, and which processes are started next.

use std::collections::BTreeMap;

use wsgi_sys::table::ProcessState;

use super::daemon::{Daemon, Slot, SlotPhase};
use super::{Action, Millis, Supervisor};

/// Milliseconds from launch to Hello.
pub(super) const HELLO_LIMIT: Millis = 30_000;
/// A start that takes longer than this, in milliseconds, no longer counts as one
/// of the imports that may run at once: one that hangs must not hold up all.
pub(super) const IMPORT_PATIENCE: Millis = 10_000;

impl Supervisor {
    /// When [`Event::Tick`](super::Event::Tick) is due, if no other event comes.
    pub(crate) fn next_deadline(&self, now: Millis) -> Option<Millis> {
        let daemons = self.daemons.values().filter_map(Daemon::deadline);
        let pools = self.pools.values().flat_map(|pool| [pool.retry_at, pool.probe_at]).flatten();
        let starting = self.daemons.values().filter(|daemon| daemon.starting());
        let imports = starting.map(|daemon| daemon.launched + IMPORT_PATIENCE);
        daemons.chain(pools).chain(imports.filter(|&at| at > now)).min()
    }

    pub(super) fn tick(&mut self, now: Millis) {
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        for id in self.daemons.keys().copied().collect::<Vec<_>>() {
            let Some(daemon) = self.daemons.get_mut(&id) else { continue };
            let (kill, retry) = (due(daemon.kill_at), due(daemon.retry_at));
            if retry {
                self.withdraw(id, now);
                self.finish_drain(id, now);
            }
            if kill {
                self.overdue(id, now);
            }
            self.patrol(id, now);
        }
        for (&index, pool) in &mut self.pools {
            if due(pool.retry_at) {
                pool.retry_at = None;
            }
            if due(pool.probe_at) {
                pool.probe_at = None;
                self.actions.push(Action::Probe { pool: index });
            }
        }
    }

    /// Starts processes that are wanted, as many as may load at once. Pools that
    /// have none come first.
    pub(super) fn schedule(&mut self, now: Millis) {
        if self.stopping {
            if self.daemons.is_empty() && !self.finished {
                self.finished = true;
                self.act(Action::Exit);
            }
            return;
        }
        for urgent in [true, false] {
            for index in self.pools_in_want() {
                while self.wanted(index, urgent, now) {
                    let imports = self.daemons.values().filter(|daemon| {
                        daemon.starting() && now < daemon.launched + IMPORT_PATIENCE
                    });
                    if imports.count() >= self.cores {
                        return;
                    }
                    if !self.has_room(index, now) {
                        if let Some(pool) = self.pools.get_mut(&index) {
                            pool.target = pool.target.saturating_sub(1);
                        }
                        break;
                    }
                    if !self.launch(index, now) {
                        break;
                    }
                }
            }
        }
    }

    /// Pools with fewer processes than they are to have: few or none, of hundreds that are asked
    /// after each event.
    fn pools_in_want(&self) -> Vec<u32> {
        let mut have: BTreeMap<u32, u32> = BTreeMap::new();
        for daemon in self.daemons.values().filter(|daemon| daemon.counts()) {
            *have.entry(daemon.pool).or_default() += 1;
        }
        let has = |index: &u32| have.get(index).copied().unwrap_or_default();
        let pools = self.pools.iter().filter(|(index, pool)| has(index) < pool.target);
        pools.map(|(&index, _)| index).collect()
    }

    /// The pool needs another process now; `urgent`: it has none at all.
    fn wanted(&self, index: u32, urgent: bool, now: Millis) -> bool {
        let Some(pool) = self.pools.get(&index) else { return false };
        if pool.closing
            || pool.successor.is_some()
            || pool.settings.is_none()
            || self.is_drained(&pool.group)
        {
            return false;
        }
        if pool.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        // What serves no request must not run twice.
        if pool.threads == 0 && self.of_pool(index).any(|daemon| daemon.outgoing.is_some()) {
            return false;
        }
        let have = self.of_pool(index).filter(|daemon| daemon.counts()).count();
        let starting = self.of_pool(index).any(|daemon| daemon.counts() && daemon.starting());
        let serving = self.of_pool(index).any(|daemon| daemon.ready() || daemon.starting());
        u32::try_from(have).is_ok_and(|have| have < pool.target)
            && (pool.proven || !starting)
            && !(urgent && serving)
    }

    /// Starts a process in a free entry; false if there is none.
    fn launch(&mut self, index: u32, now: Millis) -> bool {
        let Some(pool) = self.pools.get(&index) else { return false };
        let Some(group) = pool.settings.clone() else { return false };
        let taken: Vec<u32> = self.of_pool(index).map(|daemon| daemon.entry).collect();
        let Some(entry) = (0..pool.entries).find(|entry| !taken.contains(entry)) else {
            self.make_room(index, now);
            return false;
        };
        let process = pool.first_process + entry;
        let first_slot = pool.slot(entry, 0);
        let slots = (0..pool.threads)
            .map(|_| Slot { epoch: 0, phase: SlotPhase::Fresh, run: None, reported: None })
            .collect();
        let id = self.number_daemon();
        let daemon = Daemon {
            kill_at: Some(now + HELLO_LIMIT),
            ..Daemon::new(id, index, entry, slots, now)
        };
        let urgent = |daemon: &Daemon| daemon.outgoing.is_some() && daemon.limit > 0;
        let polite = self.of_pool(index).any(Daemon::ready) && !self.of_pool(index).any(urgent);
        self.daemons.insert(id, daemon);
        self.act(Action::ProcessState { process, daemon: id, state: ProcessState::Starting });
        self.act(Action::Launch { daemon: id, group, first_slot, polite });
        true
    }
}
