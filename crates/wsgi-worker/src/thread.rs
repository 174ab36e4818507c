//! A worker thread: one channel after the other, one request after the other.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, a Python thread for life; it
//! lets go of the GIL once per request, to send the end of a response and wait
//! for the next request.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_proto::channel::RequestReader;
use wsgi_proto::codec::HEAD_LEN;
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
    Ok(head.flags)
}

thread_local! {
    /// Number of the calling worker thread.
    static SEAT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// What `mod_wsgi` knows of a request that runs.
#[derive(Debug)]
struct Active {
    request_id: Py<PyAny>,
    data: Option<Py<PyDict>>,
}

/// By worker thread.
static ACTIVE: Mutex<Vec<Option<Active>>> = Mutex::new(Vec::new());

/// Notes that `thread` runs the request with this identifier, or none.
pub(crate) fn set_active(thread: usize, request_id: Option<Py<PyAny>>) {
    let new = request_id.map(|request_id| Active { request_id, data: None });
    let mut active = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if active.len() <= thread {
        active.resize_with(thread + 1, || None);
    }
    let old = active.get_mut(thread).map(|seat| std::mem::replace(seat, new));
    drop(active);
    drop(old);
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
