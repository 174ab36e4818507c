//! A socket that is found by its path, for administrators.
//!
//! *Runs in:* supervisor (listens), wsgictl (connects). *Threads:* [`Listener::open`]
//! changes the umask for a moment, so no other thread may make files meanwhile.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt,
    listen, socket,
};
use nix::sys::stat::{Mode, umask};

use crate::socket::Credentials;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;

/// A listening seqpacket socket. Its path is removed with it.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Listens at the path, which only the owner may connect to. What a killed
    /// process has left there is removed.
    ///
    /// # Errors
    /// `AddrInUse` if somebody listens there, or if it is no socket; `InvalidInput`
    /// if the path is longer than about 100 bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let address = UnixAddr::new(path)?;
        if let Ok(found) = fs::symlink_metadata(path) {
            let refused = found.file_type().is_socket()
                && connect_to(path, true).is_err_and(|error| {
                    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ENOENT))
                });
            if !refused {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            fs::remove_file(path)?;
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind(socket.as_raw_fd(), &address);
        umask(before);
        bound?;
        let inode = fs::symlink_metadata(path)?.ino();
        let listener = Self { socket, path: path.to_owned(), inode };
        listen(&listener.socket, Backlog::new(BACKLOG)?)?;
        Ok(listener)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that waits, and who made it.
    ///
    /// # Errors
    /// `WouldBlock` if none waits.
    pub fn accept(&self) -> io::Result<(OwnedFd, Credentials)> {
        let raw = accept4(self.socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
        // SAFETY: a descriptor that the kernel has just made for us.
        let connection = unsafe { OwnedFd::from_raw_fd(raw) };
        let peer = peer(connection.as_fd())?;
        Ok((connection, peer))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Not what somebody else has put there meanwhile.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A connection to a [`Listener`].
///
/// # Errors
/// Nobody listens, or the caller may not connect.
pub fn connect_by_path(path: &Path) -> io::Result<OwnedFd> {
    connect_to(path, false)
}

/// Who is at the other end: who connected, or who listened.
///
/// # Errors
/// It is no socket of this kind.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let found = getsockopt(&socket, PeerCredentials)?;
    Ok(Credentials { pid: found.pid(), uid: found.uid(), gid: found.gid() })
}

fn connect_to(path: &Path, at_once: bool) -> io::Result<OwnedFd> {
    let mut flags = SockFlag::SOCK_CLOEXEC;
    flags.set(SockFlag::SOCK_NONBLOCK, at_once);
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_owner_may_connect_and_the_kernel_says_who_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = Listener::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let ours = connect_by_path(&path).unwrap();
        let (theirs, who) = listener.accept().unwrap();
        assert_eq!(who.pid.cast_unsigned(), std::process::id());
        assert_eq!(peer(ours.as_fd()).unwrap(), who);
        drop(theirs);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_was_left_is_taken_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = Listener::open(&path).unwrap();
        assert_eq!(Listener::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // As if it had been killed.
        let kept = folder.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        drop(first);
        fs::rename(&kept, &path).unwrap();
        let second = Listener::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        drop(second);
        assert_eq!(Listener::open(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert!(Listener::open(&folder.path().join("x".repeat(200))).is_err());
    }
}
