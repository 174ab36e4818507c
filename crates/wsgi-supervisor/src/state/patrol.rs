//! What is looked after while a process serves: its age, its memory, its requests,
//! whether its Python answers, and whether anybody needs it.

use wsgi_proto::control::Group;
use wsgi_proto::daemon::{Interrupt, Probe, ToDaemon};

use super::daemon::{Phase, Run};
use super::{Action, Daemon, DaemonId, Level, Millis, Sight, Supervisor, message};

/// Milliseconds between two looks at what a process does.
const LOOK: Millis = 1_000;
/// The same where only long idleness matters.
const SELDOM: Millis = 5_000;
/// Looks in a row without a sign of work after which a process may make room.
const IDLE_LOOKS: Millis = 2;
/// Seconds that are long in this sense.
const LONG: u32 = 60;
/// Milliseconds between two probes: at least, and at most.
const PROBE: (Millis, Millis) = (250, 10_000);
/// `reason` of a process that makes room, or that nobody needs.
const EVICTED: &str = "eviction_signal";
/// Milliseconds between two complaints that a group is over its cap.
const COMPLAINT: Millis = 60_000;

/// Milliseconds that a request may take, as mod_wsgi scales it: the limit grows
/// with the threads that share the interpreter.
fn request_limit(group: &Group) -> Option<Millis> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let scaled = |seconds: u32| {
        let threads = f64::from(group.threads.max(1));
        (f64::from(seconds) * 1_000.0 * (1.0 + threads.ln())) as Millis
    };
    (group.request_timeout > 0).then(|| scaled(group.request_timeout))
}

fn after(now: Millis, seconds: u32) -> Option<Millis> {
    (seconds > 0).then(|| now + Millis::from(seconds) * 1_000)
}

impl Supervisor {
    fn group_of(&self, id: DaemonId) -> Option<std::rc::Rc<Group>> {
        self.pools.get(&self.daemons.get(&id)?.pool)?.settings.clone()
    }

    /// Sets the clocks of a process that has just become ready.
    pub(super) fn watch(&mut self, id: DaemonId, now: Millis) {
        let Some(group) = self.group_of(id) else { return };
        let limit = self.draw_limit(id, now);
        let look = self.look_interval(id);
        let slow = self.slow_interval();
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(pool) = self.pools.get(&daemon.pool) else { return };
        (daemon.limit, daemon.counted, daemon.active) = (limit, (0, now), (0, now));
        daemon.expires_at = after(daemon.launched, group.restart_interval);
        daemon.probe_at = (group.deadlock_timeout > 0).then(|| next_probe(now, &group));
        daemon.look_at = look.map(|interval| now + interval);
        daemon.slow_at = slow.map(|interval| now + interval);
        let (index, process) = (daemon.pool, pool.first_process + daemon.entry);
        self.act(Action::Hurry { daemon: id, priority: group.cpu_priority });
        if limit > 0 {
            self.act(Action::Limit { pool: index, process, limit });
            let Some(daemon) = self.daemons.get_mut(&id) else { return };
            daemon.count_at = Some(now + 50);
        }
    }

    /// Milliseconds between two looks, if any are needed.
    fn look_interval(&self, id: DaemonId) -> Option<Millis> {
        let group = self.group_of(id)?;
        let pool = self.pools.get(&self.daemons.get(&id)?.pool)?;
        let idle = [group.inactivity_timeout, group.idle_timeout].into_iter();
        let idle = idle.filter(|&seconds| seconds > 0).min();
        if group.request_timeout > 0 || group.resident_memory_limit > 0 {
            return Some(LOOK);
        }
        let may_leave = group.inactivity_timeout > 0
            || super::Pool::most(&group) > pool.floor()
            || group.processes_cap > 0 && pool.floor() == 0;
        match idle.filter(|_| may_leave) {
            Some(seconds) if seconds < LONG => Some(LOOK),
            Some(_) => Some(SELDOM),
            None => None,
        }
    }

