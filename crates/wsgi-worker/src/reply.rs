//! What a worker thread sends for one request: LOG, HEAD, DATA, FILE, END, in
//! order, however many threads of the application have a part in it.
//!
//! *Runs in:* daemon. *Threads:* behind the line's lock, without the GIL.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use wsgi_proto::channel::{Demand, End, FLAG_MORE, File, Log, data_head};
use wsgi_proto::limits::{MAX_DATA, MAX_LOG};
use wsgi_sys::lanes::Lane;
use wsgi_sys::socket;

use crate::body::Fault;
use crate::head::Head;
use crate::inbox::Lost;

/// Bytes gathered before they are sent.
const GATHERED: usize = 64 * 1024;

/// Bytes from which a piece of the body is sent from where it lies.
const COPIED: usize = 16 * 1024;

/// Why a piece of the body was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The application did not call `start_response`.
    NotStarted,
    /// The client or the channel is gone.
    Gone,
    /// The header fields exceed the protocol's limits.
    HeadTooLong,
}

/// When a piece of the body has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// With what follows, at the latest with END.
    Gathered,
    /// Before the application goes on.
    Now,
}

/// The response so far.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Records not sent yet.
    out: Vec<u8>,
    head: Option<Head>,
    committed: bool,
    /// Bytes of the body that Content-Length still allows.
    left: Option<u64>,
    /// Bytes of the body that were sent or gathered.
    pub(crate) output: u64,
    /// Bytes were left out, as they exceed Content-Length.
    pub(crate) cut: bool,
    /// A DEMAND is not met: whatever is to be sent waits, as httpd's child does not read.
    held: bool,
    /// Why nothing but END may be sent.
    pub(crate) gone: Option<Fault>,
    /// Where a small response may be left as a whole.
    lane: Arc<Lane>,
    /// Something was sent by the socket: so is all the rest.
    by_socket: bool,
}

impl Reply {
    pub(crate) fn new(lane: Arc<Lane>) -> Self {
        Self::fresh(Vec::new(), lane)
    }

    fn fresh(out: Vec<u8>, lane: Arc<Lane>) -> Self {
        Self {
            out,
            head: None,
            committed: false,
            left: None,
            output: 0,
            cut: false,
            held: false,
            gone: None,
            lane,
            by_socket: false,
        }
    }

    /// Forgets the last request.
    pub(crate) fn start(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        out.shrink_to(2 * GATHERED);
        *self = Self::fresh(out, Arc::clone(&self.lane));
    }

    /// Sets the head, unless one was sent; returns whether it was accepted.
    pub(crate) fn set_head(&mut self, head: Head) -> Result<(), Head> {
        if self.committed {
            return Err(head);
        }
        self.head = Some(head);
        Ok(())
    }

    /// The head as set last.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// True once HEAD was sent, or gathered for sending.
    pub(crate) fn is_committed(&self) -> bool {
        self.committed
    }

    /// True if the body is shorter than its announced length.
    pub(crate) fn is_short(&self) -> Option<u64> {
        match self.committed {
            true => self.left.filter(|&left| left > 0),
            false => self.head.as_ref()?.content_length.filter(|&length| length > 0),
        }
    }

