//! The request's body on its way to the worker: what httpd has at once goes with
//! the request, the rest when the application asks for it.

use std::io;
use std::os::fd::BorrowedFd;

use wsgi_proto::channel::{BodyEnd, Demand, READ_AHEAD, write_body_end, write_body_head};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::limits::MAX_DATA;
use wsgi_sys::socket;

use super::spool::{Spool, Unspooled};
use crate::apache::Status;
use crate::apache::brigade::{BodyRead, Brigade};
use crate::apache::request::Request;

/// Most bytes of one BODY record: several of httpd's reads in one send.
const GATHER: usize = 128 * 1024;

/// Whether a request has a body, by the fields that httpd frames it by.
pub(super) fn has_body(request: Request<'_>) -> bool {
    let headers = request.headers_in();
    let length = headers.find(c"Content-Length").map_or(b"0".as_slice(), |v| v.to_bytes());
    length.iter().any(|digit| *digit != b'0') || headers.find(c"Transfer-Encoding").is_some()
}

/// A request's body, and what of it is framed but not yet sent.
#[derive(Debug)]
pub(super) struct Upload<'r> {
    request: Request<'r>,
    brigade: Brigade<'r>,
    /// Records that wait to be sent, from `sent` on.
    framed: Vec<u8>,
    sent: usize,
    /// Bytes of the body framed so far.
    total: u64,
    /// Bytes of it that the worker is glad to have; 0 if it is not to be pressed.
    window: u64,
    ended: bool,
    failure: Option<Status>,
    /// The body, if it was read before.
    spool: Option<Spool>,
}

impl<'r> Upload<'r> {
    pub(super) fn new(request: Request<'r>) -> Self {
        Self {
            request,
            brigade: Brigade::new(request),
            framed: Vec::new(),
            sent: 0,
            total: 0,
            window: 0,
            ended: !has_body(request),
            failure: None,
            spool: None,
        }
    }

    /// Reads the body to its end, if there is one.
    ///
    /// # Errors
    /// [`Unspooled`].
    pub(super) fn spool(&mut self, limit: u64) -> Result<(), Unspooled> {
        if !self.ended {
            self.spool = Some(Spool::fill(&mut self.brigade, limit)?);
        }
        Ok(())
    }

    /// Bytes of the body, if they were counted.
    pub(super) fn length(&self) -> Option<u64> {
        self.spool.as_ref().map(Spool::length)
    }

    /// How httpd's input filters failed, if they did.
    pub(super) fn failure(&self) -> Option<Status> {
        self.failure
    }

    /// Frames what httpd has already, without waiting and without asking the client
    /// to continue. The bytes are to be sent with the REQUEST.
    pub(super) fn read_ahead(&mut self) -> &[u8] {
        // Not again when the request is sent to another worker: it is framed already.
        if self.framed.is_empty() && !self.ended && !self.request.expects_continue() {
            self.gather(READ_AHEAD, false);
        }
        self.sent = self.framed.len();
        &self.framed
    }

    /// Does what the worker asks for; see [`Demand`].
    ///
    /// # Errors
    /// The channel failed.
    pub(super) fn meet(&mut self, channel: BorrowedFd<'_>, demand: Demand) -> io::Result<()> {
        self.flush(channel)?;
        while self.lacks(demand) {
            self.gather(self.left(demand.window), true);
            self.flush(channel)?;
        }
        self.window = demand.window;
        while self.wants_more() {
            if self.gather(self.left(demand.window), false) == 0 || !self.try_flush(channel)? {
                break;
            }
        }
        // BODY_END may have come alone, behind the last byte.
        self.try_flush(channel).map(drop)
    }

    /// Whether the worker waits for the client.
    pub(super) fn lacks(&self, demand: Demand) -> bool {
        self.total < demand.need && !self.ended
    }

    /// Sends what the client has sent, if that is anything.
    ///
    /// # Errors
    /// The channel failed.
    pub(super) fn advance(&mut self, channel: BorrowedFd<'_>, demand: Demand) -> io::Result<bool> {
        let advanced = self.gather(self.left(demand.window), false) > 0;
        self.flush(channel)?;
        Ok(advanced)
    }

    /// Whether the worker may have more of the body before it asks again.
    pub(super) fn wants_more(&self) -> bool {
        self.total < self.window && !self.ended
    }

    /// Sends what has come from the client meanwhile, without waiting.
    ///
    /// # Errors
    /// The channel failed.
    pub(super) fn press_on(&mut self, channel: BorrowedFd<'_>) -> io::Result<()> {
        if self.gather(self.left(self.window), false) == 0 {
            // Part of a TLS record, or the like: it will be asked for.
            self.window = 0;
        }
        self.try_flush(channel).map(drop)
    }

    /// Bytes that one BODY record may have when `window` counts from the body's start.
    fn left(&self, window: u64) -> usize {
        usize::try_from(window - self.total).map_or(GATHER, |left| left.min(GATHER))
    }

    /// Sends what is framed, waiting for the worker, which is reading.
    ///
    /// # Errors
    /// The channel failed, or the worker did not read within socket-timeout.
    pub(super) fn flush(&mut self, channel: BorrowedFd<'_>) -> io::Result<()> {
        while self.sent < self.framed.len() {
            let parts = [io::IoSlice::new(&self.framed[self.sent..])];
            self.sent += socket::send(channel, &parts, &[], true)?;
        }
        self.framed.clear();
        self.sent = 0;
        Ok(())
    }

    /// Whether a record is begun that the channel did not take as a whole.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent < self.framed.len()
    }

    /// Sends what the channel takes at once; true if that was all.
    ///
    /// # Errors
    /// The channel failed.
    pub(super) fn try_flush(&mut self, channel: BorrowedFd<'_>) -> io::Result<bool> {
        while self.sent < self.framed.len() {
            let parts = [io::IoSlice::new(&self.framed[self.sent..])];
            match socket::send(channel, &parts, &[], false) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.framed.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Frames up to `limit` bytes as one BODY record, and BODY_END behind the last.
    /// Waits for the first byte only, if at all. Returns the bytes framed.
    fn gather(&mut self, limit: usize, wait: bool) -> usize {
        let limit = limit.min(MAX_DATA as usize);
        let start = self.framed.len();
        self.framed.extend_from_slice(&write_body_head(0));
        let mut count = 0;
        let mut end = None;
        while count < limit && end.is_none() {
            let wait = wait && count == 0;
            let read = match &mut self.spool {
                Some(spool) => spool.read(&mut self.framed, limit - count),
                None => self.brigade.read_body(&mut self.framed, limit - count, wait),
            };
            match read {
                BodyRead::Some(more) => count += more,
                BodyRead::End(more) => {
                    count += more;
                    end = Some(0);
                }
                BodyRead::NotYet => break,
                BodyRead::Failed(status) => {
                    self.failure = Some(status);
                    end = Some(self.failed_status(status));
                }
            }
        }
        self.total += count as u64;
        if count == 0 {
            self.framed.truncate(start);
        } else {
            let head = write_body_head(u32::try_from(count).unwrap_or(0));
            self.framed[start..start + HEAD_LEN].copy_from_slice(&head);
        }
        if let Some(status) = end {
            self.ended = true;
            // Two bytes never exceed the record's limit.
            let _ = write_body_end(&mut self.framed, BodyEnd { status });
        }
        count
    }

    fn failed_status(&self, status: Status) -> u16 {
        if self.request.is_aborted() {
            return super::reserve::CLIENT_GONE;
        }
        u16::try_from(status.0).ok().filter(|code| (400..600).contains(code)).unwrap_or(400)
    }
}
