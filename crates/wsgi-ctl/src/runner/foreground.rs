//! httpd in the foreground: its output on this terminal, signals passed on, its exit
//! status returned.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use wsgi_sys::process::{self, Exit, Launch, Process};

use super::directory::Directory;
use super::httpd::Httpd;
use super::plan::Plan;

/// How often it is looked whether httpd answers.
const LOOK: Duration = Duration::from_millis(50);

/// Runs httpd until it ends, by itself or because a signal says so.
///
/// # Errors
/// It can't be started.
pub(super) fn serve(plan: &Plan, httpd: &Httpd, directory: &Directory) -> Result<ExitCode, String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("{} can't be run: {error}", httpd.program.display())
    };
    let signals = take_signals()?;
    // Pipes: httpd opens its output anew by its name, which terminals of others, sockets
    // and files without O_APPEND do not bear.
    let (output, their_output) = io::pipe().map_err(|error| failed(&error))?;
    let (errors, their_errors) = io::pipe().map_err(|error| failed(&error))?;
    let null = File::open("/dev/null").map_err(|error| failed(&error))?;
    let root = directory.path().as_os_str();
    let file = directory.path().join("httpd.conf");
    let launch = Launch {
        program: httpd.program.clone(),
        arguments: vec!["-DFOREGROUND".into(), "-d".into(), root.into(), "-f".into(), file.into()],
        environment: std::env::vars_os().collect(),
        // Ctrl-C reaches this program alone, which ends httpd in order.
        new_session: true,
        parent_death_signal: Some(Signal::SIGTERM as i32),
        ..Launch::default()
    };
    let descriptors = [null.as_fd(), their_output.as_fd(), their_errors.as_fd()];
    let started = process::launch(&launch, &descriptors).map_err(|error| failed(&error))?;
    drop((their_output, their_errors));
    let copies = [
        thread::spawn(move || copy(output, &mut io::stdout())),
        thread::spawn(move || copy(errors, &mut io::stderr())),
    ];
    let ended = AtomicBool::new(false);
    let exit = thread::scope(|scope| {
        scope.spawn(|| announce(plan, directory, &ended));
        let exit = wait(&started, &signals);
        ended.store(true, Ordering::Relaxed);
        exit
    });
    // Daemons may still hold the pipes for a moment, and write their last lines.
    for copy in copies {
        let _ = copy.join();
    }
    Ok(match exit? {
        Exit::Status(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Exit::Signal(signal, _) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)),
    })
}

/// Blocks the signals that [`wait`] reads; httpd starts without.
fn take_signals() -> Result<SigSet, String> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGWINCH,
        Signal::SIGCHLD,
    ] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|error| format!("signals can't be blocked: {error}"))?;
    Ok(signals)
}

/// Waits for httpd's end and passes signals on to it.
fn wait(httpd: &Process, signals: &SigSet) -> Result<Exit, String> {
    let failed = |error: &dyn std::fmt::Display| format!("waiting for httpd failed: {error}");
    loop {
        if let Some(exit) = process::reap(httpd.pid).map_err(|error| failed(&error))? {
            return Ok(exit);
        }
        let passed = match signals.wait().map_err(|error| failed(&error))? {
            Signal::SIGINT | Signal::SIGTERM => Some(Signal::SIGTERM),
            // The terminal is gone; without one, it is the usual request to begin anew.
            Signal::SIGHUP if io::stdout().is_terminal() => Some(Signal::SIGTERM),
            Signal::SIGHUP | Signal::SIGUSR1 => Some(Signal::SIGUSR1),
            // To a process on a terminal it says that the window's size has changed.
            Signal::SIGWINCH if !io::stdout().is_terminal() => Some(Signal::SIGWINCH),
            _ => None,
        };
        if let Some(signal) = passed {
            // Fails only if httpd has just ended.
            let _ = process::signal(httpd.pidfd.as_fd(), signal as i32);
        }
    }
}

/// Says where the application is, once httpd takes connections.
fn announce(plan: &Plan, directory: &Directory, ended: &AtomicBool) {
    let host = match plan.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    while TcpStream::connect((host, plan.port)).is_err() {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(LOOK);
    }
    let (what, url, root) = (&plan.application.shown, plan.url(), directory.path().display());
    eprintln!(
        "wsgi-httpd: serving {what}\n    at {url}\n    by {root}/httpd.conf\nCtrl-C stops it"
    );
}

/// Passes on what is read as it comes.
fn copy(mut from: impl Read, to: &mut dyn Write) {
    let mut buffer = [0; 8192];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            return;
        }
        // Whoever does not read any more does not stop httpd.
        let _ = buffer.get(..length).map(|bytes| to.write_all(bytes).and_then(|()| to.flush()));
    }
}
