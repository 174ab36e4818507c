//! Waiting until any of many sockets is closed by its peer; what they receive wakes nobody.
//!
//! *Runs in:* worker. *Threads:* any; each end goes to one of those that take.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Ends taken at once.
const BATCH: usize = 16;

/// A set of sockets that are watched for their ends. Its descriptor can be read while there are
/// some to be taken.
#[derive(Debug)]
pub struct Hangups(Epoll);

impl Hangups {
    /// An empty set, close-on-exec.
    ///
    /// # Errors
    /// The process has no descriptor or memory left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches a socket for its end, which [`Hangups::take`] names by `token`, once.
    ///
    /// # Errors
    /// The socket is watched already, or the kernel is out of memory.
    pub fn add(&self, socket: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let end = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLONESHOT;
        Ok(self.0.add(socket, EpollEvent::new(end, token))?)
    }

    /// Watches it no longer.
    pub fn remove(&self, socket: BorrowedFd<'_>) {
        // One that was not watched is not watched now.
        let _ = self.0.delete(socket);
    }

    /// The tokens of sockets that have ended, if any have; does not wait.
    ///
    /// # Errors
    /// The set is unusable.
    pub fn take(&self) -> io::Result<impl Iterator<Item = u64> + use<>> {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = match self.0.wait(&mut events, EpollTimeout::ZERO) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(events.into_iter().take(count).map(|event| event.data()))
    }
}

impl AsFd for Hangups {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::IoSlice;
    use std::time::Duration;

    use super::*;
    use crate::socket;

    #[test]
    fn each_end_is_told_once_and_data_never() {
        let hangups = Hangups::new().unwrap();
        let taken = || hangups.take().unwrap().collect::<Vec<_>>();
        let can_be_read = || socket::wait_for(hangups.as_fd(), Some(Duration::ZERO)).unwrap();
        let (one, other) = socket::stream_pair().unwrap();
        let (third, fourth) = socket::stream_pair().unwrap();
        let (_fifth, sixth) = socket::stream_pair().unwrap();
        for (token, socket) in [(1, &other), (2, &fourth), (3, &sixth)] {
            hangups.add(socket.as_fd(), token).unwrap();
        }
        socket::send(one.as_fd(), &[IoSlice::new(b"x")], &[], true).unwrap();
        assert!(!can_be_read() && taken().is_empty());
        drop(one);
        assert!(can_be_read());
        assert_eq!(taken(), [1]);
        assert!(!can_be_read() && taken().is_empty());
        hangups.remove(fourth.as_fd());
        drop(third);
        assert!(!can_be_read() && taken().is_empty());
    }
}
