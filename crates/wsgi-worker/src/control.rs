//! The daemon's link to the supervisor, and what the main thread does with it.
//!
//! *Runs in:* daemon. *Threads:* the main thread receives, any may send.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use wsgi_proto::daemon::{
    Alive, ChannelLost, ChannelReady, Hello, Loaded, Log, Ready, Recycle, Start, ToDaemon,
    ToSupervisor, Traced,
};
use wsgi_proto::limits::{MAX_DATAGRAM, MAX_LOG};
use wsgi_sys::hangups::Hangups;
use wsgi_sys::lanes::{Bell, Lane};
use wsgi_sys::{heap, socket};

use crate::seat::{Channel, Seat};
use crate::watch::Watch;
use crate::{log, script, thread as worker};

/// How long a message to a supervisor that does not read may block its sender.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the main thread looks round when nothing happens.
const TICK: Duration = Duration::from_secs(1);

static CONTROL: OnceLock<Control> = OnceLock::new();

/// The link, and what concerns the process as a whole.
#[derive(Debug)]
pub(crate) struct Control {
    socket: OwnedFd,
    pub(crate) start: Start,
    pub(crate) seats: Vec<Seat>,
    pub(crate) watch: Watch,
    /// Of the channels.
    pub(crate) hangups: Hangups,
    /// Where Python's signal handler leaves a byte for [`Control::step`].
    awoken: OwnedFd,
    waker: Mutex<Option<OwnedFd>>,
    supervisor_gone: AtomicBool,
    forked: AtomicBool,
    stop: Mutex<Option<String>>,
}