    /// Appends HEAD, if that was not done yet.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn commit(&mut self) -> Result<(), Refusal> {
        if self.gone.is_some() {
            return Err(Refusal::Gone);
        }
        if !self.committed {
            let head = self.head.as_ref().ok_or(Refusal::NotStarted)?;
            head.write(&mut self.out).map_err(|_| Refusal::HeadTooLong)?;
            self.left = head.content_length;
            self.committed = true;
        }
        Ok(())
    }

    /// Sends an interim head, ahead of the response's own.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn hints(&mut self, socket: BorrowedFd<'_>, hints: &Head) -> Result<(), Refusal> {
        if self.gone.is_some() {
            return Err(Refusal::Gone);
        }
        hints.write(&mut self.out).map_err(|_| Refusal::HeadTooLong)?;
        self.send(socket, &[]).map_err(|_| Refusal::Gone)
    }

    /// True if [`Reply::data`] would not have to send.
    pub(crate) fn can_gather(&self, piece: &[u8]) -> bool {
        piece.len() < COPIED && self.out.len() + piece.len() < GATHERED
    }

    /// Sends or gathers a piece of the body, which is not empty.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn data(
        &mut self,
        socket: BorrowedFd<'_>,
        mut piece: &[u8],
        urgency: Urgency,
    ) -> Result<(), Refusal> {
        self.commit()?;
        if let Some(left) = &mut self.left {
            let allowed = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            self.cut |= allowed < piece.len();
            piece = &piece[..allowed];
            *left -= allowed as u64;
        }
        self.output += piece.len() as u64;
        let more = urgency == Urgency::Gathered;
        if piece.len() < COPIED {
            if !piece.is_empty() {
                self.out.extend_from_slice(&head_of(piece, more));
                self.out.extend_from_slice(piece);
            }
            if more && self.out.len() < GATHERED {
                return Ok(());
            }
            return self.send(socket, &[]).map_err(|_| Refusal::Gone);
        }
        let mut parts = piece.chunks(MAX_DATA as usize).peekable();
        while let Some(part) = parts.next() {
            self.out.extend_from_slice(&head_of(part, more || parts.peek().is_some()));
            self.send(socket, part).map_err(|_| Refusal::Gone)?;
        }
        Ok(())
    }

    /// Sends a part of a file as the body; `length` bytes are there.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn file(
        &mut self,
        socket: BorrowedFd<'_>,
        descriptor: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> Result<(), Refusal> {
        if let Some(head) = self.head.as_mut().filter(|_| !self.committed) {
            head.announce_length(length);
        }
        self.commit()?;
        let allowed = self.left.map_or(length, |left| left.min(length));
        self.cut |= allowed < length;
        if allowed == 0 {
            return Ok(());
        }
        // The descriptor travels with the first byte of what is sent next, which
        // has to be the first byte of FILE.
        self.send(socket, &[]).map_err(|_| Refusal::Gone)?;
        File { offset, length: allowed }.write(&mut self.out).map_err(|_| Refusal::Gone)?;
        self.leave_lane();
        let sent =
            socket::send(socket, &[IoSlice::new(&self.out)], &[descriptor.as_raw_fd()], true);
        match sent {
            Ok(count) => drop(self.out.drain(..count)),
            Err(_) => {
                self.gone = Some(Fault::Lost);
                return Err(Refusal::Gone);
            }
        }
        self.left = self.left.map(|left| left - allowed);
        self.output += allowed;
        self.send(socket, &[]).map_err(|_| Refusal::Gone)
    }

    /// Sends each line of `text` as a LOG record.
    ///
    /// # Errors
    /// [`Lost`] if it can't be sent, or may not as the client is gone.
    pub(crate) fn log(
        &mut self,
        socket: BorrowedFd<'_>,
        level: u8,
        text: &[u8],
    ) -> Result<(), Lost> {
        if self.gone.is_some() {
            return Err(Lost::End);
        }
        for line in text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n') {
            let mut parts = line.chunks(MAX_LOG);
            Log { level, text: parts.next().unwrap_or_default() }.write(&mut self.out)?;
            for text in parts {
                Log { level, text }.write(&mut self.out)?;
            }
        }
        if self.held { Ok(()) } else { self.send(socket, &[]) }
    }

    /// Sends a DEMAND. Until [`Reply::release`] nothing follows it.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn demand(&mut self, socket: BorrowedFd<'_>, demand: Demand) -> Result<(), Lost> {
        demand.write(&mut self.out)?;
        self.held = true;
        self.send(socket, &[])
    }

    /// True while a DEMAND is not met.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// The DEMAND is met: sends what waited.
    pub(crate) fn release(&mut self, socket: BorrowedFd<'_>) {
        self.held = false;
        // Who sends next learns of a channel that is gone.
        let _ = self.flush(socket);
    }

    /// Gathers END; [`Reply::finish`] sends it.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn end(&mut self, end: End) -> Result<(), Lost> {
        if self.gone == Some(Fault::Lost) {
            return Err(Lost::End);
        }
        Ok(end.write(&mut self.out)?)
    }

    /// Sends what was gathered up to END, by the lane if that is all of the response.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn finish(&mut self, socket: BorrowedFd<'_>) -> Result<(), Lost> {
        if !self.by_socket && self.lane.answer(&self.out) {
            self.out.clear();
            return Ok(());
        }
        self.flush(socket)
    }

    /// Has httpd's child look at the socket from now on.
    fn leave_lane(&mut self) {
        if !self.by_socket {
            self.lane.leave();
        }
        self.by_socket = true;
    }

    /// Sends what was gathered.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Lost> {
        if self.out.is_empty() { Ok(()) } else { self.send(socket, &[]) }
    }

    /// Sends what was gathered and then `piece`, as a whole.
    fn send(&mut self, socket: BorrowedFd<'_>, piece: &[u8]) -> Result<(), Lost> {
        self.leave_lane();
        let mut sent = 0;
        let whole = self.out.len() + piece.len();
        while sent < whole {
            let out = self.out.get(sent..).unwrap_or_default();
            let rest = piece.get(sent.saturating_sub(self.out.len())..).unwrap_or_default();
            match socket::send(socket, &[IoSlice::new(out), IoSlice::new(rest)], &[], true) {
                Ok(count) => sent += count,
                Err(error) => {
                    self.gone = Some(Fault::Lost);
                    self.out.clear();
                    return Err(error.into());
                }
            }
        }
        self.out.clear();
        Ok(())
    }
}

fn head_of(piece: &[u8], more: bool) -> [u8; wsgi_proto::codec::HEAD_LEN] {
    debug_assert!(piece.len() <= MAX_DATA as usize && FLAG_MORE == 1);
    data_head(u32::try_from(piece.len()).unwrap_or(u32::MAX), more)
}
