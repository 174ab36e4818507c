//! Events of requests for `mod_wsgi.subscribe_events`: asked for by few
//! applications, so they cost the others one look at an empty list.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, for its own request.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyModule};

use crate::line::Line;
use crate::log;

/// The module that announces events, if anybody listens.
fn announcer(py: Python<'_>) -> Option<Bound<'_, PyModule>> {
    static CALLBACKS: PyOnceLock<Py<PyList>> = PyOnceLock::new();
    let callbacks = CALLBACKS.get_or_try_init(py, || {
        let callbacks = py.import("mod_wsgi")?.getattr("event_callbacks")?;
        PyResult::Ok(callbacks.cast_into::<PyList>()?.unbind())
    });
    if callbacks.is_ok_and(|callbacks| callbacks.bind(py).is_empty()) {
        return None;
    }
    py.import("mod_wsgi._events").ok()
}

/// Announces a request; the application that is to serve it.
///
/// # Errors
/// Those of Python, as if they were the application's.
pub(crate) fn started<'py>(
    environ: &Bound<'py, PyDict>,
    application: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match announcer(environ.py()) {
        Some(announcer) => announcer.call_method1("started", (environ, application)),
        None => Ok(application),
    }
}

/// Announces a call of `start_response`.
///
/// # Errors
/// As for [`started`].
pub(crate) fn response_started(
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
    exc_info: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    match announcer(status.py()) {
        Some(announcer) => {
            announcer.call_method1("response_started", (status, headers, exc_info)).map(drop)
        }
        None => Ok(()),
    }
}

/// Announces an exception that ended the application.
pub(crate) fn exception(py: Python<'_>, error: &PyErr) {
    if let Some(announcer) = announcer(py) {
        let announced = announcer.call_method1("exception", (error.value(py),));
        complain(py, announced);
    }
}

/// Announces the end of request `serial`.
pub(crate) fn finished(py: Python<'_>, line: &Line, serial: u64) {
    if let Some(announcer) = announcer(py) {
        let input = line.with_body(py, serial, |body, _, _| body.consumed).unwrap_or(0);
        let output = line.with_reply(py, |reply| reply.output);
        let announced = announcer.call_method1("finished", (input, output));
        complain(py, announced);
    }
}

fn complain(py: Python<'_>, announced: PyResult<Bound<'_, PyAny>>) {
    if let Err(error) = announced {
        log::exception(py, "MWR3111: an event of the request could not be announced", &error);
    }
}
