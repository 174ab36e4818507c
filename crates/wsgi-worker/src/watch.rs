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
//! Who watches dozes on the process' bell. Each request rings it, by whichever way it comes,
//! and the first one that finds a thread dozing wakes it. That a channel has ended rings no
//! bell: the main thread waits for that, and rings.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, without the GIL.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use wsgi_sys::lanes::Bell;

use crate::pace;

/// How often the relief looks.
const TICK: Duration = Duration::from_millis(1);

/// Requests after a stall for which the next thread is called at once.
const EAGER: u32 = 64;

/// A thread whose request began less long ago is taken to compute.
const FRESH: Duration = Duration::from_micros(200);

/// Threads that watch while nothing happens.
const WATCHERS: usize = 2;

/// The channels that wait for a request, and the threads that wait for one.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Tells which channels have a request.
    bell: Bell,
    state: Mutex<State>,
    /// One for each thread.
    calls: Vec<Condvar>,
    /// Threads outside of Python that have a request or look for one.
    transit: AtomicUsize,
    /// Threads run Python at the same time (free-threaded builds).
    parallel: bool,
}

#[derive(Debug)]
struct State {
    /// Seats with something to read, in order of arrival. While there are any, a thread is on its
    /// way that looks here.
    ready: VecDeque<usize>,
    /// Threads that doze, or are about to.
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
    /// How often there was something for a thread that had not dozed.
    collected: u32,
}

impl Watch {
    /// For so many threads. `parallel`: they don't share a GIL.
    pub(crate) fn new(threads: usize, parallel: bool, bell: Bell) -> Self {
        bell.set_awake(true);
        Self {
            bell,
            state: Mutex::new(State {
                ready: VecDeque::with_capacity(threads),
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
        }
    }

    /// Has a thread look at a seat. Called by the main thread.
    pub(crate) fn call(&self, seat: usize) {
        self.bell.ring(u32::try_from(seat).unwrap_or(u32::MAX));
    }

    /// Has a thread look at a seat that the calling one has left, which calls [`Watch::next`]
    /// soon.
    pub(crate) fn call_again(&self, seat: usize) {
        self.state().ready.push_back(seat);
    }

    /// Wakes a thread for a child that has rung, and ended before it could do so itself. Called by
    /// the main thread now and then.
    pub(crate) fn mend(&self) {
        let mut state = self.state();
        if state.watchers > 0 {
            self.settle(&mut state);
            if !state.ready.is_empty() {
                self.bell.wake();
            }
        }
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
            if !others_turn && state.ready.is_empty() {
                state.ready.extend(self.bell.rung());
                state.collected = state.collected.wrapping_add((!state.ready.is_empty()).into());
            }
            if !others_turn && let Some(seat) = state.ready.pop_front() {
                state.last = Some((thread, Instant::now()));
                state.taken += 1;
                state.eager = state.eager.saturating_sub(1);
                self.cover(&mut state);
                drop(state);
                pace::took();
                return seat;
            }
            pace::slept();
            state.last = state.last.filter(|&(taker, _)| taker != thread);
            let waits_for_other = others_turn && (state.is_fresh() || !state.ready.is_empty());
            state = if waits_for_other || state.watchers == WATCHERS {
                self.rest(thread, state)
            } else {
                self.doze(state)
            };
        }
    }

    /// Dozes until a channel rings, unless one has.
    fn doze<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.watchers += 1;
        self.settle(&mut state);
        if state.ready.is_empty() {
            drop(state);
            self.arrive();
            self.bell.doze();
            self.depart();
            state = self.state();
        }
        state.watchers -= 1;
        self.settle(&mut state);
        state
    }

    /// While somebody dozes, who rings wakes it: said to the bell, and what has rung before that
    /// is gathered.
    fn settle(&self, state: &mut State) {
        self.bell.set_awake(state.watchers == 0);
        state.ready.extend(self.bell.rung());
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
            self.bell.wake();
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
