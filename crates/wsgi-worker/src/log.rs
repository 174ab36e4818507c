//! Where messages go: to the log of the request that the calling thread runs,
//! else to the supervisor, else to descriptor 2.
//!
//! *Runs in:* daemon. *Threads:* any. Sending may block: the functions here are
//! called without the GIL, [`log`] lets go of it.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::control::Control;
use crate::line::Line;

/// Syslog's numbers.
pub(crate) mod level {
    pub(crate) const ERROR: u8 = 3;
    pub(crate) const WARNING: u8 = 4;
    pub(crate) const INFO: u8 = 6;
}

/// A request, as its log sees it.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) line: Arc<Line>,
    pub(crate) serial: u64,
}

thread_local! {
    static CURRENT: RefCell<Option<Destination>> = const { RefCell::new(None) };
}

/// Sends the calling thread's messages to a request's log, or no longer.
pub(crate) fn set_destination(destination: Option<Destination>) {
    // Not reachable while the thread ends, when the messages are the supervisor's.
    let _ = CURRENT.try_with(|current| current.replace(destination));
}

/// The request that the calling thread runs.
pub(crate) fn destination() -> Option<Destination> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Logs `text`, one or more lines.
pub(crate) fn write(level: u8, text: &[u8]) {
    write_to(destination().as_ref(), level, text);
}

/// Logs `text` for a request if it still runs, else outside of any.
pub(crate) fn write_to(destination: Option<&Destination>, level: u8, text: &[u8]) {
    let control = Control::get();
    if control.is_some_and(Control::is_forked) {
        return write_raw(text);
    }
    if let Some(Destination { line, serial }) = destination {
        let mut reply = line.reply();
        // Asked under the lock: nothing may follow END.
        if line.runs(*serial) && reply.log(line.socket(), level, text).is_ok() {
            return;
        }
    }
    if control.is_none_or(|control| control.log(level, text).is_err()) {
        write_raw(text);
    }
}

fn write_raw(text: &[u8]) {
    let mut line = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
    line.push(b'\n');
    // There is nobody left to tell of a failure.
    let _ = std::io::stderr().write_all(&line);
}

/// Logs a message at a level of syslog's, for `mod_wsgi.LogHandler`.
#[pyfunction]
pub(crate) fn log(py: Python<'_>, level: u8, text: &[u8]) {
    py.detach(|| write(level, text));
}

/// Logs an exception with its traceback below `message`.
pub(crate) fn exception(py: Python<'_>, message: &str, error: &PyErr) {
    let traceback = py
        .import("mod_wsgi._script")
        .and_then(|module| module.call_method1("describe", (error.value(py), error.traceback(py))))
        .and_then(|text| text.extract::<Vec<u8>>())
        .unwrap_or_else(|_| error.to_string().into_bytes());
    let mut text = message.as_bytes().to_vec();
    text.push(b'\n');
    text.extend_from_slice(&traceback);
    py.detach(|| write(level::ERROR, &text));
}
