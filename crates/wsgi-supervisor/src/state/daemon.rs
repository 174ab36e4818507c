//! One daemon process and its slots.

use super::event::{DaemonId, Millis};

/// How far a daemon has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Started, not heard of yet.
    Launched,
    /// It introduced itself and loads its scripts.
    Loading,
    /// It takes requests.
    Ready,
    /// It takes no new requests.
    Draining,
    /// It was told to stop.
    Stopping,
}

/// Where a slot's channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotPhase {
    /// The first channel, reservable when the process is ready.
    Fresh,
    /// A further channel was sent; the thread has not taken it yet.
    Opening,
    /// Reservable or reserved.
    Live,
    /// The thread lost the channel; to be replaced once nobody holds the slot.
    Lost,
    /// Never reserved again in this process.
    Retired,
}

/// A worker thread, as the supervisor sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) epoch: u32,
    pub(crate) phase: SlotPhase,
    /// The request that it was seen to run.
    pub(crate) run: Option<Run>,
    /// The slow request that was reported last.
    pub(crate) reported: Option<(u32, u64)>,
}

/// A request that runs, as far as looks from time to time can tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Requests that the slot had served before it.
    pub(crate) served: u64,
    /// When it was seen first.
    pub(crate) since: Millis,
    /// When it was interrupted.
    pub(crate) interrupted: Option<Millis>,
    /// It has had its time: nobody waits for it any more.
    pub(crate) stale: bool,
}

/// A slow request whose stack was asked for.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) thread: u32,
    /// The entry, without the stack.
    pub(crate) text: String,
    /// No answer by then: Python can't.
    pub(crate) until: Millis,
}

/// A daemon process.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) id: DaemonId,
    /// Index of its pool.
    pub(crate) pool: u32,
    /// Its entry, counted from the pool's first.
    pub(crate) entry: u32,
    /// 0 until it was launched.
    pub(crate) pid: i32,
    pub(crate) phase: Phase,
    /// When it was launched; for an adopted one, when it was found.
    pub(crate) launched: Millis,
    /// When its phase began.
    pub(crate) since: Millis,
    /// Its scripts loaded.
    pub(crate) loaded: bool,
    /// Why it is to be replaced, if it is.
    pub(crate) outgoing: Option<String>,
    /// An earlier supervisor started it: there is no control socket to it.
    pub(crate) adopted: bool,
    /// It can't introduce itself or stop later than this.
    pub(crate) kill_at: Option<Millis>,
    /// When to try again to take its slots away.
    pub(crate) retry_at: Option<Millis>,
    /// It said itself that it wants to be replaced.
    pub(crate) reported: bool,
    /// Requests after which it takes no more; 0 for any number.
    pub(crate) limit: u64,
    /// When to ask how many requests it has served.
    pub(crate) count_at: Option<Millis>,
    /// Requests served when it was counted last, and when that was.
    pub(crate) counted: (u64, Millis),
    /// When to look what its slots run.
    pub(crate) look_at: Option<Millis>,
    /// Requests served at the last look, and the last look that saw it at work.
    pub(crate) active: (u64, Millis),
    /// When to probe it, or to give it up if it was.
    pub(crate) probe_at: Option<Millis>,
    /// When it was asked whether Python answers, if it has not answered.
    pub(crate) probed: Option<Millis>,
    /// When to look for slow requests.
    pub(crate) slow_at: Option<Millis>,
    /// Slow requests whose stacks were asked for.
    pub(crate) traces: Vec<Trace>,
    /// When it is too old.
    pub(crate) expires_at: Option<Millis>,
    /// Its Python stacks were asked for.
    pub(crate) dumped: bool,
    /// The supervisor wanted it to end, and has said so where necessary.
    pub(crate) asked: bool,
    /// The supervisor kills it, and the log says why.
    pub(crate) killed: bool,
    /// The limit that it has exceeded.
    pub(crate) blame: Option<String>,
    pub(crate) slots: Vec<Slot>,
}

impl Daemon {
    /// One that was launched, or found, just now.
    pub(crate) fn new(id: DaemonId, pool: u32, entry: u32, slots: Vec<Slot>, now: Millis) -> Self {
        Self {
            id,
            pool,
            entry,
            pid: 0,
            phase: Phase::Launched,
            launched: now,
            since: now,
            loaded: false,
            outgoing: None,
            adopted: false,
            kill_at: None,
            retry_at: None,
            reported: false,
            limit: 0,
            count_at: None,
            counted: (0, now),
            look_at: None,
            active: (0, now),
            probe_at: None,
            probed: None,
            slow_at: None,
            traces: Vec::new(),
            expires_at: None,
            dumped: false,
            asked: false,
            killed: false,
            blame: None,
            slots,
        }
    }

    /// It starts, and the pool waits for it.
    pub(crate) fn starting(&self) -> bool {
        self.phase < Phase::Ready && !self.asked
    }

    /// It takes requests.
    pub(crate) fn ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// It is, or will be, one of the processes that the pool wants.
    pub(crate) fn counts(&self) -> bool {
        self.outgoing.is_none() && (self.starting() || self.ready())
    }

    pub(crate) fn enter(&mut self, phase: Phase, now: Millis) {
        self.phase = phase;
        self.since = now;
    }

    /// The next moment at which time matters to it.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let clocks = [
            self.kill_at,
            self.retry_at,
            self.count_at,
            self.look_at,
            self.slow_at,
            self.probe_at,
            self.expires_at,
        ];
        let traces = self.traces.iter().map(|trace| trace.until);
        clocks.into_iter().flatten().chain(traces).min()
    }
}
