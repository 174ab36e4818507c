//! The body of a request, on its way from the channel to `wsgi.input`.
//!
//! *Runs in:* daemon. *Threads:* behind the line's lock, without the GIL.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use wsgi_proto::channel::{BodyEnd, Demand, Kind, READ_AHEAD};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::deframe;
use wsgi_sys::socket;

use crate::inbox::{Inbox, Lost, length};
use crate::line::SendDemand;

/// Bytes that httpd may send beyond those that the application waits for.
const WINDOW: u64 = 1024 * 1024;

/// Least room for which bytes are received where they belong, past the inbox.
const DIRECT: usize = 8 * 1024;

/// How long what httpd has leave to send is waited for before it is asked for: a client
/// that sends fast is not held up by questions, and a slow one not by this.
const SOON: Duration = Duration::from_millis(2);

/// Bytes received at a time where lines are searched.
const AHEAD: usize = 16 * 1024;

/// Bytes of body that may come ahead of what tells that the client is gone: what the
/// child sends unasked, and as much again.
const FORESEEN: usize = 2 * READ_AHEAD;

/// Why no more of the body can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// httpd could not read it; the HTTP status that it found fit.
    Status(u16),
    /// The client is gone.
    Cancelled,
    /// The channel is gone.
    Lost,
}

/// The part of a body that has not been read yet.
#[derive(Debug)]
pub(crate) struct Body {
    inbox: Inbox,
    /// Bytes to come of the BODY record that was begun.
    record: usize,
    /// Bytes received since the body's start.
    received: u64,
    /// `need` of the last DEMAND.
    demanded: u64,
    /// Its `window`.
    window: u64,
    ended: bool,
    fault: Option<Fault>,
    /// Bytes handed to the application.
    pub(crate) consumed: u64,
    /// Bytes received ahead, for lines: handed out first.
    ahead: Vec<u8>,
    /// How many of them are used up.
    used: usize,
}

