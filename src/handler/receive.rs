//! Receives what the worker answers, record by record, until END.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use wsgi_proto::channel::{Demand, End, FLAG_MORE, File, Kind, Log, write_cancel};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::deframe::{self, Next};
use wsgi_sys::lanes::{Beside, Lane, PATIENCE, Waited};
use wsgi_sys::socket;

use super::reserve::Slot;
use super::respond::Response;
use super::send::Problem;
use super::target::Target;
use super::upload::Upload;
use crate::apache::brigade::Then;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;

/// First receive buffer: holds a small response whole.
const SMALL: usize = 16 * 1024;

/// Receive buffer once a response has proved to be larger.
const LARGE: usize = 512 * 1024;

/// Pieces of the body that are passed on together.
const PIECES: usize = 32;

/// How often the clock and the client are looked at while something else is waited for.
const TICK: Duration = Duration::from_secs(1);

/// How long a worker has to come to its END after the client left. Then its
/// channel is replaced, and the httpd thread is free.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// The receiving side of one exchange.
#[derive(Debug)]
pub(super) struct Receiver<'x> {
    slot: &'x Slot<'x>,
    /// Where the request may lie yet and the response may come, until something has come.
    beside: Option<&'x Beside>,
    request: Request<'x>,
    socket_timeout: Duration,
    /// response-flush-delay.
    flush_delay: Duration,
    /// Body was passed on without a flush, which is due when nothing follows.
    unflushed: bool,
    buffer: &'x mut Vec<u8>,
    /// Received and not yet consumed: `start..end` of the buffer.
    start: usize,
    end: usize,
    /// Bytes of a DATA record's payload still to come, and its flags.
    data_left: usize,
    data_more: bool,
    descriptors: VecDeque<OwnedFd>,
    /// Nothing has come, and the request went out without a body: another process may have it.
    is_repeatable: bool,
    /// The worker has sent something, and may have sent more.
    has_begun: bool,
    last_received: Instant,
    cancelled: Option<Instant>,
}

/// Whether the records in the buffer ended the exchange.
enum Progress {
    More,
    Ended(End),
}

impl<'x> Receiver<'x> {
    pub(super) fn new(
        slot: &'x Slot<'_>,
        has_body: bool,
        request: Request<'x>,
        target: &Target<'_>,
        buffer: &'x mut Vec<u8>,
    ) -> Self {
        if buffer.len() < SMALL {
            buffer.resize(SMALL, 0);
        }
        Self {
            slot,
            beside: slot.channel().beside().filter(|_| !has_body),
            request,
            socket_timeout: target.limits.socket,
            flush_delay: target.limits.flush_delay,
            unflushed: false,
            buffer,
            start: 0,
            end: 0,
            data_left: 0,
            data_more: false,
            descriptors: VecDeque::new(),
            is_repeatable: !has_body,
            has_begun: false,
            last_received: Instant::now(),
            cancelled: None,
        }
    }

    /// Runs the exchange to its END.
    ///
    /// # Errors
    /// The channel failed: it must not be used again.
    pub(super) fn run(
        mut self,
        upload: &mut Upload<'_>,
        response: &mut Response<'_>,
    ) -> Result<End, Problem> {
        loop {
            // A client that has to read first may not send before it has.
            if upload.is_unsent() || response.waiting().is_none() {
                self.upload(upload)?;
            }
            if !self.receive_by_lane() {
                self.receive(response)?;
            }
            if let Progress::Ended(end) = self.consume(upload, response)? {
                if self.start != self.end || !self.descriptors.is_empty() {
                    return Err(Problem::Malformed("records after END".into()));
                }
                // The worker waits for its next REQUEST now: it reads what crossed
                // its END.
                upload.flush(self.slot.channel().socket())?;
                return Ok(end);
            }
        }
    }

    /// Goes on with the body until the worker has said something: sends the rest of a
    /// record that the channel did not take at once, as the worker may wait for it, and
    /// what the client has sent meanwhile, up to what the worker asked for.
    fn upload(&mut self, upload: &mut Upload<'_>) -> Result<(), Problem> {
        let channel = self.slot.channel().socket();
        loop {
            let (readable, progress) = if upload.is_unsent() {
                let (readable, writable) = socket::wait_either(channel, TICK)?;
                if writable {
                    upload.try_flush(channel)?;
                }
                (readable, writable)
            } else if upload.wants_more()
                && let Some((readable, client)) = self.request.wait_for_body(channel, TICK)
            {
                if client && !readable {
                    upload.press_on(channel)?;
                }
                (readable, client)
            } else {
                return Ok(());
            };
            if readable {
                return Ok(());
            }
            if !progress {
                self.tick()?;
            }
        }
    }

