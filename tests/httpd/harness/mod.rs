//! A real httpd for each test, a raw client to speak to it, and the checks that follow every test.
//!
//! A test describes its server with [`Config`], talks to it with [`Connection`] and reads its
//! log through [`Log`]. When the [`Server`] goes out of scope httpd is stopped and the test fails
//! if anything undeclared was logged or anything was left running.

mod check;
mod client;
mod config;
mod gate;
mod log;
mod process;
mod program;
mod server;
mod settings;

pub(crate) use check::Check;
pub(crate) use client::{Connection, Request, Response};
pub(crate) use config::Config;
pub(crate) use gate::{Gate, Visitor};
pub(crate) use log::Log;
pub(crate) use process::Process;
pub(crate) use program::program;
pub(crate) use server::{Server, free_port};
pub(crate) use settings::{Mpm, settings};

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The longest that a test waits for anything: far more than a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` yields a value; fails the test with `what` after [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Copies a program that is run soon. Another process does it: a thread of ours that starts a
/// program just then would hand its child the open file, and a file that is open for writing
/// can't be run.
#[track_caller]
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "copying {} to {}", from.display(), to.display());
}

/// Leaves a test of what only this module has when the suite runs against another one.
#[macro_export]
macro_rules! ours_only {
    ($reason:expr) => {
        if $crate::harness::settings().reference {
            eprintln!("skipped against the reference module: {}", $reason);
            return;
        }
    };
}

/// Leaves a test with its reason printed.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        eprintln!("skipped: {}", format!($($reason)*));
        return;
    }};
}
