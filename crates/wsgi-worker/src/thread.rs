//! A worker thread: one channel after the other, one request after the other.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, a Python thread for life; it
//! lets go of the GIL once per request, to send the end of a response and wait
//! for the next request.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_long;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_proto::channel::RequestReader;
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::daemon::Interrupt;
use wsgi_sys::socket;

use crate::control::Control;
use crate::exchange::{Conclusion, Desk};
use crate::inbox::{Lost, length};
use crate::line::Line;
use crate::log::{self, level};
use crate::seat::Seat;

/// A worker thread's right to one channel; the supervisor hears of its end.
struct Tenure<'a> {
    control: &'a Control,
    seat: &'a Seat,
    line: Arc<Line>,
    thread: u32,
    epoch: u32,
}

impl Drop for Tenure<'_> {
    fn drop(&mut self) {
        self.line.set_serial(0);
        // Objects that the application kept may keep the socket open.
        let _ = socket::shut_down(self.line.socket());
        self.control.channel_lost(self.thread, self.epoch);
        self.seat.set_busy(false);
    }
}

/// Waits for a channel and serves it to its end; the caller calls again.
#[pyfunction]
pub(crate) fn work(py: Python<'_>, thread: usize) -> PyResult<()> {
    let control = Control::require()?;
    let seat =
        control.seats.get(thread).ok_or_else(|| PyIndexError::new_err("no such worker thread"))?;
    let number = u32::try_from(thread).unwrap_or(u32::MAX);
    SEAT.set(Some(thread));
    IDENT.set(py.import("threading")?.call_method0("get_ident")?.extract()?);
    let offer = py.detach(|| seat.take());
    let line = Arc::new(Line::new(offer.socket));
    let tenure =
        Tenure { control, seat, line: Arc::clone(&line), thread: number, epoch: offer.epoch };
    let mut desk = Desk::new(py, control, thread, line)?;
    py.detach(|| control.channel_ready(number, offer.epoch));
    let lost = serve(py, &mut desk, seat);
    if !matches!(lost, Lost::End) {
        let message =
            format!("MWR3005: a channel of worker thread {} was closed: {lost}", thread + 1);
        py.detach(|| log::write(level::ERROR, message.as_bytes()));
    }
    py.detach(|| drop(tenure));
    Ok(())
}

fn serve(py: Python<'_>, desk: &mut Desk, seat: &Seat) -> Lost {
    let mut payload = Vec::new();
    let mut last = None;
    loop {
        let line = Arc::clone(desk.line());
        let flags = match py.detach(|| next(&line, seat, last.take(), &mut payload)) {
            Ok(flags) => flags,
            Err(lost) => return lost,
        };
        match RequestReader::new(flags, &payload)
            .map_err(Lost::from)
            .and_then(|request| desk.run(py, request, &payload))
        {
            Ok(conclusion) => last = Some(conclusion),
            Err(lost) => return lost,
        }
    }
}

/// Ends the last request and waits for the next, whose payload and flags it
/// leaves behind.
fn next(
    line: &Line,
    seat: &Seat,
    last: Option<Conclusion>,
    payload: &mut Vec<u8>,
) -> Result<u8, Lost> {
    let socket = line.socket();
    let mut body = line.body();
    if let Some(last) = last {
        last.send(line, &body)?;
    }
    seat.set_busy(false);
    body.finish(socket)?;
    let head = body.inbox().wait_for_request(socket)?;
    seat.set_busy(true);
    let size = HEAD_LEN + length(head);
    payload.clear();
    payload.extend_from_slice(body.inbox().available().get(HEAD_LEN..size).unwrap_or_default());
    body.inbox().consume(size);
    body.start(RequestReader::new(head.flags, payload)?.has_body);
    line.reply().start();
    line.meter().arrived();
    Ok(head.flags)
}

thread_local! {
    /// Number of the calling worker thread.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
    /// Python's number of the calling thread.
    static IDENT: Cell<c_long> = const { Cell::new(0) };
}

/// What `mod_wsgi` knows of a request that runs.
#[derive(Debug)]
struct Active {
    request_id: Py<PyAny>,
    data: Option<Py<PyDict>>,
    ident: c_long,
    began: Instant,
    /// An exception was raised in it, which may not have arrived yet.
    interrupted: bool,
}

/// By worker thread.
static ACTIVE: Mutex<Vec<Option<Active>>> = Mutex::new(Vec::new());

/// Notes that the calling thread, `thread`, runs the request with this identifier.
pub(crate) fn set_active(thread: usize, request_id: Py<PyAny>) {
    let (ident, began) = (IDENT.get(), Instant::now());
    let new = Active { request_id, data: None, ident, began, interrupted: false };
    replace(thread, Some(new));
}

/// Notes that the calling thread, `thread`, runs none any more. An exception that
/// was meant for the request does not reach the next one.
pub(crate) fn set_idle(_py: Python<'_>, thread: usize) {
    let old = replace(thread, None);
    if let Some(Active { interrupted: true, ident, .. }) = old {
        // SAFETY: attached, as `_py` shows. No exception means: forget the one
        // that was set.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident, std::ptr::null_mut()) };
    }
}

fn replace(thread: usize, new: Option<Active>) -> Option<Active> {
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if active.len() <= thread {
        active.resize_with(thread + 1, || None);
    }
    active.get_mut(thread).and_then(|seat| std::mem::replace(seat, new))
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
    let stack = py
        .import("mod_wsgi._script")
        .and_then(|module| module.call_method1("stack", (ident,)))
        .and_then(|text| text.extract::<Vec<u8>>())
        .unwrap_or_default();
    let what = if order.raise { "is interrupted" } else { "holds a thread" };
    let mut text = format!(
        "MWR3050: request {} of worker thread {} has run for {ran:.1} s, longer than \
         request-timeout, and {what}; it is at\n",
        request_id.bind(py).str().map(|id| id.to_string()).unwrap_or_default(),
        thread + 1
    )
    .into_bytes();
    text.extend_from_slice(&stack);
    py.detach(|| log::write(level::WARNING, &text));
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
    let requests = active.iter().enumerate();
    requests
        .filter_map(|(thread, request)| Some((thread, request.as_ref()?.began.elapsed())))
        .map(|(thread, elapsed)| (thread, elapsed.as_secs_f64()))
        .collect()
}