    /// The clocks of a process.
    pub(super) fn patrol(&mut self, id: DaemonId, now: Millis) {
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        let memory = self.group_of(id).is_some_and(|group| group.resident_memory_limit > 0);
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if due(daemon.count_at) {
            daemon.count_at = None;
            self.actions.push(Action::CountServed { daemon: id });
        }
        if due(daemon.look_at) {
            daemon.look_at = None;
            self.actions.push(Action::Look { daemon: id, memory });
        }
        if due(daemon.slow_at) {
            daemon.slow_at = None;
            self.actions.push(Action::LookSlow { daemon: id });
        }
        if due(daemon.expires_at) {
            daemon.expires_at = None;
            self.recycle(id, "restart_interval", now);
        }
        self.give_up_traces(id, now);
        let Some(daemon) = self.daemons.get(&id) else { return };
        if due(daemon.probe_at) {
            self.probe(id, now);
        }
    }

    fn probe(&mut self, id: DaemonId, now: Millis) {
        let Some(group) = self.group_of(id) else { return };
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        daemon.probe_at = None;
        if !matches!(daemon.phase, Phase::Ready | Phase::Draining) || daemon.adopted {
            return;
        }
        if let Some(since) = daemon.probed {
            let silence = now.saturating_sub(since);
            self.blame(id, "deadlock-timeout");
            self.tell(id, Level::Error, |subject| message::deadlocked(subject, silence));
            return self.put_down(id, now);
        }
        daemon.probed = Some(now);
        daemon.probe_at = after(now, group.deadlock_timeout);
        self.act(Action::Send { daemon: id, record: ToDaemon::Probe(Probe {}) });
    }

    pub(super) fn alive(&mut self, id: DaemonId, now: Millis) {
        let Some(group) = self.group_of(id) else { return };
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if daemon.probed.take().is_some() && group.deadlock_timeout > 0 {
            daemon.probe_at = Some(next_probe(now, &group));
        }
    }

    /// A process was looked at.
    pub(super) fn seen(&mut self, id: DaemonId, sight: &Sight, now: Millis) {
        let Some(group) = self.group_of(id) else { return };
        let interval = self.look_interval(id);
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if !matches!(daemon.phase, Phase::Ready | Phase::Draining) {
            return;
        }
        daemon.look_at = interval.map(|interval| now + interval);
        if sight.counted.served != daemon.active.0 || sight.counted.busy {
            daemon.active = (sight.counted.served, now);
        }
        let idle = now.saturating_sub(daemon.active.1);
        if let Some(limit) = request_limit(&group) {
            self.judge_requests(id, sight, &group, limit, now);
        }
        if group.resident_memory_limit > 0 && sight.resident >= group.resident_memory_limit {
            self.recycle(id, "memory_limit", now);
        }
        self.judge_idleness(id, idle, &group, now);
    }