    /// Before the client is waited for it gets what waits for it: it may send no more
    /// before it has read that.
    fn serve_reader(
        &mut self,
        upload: &mut Upload<'_>,
        response: &mut Response<'_>,
        demand: Demand,
    ) -> Result<(), Problem> {
        while upload.lacks(demand)
            && self.cancelled.is_none()
            && let Some(outlet) = response.waiting()
        {
            let Some((sends, reads)) = self.request.wait_for_client(TICK) else {
                outlet.finish();
                return Ok(());
            };
            if reads && !outlet.drain() {
                self.cancel()?;
            }
            if sends && !upload.advance(self.slot.channel().socket(), demand)? {
                return Ok(());
            }
            if !sends && !reads {
                self.tick()?;
            }
        }
        Ok(())
    }

    /// Waits for the response where a small one comes; false if it comes by the socket.
    fn receive_by_lane(&mut self) -> bool {
        let Some(beside) = self.beside else { return false };
        match beside.lane.wait(self.buffer, PATIENCE) {
            Waited::Answered(length) => {
                self.has_come(length);
                true
            }
            Waited::BySocket => false,
        }
    }

    /// So many bytes more have come.
    fn has_come(&mut self, length: usize) {
        self.end += length;
        self.beside = None;
        self.is_repeatable = false;
        self.has_begun = true;
    }

    /// The channel has ended. A request that lies in the lane yet was never begun, nor one that
    /// lay in the socket: then the kernel says that the channel was reset.
    fn ended(&self, reset: bool) -> Problem {
        let lane = self.beside.map(|beside| &beside.lane);
        let untaken = reset || lane.is_some_and(Lane::is_offered);
        if self.is_repeatable && untaken { Problem::Unsent } else { Problem::Died }
    }