impl Control {
    /// The link, once [`connect`] was called.
    pub(crate) fn get() -> Option<&'static Self> {
        CONTROL.get()
    }

    /// Like [`Control::get`], for Python functions.
    ///
    /// # Errors
    /// `RuntimeError` before [`connect`].
    pub(crate) fn require() -> PyResult<&'static Self> {
        Self::get().ok_or_else(|| PyRuntimeError::new_err("not connected to a supervisor"))
    }

    /// True in a process that the application forked.
    pub(crate) fn is_forked(&self) -> bool {
        self.forked.load(Ordering::Relaxed)
    }

    /// Logs outside of any request. Levels that nobody logs count as done.
    ///
    /// # Errors
    /// The system's, if the supervisor is gone.
    pub(crate) fn log(&self, level: u8, text: &[u8]) -> io::Result<()> {
        if level > self.start.log_level {
            return Ok(());
        }
        let mut rest = text.strip_suffix(b"\n").unwrap_or(text);
        while !rest.is_empty() {
            // Replacement characters make up to three bytes out of one.
            let size = rest.len().min(MAX_LOG / 3);
            let end = match rest
                .get(..size)
                .and_then(|part| part.iter().rposition(|&byte| byte == b'\n'))
            {
                Some(newline) if size < rest.len() => newline + 1,
                _ => size,
            };
            let (part, more) = rest.split_at(end);
            let part = part.strip_suffix(b"\n").unwrap_or(part);
            let text = String::from_utf8_lossy(part).into_owned();
            self.send(&ToSupervisor::Log(Log { level, text }))?;
            rest = more;
        }
        Ok(())
    }

    /// Watches a seat's new channel for requests, and says so.
    pub(crate) fn watch_channel(&self, seat: usize, channel: &Channel) {
        channel.line.lane().reset();
        if let Err(error) = self.hangups.add(channel.line.socket(), seat as u64) {
            let number = seat + 1;
            let message = format!("MWR3006: channel {number} can't be watched: {error}");
            return log::write(log::level::ERROR, message.as_bytes());
        }
        let (thread, epoch) = (u32::try_from(seat).unwrap_or(u32::MAX), channel.epoch);
        // A supervisor that is gone has no use for it.
        let _ = self.send(&ToSupervisor::ChannelReady(ChannelReady { thread, epoch }));
    }

    /// Says that a worker thread needs another channel.
    pub(crate) fn channel_lost(&self, thread: u32, epoch: u32) {
        // A supervisor that is gone has no channel to give.
        let _ = self.send(&ToSupervisor::ChannelLost(ChannelLost { thread, epoch }));
    }

    /// Says that a script was loaded for a request.
    pub(crate) fn loaded(&self, script: &std::path::Path) {
        // A supervisor that is gone starts no further processes.
        let _ = self.send(&ToSupervisor::Loaded(Loaded { script: script.to_owned() }));
    }

    /// Asks the supervisor for a successor; without a supervisor, stops.
    pub(crate) fn recycle(&self, reason: &str) {
        if self.ask(reason).is_err() {
            self.set_stop(reason);
        }
    }

    /// Asks the supervisor for a successor.
    ///
    /// # Errors
    /// The system's, if the supervisor is gone.
    pub(crate) fn ask(&self, reason: &str) -> io::Result<()> {
        self.send(&ToSupervisor::Recycle(Recycle { reason: reason.to_owned() }))
    }

    fn send(&self, record: &ToSupervisor) -> io::Result<()> {
        if self.is_forked() || self.supervisor_gone.load(Ordering::Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        send(self.socket.as_fd(), record)
    }

    fn stop_reason(&self) -> Option<String> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_stop(&self, reason: &str) {
        self.stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| reason.to_owned());
    }

    /// Waits for signals, messages or the ends of channels, and receives at most one message.
    fn step(&self, py: Python<'_>) -> PyResult<()> {
        let gone = self.supervisor_gone.load(Ordering::Acquire);
        let (sockets, buffer) =
            (&[self.awoken.as_fd(), self.hangups.as_fd(), self.socket.as_fd()], &mut [0; 64]);
        let sockets = if gone { &sockets[..2] } else { &sockets[..] };
        let readable = py.detach(|| {
            let readable = socket::wait_readable(sockets, Some(TICK))?;
            if readable.first() == Some(&true) {
                // What was written does not matter, and may be gone already.
                let _ = socket::receive_bytes(self.awoken.as_fd(), buffer, false);
            }
            if readable.get(1) == Some(&true) {
                self.hang_up();
            }
            io::Result::Ok(readable)
        });
        // An interrupted wait is as good as one that was not.
        let readable = readable.unwrap_or_default();
        py.check_signals()?;
        if readable.get(2) == Some(&true) {
            self.receive(py);
        }
        if self.supervisor_gone.load(Ordering::Acquire)
            && self.seats.iter().all(|seat| seat.waits_for_channel() && !seat.is_busy())
        {
            self.set_stop("shutdown_signal");
        }
        Ok(())
    }

    /// Has worker threads look at the channels that have ended.
    fn hang_up(&self) {
        for token in self.hangups.take().into_iter().flatten() {
            let index = usize::try_from(token).unwrap_or(usize::MAX);
            if let Some(seat) = self.seats.get(index) {
                seat.hang_up();
                self.watch.call(index);
            }
        }
    }

    fn receive(&self, py: Python<'_>) {
        let mut buffer = vec![0; MAX_DATAGRAM as usize + 64];
        let received = match socket::receive(self.socket.as_fd(), &mut buffer, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Ok(received) if received.length > 0 && !received.truncated => received,
            _ => {
                self.supervisor_gone.store(true, Ordering::Release);
                let message =
                    "MWR3001: the supervisor has ended; serving goes on until the channels end";
                return py.detach(|| log::write(log::level::WARNING, message.as_bytes()));
            }
        };
        let mut descriptors = received.descriptors.into_iter();
        match ToDaemon::decode(buffer.get(..received.length).unwrap_or_default()) {
            Ok(ToDaemon::Channel(channel)) => {
                let index = usize::try_from(channel.thread).unwrap_or(usize::MAX);
                match (self.seats.get(index), descriptors.next()) {
                    (Some(seat), Some(socket)) => {
                        if let Some(channel) = seat.give(socket, channel.epoch) {
                            py.detach(|| self.watch_channel(index, &channel));
                        }
                    }
                    _ => {
                        let message = format!(
                            "MWR3002: the supervisor sent channel {} of thread {} without a descriptor, or for a thread that does not exist; it was ignored",
                            channel.epoch, channel.thread
                        );
                        py.detach(|| log::write(log::level::ERROR, message.as_bytes()));
                    }
                }
            }
            Ok(ToDaemon::Stop(stop)) => self.set_stop(&stop.reason),
            // Said by a thread that has got the GIL to do so: that is the point.
            Ok(ToDaemon::Probe(_)) => drop(self.send(&ToSupervisor::Alive(Alive {}))),
            Ok(ToDaemon::Interrupt(interrupt)) => worker::interrupt(py, &interrupt),
            Ok(ToDaemon::Trace(trace)) => {
                let stack = worker::trace(py, &trace);
                let traced = Traced { thread: trace.thread, stack };
                drop(self.send(&ToSupervisor::Traced(traced)));
            }
            Ok(ToDaemon::Start(_)) | Err(_) => {
                let message = "MWR3003: the supervisor sent a message that this worker does not know; it was ignored";
                py.detach(|| log::write(log::level::ERROR, message.as_bytes()));
            }
        }
    }
}