impl Body {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            record: 0,
            received: 0,
            demanded: 0,
            window: 0,
            ended: true,
            fault: None,
            consumed: 0,
            ahead: Vec::new(),
            used: 0,
        }
    }

    /// The inbox, for the time between two requests.
    pub(crate) fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// Starts the body of a request whose record was taken from the inbox.
    pub(crate) fn start(&mut self, has_body: bool) {
        self.received = 0;
        self.demanded = 0;
        self.window = 0;
        self.ended = !has_body;
        self.fault = None;
        self.consumed = 0;
        self.ahead.clear();
        self.ahead.shrink_to(64 * 1024);
        self.used = 0;
    }

    /// Ends the request: what is left of a BODY record belongs to nobody.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn finish(&mut self, socket: BorrowedFd<'_>) -> Result<(), Lost> {
        let rest = std::mem::take(&mut self.record);
        self.inbox.skip(socket, rest)
    }

    /// Why the body can't be read, if so.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// True once all of the body has been handed out.
    pub(crate) fn is_empty(&self) -> bool {
        self.ended && self.used == self.ahead.len()
    }

    /// Fills `room` with the next bytes of the body, waiting for them; fewer only
    /// at its end. Returns how many of its first bytes were written. `demand` sends a
    /// DEMAND.
    ///
    /// # Errors
    /// The [`Fault`] with which the body ended, now or earlier.
    pub(crate) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        room: &mut [MaybeUninit<u8>],
        want: u64,
        demand: SendDemand<'_>,
    ) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let ahead = self.ahead.get(self.used..).unwrap_or_default();
        let mut count = copy(room, ahead);
        self.used += count;
        while let Some(rest) = room.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let need = want.saturating_sub(count as u64);
            match self.receive(socket, rest, need, demand) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(fault) => return Err(self.fail(fault)),
            }
        }
        self.consumed += count as u64;
        Ok(count)
    }

    /// The next line with its newline, or what is left; at most `limit` bytes.
    ///
    /// # Errors
    /// The [`Fault`] with which the body ended, now or earlier.
    pub(crate) fn read_line(
        &mut self,
        socket: BorrowedFd<'_>,
        limit: usize,
        demand: SendDemand<'_>,
    ) -> Result<Vec<u8>, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut searched = 0;
        loop {
            let ahead = self.ahead.get(self.used..).unwrap_or_default();
            let fresh = ahead.get(searched..).unwrap_or_default();
            let end = fresh.iter().position(|&byte| byte == b'\n').map(|at| searched + at + 1);
            searched = ahead.len();
            if end.is_some() || searched >= limit || self.ended {
                let line = ahead[..end.unwrap_or(searched).min(limit)].to_vec();
                self.used += line.len();
                self.consumed += line.len() as u64;
                return Ok(line);
            }
            self.ahead.drain(..std::mem::take(&mut self.used));
            let mut ahead = std::mem::take(&mut self.ahead);
            let result = append(&mut ahead, AHEAD, |room| self.receive(socket, room, 1, demand));
            self.ahead = ahead;
            result.map_err(|fault| self.fail(fault))?;
        }
    }

    /// Looks, without waiting, whether the client or the channel is gone.
    pub(crate) fn poll(&mut self, socket: BorrowedFd<'_>) -> Option<Fault> {
        while self.fault.is_none() && self.inbox.available().len() < FORESEEN {
            match self.inbox.fill(socket, false) {
                Ok(()) => {}
                Err(lost) if lost.is_nothing_yet() => break,
                Err(_) => self.fault = Some(Fault::Lost),
            }
        }
        if self.fault.is_none() {
            self.fault = self.foresee();
        }
        self.fault.filter(|fault| !matches!(fault, Fault::Status(_)))
    }

    /// The end that is behind the body which nobody has read yet.
    fn foresee(&self) -> Option<Fault> {
        let mut rest = self.inbox.available().get(self.record..)?;
        loop {
            let (kind, head) = match deframe::head(rest) {
                Ok(found) => found?,
                Err(_) => return Some(Fault::Lost),
            };
            let payload = rest.get(HEAD_LEN..HEAD_LEN + length(head));
            match kind {
                Kind::Cancel => return Some(Fault::Cancelled),
                Kind::BodyEnd if BodyEnd::read(payload?).is_ok_and(|end| end.status == 499) => {
                    return Some(Fault::Cancelled);
                }
                Kind::Body | Kind::BodyEnd if !self.ended => {}
                _ => return Some(Fault::Lost),
            }
            rest = rest.get(HEAD_LEN + length(head)..)?;
        }
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.fault = Some(fault);
        fault
    }

    /// Receives at least one byte into `room`, or none at the body's end. The
    /// application can't go on without `need` bytes from here.
    fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        room: &mut [MaybeUninit<u8>],
        need: u64,
        demand: SendDemand<'_>,
    ) -> Result<usize, Fault> {
        let lost = |_| Fault::Lost;
        loop {
            if self.ended {
                return Ok(0);
            }
            if self.record > 0 {
                let size = room.len().min(self.record);
                let available = self.inbox.available();
                let count = if available.is_empty() && size >= DIRECT {
                    receive_straight(socket, &mut room[..size]).map_err(|_| Fault::Lost)?
                } else {
                    if available.is_empty() {
                        self.inbox.fill(socket, true).map_err(lost)?;
                    }
                    let count = copy(&mut room[..size], self.inbox.available());
                    self.inbox.consume(count);
                    count
                };
                self.record -= count;
                self.received += count as u64;
                return Ok(count);
            }
            match self.inbox.head().map_err(lost)? {
                Some((Kind::Body, head)) => {
                    self.inbox.consume(HEAD_LEN);
                    self.record = length(head);
                }
                Some((Kind::BodyEnd, head)) => {
                    self.inbox.wait_for_payload(socket, length(head)).map_err(lost)?;
                    let payload = &self.inbox.available()[HEAD_LEN..HEAD_LEN + length(head)];
                    let end = BodyEnd::read(payload).map_err(|_| Fault::Lost)?;
                    self.inbox.consume(HEAD_LEN + length(head));
                    match end.status {
                        0 => self.ended = true,
                        499 => return Err(Fault::Cancelled),
                        status => return Err(Fault::Status(status)),
                    }
                }
                Some((Kind::Cancel, _)) => {
                    self.inbox.consume(HEAD_LEN);
                    return Err(Fault::Cancelled);
                }
                Some(_) => return Err(Fault::Lost),
                None if !self.inbox.available().is_empty() => {
                    self.inbox.fill(socket, true).map_err(lost)?;
                }
                None => match self.inbox.fill(socket, false) {
                    Ok(()) => {}
                    Err(error) if error.is_nothing_yet() => {
                        if !self.is_on_its_way(socket, need).map_err(lost)? {
                            self.ask(need, demand).map_err(lost)?;
                        }
                        self.inbox.fill(socket, true).map_err(lost)?;
                    }
                    Err(_) => return Err(Fault::Lost),
                },
            }
        }
    }

    /// Whether `need` more bytes come soon without a DEMAND: httpd's child passes on what
    /// the client sends, up to the last one's window.
    fn is_on_its_way(&self, socket: BorrowedFd<'_>, need: u64) -> Result<bool, Lost> {
        let within = self.received.saturating_add(need) <= self.window;
        Ok(within && socket::wait_for(socket, Some(SOON))?)
    }

    /// Sends a DEMAND, unless the last one covers `need` more bytes.
    fn ask(&mut self, need: u64, demand: SendDemand<'_>) -> Result<(), Lost> {
        let need = self.received.saturating_add(need.max(1));
        if need > self.demanded {
            let window = need.max(self.received.saturating_add(WINDOW));
            demand(Demand { need, window })?;
            (self.demanded, self.window) = (need, window);
        }
        Ok(())
    }
}

/// Appends what `fill` writes to the start of the room that it is given, and returns what
/// it returns: how many bytes those are.
///
/// # Errors
/// Those of `fill`; nothing is appended then.
pub(crate) fn append(
    bytes: &mut Vec<u8>,
    room: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize, Fault>,
) -> Result<usize, Fault> {
    bytes.reserve(room);
    let spare = bytes.spare_capacity_mut().get_mut(..room).unwrap_or_default();
    let count = fill(spare)?.min(room);
    // SAFETY: there is room for so many bytes, and they were written.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(count)
}

/// Writes what there is to the start of the room, as much as fits.
fn copy(room: &mut [MaybeUninit<u8>], from: &[u8]) -> usize {
    for (to, from) in room.iter_mut().zip(from) {
        to.write(*from);
    }
    room.len().min(from.len())
}

/// Receives at least one byte past the inbox.
fn receive_straight(socket: BorrowedFd<'_>, room: &mut [MaybeUninit<u8>]) -> Result<usize, Lost> {
    loop {
        match socket::receive_into(socket, room, false) {
            Ok(0) => return Err(Lost::End),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket::wait_for(socket, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
