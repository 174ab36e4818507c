//! What a request costs: its reads and writes, the time that they take, and the
//! waits for the GIL. Measured only while somebody wants to know, so that it costs
//! other requests one look at a flag.
//!
//! *Runs in:* daemon. *Threads:* any that the application lets take part in the
//! request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3::prelude::*;

/// Whether metrics are recorded in this process.
static OBSERVED: AtomicBool = AtomicBool::new(false);

/// Has every request from now on measured.
#[pyfunction]
pub(crate) fn observe() {
    OBSERVED.store(true, Relaxed);
}

/// Whether every request is to be measured.
pub(crate) fn is_observed() -> bool {
    OBSERVED.load(Relaxed)
}

/// How often something was done, and how long it took altogether.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Tally {
    fn add(&self, time: Duration) {
        self.count.fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn clear(&self) {
        self.count.store(0, Relaxed);
        self.nanoseconds.store(0, Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Seconds.
    pub(crate) fn time(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64()
    }
}

/// The costs of the request that runs on a line.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    is_on: AtomicBool,
    arrived: Mutex<Option<Instant>>,
    pub(crate) reads: Tally,
    pub(crate) writes: Tally,
    pub(crate) gil_waits: Tally,
}

/// A read or write that is going on; counted when it is over.
#[derive(Debug)]
pub(crate) struct Timing<'m>(&'m Tally, Instant);

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.0.add(self.1.elapsed());
    }
}

impl Meter {
    /// A request has come, and its thread is about to ask for the GIL.
    pub(crate) fn arrived(&self) {
        let is_observed = is_observed();
        if is_observed || self.is_on.load(Relaxed) {
            self.is_on.store(false, Relaxed);
            for tally in [&self.reads, &self.writes, &self.gil_waits] {
                tally.clear();
            }
        }
        if is_observed {
            *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Its thread has got the GIL.
    pub(crate) fn attached(&self) {
        if is_observed()
            && let Some(arrived) =
                self.arrived.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            self.gil_waits.add(arrived.elapsed());
        }
    }

    /// The application is about to be called, and somebody wants to know its costs.
    pub(crate) fn start(&self) {
        self.is_on.store(true, Relaxed);
    }

    /// Counts a read until the result is dropped.
    pub(crate) fn reading(&self) -> Option<Timing<'_>> {
        self.timing(&self.reads)
    }

    /// Counts a write until the result is dropped.
    pub(crate) fn writing(&self) -> Option<Timing<'_>> {
        self.timing(&self.writes)
    }

    fn timing<'m>(&self, tally: &'m Tally) -> Option<Timing<'m>> {
        self.is_on.load(Relaxed).then(|| Timing(tally, Instant::now()))
    }

    /// Lets go of the GIL for `work`, like [`Python::detach`].
    pub(crate) fn detach<R: Send>(&self, py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
        if !self.is_on.load(Relaxed) {
            return py.detach(work);
        }
        let (result, done) = py.detach(|| (work(), Instant::now()));
        self.gil_waits.add(done.elapsed());
        result
    }
}
