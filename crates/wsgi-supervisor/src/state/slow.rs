//! Slow requests: an entry in the log for each while it still runs, with the Python stack of
//! its thread.
//!
//! When a request becomes slow is written in its slot's note by the httpd child, which knows the
//! settings of its location. The worker is asked where its thread is; if it does not answer,
//! something holds the GIL, and what the kernel knows is written instead.

use wsgi_proto::daemon::{ToDaemon, Trace};

use super::daemon::{self, Phase};
use super::{Action, DaemonId, Level, Millis, SlowRequest, Supervisor, message};

/// Entries about a pool that may come at once.
pub(super) const BURST: u32 = 10;
/// Milliseconds after which there may be one more.
const REFILL: Millis = 6_000;
/// Milliseconds between two looks: at least, and at most.
const LOOK: (Millis, Millis) = (50, 1_000);
/// Milliseconds that a worker has to say where a thread is.
const PATIENCE: Millis = 500;

impl Supervisor {
    /// Milliseconds between two looks for slow requests, if any request may be slow.
    pub(super) fn slow_interval(&self) -> Option<Millis> {
        let least = self.begin.as_ref()?.slow_requests;
        (least > 0).then(|| (Millis::from(least) / 4).clamp(LOOK.0, LOOK.1))
    }

    /// These requests are slow now.
    pub(super) fn slow(&mut self, id: DaemonId, requests: Vec<SlowRequest>, now: Millis) {
        let interval = self.slow_interval();
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        if !matches!(daemon.phase, Phase::Ready | Phase::Draining) || daemon.adopted {
            return;
        }
        daemon.slow_at = interval.map(|interval| now + interval);
        for request in requests {
            self.report(id, request, now);
        }
    }

    fn report(&mut self, id: DaemonId, request: SlowRequest, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let SlowRequest { thread, number, age, over, line } = request;
        let slot = usize::try_from(thread).ok().and_then(|thread| daemon.slots.get_mut(thread));
        let Some(slot) = slot.filter(|slot| slot.reported != Some(number)) else { return };
        slot.reported = Some(number);
        let Some(pool) = self.pools.get_mut(&daemon.pool) else { return };
        let (left, since, passed_over) = &mut pool.slow;
        let refilled = now.saturating_sub(*since) / REFILL;
        *left = left.saturating_add(u32::try_from(refilled).unwrap_or(BURST)).min(BURST);
        *since = if *left == BURST { now } else { *since + refilled * REFILL };
        if *left == 0 {
            *passed_over += 1;
            return;
        }
        *left -= 1;
        let others = std::mem::take(passed_over);
        let subject = message::subject(daemon, pool);
        let text = message::slow(&subject, thread, age, &line, others);
        daemon.traces.retain(|trace| trace.thread != thread);
        daemon.traces.push(daemon::Trace { thread, text, until: now + PATIENCE });
        // A request that began meanwhile on this thread is not meant.
        let age = u32::try_from(over).unwrap_or(u32::MAX);
        self.act(Action::Send { daemon: id, record: ToDaemon::Trace(Trace { thread, age }) });
    }

    /// The worker says where a thread is.
    pub(super) fn traced(&mut self, id: DaemonId, thread: u32, stack: &str) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(place) = daemon.traces.iter().position(|trace| trace.thread == thread) else {
            return;
        };
        let text = daemon.traces.remove(place).text;
        let Some(group) = self.pools.get(&daemon.pool).map(|pool| pool.group.clone()) else {
            return;
        };
        let text = match stack {
            "" => format!("{text}; it ended before its stack could be taken"),
            stack => format!("{text}; it is at\n{stack}"),
        };
        self.log(&group, Level::Warning, text);
    }

    /// Workers that have not said in time where their threads are can't.
    pub(super) fn give_up_traces(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let late = |trace: &daemon::Trace| trace.until <= now;
        if !daemon.traces.iter().any(late) {
            return;
        }
        let (late, rest) = std::mem::take(&mut daemon.traces).into_iter().partition(late);
        daemon.traces = rest;
        let Some(pool) = self.pools.get(&daemon.pool) else { return };
        let group = &pool.group;
        let late: Vec<daemon::Trace> = late;
        for daemon::Trace { text, .. } in late {
            let group = group.clone();
            self.actions.push(Action::LogWedged { daemon: id, group, text });
        }
    }
}
