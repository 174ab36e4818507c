//! How processes are ended: one that was replaced, or all of them.

use wsgi_proto::daemon::{Stop, ToDaemon};
use wsgi_sys::table::{PoolState, ProcessState};

use super::configuration::RECONFIGURED;
use super::daemon::{Daemon, Phase, SlotPhase};
use super::schedule::IMPORT_PATIENCE;
use super::slots::RETRY;
use super::{Action, DaemonId, Millis, Supervisor};

/// `reason` of a process that ends with httpd.
const SHUTDOWN: &str = "shutdown_signal";
/// Milliseconds that a process which loads its scripts has to stop with httpd.
const LOADING_PATIENCE: Millis = 1_000;
/// Seconds before a stopping httpd's process is killed if its group sets no limit.
const DEFAULT_SHUTDOWN: u32 = 5;
/// Milliseconds that requests have to end in a process that is replaced if its
/// group does not say.
const GRACE: Millis = 15_000;
/// The same for a process of an earlier supervisor. Longer than most requests take, and not for
/// ever: a slot may be held in the name of a child that ended while there was no supervisor.
const GRACE_ADOPTED: Millis = 600_000;

impl Supervisor {
    /// Ends a process after the requests that it runs.
    pub(super) fn retire(&mut self, id: DaemonId, reason: &str, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        daemon.outgoing.get_or_insert_with(|| reason.to_owned());
        match daemon.phase {
            Phase::Ready => {}
            Phase::Launched | Phase::Loading => return self.end(id, reason, now),
            Phase::Draining | Phase::Stopping => return,
        }
        daemon.enter(Phase::Draining, now);
        daemon.asked = true;
        daemon.count_at = None;
        daemon.retry_at = Some(now + RETRY);
        for slot in &mut daemon.slots {
            if matches!(slot.phase, SlotPhase::Fresh | SlotPhase::Opening) {
                slot.phase = SlotPhase::Retired;
            }
        }
        let (index, entry) = (daemon.pool, daemon.entry);
        if let Some(process) = self.pools.get(&index).map(|pool| pool.first_process + entry) {
            self.act(Action::Leaving { process, reason: reason.to_owned() });
        }
        self.set_process(id, ProcessState::Draining);
        self.refresh(index);
        self.withdraw(id, now);
        self.finish_drain(id, now);
    }

    /// Stops a draining process once it has no slot left, or has had its time.
    pub(super) fn finish_drain(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        if daemon.phase != Phase::Draining {
            return;
        }
        let overdue = self.grace(daemon).is_some_and(|grace| now >= daemon.since + grace);
        let done = |slot: &super::daemon::Slot| {
            slot.phase == SlotPhase::Retired || slot.run.is_some_and(|run| run.stale)
        };
        let empty = daemon.slots.iter().all(done);
        if empty || overdue {
            let reason = daemon.outgoing.clone().unwrap_or_default();
            self.end(id, &reason, now);
        }
    }

    /// Milliseconds that requests have to end before a process is told to stop. None after a
    /// graceful restart of httpd, which lets requests finish, however long they take.
    pub(super) fn grace(&self, daemon: &Daemon) -> Option<Millis> {
        let restarted = daemon.outgoing.as_deref() == Some(RECONFIGURED);
        let settings = self.pools.get(&daemon.pool).and_then(|pool| pool.settings.as_ref());
        match settings {
            _ if daemon.adopted => Some(GRACE_ADOPTED),
            Some(group) if restarted && daemon.reported && group.eviction_timeout > 0 => {
                Some(Millis::from(group.eviction_timeout) * 1_000)
            }
            _ if restarted && !daemon.reported => None,
            _ => Some(self.graceful_timeout(daemon)),
        }
    }

    fn graceful_timeout(&self, daemon: &Daemon) -> Millis {
        let settings = self.pools.get(&daemon.pool).and_then(|pool| pool.settings.as_ref());
        settings.map_or(GRACE, |group| Millis::from(group.graceful_timeout) * 1_000)
    }

    /// Ends a process of a pool whose entries are all taken, as another one is wanted: one that
    /// hangs in its start and would be replaced anyway, else the one that drains for longest if
    /// it has had its graceful-timeout.
    pub(super) fn make_room(&mut self, index: u32, now: Millis) {
        let hung = self.of_pool(index).find(|daemon| {
            daemon.outgoing.is_some()
                && daemon.starting()
                && now >= daemon.launched + IMPORT_PATIENCE
        });
        let draining = self.of_pool(index).filter(|daemon| {
            daemon.phase == Phase::Draining && now >= daemon.since + self.graceful_timeout(daemon)
        });
        let chosen = hung.or_else(|| draining.min_by_key(|daemon| daemon.since));
        if let Some(id) = chosen.map(|daemon| daemon.id) {
            self.end(id, RECONFIGURED, now);
        }
    }

    /// Ends everything.
    pub(super) fn stop(&mut self, now: Millis) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for index in self.pools.keys().copied().collect::<Vec<_>>() {
            self.set_pool_state(index, PoolState::Failed);
        }
        for id in self.daemons.keys().copied().collect::<Vec<_>>() {
            self.end(id, SHUTDOWN, now);
            let limit = self.shutdown_timeout(id);
            let Some(daemon) = self.daemons.get_mut(&id) else { continue };
            let limit = if limit == 0 { DEFAULT_SHUTDOWN } else { limit };
            let mut patience = Millis::from(limit) * 1_000;
            if !daemon.loaded {
                patience = patience.min(LOADING_PATIENCE);
            }
            daemon.kill_at =
                Some(daemon.kill_at.map_or(now + patience, |at| at.min(now + patience)));
        }
    }

    /// Tells a daemon to finish what it runs and to end.
    pub(super) fn end(&mut self, id: DaemonId, reason: &str, now: Millis) {
        let limit = self.shutdown_timeout(id);
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if daemon.phase == Phase::Stopping {
            return;
        }
        let silent = daemon.phase == Phase::Launched;
        daemon.asked = true;
        daemon.retry_at = None;
        (daemon.look_at, daemon.probe_at, daemon.expires_at) = (None, None, None);
        daemon.enter(Phase::Stopping, now);
        daemon.kill_at = (limit > 0).then(|| now + Millis::from(limit) * 1_000);
        let (pool, entry, adopted) = (daemon.pool, daemon.entry, daemon.adopted);
        let Some(process) = self.pools.get(&pool).map(|pool| pool.first_process + entry) else {
            return;
        };
        self.act(Action::ProcessState { process, daemon: id, state: ProcessState::Stopping });
        if adopted {
            self.act(Action::Kill { daemon: id, signal: libc::SIGTERM });
        } else if silent {
            // It has no worker yet that could listen, and nothing to finish.
            self.act(Action::Kill { daemon: id, signal: libc::SIGKILL });
        } else {
            let stop = Stop { reason: reason.to_owned() };
            let record = ToDaemon::Stop(stop);
            self.act(Action::Send { daemon: id, record });
            if self.pools.get(&pool).is_some_and(|pool| pool.threads == 0) {
                // Its main thread may be in a script that runs for ever.
                self.act(Action::Kill { daemon: id, signal: libc::SIGTERM });
            }
        }
    }

    /// Seconds that a daemon has to end; 0 for ever.
    pub(super) fn shutdown_timeout(&self, id: DaemonId) -> u32 {
        let pool = self.daemons.get(&id).and_then(|daemon| self.pools.get(&daemon.pool));
        pool.and_then(|pool| pool.settings.as_ref())
            .map_or(DEFAULT_SHUTDOWN, |group| group.shutdown_timeout)
    }
}
