//! The environ of a request, made from the one before.
//!
//! Requests on one channel resemble each other: the same names in the same
//! order, most with the same values. A template keeps them as Python objects;
//! only what differs is made anew, and the application gets a copy.
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

/// Records up to this size are kept for comparison.
const KEPT: usize = 64 * 1024;

/// The environ's constant part and that of the last request.
#[derive(Debug)]
pub(crate) struct Environ {
    constants: Py<PyDict>,
    template: Py<PyDict>,
    /// Payload of the REQUEST from which `template` was made; empty if none.
    previous: Vec<u8>,
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
            previous: Vec::new(),
        })
    }

    /// A new environ for the request in `payload`, of which `request` is the reader.
    /// The payload is kept; the last one is left in its place.
    ///
    /// # Errors
    /// The record's, inside those of Python.
    pub(crate) fn build<'py>(
        &mut self,
        py: Python<'py>,
        request: RequestReader<'_>,
        payload: &[u8],
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        let template = self.template.bind(py).clone();
        let updated = update(py, &template, request, &self.previous);
        let template = match updated {
            Ok(true) => template,
            _ => {
                self.previous.clear();
                self.rebuild(py, request)?
            }
        };
        self.previous.clear();
        let entries = usize::from(request.left);
        if payload.len() <= KEPT && template.len() == self.constants.bind(py).len() + entries {
            self.previous.extend_from_slice(payload);
        }
        Ok(template.copy()?)
    }

    fn rebuild<'py>(
        &mut self,
        py: Python<'py>,
        mut request: RequestReader<'_>,
    ) -> Result<Bound<'py, PyDict>, EnvironError> {
        let template = self.constants.bind(py).copy()?;
        while let Some((name, value)) = request.entry()? {
            set(py, &template, name, value)?;
        }
        self.template = template.clone().unbind();
        Ok(template)
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

/// Sets what differs from the previous request; false if the names differ.
fn update(
    py: Python<'_>,
    template: &Bound<'_, PyDict>,
    mut request: RequestReader<'_>,
    previous: &[u8],
) -> Result<bool, EnvironError> {
    let Ok(mut previous) = RequestReader::new(0, previous) else {
        return Ok(false);
    };
    if previous.left != request.left {
        return Ok(false);
    }
    while let Some((name, value)) = request.entry()? {
        match previous.entry()? {
            Some((same, old)) if same == name => {
                if old != value {
                    set(py, template, name, value)?;
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
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
