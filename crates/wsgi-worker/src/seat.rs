//! The place of a worker thread: where it gets its channels from.
//!
//! *Runs in:* daemon. *Threads:* the main thread gives, the worker thread takes.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// A channel that a worker thread has not taken yet.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) socket: OwnedFd,
    pub(crate) epoch: u32,
}

/// What main thread and worker thread share.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    offer: Mutex<Option<Offer>>,
    offered: Condvar,
    given: AtomicBool,
    busy: AtomicBool,
    idle_without_channel: AtomicBool,
}

impl Seat {
    /// Gives the thread a channel. One that it did not take is closed.
    pub(crate) fn give(&self, offer: Offer) {
        let mut place = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(offer);
        // From here on the thread has a channel, even before it wakes.
        self.idle_without_channel.store(false, Ordering::Release);
        drop(place);
        self.given.store(true, Ordering::Release);
        self.offered.notify_one();
    }

    /// True once the thread was given a channel.
    pub(crate) fn was_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Waits for a channel, without the GIL.
    pub(crate) fn take(&self) -> Offer {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(offer) = offer.take() {
                self.idle_without_channel.store(false, Ordering::Release);
                return offer;
            }
            self.idle_without_channel.store(true, Ordering::Release);
            offer = self.offered.wait(offer).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes whether a request runs.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Release);
    }

    /// True from the arrival of a request until its END was sent.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// True while the thread waits for a channel.
    pub(crate) fn waits_for_channel(&self) -> bool {
        self.idle_without_channel.load(Ordering::Acquire)
    }
}
