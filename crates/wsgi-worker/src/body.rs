//! The body of a request, on its way from the channel to `wsgi.input`.
//!
//! *Runs in:* daemon. *Threads:* behind the line's lock, without the GIL.

use std::io;
use std::os::fd::BorrowedFd;

use wsgi_proto::channel::{BodyEnd, Demand, Kind};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_sys::socket;

use crate::inbox::{Inbox, Lost, length};
use crate::line::SendDemand;

/// Bytes that httpd may send beyond those that the application waits for.
const WINDOW: u64 = 1024 * 1024;

/// Least room for which bytes are received where they belong, past the inbox.
const DIRECT: usize = 8 * 1024;

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
    /// at its end. `demand` sends a DEMAND.
    ///
    /// # Errors
    /// The [`Fault`] with which the body ended, now or earlier.
    pub(crate) fn read(
        &mut self,
        socket: BorrowedFd<'_>,
        room: &mut [u8],
        want: u64,
        demand: SendDemand<'_>,
    ) -> Result<usize, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let ahead = self.ahead.get(self.used..).unwrap_or_default();
        let mut count = ahead.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), ahead.get(..count)) {
            to.copy_from_slice(from);
        }
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
            let old = self.ahead.len();
            let mut ahead = std::mem::take(&mut self.ahead);
            ahead.resize(old + 16 * 1024, 0);
            let result = self.receive(socket, &mut ahead[old..], 1, demand);
            ahead.truncate(old + result.unwrap_or(0));
            self.ahead = ahead;
            result.map_err(|fault| self.fail(fault))?;
        }
    }

    /// Looks, without waiting, whether the client or the channel is gone.
    pub(crate) fn poll(&mut self, socket: BorrowedFd<'_>) -> Option<Fault> {
        // A BODY record at the front hides what is behind it: nothing is lost by
        // looking later, as the next send fails if the channel is gone.
        if self.fault.is_none() && self.inbox.available().len() < 4096 {
            match self.inbox.fill(socket, false) {
                Ok(()) => {}
                Err(lost) if lost.is_nothing_yet() => {}
                Err(_) => self.fault = Some(Fault::Lost),
            }
        }
        if self.record == 0 && self.fault.is_none() {
            match self.inbox.head() {
                Ok(Some((Kind::BodyEnd, _))) if self.ended => {
                    self.fault = Some(Fault::Lost);
                }
                Ok(Some((Kind::Cancel, _))) => {
                    self.inbox.consume(HEAD_LEN);
                    self.fault = Some(Fault::Cancelled);
                }
                Ok(_) => {}
                Err(_) => self.fault = Some(Fault::Lost),
            }
        }
        self.fault.filter(|fault| !matches!(fault, Fault::Status(_)))
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
        room: &mut [u8],
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
                    let available = self.inbox.available();
                    let count = size.min(available.len());
                    room[..count].copy_from_slice(&available[..count]);
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
                        self.ask(need, demand).map_err(lost)?;
                        self.inbox.fill(socket, true).map_err(lost)?;
                    }
                    Err(_) => return Err(Fault::Lost),
                },
            }
        }
    }

    /// Sends a DEMAND, unless the last one covers `need` more bytes.
    fn ask(&mut self, need: u64, demand: SendDemand<'_>) -> Result<(), Lost> {
        let need = self.received.saturating_add(need.max(1));
        if need > self.demanded {
            demand(Demand { need, window: need.max(self.received.saturating_add(WINDOW)) })?;
            self.demanded = need;
        }
        Ok(())
    }
}

/// Receives at least one byte past the inbox.
fn receive_straight(socket: BorrowedFd<'_>, room: &mut [u8]) -> Result<usize, Lost> {
    loop {
        match socket::receive_bytes(socket, room, false) {
            Ok(0) => return Err(Lost::End),
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket::wait_for(socket, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
