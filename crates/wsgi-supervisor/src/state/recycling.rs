//! Replacing a process that works: the successor first.

use std::path::PathBuf;

use super::{Action, DaemonId, Level, Millis, Supervisor, message};

/// `reason` of a process whose script has changed.
pub(super) const RELOAD: &str = "script_reload";
/// `reason` of a process that has served what it may.
const REQUESTS: &str = "maximum_requests";
/// `reason` of a process that has used its CPU time.
const CPU_TIME: &str = "cpu_time_limit";
/// Milliseconds between two looks at the number of requests served: at least, and
/// at most.
const COUNT: (Millis, Millis) = (20, 1_000);

impl Supervisor {
    /// The process itself asks for a successor.
    pub(super) fn reported(&mut self, id: DaemonId, reason: &str, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(pool) = self.pools.get_mut(&daemon.pool) else { return };
        let (index, launched) = (daemon.pool, daemon.launched);
        // The kernel repeats this signal every second: that is no news.
        let again = std::mem::replace(&mut daemon.reported, true) && reason != CPU_TIME;
        // Started before the last change was told: it tells of the same one.
        let first = daemon.outgoing.is_none() && pool.changed.is_none_or(|known| launched >= known);
        if pool.threads == 0 {
            // Without requests there is nothing to lose, but what must not run twice.
            daemon.outgoing.get_or_insert_with(|| reason.to_owned());
            return self.end(id, reason, now);
        }
        if again || first {
            // Something has changed since the last attempt, if there was one.
            (pool.changed, pool.retry_at, pool.failures) = (Some(now), None, 0);
            if reason == RELOAD {
                self.record_reload(index);
            }
        }
        self.recycle(id, reason, now);
        if reason == RELOAD && first {
            // The others would notice by themselves, but old and new shall not be seen
            // side by side for longer than it must be.
            let others = self.of_pool(index).filter(|other| other.ready() && !other.adopted);
            for other in others.map(|other| other.id).collect::<Vec<_>>() {
                self.recycle(other, reason, now);
            }
        }
    }

    /// A process is to be replaced.
    pub(super) fn recycle(&mut self, id: DaemonId, reason: &str, _now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(pool) = self.pools.get_mut(&daemon.pool) else { return };
        if daemon.phase > super::daemon::Phase::Ready || daemon.outgoing.is_some() {
            return;
        }
        daemon.outgoing = Some(reason.to_owned());
        daemon.count_at = None;
        let process = pool.first_process + daemon.entry;
        self.actions.push(Action::Leaving { process, reason: reason.to_owned() });
        if reason == RELOAD {
            pool.proven = false;
        }
        self.tell(id, Level::Info, |subject| format!("{subject} is to be replaced: {reason}"));
    }

    /// Drains what has been replaced, oldest first.
    pub(super) fn trim(&mut self, index: u32, now: Millis) {
        let Some(target) = self.pools.get(&index).map(|pool| pool.target) else { return };
        let ready = self.of_pool(index).filter(|daemon| daemon.ready());
        let (serving, outgoing) =
            ready.fold((0_u32, Vec::new()), |(serving, mut outgoing), daemon| {
                if let Some(reason) = &daemon.outgoing {
                    outgoing.push((daemon.id, reason.clone()));
                }
                (serving + 1, outgoing)
            });
        let surplus = usize::try_from(serving.saturating_sub(target)).unwrap_or(0);
        for (id, reason) in outgoing.into_iter().take(surplus) {
            self.retire(id, &reason, now);
        }
    }

    /// A process that could not load its scripts never replaces one that could.
    pub(super) fn reject(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        let (index, launched) = (daemon.pool, daemon.launched);
        let reloads = |daemon: &super::Daemon| daemon.outgoing.as_deref() == Some(RELOAD);
        let reloading = self.of_pool(index).any(reloads);
        let Some(pool) = self.pools.get_mut(&index) else { return };
        let mut pause = pool.park(now, reloading);
        if pool.changed.is_some_and(|at| at > launched) {
            // It was repaired while this one was reading it.
            (pool.retry_at, pause) = (Some(now), 0);
        }
        self.tell(id, Level::Error, |subject| message::not_loaded(subject, pause, reloading));
        self.lift_limits(index);
        self.end(id, RELOAD, now);
    }

    /// There is no successor yet: better serve too many requests than none.
    pub(super) fn lift_limits(&mut self, index: u32) {
        let Some(pool) = self.pools.get(&index) else { return };
        let limited = self
            .daemons
            .values_mut()
            .filter(|daemon| daemon.pool == index && daemon.outgoing.is_some() && daemon.limit > 0);
        for daemon in limited {
            daemon.limit = 0;
            let process = pool.first_process + daemon.entry;
            self.actions.push(Action::Limit { pool: index, process, limit: 0 });
        }
    }

    /// The number of requests after which a process takes no more: lower by chance,
    /// so that processes do not end together.
    pub(super) fn draw_limit(&self, id: DaemonId, now: Millis) -> u64 {
        let group = self.daemons.get(&id).and_then(|daemon| self.pools.get(&daemon.pool));
        let Some(group) = group.and_then(|pool| pool.settings.as_ref()) else { return 0 };
        let most = group.maximum_requests;
        let range = most / 100 * u64::from(group.maximum_requests_jitter)
            + most % 100 * u64::from(group.maximum_requests_jitter) / 100;
        // Scrambled as in splitmix64; nothing depends on how well.
        let mut chance = (id.0 << 32 ^ now).wrapping_add(0x9e37_79b9_7f4a_7c15);
        chance = (chance ^ chance >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chance = (chance ^ chance >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        most - (chance ^ chance >> 31) % (range.min(most.saturating_sub(1)) + 1)
    }

    /// So many requests were served: have the successor ready when they are enough.
    pub(super) fn served(&mut self, id: DaemonId, requests: u64, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id).filter(|daemon| daemon.ready()) else {
            return;
        };
        if daemon.limit == 0 || daemon.outgoing.is_some() {
            daemon.count_at = None;
            return;
        }
        let (before, at) = std::mem::replace(&mut daemon.counted, (requests, now));
        let (more, span) = (requests.saturating_sub(before), now.saturating_sub(at).max(1));
        let startup = self.pools.get(&daemon.pool).map_or(0, |pool| pool.startup);
        let expected = more.saturating_mul(startup + COUNT.0) / span;
        let threshold = daemon.limit - daemon.limit / 4;
        if requests.saturating_add(expected) >= daemon.limit || requests >= threshold {
            self.recycle(id, REQUESTS, now);
        } else {
            // Half of the way there, at this pace.
            let wait = (threshold - requests).saturating_mul(span) / (2 * more.max(1));
            let wait = if more == 0 { COUNT.1 } else { wait.clamp(COUNT.0, COUNT.1) };
            daemon.count_at = Some(now + wait);
        }
    }

    /// Successors have to load this script, too, before they are ready.
    pub(super) fn loaded(&mut self, id: DaemonId, script: PathBuf) {
        let pool = self.daemons.get(&id).map(|daemon| daemon.pool);
        if let Some(pool) = pool.and_then(|index| self.pools.get_mut(&index)) {
            pool.load_also(script);
        }
    }
}
