//! Events of requests, for `mod_wsgi.subscribe_events` and the metrics: asked for
//! by few applications, so they cost the others a look at a flag and an empty list.
//!
//! *Runs in:* daemon. *Threads:* each worker thread, for its own request.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyModule};

use crate::line::Line;
use crate::{log, meter};

/// The module that announces events, if anybody listens or metrics are recorded.
fn announcer(py: Python<'_>) -> Option<Bound<'_, PyModule>> {
    static CALLBACKS: PyOnceLock<Py<PyList>> = PyOnceLock::new();
    let callbacks = CALLBACKS.get_or_try_init(py, || {
        let callbacks = py.import("mod_wsgi")?.getattr("event_callbacks")?;
        PyResult::Ok(callbacks.cast_into::<PyList>()?.unbind())
    });
    let unheard = callbacks.is_ok_and(|callbacks| callbacks.bind(py).is_empty());
    if unheard && !meter::is_observed() {
        return None;
    }
    py.import("mod_wsgi._events").ok()
}

/// Announces a request; the application that is to serve it.
///
/// # Errors
/// Those of Python, as if they were the application's.
pub(crate) fn started<'py>(
    line: &Line,
    environ: &Bound<'py, PyDict>,
    application: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match announcer(environ.py()) {
        Some(announcer) => {
            line.meter().start();
            announcer.call_method1("started", (environ, application))
        }
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

/// Announces the end of request `serial`; `failure` is its HTTP status if it failed.
pub(crate) fn finished(py: Python<'_>, line: &Line, serial: u64, failure: Option<u16>) {
    if let Some(announcer) = announcer(py) {
        let announced = measures(py, line, serial)
            .and_then(|measures| announcer.call_method1("finished", (failure, measures)));
        complain(py, announced);
    }
}

/// What was measured, by the names of the event `request_finished`.
fn measures<'py>(py: Python<'py>, line: &Line, serial: u64) -> PyResult<Bound<'py, PyDict>> {
    let meter = line.meter();
    let measures = PyDict::new(py);
    measures.set_item("input_reads", meter.reads.count())?;
    measures.set_item("input_time", meter.reads.time())?;
    measures.set_item("output_writes", meter.writes.count())?;
    measures.set_item("output_time", meter.writes.time())?;
    measures.set_item("gil_wait_count", meter.gil_waits.count())?;
    measures.set_item("gil_wait_time", meter.gil_waits.time())?;
    let input = line.with_body(py, serial, |body, _, _| body.consumed).unwrap_or(0);
    measures.set_item("input_length", input)?;
    measures.set_item("output_length", line.with_reply(py, |reply| reply.output))?;
    Ok(measures)
}

fn complain(py: Python<'_>, announced: PyResult<Bound<'_, PyAny>>) {
    if let Err(error) = announced {
        log::exception(py, "MWR3111: an event of the request could not be announced", &error);
    }
}