fn send(socket: BorrowedFd<'_>, record: &ToSupervisor) -> io::Result<()> {
    let datagram = record.encode().map_err(io::Error::other)?;
    socket::send(socket, &[io::IoSlice::new(&datagram)], &[], true).map(drop)
}

/// Introduces the daemon and returns [`Start`] as a dict.
#[pyfunction]
pub(crate) fn connect<'py>(py: Python<'py>, descriptor: RawFd) -> PyResult<Bound<'py, PyDict>> {
    let sys = py.import("sys")?;
    let version: String = sys.getattr("version")?.extract()?;
    let hello = ToSupervisor::Hello(Hello {
        version: wsgi_proto::VERSION,
        worker: String::from("native"),
        python_version: version.split(' ').next().unwrap_or_default().to_owned(),
        executable: sys.getattr("executable")?.extract().unwrap_or_default(),
    });
    if descriptor < 3 || CONTROL.get().is_some() {
        return Err(PyRuntimeError::new_err("connect() takes the supervisor's descriptor, once"));
    }
    heap::limit_arenas();
    // SAFETY: the descriptor was handed to this process for this very purpose, and
    // the check above makes sure that it is taken once.
    let link = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let (start, memory) = py.detach(|| {
        socket::send_timeout(link.as_fd(), PATIENCE)?;
        send(link.as_fd(), &hello)?;
        let mut buffer = vec![0; MAX_DATAGRAM as usize + 64];
        let received = socket::receive(link.as_fd(), &mut buffer, true)?;
        let memory = received.descriptors.into_iter().next();
        match ToDaemon::decode(buffer.get(..received.length).unwrap_or_default()) {
            Ok(ToDaemon::Start(start)) => Ok((start, memory)),
            Ok(other) => {
                Err(io::Error::other(format!("got {other:?} instead of the start message")))
            }
            Err(error) => Err(io::Error::other(format!("got no valid start message: {error}"))),
        }
    })?;
    let (awoken, waker) = socket::stream_pair()?;
    let facts = facts(py, &start)?;
    let memory = memory.as_ref().map(AsFd::as_fd).ok_or_else(|| {
        io::Error::other("the start message came without memory for lanes; see ulimit -n")
    })?;
    let seats = (0..start.threads)
        .map(|thread| Lane::map(memory, thread).map(Seat::new))
        .collect::<io::Result<Vec<_>>>()?;
    // Free-threaded builds have this function, and threads that need no GIL.
    let parallel = sys.getattr_opt("_is_gil_enabled")?.is_some_and(|asked| {
        asked.call0().and_then(|gil| gil.extract()).is_ok_and(|gil: bool| !gil)
    });
    let watch = Watch::new(seats.len(), parallel, Bell::map(memory)?);
    let control = Control {
        socket: link,
        start,
        seats,
        watch,
        hangups: Hangups::new()?,
        awoken,
        waker: Mutex::new(Some(waker)),
        supervisor_gone: AtomicBool::new(false),
        forked: AtomicBool::new(false),
        stop: Mutex::new(None),
    };
    // The check above ran under the GIL: nobody was quicker.
    let _ = CONTROL.set(control);
    Ok(facts)
}

