//! The application's scripts: loaded once, found again for each request.
//!
//! *Runs in:* daemon. *Threads:* any; imports wait for each other.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use crate::control::Control;
use crate::log::{self, level};

/// Globals of the scripts that were loaded, by path.
static SCRIPTS: Mutex<Option<HashMap<Vec<u8>, Py<PyDict>>>> = Mutex::new(None);

/// Held while a script is executed.
static LOADING: Mutex<()> = Mutex::new(());

/// The globals of the script at `path`, which is loaded if it was not. None if
/// that failed, which was logged and will be tried again.
pub(crate) fn globals<'py>(py: Python<'py>, path: &[u8]) -> Option<Bound<'py, PyDict>> {
    if let Some(globals) = find(py, path) {
        return Some(globals);
    }
    let _loading = LOADING.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    if let Some(globals) = find(py, path) {
        return Some(globals);
    }
    let shown = String::from_utf8_lossy(path);
    py.detach(|| log::write(level::INFO, format!("MWR3010: loading script {shown}").as_bytes()));
    match load(py, path) {
        Ok(globals) => {
            let mut scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
            scripts.get_or_insert_default().insert(path.to_vec(), globals.clone().unbind());
            Some(globals)
        }
        Err(error) => {
            let message = if error.is_instance_of::<PySystemExit>(py) {
                format!(
                    "MWR3012: script {shown} raised SystemExit while it was loaded; a WSGI script must not exit"
                )
            } else {
                format!("MWR3011: script {shown} could not be loaded")
            };
            log::exception(py, &message, &error);
            None
        }
    }
}

fn find<'py>(py: Python<'py>, path: &[u8]) -> Option<Bound<'py, PyDict>> {
    let scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    scripts.as_ref()?.get(path).map(|globals| globals.bind(py).clone())
}

fn load<'py>(py: Python<'py>, path: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let loader = py.import("mod_wsgi._script")?;
    Ok(loader.call_method1("load", (OsStr::from_bytes(path),))?.cast_into()?)
}

/// Loads the scripts of the start message; false if one failed.
#[pyfunction]
pub(crate) fn preload(py: Python<'_>) -> PyResult<bool> {
    let mut loaded = true;
    for path in &Control::require()?.start.preload {
        loaded &= globals(py, path.as_os_str().as_bytes()).is_some();
    }
    Ok(loaded)
}
