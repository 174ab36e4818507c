//! Whether a process will soon be done with what it has.
//!
//! Requests that are over in microseconds are best kept together: a process that runs anyway
//! takes one more without going to sleep in between, where another one would have to be woken,
//! and both would then compete for processors with httpd. So a process that ends its requests
//! quickly is given the next one although another has less to do, as long as the wait behind
//! the others is short.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Microseconds that a request may wait behind others: what it takes, more or less, to wake
/// another process and have it come into the caches.
const TOLERABLE: u64 = 200;

/// Microseconds after which a process that has ended no request is held up.
const HELD_UP: u64 = 1_000;

/// The mean moves by this part towards each new value.
const WEIGHT: u32 = 8;

/// Parts of a microsecond in which the mean is kept.
const PARTS: u32 = 16;

/// How a process gets on. Children that write it at the same time lose a value now and then.
#[repr(C)]
pub(super) struct FlowRecord {
    /// Time in the application for a request, moving average.
    mean: AtomicU32,
    /// End of the last one, by the monotonic clock in microseconds.
    ended: AtomicU64,
}

impl FlowRecord {
    /// The process has ended a request, in which the application ran for so many microseconds.
    pub(super) fn ended(&self, microseconds: u64, now: u64) {
        let new = u32::try_from(microseconds).unwrap_or(u32::MAX).min(u32::MAX / PARTS) * PARTS;
        let old = self.mean.load(Relaxed);
        self.mean.store(old - old / WEIGHT + new / WEIGHT, Relaxed);
        self.ended.store(now, Relaxed);
    }

    /// Whether a request may join `busy` others rather than have another process woken.
    pub(super) fn keeps_up(&self, busy: u32, now: impl FnOnce() -> u64) -> bool {
        let backlog = u64::from(busy) * u64::from(self.mean.load(Relaxed)) / u64::from(PARTS);
        backlog <= TOLERABLE && now().saturating_sub(self.ended.load(Relaxed)) <= HELD_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> FlowRecord {
        FlowRecord { mean: AtomicU32::new(0), ended: AtomicU64::new(0) }
    }

    #[test]
    fn quick_requests_are_kept_together_up_to_a_tolerable_wait() {
        let flow = flow();
        assert!(!flow.keeps_up(1, || 50_000), "nothing is known of it yet");
        for now in 50_000..50_100 {
            flow.ended(20, now);
        }
        assert!(flow.keeps_up(10, || 50_100) && !flow.keeps_up(12, || 50_100));
        assert!(flow.keeps_up(1, || 51_000) && !flow.keeps_up(1, || 51_200), "held up");
        // Another clock's reading, or memory that somebody scribbled on.
        assert!(flow.keeps_up(1, || 0));
    }

    #[test]
    fn one_slow_request_among_quick_ones_is_noticed_and_forgotten() {
        let flow = flow();
        for now in 0..100 {
            flow.ended(10, now);
        }
        flow.ended(10_000, 100);
        assert!(!flow.keeps_up(1, || 100));
        for now in 100..140 {
            flow.ended(10, now);
        }
        assert!(flow.keeps_up(10, || 140));
        flow.ended(u64::MAX, 140);
        assert!(!flow.keeps_up(1, || 140));
    }
}
