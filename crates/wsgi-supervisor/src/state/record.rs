//! What is written down for administrators who look: ends of processes, reloads.

use wsgi_sys::table::{IncidentKind, Tally};

use super::daemon::{Daemon, Phase};
use super::{Action, DaemonId, Supervisor};

impl Supervisor {
    /// A process is about to be killed, because of this.
    pub(super) fn blame(&mut self, id: DaemonId, what: &str) {
        if let Some(daemon) = self.daemons.get_mut(&id) {
            daemon.blame.get_or_insert_with(|| what.to_owned());
        }
    }

    /// A process has ended, `expected` or not; `how` is what the log says.
    pub(super) fn record_end(&mut self, daemon: &Daemon, expected: bool, how: &str) {
        let reason = daemon.blame.as_ref().or(daemon.outgoing.as_ref());
        let text = match reason {
            Some(reason) => format!("{reason}: {how}"),
            None => how.to_owned(),
        };
        let (kind, tally) = match () {
            () if daemon.killed => (IncidentKind::Killed, Tally::Killed),
            () if expected => (IncidentKind::Stopped, Tally::Stopped),
            () if daemon.phase < Phase::Ready => (IncidentKind::Failed, Tally::Failed),
            () => (IncidentKind::Died, Tally::Died),
        };
        self.record(daemon.pool, daemon.pid, kind, tally, text);
    }

    /// A script of the pool has changed.
    pub(super) fn record_reload(&mut self, pool: u32) {
        let text = "a script has changed".to_owned();
        self.record(pool, 0, IncidentKind::Reloaded, Tally::Reloaded, text);
    }

    /// All processes of the pool are replaced by order.
    pub(super) fn record_order(&mut self, pool: u32) {
        let text = "wsgictl reload".to_owned();
        self.record(pool, 0, IncidentKind::Reloaded, Tally::Reloaded, text);
    }

    fn record(&mut self, index: u32, pid: i32, kind: IncidentKind, tally: Tally, text: String) {
        let Some(pool) = self.pools.get(&index) else { return };
        let (group, application) = (pool.group.clone(), pool.application.clone());
        self.act(Action::Count { pool: index, tally });
        self.act(Action::Tell { kind, pid, group, application, text });
    }
}
