//! WSGITelemetryService: datagrams about all processes to a collector, at an interval.
//!
//! Nobody waits for the collector: what it does not take is lost.
//!
//! *Runs in:* supervisor.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wsgi_proto::control::Begin;
use wsgi_status::{Reporter, Sender, Snapshot};

use super::Loop;

/// The collector, and when to tell it something.
#[derive(Debug)]
pub(super) struct Telemetry {
    target: PathBuf,
    socket: UnixDatagram,
    sender: Sender,
    reporter: Reporter,
    interval: Duration,
    next: Instant,
    /// It could not be reached the last time, and that was said.
    missing: bool,
}

impl Telemetry {
    /// What a configuration asks for; none if for nothing, or if there is no socket.
    pub(super) fn of(begin: &Begin) -> Option<Self> {
        let target = begin.telemetry.clone()?;
        let interval = Duration::try_from_secs_f64(begin.telemetry_interval).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let slow = Some(begin.slow_requests).filter(|slow| *slow > 0);
        Some(Self {
            target,
            socket,
            sender: Sender {
                version: begin.module_version.clone(),
                apache: format!("Apache/{}", begin.apache_version),
                mpm: begin.mpm_name.clone(),
                host: host.unwrap_or_default(),
                interval: begin.telemetry_interval,
                slow: slow.map(|slow| Duration::from_millis(slow.into()).as_secs_f64()),
            },
            reporter: Reporter::default(),
            interval,
            next: Instant::now(),
            missing: false,
        })
    }

    /// The same collector as before goes on with what it knows.
    pub(super) fn after(mut self, before: Option<Self>) -> Self {
        if let Some(before) = before.filter(|before| before.target == self.target) {
            (self.reporter, self.missing) = (before.reporter, before.missing);
        }
        self
    }

    /// How long until something is to be sent.
    pub(super) fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }
}

impl Loop {
    /// Sends what is due.
    pub(super) fn tell_collector(&mut self) {
        let Some(telemetry) = self.telemetry.as_mut().filter(|it| it.wait().is_zero()) else {
            return;
        };
        telemetry.next = Instant::now() + telemetry.interval;
        let snapshot = Snapshot::take(&self.table);
        let mut failure = None;
        for datagram in telemetry.reporter.report(&telemetry.sender, &snapshot) {
            let sent = telemetry.socket.send_to(&datagram, &telemetry.target);
            failure = sent.err().or(failure);
        }
        let missing = failure.is_some();
        if let Some(error) = failure.filter(|_| !telemetry.missing) {
            let text = format!(
                "MWR2050: the collector of WSGITelemetryService at {} can't be reached: {error}; \
                 it is tried again, and this is not repeated",
                telemetry.target.display()
            );
            self.logs.own(4, &text);
        }
        telemetry.missing = missing;
    }
}
