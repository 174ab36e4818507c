//! `start_response` and the `write` that it returns.
//!
//! *Runs in:* daemon.

use std::sync::Arc;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::events;
use crate::head::{Head, type_name};
use crate::line::Line;
use crate::log::{self, level};
use crate::reply::{Refusal, Urgency};

/// The callable that each application gets.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct StartResponse {
    pub(crate) line: Arc<Line>,
    pub(crate) serial: u64,
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, exc_info=None, /))]
    fn __call__(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Write> {
        self.line.check(self.serial, "start_response")?;
        let raised = exc_info.map(raised).transpose()?;
        let head = Head::new(status, headers)?;
        if !head.dropped.is_empty() {
            let message = format!(
                "MWR3027: header fields {} were left out of the response: they concern httpd's connection to the client, which httpd manages",
                head.dropped.join(", ")
            );
            py.detach(|| log::write(level::WARNING, message.as_bytes()));
        }
        let runs = || self.line.runs(self.serial);
        let set =
            self.line.with_reply(py, |reply| if runs() { reply.set_head(head) } else { Err(head) });
        match (set, raised) {
            (Ok(()), _) => {
                events::response_started(status, headers, exc_info)?;
                Ok(Write { line: Arc::clone(&self.line), serial: self.serial })
            }
            (Err(_), Some(error)) => Err(error),
            (Err(_), None) => Err(PyRuntimeError::new_err(
                "start_response was called again without exc_info after the headers had been sent",
            )),
        }
    }
}

/// The exception in an `exc_info` tuple.
fn raised(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    match exc_info.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 3 => Ok(PyErr::from_value(tuple.get_item(1)?)),
        _ => Err(PyRuntimeError::new_err(format!(
            "exc_info must be a tuple of three or None, not {}",
            type_name(exc_info)
        ))),
    }
}

/// The callable that `start_response` returns.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct Write {
    line: Arc<Line>,
    serial: u64,
}

#[pymethods]
impl Write {
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.line.check(self.serial, "write")?;
        let piece = piece(data)?.as_bytes();
        if piece.is_empty() {
            return Ok(());
        }
        let line = &self.line;
        let _writing = line.meter().writing();
        let sent = line.meter().detach(py, || {
            let mut reply = line.free_reply();
            if line.runs(self.serial) {
                reply.data(line.socket(), piece, Urgency::Now)
            } else {
                Err(Refusal::Gone)
            }
        });
        sent.map_err(exception)
    }
}

/// A piece of the body.
///
/// # Errors
/// `TypeError` for whatever is not `bytes`.
pub(crate) fn piece<'a, 'py>(item: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyBytes>> {
    item.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!(
            "bytes object expected for a piece of the response's body, value of type {} found",
            type_name(item)
        ))
    })
}

/// What the application is told of a piece that was not sent.
pub(crate) fn exception(refusal: Refusal) -> PyErr {
    match refusal {
        Refusal::NotStarted => PyRuntimeError::new_err(
            "the response's body was begun before start_response was called",
        ),
        Refusal::Gone => PyOSError::new_err("client connection closed"),
        Refusal::HeadTooLong => PyValueError::new_err("the response's header fields are too long"),
    }
}
