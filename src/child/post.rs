//! A child's way to the supervisor: registration, questions, and what if the supervisor ends.
//!
//! *Runs in:* httpd child. *Threads:* whichever needs something asks; the others wait for it, or
//! do without.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wsgi_proto::VERSION;
use wsgi_proto::limits::MAX_DATAGRAM;
use wsgi_proto::mailbox::{Register, ToChild, ToSupervisor};
use wsgi_sys::socket;

use super::{Child, LinkError};

/// Longest wait for the mailbox to take a datagram before it is tried again.
const MAILBOX_RETRY: Duration = Duration::from_millis(20);

/// The private socket to the supervisor, once the child is registered.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    sequence: u32,
}

/// How the child and the supervisor speak to each other.
#[derive(Debug, Default)]
pub(super) struct Post {
    link: Option<Link>,
    /// A registration that was not answered yet.
    pending: Option<OwnedFd>,
}

impl Child {
    pub(super) fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what needs no answer. It may be lost with the supervisor: its successor
    /// finds out by itself.
    pub(super) fn tell(&self, message: &ToSupervisor) {
        let post = self.post();
        if let (Some(link), Ok(datagram)) = (post.link.as_ref(), message.encode()) {
            let _ = socket::send(link.socket.as_fd(), &[io::IoSlice::new(&datagram)], &[], false);
        }
    }

    /// Asks a question and waits for its answer. A supervisor that ended meanwhile
    /// is followed by another: the question is asked again, until the deadline.
    pub(super) fn ask(
        &self,
        question: impl Fn(u32) -> ToSupervisor,
        deadline: Instant,
    ) -> Result<(ToChild, Vec<OwnedFd>), LinkError> {
        let mut post = self.post();
        loop {
            let link = self.connected(&mut post, deadline)?;
            link.sequence = link.sequence.wrapping_add(1);
            let sequence = link.sequence;
            let datagram = question(sequence)
                .encode()
                .map_err(|_| LinkError::Refused("question too long".into()))?;
            let sent = send_until(link.socket.as_fd(), &datagram, &[], deadline).and_then(|()| {
                loop {
                    let (answer, descriptors) = receive_until(link.socket.as_fd(), deadline)?;
                    if sequence_of(&answer) == Some(sequence) {
                        break Ok((answer, descriptors));
                    }
                }
            });
            match sent {
                Ok((ToChild::Refused(refused), _)) => {
                    return Err(LinkError::Refused(refused.reason));
                }
                Ok(answer) => return Ok(answer),
                Err(LinkError::Io(_)) if Instant::now() < deadline => post.link = None,
                Err(error) => return Err(error),
            }
        }
    }

    /// The link, registered anew if the supervisor has closed the last one.
    pub(super) fn connected<'p>(
        &self,
        post: &'p mut Post,
        deadline: Instant,
    ) -> Result<&'p mut Link, LinkError> {
        let void = self.lease.load(Ordering::Relaxed) == 0;
        post.link.take_if(|link| void || is_closed(link.socket.as_fd()));
        while post.link.is_none() {
            let asked = post.pending.take().map_or_else(|| self.introduce(deadline), Ok);
            match asked.and_then(|socket| self.registered(socket, deadline)) {
                Ok(link) => post.link = Some(link),
                // The supervisor died over it: its successor reads the same mailbox.
                Err(LinkError::Io(_)) if Instant::now() < deadline => {
                    std::thread::sleep(MAILBOX_RETRY);
                }
                Err(error) => return Err(error),
            }
        }
        post.link.as_mut().ok_or(LinkError::Unexpected)
    }

    /// Registers with the successor of a supervisor that has ended, without waiting for it: what
    /// runs already needs no supervisor. Called again until there is an answer.
    pub(super) fn renew(&self, post: &mut Post) {
        if post.link.as_ref().is_some_and(|link| !is_closed(link.socket.as_fd())) {
            return;
        }
        post.link = None;
        let now = Instant::now();
        if post.pending.is_none() {
            post.pending = self.introduce(now).ok();
        }
        let answered = |socket: &OwnedFd| {
            let ready = socket::wait_readable(&[socket.as_fd()], Some(Duration::ZERO));
            ready.is_ok_and(|ready| ready.first().copied().unwrap_or(false))
        };
        if let Some(socket) = post.pending.take_if(|socket| answered(socket)) {
            post.link = self.registered(socket, now).ok();
        }
    }

    /// Sends a registration; returns where its answer comes.
    fn introduce(&self, deadline: Instant) -> Result<OwnedFd, LinkError> {
        let (ours, theirs) = socket::seqpacket_pair()?;
        let datagram = ToSupervisor::Register(Register {
            version: VERSION,
            generation: self.generation,
            lease: self.lease.load(Ordering::Relaxed),
        })
        .encode()
        .map_err(|_| LinkError::Unexpected)?;
        send_until(self.mailbox.as_fd(), &datagram, &[theirs.as_raw_fd()], deadline)?;
        Ok(ours)
    }

    fn registered(&self, socket: OwnedFd, deadline: Instant) -> Result<Link, LinkError> {
        match receive_until(socket.as_fd(), deadline)? {
            (ToChild::Registered(registered), _) => {
                self.lease.store(registered.lease, Ordering::Relaxed);
                Ok(Link { socket, sequence: 0 })
            }
            (ToChild::Refused(refused), _) => Err(LinkError::Refused(refused.reason)),
            _ => Err(LinkError::Unexpected),
        }
    }
}

fn sequence_of(answer: &ToChild) -> Option<u32> {
    match answer {
        ToChild::Registered(_) => None,
        ToChild::Pool(pool) => Some(pool.sequence),
        ToChild::Channel(channel) => Some(channel.sequence),
        ToChild::Refused(refused) => Some(refused.sequence),
    }
}

/// Whether the peer has closed a socket from which nothing is expected.
fn is_closed(socket: BorrowedFd<'_>) -> bool {
    let mut datagram = [0; 64];
    match socket::receive(socket, &mut datagram, false) {
        Ok(received) => received.length == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Sends a datagram without ever blocking for longer than the deadline.
fn send_until(
    socket: BorrowedFd<'_>,
    datagram: &[u8],
    descriptors: &[i32],
    deadline: Instant,
) -> Result<(), LinkError> {
    loop {
        match socket::send(socket, &[io::IoSlice::new(datagram)], descriptors, false) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= deadline {
                    return Err(LinkError::Timeout);
                }
                // The queue is full: its reader is behind. There is no event for a
                // datagram queue that has room again, so look again soon.
                std::thread::sleep(MAILBOX_RETRY);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn receive_until(
    socket: BorrowedFd<'_>,
    deadline: Instant,
) -> Result<(ToChild, Vec<OwnedFd>), LinkError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if !socket::wait_readable(&[socket], Some(left))?.first().copied().unwrap_or(false) {
        return Err(LinkError::Timeout);
    }
    let mut datagram = [0; 4096];
    debug_assert!(datagram.len() <= MAX_DATAGRAM as usize);
    let received = socket::receive(socket, &mut datagram, false)?;
    if received.length == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let answer = datagram
        .get(..received.length)
        .filter(|_| !received.truncated)
        .and_then(|datagram| ToChild::decode(datagram).ok())
        .ok_or(LinkError::Unexpected)?;
    Ok((answer, received.descriptors))
}
