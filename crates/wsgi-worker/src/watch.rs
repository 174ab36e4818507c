//! Which worker thread takes the next request.
//!
//! A thread for each channel, woken by each request, would be woken to wait for
//! the GIL: with small requests most of the work would be switching. So one thread
//! *watches* all channels while the others rest, and a thread that has finished
//! takes what has come meanwhile, without going to sleep. That is right as long as
//! applications compute; when they block, others have to go on. Who runs Python is
//! known to nobody but the GIL: so one of the resting threads, the *relief*, looks
//! at it every [`TICK`] while nobody watches and no request is taken. If it gets the
//! GIL and all requests are inside of Python, they all wait for something else: the
//! relief takes over, and for the next [`EAGER`] requests nobody waits for a relief.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, without the GIL.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use wsgi_sys::lanes::Bell;
use wsgi_sys::readiness::Readiness;

use crate::pace;

/// How often the relief looks.
const TICK: Duration = Duration::from_millis(1);

/// Requests after a stall for which the next thread is called at once.
const EAGER: u32 = 64;

/// Times that lanes had something between two looks at the sockets.
const LOOK: u32 = 32;

/// A thread whose request began less long ago is taken to compute.
const FRESH: Duration = Duration::from_micros(200);

/// Pause after a failed wait, which no system call explains.
const PAUSE: Duration = Duration::from_millis(100);

/// The channels that wait for a request, and the threads that wait for one.
#[derive(Debug)]
pub(crate) struct Watch {
    readiness: Readiness,
    state: Mutex<State>,
    /// Tells which lanes have a request; none if there are no lanes.
    bell: Option<Bell>,
    /// One for each thread.
    calls: Vec<Condvar>,
    /// Threads outside of Python that have a request or look for one.
    transit: AtomicUsize,
    /// Threads run Python at the same time (free-threaded builds).
    parallel: bool,
}

#[derive(Debug)]
struct State {
    /// Seats with something to read, in order of arrival: by their sockets or lanes. While there are any, a
    /// thread is on its way that looks here.
    ready: VecDeque<usize>,
    /// Seats whose sockets have had something, and have to be armed again.
    fired: Vec<bool>,
    /// A thread waits for the channels.
    watched: bool,
    /// The last to rest is the first to be called: it is in the caches yet.
    resting: Vec<usize>,
    relief: Option<usize>,
    called: Vec<bool>,
    /// Requests for which another thread is called at once.
    eager: u32,
    /// Who took the last request, and when.
    last: (usize, Instant),
    /// Requests taken so far.
    taken: u64,
    /// How often lanes had something.
    collected: u32,
}

