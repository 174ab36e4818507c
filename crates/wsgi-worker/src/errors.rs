//! The binary streams under `wsgi.errors`, `sys.stdout` and `sys.stderr`: they
//! turn what is written into lines of a log.
//!
//! *Runs in:* daemon. *Threads:* any. `io.TextIOWrapper` sits on top of each, as
//! made by `mod_wsgi._streams`.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use wsgi_proto::limits::MAX_LOG;

use crate::line::ended;
use crate::log::{self, Destination, level};

/// The beginning of a line that has not ended.
#[derive(Debug, Default)]
struct Partial(Vec<u8>);

impl Partial {
    /// Appends `data`; returns the lines that ended, with what is too long to wait.
    fn push(&mut self, data: &[u8]) -> Vec<u8> {
        let end = match data.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => newline + 1,
            None if self.0.len() + data.len() > MAX_LOG => data.len(),
            None => 0,
        };
        let (ended, rest) = data.split_at(end);
        if ended.is_empty() {
            self.0.extend_from_slice(rest);
            return Vec::new();
        }
        let mut lines = std::mem::replace(&mut self.0, rest.to_vec());
        lines.extend_from_slice(ended);
        lines
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            log::write(level::ERROR, &self.0);
        }
    }
}

/// What all of them are: open for writing, and nothing else.
#[pyclass(frozen, subclass)]
#[derive(Debug)]
pub(crate) struct LogStream;

#[pymethods]
#[expect(clippy::unused_self, reason = "Python's protocol for streams has methods")]
impl LogStream {
    #[classattr]
    #[pyo3(name = "closed")]
    const CLOSED: bool = false;

    fn close(&self) {}

    fn isatty(&self) -> bool {
        false
    }

    fn readable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn seekable(&self) -> bool {
        false
    }
}

/// The stream under a request's `wsgi.errors`.
#[pyclass(frozen, extends = LogStream)]
#[derive(Debug)]
pub(crate) struct Errors {
    destination: Mutex<Option<Destination>>,
    partial: Mutex<Vec<u8>>,
}

impl Errors {
    pub(crate) fn new() -> PyClassInitializer<Self> {
        let errors = Self { destination: Mutex::new(None), partial: Mutex::new(Vec::new()) };
        PyClassInitializer::from(LogStream).add_subclass(errors)
    }

    /// Gives the stream to a request.
    pub(crate) fn set_destination(&self, destination: Destination) {
        *self.destination.lock().unwrap_or_else(PoisonError::into_inner) = Some(destination);
    }

    fn destination(&self) -> Option<Destination> {
        self.destination.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its request still runs.
    fn runs(&self) -> bool {
        self.destination().is_some_and(|request| request.line.runs(request.serial))
    }

    /// True if a line was begun and has not ended.
    pub(crate) fn has_partial(&self) -> bool {
        !self.partial.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Logs the line that has not ended, without the GIL.
    pub(crate) fn end_line(&self) {
        let rest =
            std::mem::take(&mut *self.partial.lock().unwrap_or_else(PoisonError::into_inner));
        self.log(&rest);
    }

    fn log(&self, lines: &[u8]) {
        if !lines.is_empty() {
            log::write_to(self.destination().as_ref(), level::ERROR, lines);
        }
    }
}

#[pymethods]
impl Errors {
    #[classattr]
    #[pyo3(name = "name")]
    const NAME: &'static str = "<wsgi.errors>";

    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        if !self.runs() {
            return Err(ended("wsgi.errors"));
        }
        let data = bytes(data)?;
        let data = data.as_bytes();
        py.detach(|| {
            let lines = {
                let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
                let mut state = Partial(std::mem::take(&mut *partial));
                let lines = state.push(data);
                *partial = std::mem::take(&mut state.0);
                lines
            };
            self.log(&lines);
        });
        Ok(data.len())
    }

    fn flush(&self, py: Python<'_>) {
        if self.runs() {
            py.detach(|| self.end_line());
        }
    }

    #[expect(clippy::unused_self, reason = "part of Python's protocol for streams")]
    fn fileno(&self) -> PyResult<i32> {
        Err(PyOSError::new_err("wsgi.errors has no descriptor"))
    }
}

thread_local! {
    /// Of standard output and standard error.
    static PARTIALS: RefCell<[Partial; 2]> = RefCell::default();
}

/// The stream under `sys.stdout` (1) or `sys.stderr` (2).
#[pyclass(frozen, extends = LogStream)]
#[derive(Debug)]
pub(crate) struct Output {
    descriptor: usize,
    #[pyo3(get)]
    name: &'static str,
}

#[pymethods]
impl Output {
    #[new]
    fn new(descriptor: usize) -> PyClassInitializer<Self> {
        let output = match descriptor {
            1 => Self { descriptor, name: "<stdout>" },
            _ => Self { descriptor: 2, name: "<stderr>" },
        };
        PyClassInitializer::from(LogStream).add_subclass(output)
    }

    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = bytes(data)?;
        let data = data.as_bytes();
        let lines = PARTIALS.try_with(|partials| {
            match partials.borrow_mut().get_mut(self.descriptor - 1) {
                Some(partial) => partial.push(data),
                None => data.to_vec(),
            }
        });
        let lines = lines.unwrap_or_else(|_| data.to_vec());
        if !lines.is_empty() {
            py.detach(|| log::write(level::ERROR, &lines));
        }
        Ok(data.len())
    }

    fn flush(&self, py: Python<'_>) {
        end_line(py, self.descriptor - 1);
    }

    fn fileno(&self) -> usize {
        self.descriptor
    }
}

/// Logs what the calling thread printed without ending the line.
pub(crate) fn end_lines(py: Python<'_>) {
    for index in 0..2 {
        end_line(py, index);
    }
}

fn end_line(py: Python<'_>, index: usize) {
    let rest = PARTIALS.try_with(|partials| {
        let mut partials = partials.borrow_mut();
        partials.get_mut(index).map(|partial| std::mem::take(&mut partial.0)).unwrap_or_default()
    });
    let rest = rest.unwrap_or_default();
    if !rest.is_empty() {
        py.detach(|| log::write(level::ERROR, &rest));
    }
}

fn bytes<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    match data.cast::<PyBytes>() {
        Ok(data) => Ok(data.clone()),
        Err(_) => Ok(PyMemoryView::from(data)?.call_method0("tobytes")?.cast_into()?),
    }
}
