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
    /// When to ask how many requests it has served.
    pub(crate) count_at: Option<Millis>,
    /// The supervisor wanted it to end, and has said so where necessary.
    pub(crate) asked: bool,
    /// The supervisor kills it, and the log says why.
    pub(crate) killed: bool,
    pub(crate) slots: Vec<Slot>,
}

impl Daemon {
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
        [self.kill_at, self.retry_at, self.count_at].into_iter().flatten().min()
    }
}