impl Watch {
    /// For so many threads. `parallel`: they don't share a GIL. `bell`: there are lanes, for each
    /// of them.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn new(threads: usize, parallel: bool, bell: Option<Bell>) -> io::Result<Self> {
        if let Some(bell) = &bell {
            bell.open();
        }
        Ok(Self {
            readiness: Readiness::new()?,
            bell,
            state: Mutex::new(State {
                ready: VecDeque::with_capacity(threads),
                fired: vec![false; threads],
                watched: false,
                resting: Vec::with_capacity(threads),
                relief: None,
                called: vec![false; threads],
                eager: 0,
                last: (usize::MAX, Instant::now()),
                taken: 0,
                collected: 0,
            }),
            calls: (0..threads).map(|_| Condvar::new()).collect(),
            transit: AtomicUsize::new(0),
            parallel,
        })
    }

    /// Watches a new channel.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn add(&self, socket: BorrowedFd<'_>, seat: usize) -> io::Result<()> {
        if let Some(fired) = self.state().fired.get_mut(seat) {
            *fired = false;
        }
        self.readiness.add(socket, seat as u64)
    }

    /// Watches no longer for a channel.
    pub(crate) fn remove(&self, socket: BorrowedFd<'_>) {
        self.readiness.remove(socket);
    }

    /// A seat was left by its thread, which calls [`Watch::next`] soon. `read`: the next request
    /// has come, or begun to come, where the socket does not tell of it.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn leave(&self, socket: BorrowedFd<'_>, seat: usize, read: bool) -> io::Result<()> {
        let mut state = self.state();
        if read {
            state.ready.push_back(seat);
        } else if state.fired.get_mut(seat).is_some_and(std::mem::take) {
            drop(state);
            return self.readiness.rearm(socket, seat as u64);
        }
        Ok(())
    }

    /// The calling thread is about to let go of the GIL and look for a request.
    pub(crate) fn depart(&self) {
        self.transit.fetch_add(1, Ordering::SeqCst);
    }

    /// The calling thread has the GIL and a request.
    pub(crate) fn arrive(&self) {
        self.transit.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for a seat with something to read.
    pub(crate) fn next(&self, thread: usize) -> usize {
        let mut state = self.state();
        loop {
            let others_turn = !self.is_eager(&state) && state.is_anothers_turn(thread);
            if !others_turn && let Some(seat) = state.ready.pop_front() {
                state.last = (thread, Instant::now());
                state.taken += 1;
                state.eager = state.eager.saturating_sub(1);
                self.cover(&mut state);
                drop(state);
                pace::took();
                return seat;
            }
            if !others_turn && !state.watched && self.collect(&mut state) {
                continue;
            }
            pace::slept();
            state = if state.watched || others_turn {
                self.rest(thread, state)
            } else {
                self.watch(state)
            };
        }
    }

    fn watch<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.watched = true;
        drop(state);
        if let Some(bell) = self.bell.as_ref().filter(|bell| !bell.sleep()) {
            let mut state = self.state();
            state.watched = false;
            state.ready.extend(bell.rung());
            return state;
        }
        self.arrive();
        let tokens = self.readiness.wait(None);
        self.depart();
        if let Some(bell) = &self.bell {
            bell.wake_up();
        }
        if tokens.is_err() {
            std::thread::sleep(PAUSE);
        }
        let mut state = self.state();
        state.watched = false;
        state.arrived(tokens.into_iter().flatten());
        state
    }

    /// Gathers what has come by the lanes, and now and then what the sockets have, as while lanes
    /// bring enough nobody waits for those. False if there was nothing.
    fn collect(&self, state: &mut State) -> bool {
        let Some(bell) = &self.bell else { return false };
        state.ready.extend(bell.rung());
        if state.ready.is_empty() {
            return false;
        }
        state.collected += 1;
        if state.collected.is_multiple_of(LOOK)
            && let Ok(tokens) = self.readiness.wait(Some(Duration::ZERO))
        {
            state.arrived(tokens);
        }
        true
    }

    /// Sees to it that somebody is there if the calling thread does not come back soon.
    fn cover(&self, state: &mut State) {
        if state.watched {
            return;
        }
        if self.is_eager(state) {
            let next = state.resting.pop().or_else(|| state.relief.take());
            self.call(state, next);
        } else if state.relief.is_none()
            && let Some(next) = state.resting.pop()
        {
            state.relief = Some(next);
            if let Some(call) = self.calls.get(next) {
                call.notify_one();
            }
        }
    }

    fn call(&self, state: &mut State, thread: Option<usize>) {
        if let Some(thread) = thread
            && let (Some(called), Some(call)) =
                (state.called.get_mut(thread), self.calls.get(thread))
        {
            *called = true;
            call.notify_one();
        }
    }

    /// Rests until called, or as the relief until all requests are stuck.
    fn rest<'a>(
        &'a self,
        thread: usize,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        let Some(call) = self.calls.get(thread) else { return state };
        self.arrive();
        if state.relief.is_none() && !state.watched {
            state.relief = Some(thread);
        } else {
            state.resting.push(thread);
        }
        while !std::mem::take(&mut state.called[thread]) {
            if state.relief != Some(thread) {
                state = call.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let taken = state.taken;
            let (mut now, slept) =
                call.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            if slept.timed_out() && now.relief == Some(thread) {
                if now.watched {
                    now.relief = None;
                    now.resting.push(thread);
                } else if now.taken == taken {
                    drop(now);
                    let stalled = self.is_stalled();
                    now = self.state();
                    if stalled && !now.watched && now.relief == Some(thread) {
                        now.relief = None;
                        now.eager = EAGER;
                        now.called[thread] = true;
                    }
                }
            }
            state = now;
        }
        self.depart();
        state
    }

    /// Whether all requests are inside of Python although the calling thread has the GIL.
    fn is_stalled(&self) -> bool {
        Python::attach(|_| self.transit.load(Ordering::SeqCst) == 0)
    }

    fn is_eager(&self, state: &State) -> bool {
        self.parallel || state.eager > 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sockets have something.
    fn arrived(&mut self, tokens: impl Iterator<Item = u64>) {
        for seat in tokens.filter_map(|token| usize::try_from(token).ok()) {
            if let Some(fired) = self.fired.get_mut(seat) {
                *fired = true;
                self.ready.push_back(seat);
            }
        }
    }

    /// Whether another thread took a request so lately that it will be here soon.
    fn is_anothers_turn(&self, thread: usize) -> bool {
        let (taker, since) = self.last;
        !self.watched && taker != thread && taker != usize::MAX && since.elapsed() < FRESH
    }
}