    fn judge_requests(
        &mut self,
        id: DaemonId,
        sight: &Sight,
        group: &Group,
        limit: Millis,
        now: Millis,
    ) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let patience = Millis::from(group.interrupt_timeout) * 1_000;
        let (mut orders, mut struck) = (Vec::new(), Vec::new());
        for ((thread, slot), &(served, busy)) in (0_u32..).zip(&mut daemon.slots).zip(&sight.slots)
        {
            let Some(run) = &mut slot.run.filter(|run| busy && run.served == served) else {
                slot.run =
                    busy.then_some(Run { served, since: now, interrupted: None, stale: false });
                continue;
            };
            let age = now.saturating_sub(run.since);
            let next = match run.interrupted {
                _ if run.stale => None,
                _ if age < limit => Some(run.since + limit),
                None => {
                    // A request that began meanwhile on this thread is not meant.
                    let age = u32::try_from(limit / 2).unwrap_or(u32::MAX);
                    let raise = patience > 0;
                    orders.push(Interrupt { thread, age, raise });
                    run.interrupted = Some(now);
                    run.stale = !raise;
                    raise.then_some(now + patience)
                }
                Some(at) if now < at + patience => Some(at + patience),
                Some(_) => {
                    run.stale = true;
                    None
                }
            };
            if run.stale && !slot.run.is_some_and(|before| before.stale) {
                struck.push((thread, age));
            }
            slot.run = Some(*run);
            if let Some(at) = next {
                daemon.look_at = Some(daemon.look_at.map_or(at, |look| look.min(at)));
            }
        }
        for order in orders {
            self.act(Action::Send { daemon: id, record: ToDaemon::Interrupt(order) });
        }
        for (thread, age) in struck {
            self.tell(id, Level::Error, |subject| message::slow_request(subject, thread, age));
            self.recycle(id, "request_timeout", now);
            self.finish_drain(id, now);
        }
    }

    fn judge_idleness(&mut self, id: DaemonId, idle: Millis, group: &Group, now: Millis) {
        let Some(daemon) = self.daemons.get(&id).filter(|daemon| daemon.ready()) else { return };
        let over = |seconds: u32| seconds > 0 && idle >= Millis::from(seconds) * 1_000;
        let index = daemon.pool;
        let have = self.of_pool(index).filter(|other| other.counts()).count();
        let Some(pool) = self.pools.get(&index) else { return };
        let beyond = u32::try_from(have).unwrap_or(u32::MAX) > pool.floor();
        if over(group.inactivity_timeout) {
            self.dismiss(id, "inactivity_timeout", now);
        } else if beyond && over(group.idle_timeout) {
            self.dismiss(id, EVICTED, now);
        }
    }

    /// Ends a process that nobody needs now, without a successor.
    fn dismiss(&mut self, id: DaemonId, reason: &str, now: Millis) {
        let Some(index) = self.daemons.get(&id).map(|daemon| daemon.pool) else { return };
        let others = self.of_pool(index).filter(|other| other.counts() && other.id != id);
        let others = u32::try_from(others.count()).unwrap_or(u32::MAX);
        if let Some(pool) = self.pools.get_mut(&index) {
            pool.target = pool.target.min(others);
        }
        self.tell(id, Level::Info, |subject| format!("{subject} is not needed: {reason}"));
        self.retire(id, reason, now);
    }

    /// Whether the group may have one more process, for this pool; makes room by
    /// ending the process of another pool that was idle for longest.
    pub(super) fn has_room(&mut self, index: u32, now: Millis) -> bool {
        let Some(pool) = self.pools.get(&index) else { return false };
        let Some(group) = pool.settings.clone() else { return false };
        if self.of_pool(index).any(|daemon| daemon.ready() && daemon.outgoing.is_some()) {
            // A successor takes the place of another.
            return true;
        }
        let cap = usize::try_from(group.processes_cap).unwrap_or(usize::MAX);
        let ours = |daemon: &&Daemon| {
            daemon.counts()
                && self.pools.get(&daemon.pool).is_some_and(|pool| pool.group == group.name)
        };
        if cap == 0 || self.daemons.values().filter(ours).count() < cap {
            return true;
        }
        let idle = self.daemons.values().filter(ours).filter(|daemon| {
            daemon.pool != index
                && daemon.ready()
                && self.look_interval(daemon.id).is_some_and(|interval| {
                    now.saturating_sub(daemon.active.1) >= IDLE_LOOKS * interval
                })
                && self.is_beyond_floor(daemon.pool)
        });
        if let Some(id) = idle.min_by_key(|daemon| daemon.active.1).map(|daemon| daemon.id) {
            self.dismiss(id, EVICTED, now);
            return true;
        }
        if self.of_pool(index).any(|daemon| daemon.ready()) {
            return false;
        }
        // Better too many processes than requests that nobody serves.
        if self.crowded.is_none_or(|at| now >= at + COMPLAINT) {
            self.crowded = Some(now);
            self.log(&group.name, Level::Warning, message::crowded(&group.name, cap));
        }
        true
    }

    fn is_beyond_floor(&self, index: u32) -> bool {
        let have = self.of_pool(index).filter(|daemon| daemon.counts()).count();
        let floor = self.pools.get(&index).map_or(0, super::Pool::floor);
        u32::try_from(have).unwrap_or(u32::MAX) > floor
    }
}

/// Several processes are probed at a time, so that a supervisor of hundreds sleeps in between.
fn next_probe(now: Millis, group: &Group) -> Millis {
    let interval = Millis::from(group.deadlock_timeout) * 1_000 / 4;
    (now + interval.clamp(PROBE.0, PROBE.1)).next_multiple_of(PROBE.0)
}
