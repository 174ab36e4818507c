//! A worker thread: one request after the other, from whichever channel has one.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, a Python thread for life; it
//! lets go of the GIL once per request, to send the end of a response and wait
//! for the next request.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CString, c_long};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_proto::channel::RequestReader;
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::daemon::{Interrupt, Trace};
use wsgi_sys::socket;

use crate::control::Control;
use crate::exchange::{Conclusion, Desk};
use crate::inbox::{self, Lost, length};
use crate::log::{self, level};
use crate::seat::{Channel, Seat};

/// Serves requests; returns only if Python fails.
#[pyfunction]
pub(crate) fn work(py: Python<'_>, thread: usize) -> PyResult<()> {
    let control = Control::require()?;
    if let Ok(name) = CString::new(format!("wsgi-{}", thread + 1)) {
        // Only for those who look from outside.
        let _ = wsgi_sys::process::name_thread(&name);
    }
    THREAD.set(thread);
    IDENT.set(py.import("threading")?.call_method0("get_ident")?.extract()?);
    let mut desk = Desk::new(py, control, thread)?;
    let mut payload = Vec::new();
    let mut last = None;
    loop {
        control.watch.depart();
        let (turn, flags) = py.detach(|| next(control, thread, last.take(), &mut payload));
        control.watch.arrive();
        let (line, seat) = (&turn.channel.line, turn.seat);
        match RequestReader::new(flags, &payload)
            .map_err(Lost::from)
            .and_then(|request| desk.run(py, line, seat, request))
        {
            Ok(conclusion) => last = Some((turn, conclusion)),
            Err(lost) => py.detach(|| turn.lose(&lost)),
        }
    }
}

/// Ends the last request and waits for the next, whose payload and flags it
/// leaves behind.
fn next(
    control: &'static Control,
    thread: usize,
    last: Option<(Turn, Conclusion)>,
    payload: &mut Vec<u8>,
) -> (Turn, u8) {
    if let Some((turn, conclusion)) = last {
        let ended = turn.end(conclusion);
        turn.leave(ended);
    }
    loop {
        let seat = control.watch.next(thread);
        let Some(turn) = Turn::take(control, seat) else { continue };
        match turn.request(payload) {
            Ok(Some(flags)) => return (turn, flags),
            nothing => turn.leave(nothing.map(drop)),
        }
    }
}

/// A worker thread's right to one channel, for one request. The supervisor hears if
/// the channel is lost with it.
#[derive(Debug)]
struct Turn {
    control: &'static Control,
    seat: usize,
    channel: Channel,
    kept: bool,
}

impl Turn {
    fn take(control: &'static Control, seat: usize) -> Option<Self> {
        let channel = control.seats.get(seat)?.take()?;
        Some(Self { control, seat, channel, kept: false })
    }

    /// The request that has come: its flags, and its payload left behind. None if there
    /// is none.
    fn request(&self, payload: &mut Vec<u8>) -> Result<Option<u8>, Lost> {
        let line = &self.channel.line;
        let mut body = line.body();
        let head = if line.lane().take(payload) {
            inbox::take_request(payload)?
        } else {
            let Some(head) = body.inbox().next_request(line.socket())? else { return Ok(None) };
            let size = HEAD_LEN + length(head);
            let record = body.inbox().available();
            payload.clear();
            payload.extend_from_slice(record.get(HEAD_LEN..size).unwrap_or_default());
            body.inbox().consume(size);
            head
        };
        body.start(RequestReader::new(head.flags, payload)?.has_body);
        line.reply().start();
        line.meter().arrived();
        Ok(Some(head.flags))
    }

    /// Ends the request.
    fn end(&self, conclusion: Conclusion) -> Result<(), Lost> {
        let line = &self.channel.line;
        let mut body = line.body();
        conclusion.send(line, &body)?;
        body.finish(line.socket())
    }

    /// Leaves the channel to the next request, unless it is lost.
    fn leave(mut self, ended: Result<(), Lost>) {
        let line = Arc::clone(&self.channel.line);
        let read = !line.body().inbox().available().is_empty();
        if let Err(lost) = ended {
            return self.lose(&lost);
        }
        self.kept = true;
        let again = self.control.seats.get(self.seat).is_some_and(Seat::leave);
        if read || again {
            self.control.watch.call_again(self.seat);
        }
    }

