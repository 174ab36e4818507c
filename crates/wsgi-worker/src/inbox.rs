//! The receiving side of a channel: bytes that came, and where its records are.
//!
//! *Runs in:* daemon. *Threads:* used without the GIL.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use wsgi_proto::channel::Kind;
use wsgi_proto::codec::{HEAD_LEN, Head};
use wsgi_proto::deframe;
use wsgi_sys::socket;

/// Bytes asked for by one receive, and the size that the buffer returns to, as long as all fits:
/// each thread has such a buffer.
const SMALL: usize = 4 * 1024;

/// The same for a channel on which more has come at once.
const LARGE: usize = 32 * 1024;

/// Why a channel can't be used any longer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The other side is gone: httpd's child died or the supervisor closed it.
    End,
    /// The other side broke the protocol.
    Malformed(wsgi_proto::Error),
    /// The kernel refused.
    Io(io::Error),
}

impl From<wsgi_proto::Error> for Lost {
    fn from(error: wsgi_proto::Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::End,
            _ => Self::Io(error),
        }
    }
}

impl Lost {
    /// Nothing is there to be read yet: not a loss at all.
    pub(crate) fn is_nothing_yet(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the connection to httpd has ended"),
            Self::Malformed(error) => write!(f, "httpd sent a malformed record: {error}"),
            Self::Io(error) => write!(f, "the connection to httpd failed: {error}"),
        }
    }
}

/// A buffer between the socket and the records.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    filled: Range<usize>,
    /// Bytes asked for by one receive.
    size: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { buffer: Vec::new(), filled: 0..0, size: SMALL }
    }

    /// Bytes that came and were not taken.
    pub(crate) fn available(&self) -> &[u8] {
        self.buffer.get(self.filled.clone()).unwrap_or_default()
    }

    /// Drops the first `count` bytes of what is available.
    pub(crate) fn consume(&mut self, count: usize) {
        self.filled.start = (self.filled.start + count).min(self.filled.end);
    }

    /// Receives once, at least one byte, and keeps what was there.
    ///
    /// # Errors
    /// [`Lost`]; [`Lost::Io`] with `WouldBlock` if nothing came and `wait` is false.
    pub(crate) fn fill(&mut self, socket: BorrowedFd<'_>, wait: bool) -> Result<(), Lost> {
        if self.filled.is_empty() {
            self.filled = 0..0;
            self.buffer.resize(self.size, 0);
            self.buffer.shrink_to(self.size);
        } else if self.filled.end == self.buffer.len() {
            self.make_room(self.size);
        }
        let room = self.buffer.get_mut(self.filled.end..).unwrap_or_default();
        if wait {
            socket::wait_for(socket, None)?;
        }
        match socket::receive_bytes(socket, room, false)? {
            0 => Err(Lost::End),
            count => {
                self.filled.end += count;
                if self.filled.end == self.buffer.len() {
                    self.size = LARGE;
                }
                Ok(())
            }
        }
    }

    /// Moves what is available to the front, with room for `more` bytes behind.
    fn make_room(&mut self, more: usize) {
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        let size = self.buffer.len().max(self.filled.end + more);
        self.buffer.resize(size, 0);
    }

    /// The head of the next record, if it came as a whole; checked for its limit.
    ///
    /// # Errors
    /// [`Lost::Malformed`].
    pub(crate) fn head(&self) -> Result<Option<(Kind, Head)>, Lost> {
        Ok(deframe::head(self.available())?)
    }

    /// The next REQUEST, if it has come or begun to come, as a whole; skips what
    /// crossed the last END. The record stays the first of what is available.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn next_request(&mut self, socket: BorrowedFd<'_>) -> Result<Option<Head>, Lost> {
        loop {
            match self.head()? {
                None => match self.fill(socket, !self.available().is_empty()) {
                    Err(lost) if lost.is_nothing_yet() => return Ok(None),
                    filled => filled?,
                },
                Some((Kind::Request, head)) => {
                    self.wait_for_payload(socket, length(head))?;
                    return Ok(Some(head));
                }
                Some((Kind::Body | Kind::BodyEnd | Kind::Cancel, head)) => {
                    self.consume(HEAD_LEN);
                    self.skip(socket, length(head))?;
                }
                Some((kind, _)) => return Err(wsgi_proto::Error::UnknownKind(kind as u8).into()),
            }
        }
    }

    /// Waits until the record at the front has `length` bytes of payload.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn wait_for_payload(
        &mut self,
        socket: BorrowedFd<'_>,
        length: usize,
    ) -> Result<(), Lost> {
        let size = HEAD_LEN + length;
        while self.available().len() < size {
            if self.filled.start + size > self.buffer.len() {
                self.make_room(size - self.available().len());
            }
            self.fill(socket, true)?;
        }
        Ok(())
    }

    /// Drops the next `count` bytes, as they come.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn skip(&mut self, socket: BorrowedFd<'_>, mut count: usize) -> Result<(), Lost> {
        loop {
            let now = count.min(self.available().len());
            self.consume(now);
            count -= now;
            if count == 0 {
                return Ok(());
            }
            self.fill(socket, true)?;
        }
    }
}

/// Takes the head off a REQUEST that came as a whole, by the lane.
///
/// # Errors
/// [`Lost::Malformed`].
pub(crate) fn take_request(record: &mut Vec<u8>) -> Result<Head, Lost> {
    match deframe::head(record)? {
        Some((Kind::Request, head)) if record.len() == HEAD_LEN + length(head) => {
            record.drain(..HEAD_LEN);
            Ok(head)
        }
        Some((Kind::Request, _)) | None => Err(wsgi_proto::Error::Invalid("length").into()),
        Some((kind, _)) => Err(wsgi_proto::Error::UnknownKind(kind as u8).into()),
    }
}

/// Bytes of the payload behind a head that passed its limit.
pub(crate) fn length(head: Head) -> usize {
    usize::try_from(head.length).unwrap_or(usize::MAX)
}
