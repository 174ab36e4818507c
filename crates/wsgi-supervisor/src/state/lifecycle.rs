//! A daemon from its launch to its end.

use wsgi_proto::VERSION;
use wsgi_sys::process::Exit;
use wsgi_sys::table::{IncidentKind, PoolState, ProcessState, Tally};

use super::daemon::{Daemon, Phase, SlotPhase};
use super::{Action, DaemonId, End, Level, Millis, Supervisor, message};

/// Milliseconds between a closed control socket and SIGKILL: a process that ends
/// closes the one a moment before the other is seen.
const LINK_GRACE: Millis = 1_000;
/// Milliseconds that a process has to write down its stacks before it is killed.
const DUMP: Millis = 100;

impl Supervisor {
    fn subject(&self, daemon: &Daemon) -> Option<(String, String)> {
        let pool = self.pools.get(&daemon.pool)?;
        Some((pool.group.clone(), message::subject(daemon, pool)))
    }

    /// Writes a line about a daemon to its group's log.
    pub(super) fn tell(&mut self, id: DaemonId, level: Level, text: impl FnOnce(&str) -> String) {
        let subject = self.daemons.get(&id).and_then(|daemon| self.subject(daemon));
        if let Some((group, subject)) = subject {
            self.log(&group, level, text(&subject));
        }
    }

