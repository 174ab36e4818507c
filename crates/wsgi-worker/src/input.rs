//! `wsgi.input`.
//!
//! *Runs in:* daemon. *Threads:* any, without a promise about the order.

use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::{ptr, slice};

use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::body::{Body, Fault, append};
use crate::line::{Line, SendDemand, ended};

/// Bytes read at a time when it is not known how many will come.
const STEP: usize = 64 * 1024;

/// Reads up to this size go straight into the result, if the request announced
/// that many: the announcement is the client's, the memory ours.
const STRAIGHT: u64 = 16 * 1024 * 1024;

/// The stream that an application reads its request's body from.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) line: Arc<Line>,
    pub(crate) serial: u64,
    /// Content-Length of the request, if it has one.
    pub(crate) announced: Option<u64>,
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size=-1, /))]
    fn read<'py>(&self, py: Python<'py>, size: isize) -> PyResult<Bound<'py, PyBytes>> {
        self.line.check(self.serial, "wsgi.input")?;
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        let (consumed, empty) = self.progress(py)?;
        if empty || wanted == 0 {
            return Ok(PyBytes::new(py, b""));
        }
        let _reading = self.line.meter().reading();
        let announced = self.announced.unwrap_or(0).saturating_sub(consumed);
        let straight = announced.min(STRAIGHT).min(wanted as u64);
        let first = match usize::try_from(straight) {
            Ok(room) if room >= STEP => Some(self.read_straight(py, room, wanted)?),
            _ => None,
        };
        let first_length = first.as_ref().map_or(0, |first| first.as_bytes().len());
        if let Some(first) = &first
            && first_length == wanted
        {
            return Ok(first.clone());
        }
        let rest = self.read_rest(py, wanted - first_length)?;
        match first {
            None => Ok(PyBytes::new(py, &rest)),
            Some(first) if rest.is_empty() => Ok(first),
            Some(first) => Ok(PyBytes::new(py, &[first.as_bytes(), &rest].concat())),
        }
    }

    #[pyo3(signature = (size=-1, /))]
    fn readline<'py>(&self, py: Python<'py>, size: isize) -> PyResult<Bound<'py, PyBytes>> {
        self.line.check(self.serial, "wsgi.input")?;
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        let _reading = self.line.meter().reading();
        let line = self.read_with(py, |body, socket, demand| match limit {
            0 => Ok(Vec::new()),
            _ => body.read_line(socket, limit, demand),
        })?;
        Ok(PyBytes::new(py, &line))
    }

    #[pyo3(signature = (hint=-1, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: isize) -> PyResult<Bound<'py, PyList>> {
        let enough = usize::try_from(hint).ok().filter(|&hint| hint > 0).unwrap_or(usize::MAX);
        let (lines, mut size) = (PyList::empty(py), 0);
        while size < enough {
            let line = self.readline(py, -1)?;
            let length = line.as_bytes().len();
            if length == 0 {
                break;
            }
            size += length;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(Some(self.readline(py, -1)?).filter(|line| !line.as_bytes().is_empty()))
    }

    #[expect(clippy::unused_self, reason = "part of Python's protocol for streams")]
    fn close(&self) {}
}

impl Input {
    /// Bytes handed out so far, and whether that is the whole body.
    fn progress(&self, py: Python<'_>) -> PyResult<(u64, bool)> {
        let look = |body: &Body| (body.consumed, body.is_empty());
        match self.line.look_at_body(look) {
            Some(progress) => Ok(progress),
            None => self.read_with(py, |body, _, _| Ok(look(body))),
        }
    }

    /// Reads `room` bytes of `wanted` into the result without a copy.
    fn read_straight<'py>(
        &self,
        py: Python<'py>,
        room: usize,
        wanted: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        written_bytes(py, room, |room| {
            self.read_with(py, |body, socket, demand| {
                body.read(socket, room, wanted as u64, demand)
            })
        })
    }

    /// Reads `wanted` bytes or up to the end, in steps.
    fn read_rest(&self, py: Python<'_>, wanted: usize) -> PyResult<Vec<u8>> {
        self.read_with(py, |body, socket, demand| {
            let mut bytes = Vec::new();
            while bytes.len() < wanted && !body.is_empty() {
                let left = wanted - bytes.len();
                let size = left.min(STEP.max(bytes.len()));
                let want = if wanted == usize::MAX { u64::MAX } else { left as u64 };
                let fill = |room: &mut [_]| body.read(socket, room, want, demand);
                if append(&mut bytes, size, fill)? < size {
                    break;
                }
            }
            Ok(bytes)
        })
    }

    fn read_with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Body, BorrowedFd<'_>, SendDemand<'_>) -> Result<R, Fault> + Send,
    ) -> PyResult<R> {
        let Some(result) = self.line.with_body(py, self.serial, work) else {
            return Err(ended("wsgi.input"));
        };
        result.map_err(|fault| {
            let why = match fault {
                Fault::Status(status) => format!("httpd could not read the body (status {status})"),
                Fault::Cancelled => String::from("the client has closed the connection"),
                Fault::Lost => String::from("the connection to httpd has ended"),
            };
            PyOSError::new_err(format!("mod_wsgi request data read error: {why}"))
        })
    }
}

/// A `bytes` of what `fill` writes to the start of the room that it is given, without a
/// copy if it is all of it. `fill` returns how many bytes it wrote.
fn written_bytes<'py>(
    py: Python<'py>,
    room: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> PyResult<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let length = isize::try_from(room).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: attached. Without a source, the result is a new object with that much
    // memory of its own, or null with an exception set (C API, "Bytes Objects").
    let whole = unsafe {
        let new = ffi::PyBytes_FromStringAndSize(ptr::null(), length);
        Bound::from_owned_ptr_or_err(py, new)?.cast_into_unchecked::<PyBytes>()
    };
    // SAFETY: the memory lives as long as `whole`, to which nobody else has a reference.
    let count = fill(unsafe {
        slice::from_raw_parts_mut(ffi::PyBytes_AsString(whole.as_ptr()).cast(), room)
    })?;
    if count == room {
        return Ok(whole);
    }
    // The rest of it holds nothing, and must not be seen.
    Ok(PyBytes::new(py, whole.as_bytes().get(..count).unwrap_or_default()))
}
