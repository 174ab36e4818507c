//! Descriptors that a program was started with.
//!
//! *Runs in:* supervisor.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Takes ownership of a descriptor that was inherited over exec, and makes it
/// close-on-exec.
///
/// # Errors
/// `EBADF` if nothing is open there; `InvalidInput` for a descriptor that was
/// not inherited, or was taken before.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: asks about a number; harmless whatever it stands for.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if number <= 2 || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: sets a flag of an open descriptor.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nobody owns it: what this program opened itself is
    // close-on-exec, as is what was taken here before, and both were refused.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::inherited;

    #[test]
    fn what_the_program_opened_itself_is_refused() {
        let file = File::open("/dev/null").expect("/dev/null");
        assert!(inherited(file.as_raw_fd()).is_err());
        assert!(inherited(0).is_err());
        assert!(inherited(1_000_000).is_err());
    }
}
