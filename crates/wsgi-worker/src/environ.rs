//! The environ of a request, made from the one before.
//!
//! Requests on one channel resemble each other: the same names in the same
//! order, most with the same values. A template keeps them as Python objects;
//! only what differs is made anew, and the application gets a copy. Entries with the
//! same bytes as before are not even read.
//!
//! *Runs in:* daemon. *Threads:* one each.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use wsgi_proto::channel::{ENVIRON_NAMES, Name, RequestReader, environ_name_id};

use crate::control::{self, Control};
use crate::latin1;

/// Entries of so many bytes are kept for comparison.
const KEPT: usize = 64 * 1024;

/// The environ's constant part and that of the last request.
#[derive(Debug)]
pub(crate) struct Environ {
    constants: Py<PyDict>,
    template: Py<PyDict>,
    /// The REQUEST from which `template` was made.
    previous: Previous,
    facts: Facts,
}

/// The entries of a REQUEST; empty if there is none to compare with.
#[derive(Debug, Default)]
struct Previous {
    entries: Vec<u8>,
    /// Bytes of each.
    lengths: Vec<usize>,
}

impl Previous {
    /// Keeps these entries, whose lengths are known, unless they are too many bytes.
    fn keep(&mut self, entries: &[u8]) {
        self.entries.clear();
        if entries.len() > KEPT {
            self.lengths.clear();
        } else {
            self.entries.extend_from_slice(entries);
        }
    }
}

/// What this process has to know of a request itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// The method is HEAD.
    pub(crate) is_head: bool,
    /// Content-Length, if there is one.
    pub(crate) announced: Option<u64>,
}

impl Facts {
    /// Takes note of an entry.
    fn take(&mut self, name: Name<'_>, value: &[u8]) {
        const METHOD: Name<'_> = Name::Known(environ_name_id("REQUEST_METHOD"));
        const LENGTH: Name<'_> = Name::Known(environ_name_id("CONTENT_LENGTH"));
        if name == METHOD {
            self.is_head = value == b"HEAD";
        } else if name == LENGTH {
            self.announced = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
    }
}

impl Environ {
    /// # Errors
    /// Only those of a Python that is out of memory.
    pub(crate) fn new(py: Python<'_>, control: &Control, thread: usize) -> PyResult<Self> {
        let start = &control.start;
        let constants = PyDict::new(py);
        constants.set_item("wsgi.version", (1, 0))?;
        constants.set_item("wsgi.multithread", start.threads != 1)?;
        constants.set_item("wsgi.multiprocess", start.multiprocess)?;
        constants.set_item("wsgi.run_once", start.run_once)?;
        constants.set_item("wsgi.input_terminated", true)?;
        constants.set_item("wsgi.file_wrapper", py.import("mod_wsgi")?.getattr("FileWrapper")?)?;
        let worker = py.import("_mod_wsgi_worker")?;
        constants.set_item("wsgi.early_hints", worker.getattr("early_hints")?)?;
        constants.set_item("mod_wsgi.client_connected", worker.getattr("client_connected")?)?;
        constants.set_item("mod_wsgi.version", control::version(&start.version))?;
        constants.set_item("apache.version", control::version(&start.apache_version))?;
        constants.set_item("mod_wsgi.process_group", &start.process_group)?;
        constants.set_item("mod_wsgi.application_group", &start.application_group)?;
        constants.set_item("mod_wsgi.thread_id", thread + 1)?;
        let sys = py.import("sys")?;
        let version = format!(
            "{}.{}.{}",
            py.version_info().major,
            py.version_info().minor,
            py.version_info().patch
        );
        constants.set_item("mod_wsgi.python_version", version)?;
        constants.set_item("mod_wsgi.python_executable", sys.getattr("executable")?)?;
        Ok(Self {
            template: constants.copy()?.unbind(),
            constants: constants.unbind(),
            previous: Previous::default(),
            facts: Facts::default(),
        })
    }

