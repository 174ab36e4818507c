//! `wsgi.file_wrapper`: a regular file is sent by its descriptor.
//!
//! *Runs in:* daemon. *Threads:* the worker thread.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::line::Line;
use crate::reply::Refusal;
use crate::response::exception;

/// Sends `result` if it is a file wrapper around a regular file and nothing was
/// sent before; false if it has to be iterated.
///
/// # Errors
/// As for any other body.
pub(crate) fn send(py: Python<'_>, line: &Line, result: &Bound<'_, PyAny>) -> PyResult<bool> {
    static WRAPPER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if !result.get_type().is(WRAPPER.import(py, "mod_wsgi", "FileWrapper")?) {
        return Ok(false);
    }
    let plain: Option<(RawFd, u64)> = result.call_method0("plain_file")?.extract()?;
    let Some((descriptor, offset)) = plain else {
        return Ok(false);
    };
    let _writing = line.meter().writing();
    let sent = line.meter().detach(py, || {
        let Some(file) = duplicate(descriptor) else {
            return Ok(false);
        };
        let length = match file.metadata() {
            Ok(facts) if facts.is_file() => facts.len().saturating_sub(offset),
            _ => return Ok(false),
        };
        let mut reply = line.free_reply();
        if reply.is_committed() {
            return Ok(false);
        }
        reply.file(line.socket(), file.as_fd(), offset, length).map(|()| true)
    });
    match sent {
        Ok(sent) => Ok(sent),
        Err(Refusal::Gone) => Ok(true),
        Err(refusal) => Err(exception(refusal)),
    }
}

/// A descriptor of our own, which the application's other threads can't close.
fn duplicate(descriptor: RawFd) -> Option<File> {
    if descriptor < 0 {
        return None;
    }
    // SAFETY: borrowed for one fcntl(2), which fails if there is no such descriptor;
    // it is the application's, so that none of ours is touched.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned().ok().map(File::from)
}
