//! How a worker thread shares the processor with those that bring it requests.
//!
//! A thread that wakes interrupts who runs: right for one request that came alone. When
//! many come, that is httpd's thread which has just sent one and would send more: the
//! worker thread finds one request, and goes to sleep again. If it lets them finish it
//! finds several, and sleeps less often. So a thread which finds requests waiting most
//! times that it looks is scheduled as a batch (`SCHED_BATCH`) until that changes. A
//! process that the application starts just then is scheduled so as well.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, for itself.

use std::cell::Cell;

use wsgi_sys::process;

/// Requests after which the way is chosen anew.
const PERIOD: u32 = 64;

/// Sleeps in a period up to which requests come in batches.
const FEW: u32 = 52;

/// Sleeps in a period from which they come one by one.
const MANY: u32 = 58;

/// What the calling thread did since the way was chosen.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    taken: u32,
    slept: u32,
    batch: bool,
    refused: bool,
}

thread_local! {
    static PACE: Cell<Pace> = const {
        Cell::new(Pace { taken: 0, slept: 0, batch: false, refused: false })
    };
}

/// The calling thread goes to sleep until there is a request.
pub(crate) fn slept() {
    let mut pace = PACE.get();
    pace.slept += 1;
    PACE.set(pace);
}

/// The calling thread has taken a request.
pub(crate) fn took() {
    let mut pace = PACE.get();
    pace.taken += 1;
    if pace.taken == PERIOD {
        let batch = pace.wants_batch();
        if batch != pace.batch && !pace.refused {
            pace.refused = process::set_batch(batch).is_err();
        }
        pace = Pace { batch, refused: pace.refused, ..Pace::default() };
    }
    PACE.set(pace);
}

impl Pace {
    fn wants_batch(self) -> bool {
        if self.batch { self.slept < MANY } else { self.slept <= FEW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_one_by_one_and_in_batches_are_told_apart() {
        let pace = |slept, batch| Pace { slept, batch, ..Pace::default() }.wants_batch();
        assert!(!pace(64, false) && !pace(64, true) && !pace(200, true));
        assert!(pace(30, false) && pace(30, true));
        // In between it stays as it is.
        assert!(!pace(55, false) && pace(55, true));
    }
}
