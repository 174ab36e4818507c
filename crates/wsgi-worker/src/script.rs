//! The application's scripts: loaded once, found again for each request, watched
//! for changes.
//!
//! *Runs in:* daemon. *Threads:* any; imports wait for each other.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use crate::control::Control;
use crate::log::{self, level};

/// Reason of a process whose script has changed.
pub(crate) const RELOAD: &str = "script_reload";

/// How often a script's own `reload_required` is asked at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// The scripts that were loaded, by path.
static SCRIPTS: Mutex<Option<HashMap<Vec<u8>, Script>>> = Mutex::new(None);

/// A script that was loaded.
#[derive(Debug)]
struct Script {
    globals: Py<PyDict>,
    /// Some request says that a change matters.
    watched: bool,
    /// What was loaded, or the change that was told last.
    seen: Option<Identity>,
    /// When `reload_required` was asked last, if there is one.
    asked: Option<Instant>,
}

/// The script that a thread used last: most have no other, and a script that was loaded
/// stays as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Found {
    path: Vec<u8>,
    shown: Arc<str>,
    loaded: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    globals: Py<PyDict>,
    watched: bool,
    asks: bool,
}

impl Found {
    /// The path for messages.
    pub(crate) fn shown(&mut self, path: &[u8]) -> Arc<str> {
        self.turn_to(path);
        Arc::clone(&self.shown)
    }

    /// The script's globals, as [`globals`] finds them, and whether it has a
    /// `reload_required`.
    pub(crate) fn globals<'py>(
        &mut self,
        py: Python<'py>,
        path: &[u8],
        watched: bool,
    ) -> Option<(Bound<'py, PyDict>, bool)> {
        self.turn_to(path);
        let loaded = match &self.loaded {
            Some(loaded) if loaded.watched || !watched => loaded,
            _ => {
                let globals = globals(py, path, watched)?.unbind();
                let asks = asks(path);
                self.loaded.insert(Loaded { globals, watched, asks })
            }
        };
        Some((loaded.globals.bind(py).clone(), loaded.asks))
    }

    fn turn_to(&mut self, path: &[u8]) {
        if self.path != path {
            let shown = String::from_utf8_lossy(path).into();
            *self = Self { path: path.to_vec(), shown, loaded: None };
        }
    }
}

/// Tells a file from the one that takes its place, or that it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Held while a script is executed.
static LOADING: Mutex<()> = Mutex::new(());

/// The globals of the script at `path`, which is loaded if it was not. None if
/// that failed, which was logged and will be tried again.
pub(crate) fn globals<'py>(
    py: Python<'py>,
    path: &[u8],
    watched: bool,
) -> Option<Bound<'py, PyDict>> {
    if let Some(globals) = find(py, path, watched) {
        return Some(globals);
    }
    let _loading = LOADING.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    if let Some(globals) = find(py, path, watched) {
        return Some(globals);
    }
    let file = Path::new(OsStr::from_bytes(path));
    // Before it is read: a change meanwhile is noticed later.
    let seen = Identity::of(file);
    let shown = String::from_utf8_lossy(path);
    py.detach(|| log::write(level::INFO, format!("MWR3010: loading script {shown}").as_bytes()));
    match load(py, path) {
        Ok(globals) => {
            let asks = globals.contains("reload_required").unwrap_or(false);
            let script = Script {
                globals: globals.clone().unbind(),
                watched,
                seen,
                asked: asks.then(Instant::now),
            };
            let mut scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
            scripts.get_or_insert_default().insert(path.to_vec(), script);
            drop(scripts);
            if let Some(control) = Control::get()
                && !control.start.preload.iter().any(|preloaded| preloaded == file)
            {
                py.detach(|| control.loaded(file));
            }
            Some(globals)
        }
        Err(error) if error.is_instance_of::<PySystemExit>(py) && stops_service() => None,
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

fn find<'py>(py: Python<'py>, path: &[u8], watched: bool) -> Option<Bound<'py, PyDict>> {
    let mut scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    let script = scripts.as_mut()?.get_mut(path)?;
    script.watched |= watched;
    Some(script.globals.bind(py).clone())
}

fn asks(path: &[u8]) -> bool {
    let scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    let script = scripts.as_ref().and_then(|scripts| scripts.get(path));
    script.is_some_and(|script| script.asked.is_some())
}

/// SIGTERM ends a process without worker threads this way: its script may run as
/// long as the process.
fn stops_service() -> bool {
    let service = Control::get().filter(|control| control.start.threads == 0);
    service.inspect(|control| control.set_stop("shutdown_signal")).is_some()
}

/// Whether a script that is watched is not what it was; each change is told once.
/// Called about once a second, without the GIL.
pub(crate) fn have_changed() -> bool {
    let scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    let watched = scripts.iter().flatten().filter(|(_, script)| script.watched);
    let paths: Vec<Vec<u8>> = watched.map(|(path, _)| path.clone()).collect();
    drop(scripts);
    // A file that is gone may be about to be replaced.
    let found = paths
        .iter()
        .filter_map(|path| Some((path, Identity::of(Path::new(OsStr::from_bytes(path)))?)));
    let found: Vec<_> = found.collect();
    let mut scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut changed = false;
    for (path, now) in found {
        if let Some(script) = scripts.as_mut().and_then(|scripts| scripts.get_mut(path)) {
            changed |= script.seen.replace(now).is_some_and(|before| before != now);
        }
    }
    changed
}

/// Asks the script's own `reload_required(path)`, if it has one, at most once a
/// second, whether the process shall be replaced. Its failures are logged.
pub(crate) fn wants_reload(py: Python<'_>, script: &[u8], file: &[u8]) -> bool {
    let mut scripts = SCRIPTS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(found) = scripts.as_mut().and_then(|scripts| scripts.get_mut(script)) else {
        return false;
    };
    match &mut found.asked {
        Some(asked) if asked.elapsed() >= INTERVAL => *asked = Instant::now(),
        _ => return false,
    }
    let globals = found.globals.bind(py).clone();
    drop(scripts);
    let asked = globals.get_item("reload_required").and_then(|ask| match ask {
        Some(ask) => ask.call1((OsStr::from_bytes(file),))?.is_truthy(),
        None => Ok(false),
    });
    asked.unwrap_or_else(|error| {
        let shown = String::from_utf8_lossy(script);
        let message =
            format!("MWR3014: reload_required in {shown} raised an exception; nothing is reloaded");
        log::exception(py, &message, &error);
        false
    })
}

fn load<'py>(py: Python<'py>, path: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let loader = py.import("mod_wsgi._script")?;
    Ok(loader.call_method1("load", (OsStr::from_bytes(path),))?.cast_into()?)
}

/// Loads the scripts of the start message; false if one failed. One that is gone
/// is no failure unless it is the first: it may have served another site.
#[pyfunction]
pub(crate) fn preload(py: Python<'_>) -> PyResult<bool> {
    let mut loaded = true;
    for (index, path) in Control::require()?.start.preload.iter().enumerate() {
        if index > 0 && !path.exists() {
            let message = format!("MWR3015: script {} is gone and was not loaded", path.display());
            py.detach(|| log::write(level::WARNING, message.as_bytes()));
            continue;
        }
        loaded &= globals(py, path.as_os_str().as_bytes(), false).is_some();
    }
    Ok(loaded)
}
