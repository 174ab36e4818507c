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
//! A relief that finds somebody watching watches too. So of requests that come one at
//! a time each wakes one thread, and the other watches on meanwhile; if the next one
//! comes before the last is done, that thread becomes the relief again. It takes none
//! of them before it has seen that they are stuck: they may be the other's, or, if
//! the GIL is never let go of, another process's.
//!
//! The bell sleeps while anybody watches: children send by their sockets then.
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

/// Threads that watch while nothing happens.
const WATCHERS: usize = 2;

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
    /// Threads that wait for the channels.
    watchers: usize,
    /// The last to rest is the first to be called: it is in the caches yet.
    resting: Vec<usize>,
    relief: Option<usize>,
    called: Vec<bool>,
    /// Requests for which another thread is called at once.
    eager: u32,
    /// Who took the last request, and when, until it looks for another in vain.
    last: Option<(usize, Instant)>,
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
                watchers: 0,
                resting: Vec::with_capacity(threads),
                relief: None,
                called: vec![false; threads],
                eager: 0,
                last: None,
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
                state.last = Some((thread, Instant::now()));
                state.taken += 1;
                state.eager = state.eager.saturating_sub(1);
                self.cover(&mut state);
                drop(state);
                pace::took();
                return seat;
            }
            if !others_turn && state.watchers == 0 && self.collect(&mut state) {
                continue;
            }
            pace::slept();
            state.last = state.last.filter(|&(taker, _)| taker != thread);
            let waits_for_other = others_turn && (state.is_fresh() || !state.ready.is_empty());
            state = if waits_for_other || state.watchers == WATCHERS {
                self.rest(thread, state)
            } else {
                self.watch(state)
            };
        }
    }

    /// Waits until a socket has something; not if a lane has rung meanwhile.
    fn watch<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.watchers == 0
            && let Some(bell) = self.bell.as_ref().filter(|bell| !bell.sleep())
        {
            state.ready.extend(bell.rung());
            return state;
        }
        state.watchers += 1;
        drop(state);
        self.arrive();
        let tokens = self.readiness.wait(None);
        self.depart();
        if tokens.is_err() {
            std::thread::sleep(PAUSE);
        }
        let mut state = self.state();
        state.watchers -= 1;
        if let Some(bell) = self.bell.as_ref().filter(|_| state.watchers == 0) {
            bell.wake_up();
        }
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
        if state.is_watched() {
            return;
        }
        let next = if self.is_eager(state) {
            let next = state.resting.pop().or_else(|| state.relief.take());
            if let Some(called) = next.and_then(|next| state.called.get_mut(next)) {
                *called = true;
            }
            next
        } else if state.relief.is_none() {
            state.relief = state.resting.pop();
            state.relief
        } else {
            return;
        };
        if let Some(call) = next.and_then(|next| self.calls.get(next)) {
            call.notify_one();
        } else if state.watchers > 0 {
            self.readiness.nudge();
        }
    }

    /// Rests until called, or as the relief until all requests are stuck or somebody watches.
    fn rest<'a>(
        &'a self,
        thread: usize,
        mut state: MutexGuard<'a, State>,
    ) -> MutexGuard<'a, State> {
        let Some(call) = self.calls.get(thread) else { return state };
        self.arrive();
        if state.relief.is_none() && !state.is_watched() {
            state.relief = Some(thread);
        } else {
            state.resting.push(thread);
        }
        // Who comes with a request in hand looks at once if the last one is taking its time.
        let looks_at_once = state.relief == Some(thread) && !state.is_fresh();
        let mut tick = if looks_at_once { Duration::ZERO } else { TICK };
        while !std::mem::take(&mut state.called[thread]) {
            if state.relief != Some(thread) {
                state = call.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (taken, collected) = (state.taken, state.collected);
            let (mut now, slept) =
                call.wait_timeout(state, tick).unwrap_or_else(PoisonError::into_inner);
            tick = TICK;
            if slept.timed_out() && now.relief == Some(thread) {
                if now.is_watched() {
                    // While requests overlap, somebody just happens to watch.
                    if now.collected == collected {
                        now.relief = None;
                        state = now;
                        break;
                    }
                } else if now.taken == taken {
                    drop(now);
                    let stalled = self.is_stalled();
                    now = self.state();
                    if stalled && !now.is_watched() && now.relief == Some(thread) {
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

    /// Whether somebody watches, and nothing waits that came before.
    fn is_watched(&self) -> bool {
        self.watchers > 0 && self.ready.is_empty()
    }

    /// Whether another thread has taken a request and has not come back. Who rests meanwhile sees
    /// whether it is stuck.
    fn is_anothers_turn(&self, thread: usize) -> bool {
        self.last.is_some_and(|(taker, _)| taker != thread)
    }

    /// Whether the last request was taken so lately that its thread will be here soon.
    fn is_fresh(&self) -> bool {
        self.last.is_some_and(|(_, since)| since.elapsed() < FRESH)
    }
}
