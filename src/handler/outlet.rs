//! The response's body on its way to the client: at once while the client keeps
//! up, else through a bounded spool, so that a slow client does not hold the
//! worker's thread: the worker goes on while this thread waits for the client.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::apache::brigade::{Brigade, Then};
use crate::apache::request::Request;

/// Bytes that are passed on without asking whether the client takes more: what a
/// socket's buffer holds anyway.
const UNASKED: u64 = 64 * 1024;

/// So much of a body is written at once, rather than copied to wait for more.
const WORTH_A_WRITE: usize = 64 * 1024;

/// Bytes that go from the spool to the client at a time.
const SPOOL_PIECE: usize = 64 * 1024;

/// Bytes of a file that are read and passed on at a time.
const FILE_PIECE: usize = 256 * 1024;

/// The way to the client.
#[derive(Debug)]
pub(super) struct Outlet<'r> {
    request: Request<'r>,
    brigade: Brigade<'r>,
    begun: bool,
    passed: u64,
    /// What waits for the client, from `start` on.
    spool: Vec<u8>,
    start: usize,
    /// Bytes that may wait (response-buffer-size).
    bound: usize,
    /// How the response ends, when that is known and not yet passed on.
    end: Option<Then>,
}

impl<'r> Outlet<'r> {
    pub(super) fn new(request: Request<'r>, bound: usize) -> Self {
        Self {
            request,
            brigade: Brigade::new(request),
            begun: false,
            passed: 0,
            spool: Vec::new(),
            start: 0,
            bound,
            end: None,
        }
    }

    /// Whether something was passed to the output filters, or waits to be.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether something waits for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.start < self.spool.len()
    }

    /// Takes pieces of the body and what follows them. False if the client is gone.
    pub(super) fn write(&mut self, pieces: &[&[u8]], then: Then) -> bool {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        if then == Then::BreakOff && !self.begun {
            // httpd must have sent the head before it learns that the rest is missing.
            return self.pass(pieces, Then::Flush) && self.pass(&[], then);
        }
        let keeps_up = || self.passed < UNASKED || total == 0 || self.request.client_takes_more();
        if !self.is_waiting() && keeps_up() {
            let hold = then == Then::Hold && total < WORTH_A_WRITE;
            return self.pass(pieces, if then == Then::Hold && !hold { Then::Flush } else { then });
        }
        for piece in pieces {
            self.spool.extend_from_slice(piece);
        }
        if matches!(then, Then::End | Then::BreakOff) {
            self.end = Some(then);
        }
        while self.spool.len() - self.start > self.bound {
            if !self.drain() {
                return false;
            }
        }
        true
    }

    /// Passes one piece of the spool on. False if the client is gone.
    pub(super) fn drain(&mut self) -> bool {
        let end = self.spool.len().min(self.start + SPOOL_PIECE);
        let piece = self.start..end;
        let passed = self.brigade.send(&[&self.spool[piece]], Then::Flush);
        self.passed += (end - self.start) as u64;
        self.start = end;
        if self.start == self.spool.len() {
            self.spool.clear();
            self.start = 0;
        } else if self.start > self.bound {
            self.spool.drain(..self.start);
            self.start = 0;
        }
        passed
    }

    /// Passes everything on that waits, and the end. False if the client is gone.
    pub(super) fn finish(&mut self) -> bool {
        while self.is_waiting() {
            if !self.drain() {
                return false;
            }
        }
        self.end.take().is_none_or(|end| self.brigade.send(&[], end))
    }

    /// Sends a part of a file as the whole body: by sendfile(2) if that is allowed and
    /// possible. Else it is read at explicit offsets, as its own offset is shared with
    /// the application, and never mapped, as it may shrink meanwhile. False if the
    /// client is gone.
    ///
    /// # Errors
    /// The file can't be read, or has become shorter.
    pub(super) fn send_file(
        &mut self,
        file: File,
        (mut offset, mut left): (u64, u64),
        sendfile: bool,
    ) -> io::Result<bool> {
        self.begun = true;
        if sendfile && self.request.may_sendfile() {
            return Ok(self.brigade.send_file(file.into(), offset, left));
        }
        let mut piece = vec![0; FILE_PIECE];
        while left > 0 {
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = file.read_at(&mut piece[..length], offset)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !self.brigade.send(&[&piece[..count]], Then::Flush) {
                return Ok(false);
            }
            offset += count as u64;
            left -= count as u64;
        }
        Ok(self.brigade.send(&[], Then::End))
    }

    fn pass(&mut self, pieces: &[&[u8]], then: Then) -> bool {
        self.begun = true;
        self.passed += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.brigade.send(pieces, then)
    }
}