    pub(super) fn set_process(&mut self, id: DaemonId, state: ProcessState) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        let Some(pool) = self.pools.get(&daemon.pool) else { return };
        let process = pool.first_process + daemon.entry;
        self.act(Action::ProcessState { process, daemon: id, state });
    }

    pub(super) fn set_pool_state(&mut self, index: u32, state: PoolState) {
        let Some(pool) = self.pools.get_mut(&index) else { return };
        if pool.state != state && !pool.closing {
            pool.state = state;
            self.act(Action::PoolState { pool: index, state });
        }
    }

    /// Writes the state that follows from the pool's processes.
    pub(super) fn refresh(&mut self, index: u32) {
        let ready = self.of_pool(index).any(Daemon::ready);
        let Some(pool) = self.pools.get(&index) else { return };
        let state = match (ready, pool.failures) {
            _ if self.stopping => PoolState::Failed,
            _ if self.is_drained(&pool.group) => PoolState::Drained,
            (true, _) => PoolState::Ready,
            (false, 0) => PoolState::Starting,
            // Failed until a process is ready: who asks gets an answer at once.
            (false, _) => PoolState::Failed,
        };
        self.set_pool_state(index, state);
    }

    pub(super) fn launched(&mut self, id: DaemonId, pid: i32) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        daemon.pid = pid;
        let pool = daemon.pool;
        self.act(Action::Count { pool, tally: Tally::Started });
        self.set_process(id, ProcessState::Starting);
    }

    pub(super) fn launch_failed(&mut self, id: DaemonId, why: &str, now: Millis) {
        self.set_process(id, ProcessState::Absent);
        let Some(daemon) = self.daemons.remove(&id) else { return };
        self.act(Action::Forget { daemon: id });
        self.lift_limits(daemon.pool);
        if let Some(pool) = self.pools.get_mut(&daemon.pool) {
            let pause = pool.failed(now);
            let origin = pool.settings.as_ref().map_or("", |group| group.origin.as_str());
            let text = message::not_launched(&message::place(pool), origin, why, pause);
            let (group, application) = (pool.group.clone(), pool.application.clone());
            self.log(&group, Level::Error, text);
            self.act(Action::Count { pool: daemon.pool, tally: Tally::Failed });
            let (kind, text) = (IncidentKind::Failed, format!("could not be started: {why}"));
            self.act(Action::Tell { kind, pid: 0, group, application, text });
        }
        self.refresh(daemon.pool);
        self.remove_if_empty(daemon.pool);
    }

    pub(super) fn hello(&mut self, id: DaemonId, version: u32, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if version != VERSION {
            daemon.killed = true;
            self.tell(id, Level::Error, |subject| {
                message::wrong_version(subject, version, VERSION)
            });
            self.act(Action::Kill { daemon: id, signal: libc::SIGKILL });
            return;
        }
        match daemon.phase {
            Phase::Launched => {
                daemon.enter(Phase::Loading, now);
                let limit = self.pools.get(&daemon.pool).and_then(|pool| pool.settings.as_ref());
                let limit = limit.map_or(0, |group| group.startup_timeout);
                // What serves no request may import for ever.
                daemon.kill_at = (limit > 0 && !daemon.slots.is_empty())
                    .then(|| daemon.launched + Millis::from(limit) * 1_000);
                self.introduce(id);
            }
            Phase::Stopping => {}
            _ => self.misbehaved(id, "it introduced itself twice"),
        }
    }

    pub(super) fn ready(&mut self, id: DaemonId, loaded: bool, now: Millis) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        let index = daemon.pool;
        match daemon.phase {
            Phase::Loading => {}
            Phase::Stopping => return,
            _ => return self.misbehaved(id, "it said out of turn that it is ready"),
        }
        let working = self.of_pool(index).any(|other| other.ready() && other.loaded);
        if !loaded && working {
            self.reject(id, now);
            return;
        }
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(pool) = self.pools.get_mut(&index) else { return };
        daemon.enter(Phase::Ready, now);
        daemon.loaded = loaded;
        if daemon.outgoing.is_none() {
            pool.proven = true;
        }
        (pool.failures, pool.struck, pool.retry_at) = (0, 0, None);
        daemon.kill_at = None;
        pool.startup = now.saturating_sub(daemon.launched);
        let mut fresh = Vec::new();
        for (thread, slot) in (0..).zip(&mut daemon.slots) {
            if slot.phase == SlotPhase::Fresh {
                slot.phase = SlotPhase::Live;
                fresh.push((pool.slot(daemon.entry, thread), slot.epoch));
            }
        }
        self.watch(id, now);
        self.act(Action::Count { pool: index, tally: Tally::Ready });
        self.set_process(id, ProcessState::Ready);
        self.set_pool_state(index, PoolState::Ready);
        for (slot, epoch) in fresh {
            self.act(Action::FreeSlot { pool: index, slot, epoch });
        }
        // Requests may still wait when it has taken its share.
        self.waiting(index, now);
        self.trim(index, now);
        let replaced = self.pools.iter().filter(|(_, pool)| pool.successor == Some(index));
        for old in replaced.map(|(&old, _)| old).collect::<Vec<_>>() {
            self.close(old, super::configuration::RECONFIGURED, now);
        }
    }

    pub(super) fn link_ended(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if daemon.phase != Phase::Stopping {
            daemon.kill_at = Some(now + LINK_GRACE);
        }
    }

    pub(super) fn misbehaved(&mut self, id: DaemonId, what: &str) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if std::mem::replace(&mut daemon.killed, true) {
            return;
        }
        self.blame(id, what);
        self.tell(id, Level::Error, |subject| message::misbehaved(subject, what));
        self.act(Action::Kill { daemon: id, signal: libc::SIGKILL });
    }

    /// It is past the moment by which it should have introduced itself or ended.
    pub(super) fn overdue(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        if daemon.dumped {
            return self.kill(id);
        }
        let (phase, age) = (daemon.phase, now.saturating_sub(daemon.since));
        let since_launch = now.saturating_sub(daemon.launched);
        let level = if phase == Phase::Stopping { Level::Warning } else { Level::Error };
        let blame = match phase {
            Phase::Launched => "it did not introduce itself",
            Phase::Loading => "startup-timeout",
            Phase::Stopping => "shutdown-timeout",
            _ => "it closed its link",
        };
        self.blame(id, blame);
        self.tell(id, level, |subject| match phase {
            Phase::Launched => message::silent(subject, age),
            Phase::Loading => message::slow_start(subject, since_launch),
            Phase::Stopping => message::overdue(subject, age),
            _ => message::link_ended(subject),
        });
        self.put_down(id, now);
    }

    /// Kills a process that has exceeded a limit, which was said; a moment before,
    /// asks it where its threads are.
    pub(super) fn put_down(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if daemon.phase == Phase::Launched || daemon.adopted {
            return self.kill(id);
        }
        if std::mem::replace(&mut daemon.dumped, true) {
            return;
        }
        daemon.killed = true;
        daemon.kill_at = Some(now + DUMP);
        self.act(Action::Kill { daemon: id, signal: libc::SIGQUIT });
    }

    fn kill(&mut self, id: DaemonId) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        daemon.kill_at = None;
        daemon.killed = true;
        self.act(Action::Kill { daemon: id, signal: libc::SIGKILL });
    }

    pub(super) fn exited(&mut self, id: DaemonId, end: End, now: Millis) {
        self.set_process(id, ProcessState::Absent);
        let Some(daemon) = self.daemons.remove(&id) else { return };
        let index = daemon.pool;
        let Some((group, subject)) = self.subject(&daemon) else { return };
        let Some(pool) = self.pools.get_mut(&index) else { return };
        for thread in (0..).take(daemon.slots.len()) {
            let slot = pool.slot(daemon.entry, thread);
            self.actions.extend([Action::ShutChannel { slot }, Action::ClearSlot { slot }]);
        }
        let age = now.saturating_sub(daemon.launched);
        let limited = self
            .pools
            .get(&index)
            .and_then(|pool| pool.settings.as_ref())
            .is_some_and(|group| group.cpu_time_limit > 0);
        let text = message::end(end, daemon.asked || daemon.killed, age, limited);
        // An adopted one ends by itself when the last child is gone that could reach it.
        let left_alone = daemon.adopted && end.exit.is_none() && end.busy == 0;
        let expected = daemon.asked || self.stopping || left_alone;
        self.record_end(&daemon, expected, &text);
        if expected || daemon.killed {
            self.log(&group, Level::Info, format!("{subject} ended: {text}"));
        }
        let service = daemon.slots.is_empty() && end.exit == Some(Exit::Status(0));
        let early = !expected && daemon.phase < Phase::Ready && daemon.outgoing.is_none();
        if early {
            self.lift_limits(index);
        }
        let Some(pool) = self.pools.get_mut(&index) else { return };
        let struck = early && !daemon.killed && is_strike(end) && pool.struck();
        if early && !struck {
            let pause = pool.failed(now);
            if service {
                self.log(&group, Level::Info, format!("{subject} ended: {text}"));
            } else if !daemon.killed {
                self.log(&group, Level::Error, message::died_early(&subject, &text, pause));
            }
        } else if !expected && !daemon.killed {
            self.log(&group, Level::Error, message::died(&subject, &text));
        }
        // Whatever could not be loaded: without any process there is nothing to lose.
        if !self.of_pool(index).any(|other| other.ready() || other.starting())
            && daemon.phase >= Phase::Ready
            && let Some(pool) = self.pools.get_mut(&index)
        {
            pool.retry_at = None;
        }
        self.act(Action::Forget { daemon: id });
        self.refresh(index);
        self.remove_if_empty(index);
    }
}

/// Whether a process was ended from outside: by an administrator, most likely.
fn is_strike(end: End) -> bool {
    let by_hand = |signal| signal == libc::SIGKILL || signal == libc::SIGTERM;
    matches!(end.exit, Some(Exit::Signal(signal, _)) if by_hand(signal) && !end.out_of_memory)
}
