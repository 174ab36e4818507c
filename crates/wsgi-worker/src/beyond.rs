//! What an application can ask and tell its server beyond PEP 3333, by callables in
//! the environ. They are the same for all requests, which they know by the calling
//! thread, so that a request that does not use them does not pay for them.
//!
//! *Runs in:* daemon. *Threads:* the worker threads; others have no request.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::head::Head;
use crate::log::{self, Destination};
use crate::reply::Refusal;
use crate::response::exception;

/// `environ["wsgi.early_hints"]`: sends 103 Early Hints with these header fields, a list
/// like that of `start_response`. A client of HTTP/1.0 does not get them.
#[pyfunction]
#[pyo3(signature = (headers, /))]
pub(crate) fn early_hints(py: Python<'_>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    let Destination { line, serial } = current("wsgi.early_hints")?;
    let hints = Head::hints(headers)?;
    let sent = py.detach(|| {
        let mut reply = line.free_reply();
        if !line.runs(serial) {
            return Err(Refusal::Gone);
        }
        if reply.is_committed() {
            return Ok(false);
        }
        reply.hints(line.socket(), &hints).map(|()| true)
    });
    match sent {
        // There is nobody left who could use them.
        Ok(true) | Err(Refusal::Gone) => Ok(()),
        Ok(false) => Err(PyRuntimeError::new_err(
            "wsgi.early_hints was called after the response's headers had been sent",
        )),
        Err(refusal) => Err(exception(refusal)),
    }
}

/// `environ["mod_wsgi.client_connected"]`: false once httpd has noticed that nobody waits
/// for the response any more, which takes it a second at most.
#[pyfunction]
pub(crate) fn client_connected(py: Python<'_>) -> PyResult<bool> {
    let Destination { line, serial } = current("mod_wsgi.client_connected")?;
    Ok(py.detach(|| line.runs(serial) && !line.poll()))
}

/// The request that the calling thread runs.
fn current(what: &str) -> PyResult<Destination> {
    log::destination().ok_or_else(|| {
        PyRuntimeError::new_err(format!("{what} was called by a thread that runs no request"))
    })
}