    fn lose(self, lost: &Lost) {
        if !matches!(lost, Lost::End) {
            let number = self.seat + 1;
            let message = format!("MWR3005: channel {number} was closed: {lost}");
            log::write(level::ERROR, message.as_bytes());
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let Channel { line, epoch } = &self.channel;
        line.set_serial(0);
        // Objects that the application kept may keep the socket open.
        let _ = socket::shut_down(line.socket());
        self.control.hangups.remove(line.socket());
        self.control.channel_lost(u32::try_from(self.seat).unwrap_or(u32::MAX), *epoch);
        if let Some(next) = self.control.seats.get(self.seat).and_then(|seat| seat.lose()) {
            self.control.watch_channel(self.seat, &next);
        }
    }
}

thread_local! {
    /// Number of the channel that the calling worker thread serves.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Index of the calling worker thread.
    static THREAD: Cell<usize> = const { Cell::new(0) };
    /// Python's number of the calling thread.
    static IDENT: Cell<c_long> = const { Cell::new(0) };
}

/// What `mod_wsgi` knows of a request that runs.
#[derive(Debug)]
struct Active {
    request_id: Py<PyAny>,
    data: Option<Py<PyDict>>,
    thread: usize,
    ident: c_long,
    began: Instant,
    /// An exception was raised in it, which may not have arrived yet.
    interrupted: bool,
}

/// By channel.
static ACTIVE: Mutex<Vec<Option<Active>>> = Mutex::new(Vec::new());

/// Notes that the calling thread runs the request with this identifier, from the
/// channel of this seat.
pub(crate) fn set_active(seat: usize, request_id: Py<PyAny>) {
    SEAT.set(Some(seat));
    let (thread, ident, began) = (THREAD.get(), IDENT.get(), Instant::now());
    let new = Active { request_id, data: None, thread, ident, began, interrupted: false };
    replace(seat, Some(new));
}

/// Notes that it runs none any more. An exception that was meant for the request does
/// not reach the next one.
pub(crate) fn set_idle(_py: Python<'_>, seat: usize) {
    SEAT.set(None);
    let old = replace(seat, None);
    if let Some(Active { interrupted: true, ident, .. }) = old {
        // SAFETY: attached, as `_py` shows. No exception means: forget the one
        // that was set.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident, std::ptr::null_mut()) };
    }
}

fn replace(seat: usize, new: Option<Active>) -> Option<Active> {
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if active.len() <= seat {
        active.resize_with(seat + 1, || None);
    }
    active.get_mut(seat).and_then(|place| std::mem::replace(place, new))
}

/// Logs where a request is that runs too long, and raises `RequestTimeout` in it
/// if asked to.
pub(crate) fn interrupt(py: Python<'_>, order: &Interrupt) {
    let Ok(thread) = usize::try_from(order.thread) else { return };
    let age = Duration::from_millis(order.age.into());
    let timeout = py.import("mod_wsgi").and_then(|module| module.getattr("RequestTimeout"));
    let Ok(timeout) = timeout else { return };
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let request = active.get_mut(thread).and_then(Option::as_mut);
    let Some(request) = request.filter(|request| request.began.elapsed() >= age) else { return };
    let (ident, ran) = (request.ident, request.began.elapsed().as_secs_f64());
    let request_id = request.request_id.clone_ref(py);
    if order.raise {
        request.interrupted = true;
        // SAFETY: attached, and the class lives; the thread is in a request, as
        // the lock keeps it from leaving.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident, timeout.as_ptr()) };
    }
    drop(active);
    let stack = stack(py, ident);
    let what = if order.raise { "is interrupted" } else { "holds a thread" };
    let mut text = format!(
        "MWR3050: request {} on channel {} has run for {ran:.1} s, longer than \
         request-timeout, and {what}; it is at\n",
        request_id.bind(py).str().map(|id| id.to_string()).unwrap_or_default(),
        thread + 1
    )
    .into_bytes();
    text.extend_from_slice(&stack);
    py.detach(|| log::write(level::WARNING, &text));
}

/// Longest stack that is told, in bytes: what is cut off is the outermost.
const LONGEST_STACK: usize = 32 * 1024;

/// Where a slow request is; empty if it is over.
pub(crate) fn trace(py: Python<'_>, order: &Trace) -> String {
    let age = Duration::from_millis(order.age.into());
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let request =
        usize::try_from(order.thread).ok().and_then(|thread| active.get(thread)?.as_ref());
    let Some(ident) = request.filter(|it| it.began.elapsed() >= age).map(|it| it.ident) else {
        return String::new();
    };
    drop(active);
    let stack = stack(py, ident);
    let start = stack.len().saturating_sub(LONGEST_STACK);
    String::from_utf8_lossy(stack.get(start..).unwrap_or_default()).into_owned()
}

/// The Python stack of a thread, as UTF-8.
fn stack(py: Python<'_>, ident: c_long) -> Vec<u8> {
    py.import("mod_wsgi._script")
        .and_then(|module| module.call_method1("stack", (ident,)))
        .and_then(|text| text.extract::<Vec<u8>>())
        .unwrap_or_default()
}

/// The dict that belongs to the calling thread's request.
#[pyfunction]
pub(crate) fn request_data(py: Python<'_>) -> PyResult<Py<PyDict>> {
    let seat = SEAT.with(Cell::get);
    let fresh = PyDict::new(py).unbind();
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = seat.and_then(|seat| active.get_mut(seat)?.as_mut());
    match found {
        Some(request) => Ok(request.data.get_or_insert(fresh).clone_ref(py)),
        None => Err(PyRuntimeError::new_err("no active request for thread")),
    }
}

/// The dicts of all requests that run, by request identifier.
#[pyfunction]
pub(crate) fn active_requests(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let mut found = Vec::new();
    let seats = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).len();
    for seat in 0..seats {
        let fresh = PyDict::new(py).unbind();
        let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(request) = active.get_mut(seat).and_then(Option::as_mut) {
            let data = request.data.get_or_insert(fresh).clone_ref(py);
            found.push((request.request_id.clone_ref(py), data));
        }
    }
    let requests = PyDict::new(py);
    for (request_id, data) in found {
        requests.set_item(request_id, data)?;
    }
    Ok(requests)
}

/// For how many seconds each request has run, by the index of its worker thread.
#[pyfunction]
pub(crate) fn running() -> HashMap<usize, f64> {
    let active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let requests = active.iter().flatten();
    requests.map(|request| (request.thread, request.began.elapsed().as_secs_f64())).collect()
}
