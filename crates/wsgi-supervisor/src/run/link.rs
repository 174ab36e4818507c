//! The control socket of a daemon, with an outbox for what it has not read yet.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use wsgi_sys::socket;

/// How long a daemon may leave its control socket unread.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records kept for it beyond two for each of its threads.
const SPARE: usize = 64;

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    limit: usize,
    full_since: Option<Instant>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd, threads: u32) -> Self {
        let limit = usize::try_from(threads).unwrap_or(0) * 2 + SPARE;
        Self { socket, outbox: VecDeque::new(), limit, full_since: None }
    }

    /// Queues a record; [`Link::flush`] sends it.
    pub(super) fn push(&mut self, record: Vec<u8>, descriptor: Option<OwnedFd>) {
        self.outbox.push_back((record, descriptor));
    }

    /// Something waits to be sent.
    pub(super) fn congested(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Sends what can be sent at once.
    ///
    /// # Errors
    /// `TimedOut` if the daemon has not read for too long or has too much to read.
    /// A closed socket is no error: its end is read elsewhere.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some((record, descriptor)) = self.outbox.front() {
            let raw: Vec<RawFd> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
            match socket::send(self.socket.as_fd(), &[IoSlice::new(record)], &raw, false) {
                Ok(_) => {
                    self.outbox.pop_front();
                    self.full_since = None;
                }
                Err(error) if transient(&error) => {
                    let since = *self.full_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE || self.outbox.len() > self.limit {
                        self.outbox.clear();
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    return Ok(());
                }
                Err(_) => {
                    self.outbox.clear();
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Too much is on its way: bytes, or descriptors (for a supervisor without root).
fn transient(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || matches!(error.raw_os_error(), Some(libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM))
}
