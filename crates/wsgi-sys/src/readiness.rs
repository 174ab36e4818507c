//! Waiting for many descriptors at once, each of which wakes one waiter, once.
//!
//! *Runs in:* worker. *Threads:* any; each event goes to one of those that wait.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Events taken by one wait.
const BATCH: usize = 16;

/// A set of descriptors that are watched for something to read, or their end.
#[derive(Debug)]
pub struct Readiness {
    set: Epoll,
    /// Of which each change is an event.
    nudge: EventFd,
}

/// The token of a nudge, which no descriptor has.
const NUDGE: u64 = u64::MAX;

impl Readiness {
    /// An empty set, close-on-exec.
    ///
    /// # Errors
    /// The process has no descriptor or memory left.
    pub fn new() -> io::Result<Self> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let nudge = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        set.add(&nudge, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, NUDGE))?;
        Ok(Self { set, nudge })
    }

    /// Wakes one waiter, now or when it comes, without a token.
    pub fn nudge(&self) {
        // It fails only after 2^64 nudges.
        let _ = self.nudge.write(1);
    }

    /// Watches a descriptor for one event, which [`Readiness::wait`] names by `token`.
    ///
    /// # Errors
    /// The descriptor is watched already, or the kernel is out of memory.
    pub fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.set.add(descriptor, once(token))?)
    }

    /// Watches it for one event more; what is there to be read already counts.
    ///
    /// # Errors
    /// The descriptor is not watched.
    pub fn rearm(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.set.modify(descriptor, &mut once(token))?)
    }

    /// Watches it no longer.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        // One that was not watched is not watched now.
        let _ = self.set.delete(descriptor);
    }

    /// Waits at most that long, or without limit, and returns the tokens of what can be read. None
    /// at all if a signal came, or a nudge.
    ///
    /// # Errors
    /// The set is unusable.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<impl Iterator<Item = u64> + use<>> {
        let limit = limit.map_or(Ok(EpollTimeout::NONE), EpollTimeout::try_from);
        let limit = limit.unwrap_or(EpollTimeout::MAX);
        let mut events = [EpollEvent::empty(); BATCH];
        let count = match self.set.wait(&mut events, limit) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let tokens = events.into_iter().take(count).map(|event| event.data());
        Ok(tokens.filter(|&token| token != NUDGE))
    }
}

fn once(token: u64) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLONESHOT, token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    use super::*;
    use crate::socket;

    #[test]
    fn each_descriptor_is_named_once_until_it_is_armed_again() {
        let readiness = Readiness::new().unwrap();
        let (one, other) = socket::stream_pair().unwrap();
        let (third, fourth) = socket::stream_pair().unwrap();
        readiness.add(other.as_fd(), 1).unwrap();
        readiness.add(fourth.as_fd(), 2).unwrap();
        socket::send(one.as_fd(), &[IoSlice::new(b"x")], &[], true).unwrap();
        assert_eq!(readiness.wait(None).unwrap().collect::<Vec<_>>(), [1]);
        drop(third);
        assert_eq!(readiness.wait(None).unwrap().collect::<Vec<_>>(), [2]);
        readiness.rearm(other.as_fd(), 1).unwrap();
        assert_eq!(readiness.wait(None).unwrap().collect::<Vec<_>>(), [1]);
        readiness.nudge();
        assert_eq!(readiness.wait(None).unwrap().count(), 0);
        readiness.nudge();
        assert_eq!(readiness.wait(None).unwrap().count(), 0);
        readiness.remove(other.as_fd());
        assert!(readiness.rearm(other.as_fd(), 1).is_err());
    }
}