    /// A new environ for a request that was not read yet.
    ///
    /// # Errors
    /// The record's, inside those of Python.
    pub(crate) fn build<'py>(
        &mut self,
        py: Python<'py>,
        request: RequestReader<'_>,
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        if !self.update(py, request).unwrap_or(false) {
            self.rebuild(py, request)?;
        }
        Ok(self.template.bind(py).copy()?)
    }

    /// What is to be known of the request that [`Environ::build`] was called for.
    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    /// Sets what differs from the previous request; false if the names differ.
    fn update(
        &mut self,
        py: Python<'_>,
        mut request: RequestReader<'_>,
    ) -> Result<bool, EnvironError> {
        let Previous { entries, lengths } = &mut self.previous;
        if lengths.is_empty() || lengths.len() != usize::from(request.left) {
            return Ok(false);
        }
        let now = request.unread();
        let mut old = entries.as_slice();
        for length in lengths {
            let Some((entry, rest)) = old.split_at_checked(*length) else { return Ok(false) };
            old = rest;
            if request.pass(entry) {
                continue;
            }
            let before = request.unread();
            let Some((name, value)) = request.entry()? else { return Ok(false) };
            *length = before.len() - request.unread().len();
            // The name is all that precedes the value and its length.
            let name_end = length.saturating_sub(size_of::<u32>() + value.len());
            if entry.get(..name_end) != before.get(..name_end) {
                return Ok(false);
            }
            set(py, self.template.bind(py), name, value)?;
            self.facts.take(name, value);
        }
        request.entry()?;
        self.previous.keep(now);
        Ok(true)
    }

    fn rebuild(
        &mut self,
        py: Python<'_>,
        mut request: RequestReader<'_>,
    ) -> Result<(), EnvironError> {
        let constants = self.constants.bind(py);
        let template = constants.copy()?;
        let (now, count) = (request.unread(), usize::from(request.left));
        self.facts = Facts::default();
        // After an error there is nothing to compare with.
        let mut lengths = std::mem::take(&mut self.previous.lengths);
        lengths.clear();
        loop {
            let before = request.unread().len();
            let Some((name, value)) = request.entry()? else { break };
            set(py, &template, name, value)?;
            self.facts.take(name, value);
            lengths.push(before - request.unread().len());
        }
        // Where a name comes twice its last value wins, which a comparison would not see.
        if template.len() == constants.len() + count {
            self.previous.lengths = lengths;
            self.previous.keep(now);
        }
        self.template = template.unbind();
        Ok(())
    }
}

/// Why there is no environ.
#[derive(Debug)]
pub(crate) enum EnvironError {
    Record(wsgi_proto::Error),
    Python(PyErr),
}

impl From<wsgi_proto::Error> for EnvironError {
    fn from(error: wsgi_proto::Error) -> Self {
        Self::Record(error)
    }
}

impl From<PyErr> for EnvironError {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

fn set(py: Python<'_>, environ: &Bound<'_, PyDict>, name: Name<'_>, value: &[u8]) -> PyResult<()> {
    const PATHS: [u8; 2] = [environ_name_id("SCRIPT_FILENAME"), environ_name_id("DOCUMENT_ROOT")];
    match name {
        Name::Known(id) if PATHS.contains(&id) => {
            environ.set_item(known(py, id), OsStr::from_bytes(value))
        }
        Name::Known(id) => environ.set_item(known(py, id), latin1::decode(py, value)),
        Name::Literal(name) => {
            environ.set_item(latin1::decode(py, name), latin1::decode(py, value))
        }
    }
}

/// The name behind a number that [`RequestReader`] accepted, as a Python string.
pub(crate) fn known<'py>(py: Python<'py>, id: u8) -> &'py Bound<'py, PyString> {
    static NAMES: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();
    let names = NAMES.get_or_init(py, || {
        ENVIRON_NAMES.iter().map(|name| PyString::intern(py, name).unbind()).collect()
    });
    let index = usize::from(id).saturating_sub(1).min(names.len() - 1);
    names[index].bind(py)
}
