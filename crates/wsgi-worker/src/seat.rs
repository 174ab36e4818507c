//! The place of a channel: given by the supervisor, taken by a worker thread for
//! one request, left or lost afterwards.
//!
//! *Runs in:* daemon. *Threads:* the main thread gives, worker threads take.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
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
    lane: Option<Arc<Lane>>,
    place: Mutex<Place>,
    given: AtomicBool,
    busy: AtomicBool,
}

impl Seat {
    pub(crate) fn new(lane: Option<Lane>) -> Self {
        Self {
            lane: lane.map(Arc::new),
            place: Mutex::default(),
            given: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        }
    }

    /// Gives the seat a channel, and returns it if it can be watched from now on. One
    /// that waited for the last one's end is closed.
    pub(crate) fn give(&self, socket: OwnedFd, epoch: u32) -> Option<Channel> {
        let channel = Channel { line: Arc::new(Line::new(socket, self.lane.clone())), epoch };
        let mut place = self.place();
        self.given.store(true, Ordering::Release);
        if place.channel.is_some() {
            place.offer = Some(channel);
            return None;
        }
        place.channel = Some(channel.clone());
        Some(channel)
    }

    pub(crate) fn has_lane(&self) -> bool {
        self.lane.is_some()
    }

    /// True once the seat was given a channel.
    pub(crate) fn was_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// The channel, for the calling thread alone until it calls [`Seat::leave`] or
    /// [`Seat::lose`]. None if there is none, or another thread has it.
    pub(crate) fn take(&self) -> Option<Channel> {
        let place = self.place();
        let channel = place.channel.clone()?;
        let free = !self.busy.swap(true, Ordering::AcqRel);
        free.then_some(channel)
    }

    /// Leaves the channel to the next request; true if that has come by the lane already. Who
    /// looked for it meanwhile found the seat busy.
    pub(crate) fn leave(&self) -> bool {
        self.busy.swap(false, Ordering::AcqRel);
        self.lane.as_deref().is_some_and(Lane::is_offered)
    }

    /// Gives the channel up; returns the one that was given meanwhile.
    pub(crate) fn lose(&self) -> Option<Channel> {
        let mut place = self.place();
        place.channel = place.offer.take();
        self.busy.store(false, Ordering::Release);
        place.channel.clone()
    }

    /// True while a thread has the channel: from a request's arrival to its END.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// True while there is no channel.
    pub(crate) fn waits_for_channel(&self) -> bool {
        self.place().channel.is_none()
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
