//! The native worker: a CPython extension module that serves WSGI requests.
//!
//! ```text
//! boot.py → mod_wsgi._daemon → control (main thread)
//!                            → thread  (worker threads)
//!                                → exchange → environ, script, response, output
//! ```
//!
//! `mod_wsgi._daemon` (Python) tells the story of a daemon's life and calls the
//! functions below; the path of a request is Rust.
//!
//! *Runs in:* daemon.

mod beyond;
mod body;
mod control;
mod environ;
mod errors;
mod events;
mod exchange;
mod file;
mod head;
mod inbox;
mod input;
mod latin1;
mod line;
mod log;
mod meter;
mod output;
mod pace;
mod reply;
mod response;
mod script;
mod seat;
mod thread;
mod title;
mod watch;

use pyo3::prelude::*;

/// See `mod_wsgi._daemon`, its only user.
#[pymodule]
mod _mod_wsgi_worker {
    #[pymodule_export]
    use crate::beyond::{client_connected, early_hints};
    #[pymodule_export]
    use crate::control::{
        accept_channels, connect, drain, ready, recycle, set_forked, wait_for_stop, wakeup,
    };
    #[pymodule_export]
    use crate::errors::{Errors, Output};
    #[pymodule_export]
    use crate::log::log;
    #[pymodule_export]
    use crate::meter::observe;
    #[pymodule_export]
    use crate::script::preload;
    #[pymodule_export]
    use crate::thread::{active_requests, request_data, running, work};
    #[pymodule_export]
    use crate::title::set_title;
}
