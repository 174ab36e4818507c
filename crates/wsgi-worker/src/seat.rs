//! The place of a channel: given by the supervisor, taken by a worker thread for
//! one request, left or lost afterwards.
//!
//! *Runs in:* daemon. *Threads:* the main thread gives, worker threads take.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wsgi_sys::lanes::Lane;

use crate::line::Line;

/// A channel with the number by which the supervisor knows it.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) line: Arc<Line>,
    pub(crate) epoch: u32,
}

#[derive(Debug, Default)]
struct Place {
    channel: Option<Channel>,
    /// Given while the last one was in use yet.
    offer: Option<Channel>,
}

/// What main thread and worker threads share of a channel.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Beside whatever channel the seat has.
    lane: Arc<Lane>,
    place: Mutex<Place>,
    given: AtomicBool,
    /// Of [`BUSY`] and [`AGAIN`].
    state: AtomicU8,
}

/// A thread has the channel.
const BUSY: u8 = 1;

/// The channel is to be looked at after the request that runs.
const AGAIN: u8 = 2;

impl Seat {
    pub(crate) fn new(lane: Lane) -> Self {
        Self {
            lane: Arc::new(lane),
            place: Mutex::default(),
            given: AtomicBool::new(false),
            state: AtomicU8::new(0),
        }
    }

    /// Gives the seat a channel, and returns it if it can be watched from now on. One
    /// that waited for the last one's end is closed.
    pub(crate) fn give(&self, socket: OwnedFd, epoch: u32) -> Option<Channel> {
        let channel = Channel { line: Arc::new(Line::new(socket, Arc::clone(&self.lane))), epoch };
        let mut place = self.place();
        self.given.store(true, Ordering::Release);
        if place.channel.is_some() {
            place.offer = Some(channel);
            return None;
        }
        place.channel = Some(channel.clone());
        Some(channel)
    }

    /// True once the seat was given a channel.
    pub(crate) fn was_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// The channel, for the calling thread alone until it calls [`Seat::leave`] or
    /// [`Seat::lose`]. None if there is none, or another thread has it: that one is told.
    pub(crate) fn take(&self) -> Option<Channel> {
        let channel = self.place().channel.clone()?;
        let busier = |state| Some(if state & BUSY == 0 { state | BUSY } else { state | AGAIN });
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, busier);
        before.is_ok_and(|state| state & BUSY == 0).then_some(channel)
    }

    /// Leaves the channel to the next request; true if it has to be looked at once more: somebody
    /// did, and found the seat busy, or it has ended.
    pub(crate) fn leave(&self) -> bool {
        self.state.swap(0, Ordering::AcqRel) & AGAIN != 0
    }

    /// The channel has ended, maybe behind a request.
    pub(crate) fn hang_up(&self) {
        self.state.fetch_or(AGAIN, Ordering::AcqRel);
    }

    /// Gives the channel up; returns the one that was given meanwhile.
    pub(crate) fn lose(&self) -> Option<Channel> {
        let mut place = self.place();
        place.channel = place.offer.take();
        self.state.store(0, Ordering::Release);
        place.channel.clone()
    }

    /// True while a thread has the channel: from a request's arrival to its END.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.load(Ordering::Acquire) & BUSY != 0
    }

    /// True while there is no channel.
    pub(crate) fn waits_for_channel(&self) -> bool {
        self.place().channel.is_none()
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