    /// One successful receive. At each tick the clock and the client are looked at.
    fn receive(&mut self, response: &mut Response<'_>) -> Result<(), Problem> {
        self.make_room();
        loop {
            if self.cancelled.is_some_and(|since| since.elapsed() >= CANCEL_PATIENCE) {
                return Err(Problem::ClientGone);
            }
            if let Some(outlet) = response.waiting().filter(|_| self.cancelled.is_none()) {
                let channel = self.slot.channel().socket();
                let (readable, client) = self.request.wait_with_client(channel, TICK);
                if client && !outlet.drain() {
                    self.cancel()?;
                }
                if !readable {
                    if !client {
                        self.tick()?;
                    }
                    continue;
                }
            }
            let channel = self.slot.channel().socket();
            if self.unflushed && !socket::wait_for(channel, Some(self.flush_delay))? {
                self.unflushed = false;
                if !response.body(std::iter::empty(), Then::Flush) {
                    self.cancel()?;
                }
            }
            // Before its first record the worker has to wake up.
            if !self.has_begun && !socket::wait_for(channel, Some(TICK))? {
                self.tick()?;
                continue;
            }
            match socket::receive(channel, &mut self.buffer[self.end..], false) {
                Ok(received) if received.length == 0 => return Err(self.ended(false)),
                Ok(received) if received.truncated => {
                    return Err(Problem::Malformed("too many descriptors".into()));
                }
                Ok(received) => {
                    self.has_come(received.length);
                    self.descriptors.extend(received.descriptors);
                    self.last_received = Instant::now();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.has_begun = false,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(self.ended(true));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn tick(&mut self) -> Result<(), Problem> {
        if self.cancelled.is_none() && self.request.client_is_gone() {
            self.cancel()?;
        }
        if self.last_received.elapsed() >= self.socket_timeout {
            return Err(Problem::Timeout);
        }
        Ok(())
    }

    /// Tells the worker that nobody wants the response any more.
    fn cancel(&mut self) -> Result<(), Problem> {
        self.cancelled = Some(Instant::now());
        self.is_repeatable = false;
        let record = write_cancel();
        let sent =
            socket::send(self.slot.channel().socket(), &[io::IoSlice::new(&record)], &[], false);
        match sent {
            Ok(HEAD_LEN) => Ok(()),
            _ => Err(Problem::ClientGone),
        }
    }

    /// Moves what is left to the front, and grows the buffer if a record needs it
    /// or the response has filled it.
    fn make_room(&mut self) {
        let was_full = self.end == self.buffer.len();
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if was_full {
            let doubled = (self.end * 2).max(LARGE);
            if self.buffer.len() < LARGE || self.end == self.buffer.len() {
                self.buffer.resize(doubled, 0);
            }
        }
    }

    /// Handles all records that are whole, and what is there of a DATA record.
    fn consume(
        &mut self,
        upload: &mut Upload<'_>,
        response: &mut Response<'_>,
    ) -> Result<Progress, Problem> {
        let mut pieces: Vec<Range<usize>> = Vec::with_capacity(PIECES);
        let mut more = false;
        loop {
            if self.data_left > 0 && self.start < self.end {
                let length = self.data_left.min(self.end - self.start);
                pieces.push(self.start..self.start + length);
                self.start += length;
                self.data_left -= length;
                more = self.data_more || self.data_left > 0;
            }
            if self.data_left > 0 {
                break;
            }
            let front = &self.buffer[self.start..self.end];
            let (kind, flags, payload) = match deframe::next(front)? {
                Next::NeedMore => break,
                Next::Partial { kind: Kind::Data, flags, length, .. } => {
                    self.start += HEAD_LEN;
                    self.data_left = length;
                    self.data_more = flags & FLAG_MORE != 0;
                    response.expect_data()?;
                    more = true;
                    if self.start == self.end {
                        break;
                    }
                    continue;
                }
                Next::Partial { .. } => break,
                Next::Complete { kind, flags, payload, .. } => (kind, flags, payload),
            };
            let begin = self.start + HEAD_LEN;
            let payload = begin..begin + payload.len();
            self.start = payload.end;
            match kind {
                Kind::Data => {
                    response.expect_data()?;
                    more = flags & FLAG_MORE != 0;
                    pieces.push(payload);
                    if pieces.len() == PIECES {
                        self.pass(&mut pieces, response, Then::Hold)?;
                    }
                }
                Kind::End => {
                    let end = End::read(&self.buffer[payload])?;
                    self.pass(&mut pieces, response, response.last(end.outcome))?;
                    return Ok(Progress::Ended(end));
                }
                Kind::Head => response.head(&self.buffer[payload])?,
                Kind::Demand => {
                    let demand = Demand::read(&self.buffer[payload])?;
                    self.pass(&mut pieces, response, Then::Flush)?;
                    self.serve_reader(upload, response, demand)?;
                    upload.meet(self.slot.channel().socket(), demand)?;
                    self.last_received = Instant::now();
                }
                Kind::File => {
                    let file = File::read(&self.buffer[payload])?;
                    let descriptor = self.descriptors.pop_front();
                    response.file(file, descriptor)?;
                }
                Kind::Log => log(self.request, Log::read(&self.buffer[payload])?),
                Kind::Request | Kind::Body | Kind::BodyEnd | Kind::Cancel => {
                    return Err(Problem::Malformed(format!("a {kind:?} record")));
                }
            }
        }
        self.unflushed |= !more && !self.flush_delay.is_zero() && !pieces.is_empty();
        let then = if more || self.unflushed { Then::Hold } else { Then::Flush };
        self.pass(&mut pieces, response, then)?;
        Ok(Progress::More)
    }

    /// Passes pieces of the body on. A client that is gone turns the rest of the
    /// exchange into waiting for END.
    fn pass(
        &mut self,
        pieces: &mut Vec<Range<usize>>,
        response: &mut Response<'_>,
        then: Then,
    ) -> Result<(), Problem> {
        let ends = matches!(then, Then::End | Then::BreakOff);
        if (pieces.is_empty() && !ends) || self.cancelled.is_some() {
            pieces.clear();
            return Ok(());
        }
        let buffer = &self.buffer;
        let alive = response.body(pieces.iter().map(|piece| &buffer[piece.clone()]), then);
        pieces.clear();
        if !alive && !ends {
            self.cancel()?;
        }
        Ok(())
    }
}

/// An entry of the application in the request's log. Lines become entries, and
/// httpd escapes control characters.
pub(super) fn log(request: Request<'_>, log: Log<'_>) {
    let level = Level::from_u8(log.level);
    for line in String::from_utf8_lossy(log.text).lines() {
        request.log(level, line);
    }
}