fn facts<'py>(py: Python<'py>, start: &Start) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("process_group", &start.process_group)?;
    facts.set_item("application_group", &start.application_group)?;
    facts.set_item("threads", start.threads)?;
    facts.set_item("processes", start.processes)?;
    facts.set_item("home", start.home.as_deref().map(std::path::Path::as_os_str))?;
    let path = start.python_path.iter().map(|path| path.as_os_str()).collect::<Vec<_>>();
    facts.set_item("python_path", path)?;
    facts.set_item("display_name", start.display_name.as_deref())?;
    facts.set_item("locale", start.locale.as_deref())?;
    facts.set_item("stack_size", start.stack_size)?;
    facts.set_item("switch_interval", start.switch_interval)?;
    facts.set_item("restrict_stdin", start.restrict_stdin)?;
    facts.set_item("restrict_stdout", start.restrict_stdout)?;
    facts.set_item("restrict_signal", start.restrict_signal)?;
    facts.set_item("version", version(&start.version))?;
    facts.set_item("apache_version", version(&start.apache_version))?;
    facts.set_item("mpm_name", &start.mpm_name)?;
    facts.set_item("mpm_processes", start.mpm_processes)?;
    facts.set_item("mpm_threads", start.mpm_threads)?;
    Ok(facts)
}

/// The three numbers of a version.
pub(crate) fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Descriptor for `signal.set_wakeup_fd`; the caller owns it.
#[pyfunction]
pub(crate) fn wakeup() -> PyResult<RawFd> {
    let control = Control::require()?;
    let waker = control.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
    waker
        .map(IntoRawFd::into_raw_fd)
        .ok_or_else(|| PyRuntimeError::new_err("wakeup() may be called once"))
}

/// Serves the supervisor until each thread was given a channel; returns whether
/// the process shall go on.
#[pyfunction]
pub(crate) fn accept_channels(py: Python<'_>) -> PyResult<bool> {
    let control = Control::require()?;
    while control.stop_reason().is_none() {
        if control.seats.iter().all(Seat::was_given) {
            return Ok(true);
        }
        control.step(py)?;
    }
    Ok(false)
}

/// Says that the process can take requests.
#[pyfunction]
pub(crate) fn ready(py: Python<'_>, loaded: bool) -> PyResult<()> {
    let control = Control::require()?;
    // A supervisor that is gone is noticed by the next step.
    let _ = py.detach(|| control.send(&ToSupervisor::Ready(Ready { loaded })));
    Ok(())
}

/// Serves the supervisor until it says stop; returns the reason.
#[pyfunction]
pub(crate) fn wait_for_stop(py: Python<'_>) -> PyResult<String> {
    let control = Control::require()?;
    let mut looked = Instant::now();
    loop {
        if let Some(reason) = control.stop_reason() {
            return Ok(reason);
        }
        control.step(py)?;
        if looked.elapsed() >= TICK {
            looked = Instant::now();
            let have_changed = py.detach(|| {
                control.watch.mend();
                script::have_changed()
            });
            if have_changed {
                // Without a supervisor nobody starts a successor: the old one will do.
                let _ = py.detach(|| control.ask(script::RELOAD));
            }
        }
    }
}

/// Waits until no request runs. Signals are handled meanwhile.
#[pyfunction]
pub(crate) fn drain(py: Python<'_>) -> PyResult<()> {
    let control = Control::require()?;
    while control.seats.iter().any(Seat::is_busy) {
        py.detach(|| thread::sleep(Duration::from_millis(10)));
        py.check_signals()?;
    }
    Ok(())
}

/// Asks the supervisor for a successor; without a supervisor, stops.
#[pyfunction]
pub(crate) fn recycle(py: Python<'_>, reason: String) -> PyResult<()> {
    let control = Control::require()?;
    py.detach(|| control.recycle(&reason));
    Ok(())
}

/// Notes that this process was forked by the application: it has no part in
/// the links of its parent.
#[pyfunction]
pub(crate) fn set_forked() {
    if let Some(control) = Control::get() {
        control.forked.store(true, Ordering::Relaxed);
    }
}
