//! The request's body on its way to the worker: what httpd has at once goes with
//! the request, the rest when the application asks for it.

use std::os::fd::BorrowedFd;
use std::{io, iter};

use wsgi_proto::channel::{BodyEnd, Demand, READ_AHEAD, write_body_end, write_body_head};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::limits::MAX_DATA;
use wsgi_sys::socket;

use super::spool::{Spool, Unspooled};
use crate::apache::Status;
use crate::apache::intake::{BodyRead, Intake};
use crate::apache::request::Request;
use crate::child::Channel;

/// Most bytes of one BODY record: several of httpd's reads in one send.
const GATHER: usize = 128 * 1024;

/// Most pieces of one send.
const PARTS: usize = 16;

/// Whether a request has a body, by the fields that httpd frames it by.
pub(super) fn has_body(request: Request<'_>) -> bool {
    let headers = request.headers_in();
    let length = headers.find(c"Content-Length").map_or(b"0".as_slice(), |v| v.to_bytes());
    length.iter().any(|digit| *digit != b'0') || headers.find(c"Transfer-Encoding").is_some()
}

/// A request's body, and the record of it that is framed but not yet sent.
#[derive(Debug)]
pub(super) struct Upload<'r> {
    request: Request<'r>,
    /// Where the body comes from, and the pieces of the record's payload.
    intake: Intake<'r>,
    /// The body, if it was read before.
    spool: Option<Spool>,
    /// The record's head, if it is a BODY record.
    head: Option<[u8; HEAD_LEN]>,
    /// Payload from the spool, and BODY_END behind the last.
    rest: Vec<u8>,
    /// Bytes of all that, and how many of them are sent.
    framed: usize,
    sent: usize,
    /// Bytes of the body framed so far.
    total: u64,
    /// Bytes of it that the worker is glad to have; 0 if it is not to be pressed.
    window: u64,
    ended: bool,
    failure: Option<Status>,
}

impl<'r> Upload<'r> {
    pub(super) fn new(request: Request<'r>) -> Self {
        Self {
            request,
            intake: Intake::new(request),
            spool: None,
            head: None,
            rest: Vec::new(),
            framed: 0,
            sent: 0,
            total: 0,
            window: 0,
            ended: !has_body(request),
            failure: None,
        }
    }

    /// Reads the body to its end, if there is one.
    ///
    /// # Errors
    /// [`Unspooled`].
    pub(super) fn spool(&mut self, limit: u64) -> Result<(), Unspooled> {
        if !self.ended {
            self.spool = Some(Spool::fill(&mut self.intake, limit)?);
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

    /// Sends a REQUEST, and with it what httpd has of the body already: without waiting for
    /// the client, and without asking it to continue.
    ///
    /// # Errors
    /// The bytes of the REQUEST that were sent, and how the channel failed.
    pub(super) fn send_with(
        &mut self,
        channel: &Channel,
        request: &[u8],
    ) -> Result<(), (usize, io::Error)> {
        // Not again when the request is sent to another worker: it is framed already.
        if self.framed == 0 && !self.ended && !self.request.expects_continue() {
            self.gather(READ_AHEAD, false);
        }
        let whole = request.len() + self.framed;
        let sent = channel.send_request(whole, |sent, wait| {
            let pieces = iter::once(request).chain(self.pieces());
            send_from(channel.socket(), pieces, sent, wait)
        });
        sent.map_err(|(sent, error)| (sent.min(request.len()), error))?;
        self.let_go();
        Ok(())
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
        self.flush(channel)?;
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
        while self.is_unsent() {
            self.sent += send_from(channel, self.pieces(), self.sent, true)?;
        }
        self.let_go();
        Ok(())
    }

    /// Whether a record is begun that the channel did not take as a whole.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent < self.framed
    }

    /// Sends what the channel takes at once; true if that was all.
    ///
    /// # Errors
    /// The channel failed.
    pub(super) fn try_flush(&mut self, channel: BorrowedFd<'_>) -> io::Result<bool> {
        while self.is_unsent() {
            match send_from(channel, self.pieces(), self.sent, false) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.let_go();
        Ok(true)
    }

    /// What is framed.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let head = self.head.iter().map(<[u8; HEAD_LEN]>::as_slice);
        head.chain(self.intake.pieces()).chain(iter::once(self.rest.as_slice()))
    }

    /// Forgets what was framed.
    fn let_go(&mut self) {
        if self.framed > 0 {
            self.intake.clear();
            self.rest.clear();
            self.head = None;
            (self.framed, self.sent) = (0, 0);
        }
    }

    /// Frames up to `limit` bytes as one BODY record, and BODY_END behind the last. Nothing
    /// else is framed. Waits for the first byte only, if at all. Returns the bytes framed.
    fn gather(&mut self, limit: usize, wait: bool) -> usize {
        let limit = limit.min(MAX_DATA as usize);
        let mut count = 0;
        let mut end = None;
        while count < limit && end.is_none() && !self.intake.is_full() {
            let wait = wait && count == 0;
            let read = match &mut self.spool {
                Some(spool) => spool.read(&mut self.rest, limit - count),
                None => self.intake.read(limit - count, wait),
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
        if count > 0 {
            self.head = Some(write_body_head(u32::try_from(count).unwrap_or(0)));
            self.framed = HEAD_LEN + count;
        }
        if let Some(status) = end {
            self.ended = true;
            let before = self.rest.len();
            // Two bytes never exceed the record's limit.
            let _ = write_body_end(&mut self.rest, BodyEnd { status });
            self.framed += self.rest.len() - before;
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

/// One send of what lies behind the first `sent` bytes of the pieces, or the first
/// [`PARTS`] pieces of it; returns the bytes taken.
fn send_from<'p>(
    channel: BorrowedFd<'_>,
    pieces: impl Iterator<Item = &'p [u8]>,
    sent: usize,
    wait: bool,
) -> io::Result<usize> {
    let mut passed = sent;
    let unsent = pieces.filter_map(|piece| {
        let rest = piece.get(passed..).unwrap_or_default();
        passed = passed.saturating_sub(piece.len());
        (!rest.is_empty()).then_some(rest)
    });
    let mut parts = [io::IoSlice::new(&[]); PARTS];
    let count = parts.iter_mut().zip(unsent).map(|(part, piece)| *part = io::IoSlice::new(piece));
    let count = count.count();
    socket::send(channel, &parts[..count], &[], wait)
}
