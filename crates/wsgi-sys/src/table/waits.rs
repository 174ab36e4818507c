//! What is recorded of waiting: how many requests of a pool have waited, for how
//! long, and how many in vain. A request that finds a free slot touches none of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{PoolRef, Table};

/// How a pool's queue has fared since the pool was opened. Read without a lock:
/// the numbers may be of slightly different moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Requests that wait now.
    pub waiting: u32,
    /// Most places of the queue that were taken at once, including those of
    /// requests that had given up but had others before them still.
    pub deepest: u32,
    /// Waits that are over, whatever became of them.
    pub waited: u64,
    /// Of these, waits that no slot ended in time.
    pub expired: u64,
    /// Requests that were sent away because the queue was full.
    pub refused: u64,
    /// All waits that are over together, to the microsecond.
    pub total: Duration,
    /// The longest of them, to the microsecond.
    pub longest: Duration,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// With a slot, with the pool, or with the client's departure.
    Over,
    /// At its deadline.
    Expired,
}

/// Figures of a pool, on a cache line of their own. They only ever grow.
#[repr(C, align(64))]
pub(super) struct Waits {
    waited: AtomicU64,
    expired: AtomicU64,
    refused: AtomicU64,
    /// Microseconds.
    total: AtomicU64,
    /// Microseconds.
    longest: AtomicU64,
    deepest: AtomicU64,
}

impl Waits {
    pub(super) fn clear(&self) {
        for figure in
            [&self.waited, &self.expired, &self.refused, &self.total, &self.longest, &self.deepest]
        {
            figure.store(0, Relaxed);
        }
    }

    /// The sums, which begin anew: all waits, those in vain, requests sent away, time.
    pub(super) fn take(&self) -> [u64; 4] {
        [&self.waited, &self.expired, &self.refused, &self.total]
            .map(|figure| figure.swap(0, Relaxed))
    }

    pub(super) fn reached(&self, depth: u64) {
        self.deepest.fetch_max(depth, Relaxed);
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }
}

impl Table {
    /// Records that a request has waited for so long. Nothing happens if the pool
    /// is another one by now.
    pub fn record_wait(&self, pool: PoolRef, wait: Duration, end: WaitEnd) {
        if self.pool_state(pool).is_none() {
            return;
        }
        let Some(record) = self.shared().pool(pool.index) else { return };
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        record.waits.waited.fetch_add(1, Relaxed);
        record.waits.total.fetch_add(micros, Relaxed);
        record.waits.longest.fetch_max(micros, Relaxed);
        if end == WaitEnd::Expired {
            record.waits.expired.fetch_add(1, Relaxed);
        }
    }

    /// How the queue of the pool at an index fares; zeros if there is none.
    pub fn queue_figures(&self, pool: u32) -> QueueFigures {
        let Some(record) = self.shared().pool(pool) else { return QueueFigures::default() };
        let waits = &record.waits;
        QueueFigures {
            waiting: self.waiting(pool),
            deepest: u32::try_from(waits.deepest.load(Relaxed)).unwrap_or(u32::MAX),
            waited: waits.waited.load(Relaxed),
            expired: waits.expired.load(Relaxed),
            refused: waits.refused.load(Relaxed),
            total: Duration::from_micros(waits.total.load(Relaxed)),
            longest: Duration::from_micros(waits.longest.load(Relaxed)),
        }
    }
}
