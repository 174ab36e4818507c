//! Socket pairs, and messages with descriptors and credentials.
//!
//! *Runs in:* parent, httpd child, supervisor, worker. *Threads:* every call
//! may come from any thread; two threads that read one stream split it.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::sockopt;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, recv, sendmsg,
    setsockopt, shutdown, socketpair,
};
use nix::sys::time::{TimeSpec, TimeVal};

/// Descriptors that [`receive`] takes from one message; more are closed and
/// reported as [`Received::truncated`].
pub const MAX_DESCRIPTORS: usize = 4;

/// Who sent a message, as the kernel says (`SCM_CREDENTIALS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process, as numbered in the receiver's pid namespace.
    pub pid: i32,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
}

/// A received message.
#[derive(Debug)]
pub struct Received {
    /// Bytes stored in the buffer; 0 at the end of the stream.
    pub length: usize,
    /// Descriptors, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// Sender, if [`pass_credentials`] was called on the socket.
    pub credentials: Option<Credentials>,
    /// The datagram or its descriptors did not fit; what fitted is here.
    pub truncated: bool,
}

/// A pair of connected stream sockets, close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::Stream)
}

/// A pair of connected seqpacket sockets, close-on-exec.
pub fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::SeqPacket)
}

/// A pair of connected datagram sockets, close-on-exec.
pub fn datagram_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SockType::Datagram)
}

fn pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Asks the kernel to attach the sender's [`Credentials`] to each message that
/// this socket receives (`SO_PASSCRED`).
pub fn pass_credentials(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::PassCred, &true)?)
}

/// Sets the buffers in bytes (`SO_SNDBUF`, `SO_RCVBUF`); 0 leaves one as it is.
/// Beyond the system's maximum where the process may go there, else up to it.
pub fn buffer_sizes(socket: BorrowedFd<'_>, send: u32, receive: u32) -> io::Result<()> {
    if send > 0 {
        let bytes = send as usize;
        setsockopt(&socket, sockopt::SndBufForce, &bytes)
            .or_else(|_| setsockopt(&socket, sockopt::SndBuf, &bytes))?;
    }
    if receive > 0 {
        let bytes = receive as usize;
        setsockopt(&socket, sockopt::RcvBufForce, &bytes)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &bytes))?;
    }
    Ok(())
}

/// How long a read blocks before it fails with `WouldBlock` (`SO_RCVTIMEO`).
/// Zero means the shortest wait there is; [`Duration::MAX`] means forever.
pub fn receive_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::ReceiveTimeout, &timeval(timeout))?)
}

/// How long a write blocks before it fails with `WouldBlock` (`SO_SNDTIMEO`).
/// Zero means the shortest wait there is; [`Duration::MAX`] means forever.
pub fn send_timeout(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SendTimeout, &timeval(timeout))?)
}

/// The kernel takes zero for "forever", the opposite of what a caller means
/// whose deadline is now.
fn timeval(timeout: Duration) -> TimeVal {
    const YEARS: Duration = Duration::from_secs(1 << 30);
    if timeout > YEARS {
        return TimeVal::new(0, 0);
    }
    let timeout = timeout.max(Duration::from_micros(1));
    TimeVal::new(timeout.as_secs().cast_signed(), i64::from(timeout.subsec_micros()))
}

/// One `sendmsg` of the parts in order, with descriptors; returns the bytes
/// taken, which may be fewer than given on a stream. Never raises SIGPIPE.
///
/// # Errors
/// `WouldBlock` if `!wait` and the buffer is full, or after [`send_timeout`];
/// `BrokenPipe` once the peer is gone. A signal does not end it.
pub fn send(
    socket: BorrowedFd<'_>,
    parts: &[io::IoSlice<'_>],
    descriptors: &[RawFd],
    wait: bool,
) -> io::Result<usize> {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let ancillary = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | waiting(wait);
    retry(|| sendmsg::<()>(socket.as_raw_fd(), parts, ancillary, flags, None))
}

/// One plain `recv`, for links that carry no descriptors: those that come
/// nevertheless are closed by the kernel. Returns 0 at the end of the stream.
///
/// # Errors
/// `WouldBlock` if `!wait` and nothing is there, or after [`receive_timeout`].
/// A signal does not end it.
pub fn receive_bytes(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
    retry(|| recv(socket.as_raw_fd(), buffer, waiting(wait)))
}

/// [`receive_bytes`] into memory that need not hold anything yet; as many bytes of it as
/// are returned do afterwards.
///
/// # Errors
/// As [`receive_bytes`].
pub fn receive_into(
    socket: BorrowedFd<'_>,
    room: &mut [mem::MaybeUninit<u8>],
    wait: bool,
) -> io::Result<usize> {
    retry(|| {
        let flags = waiting(wait).bits();
        // SAFETY: the kernel only writes to the room, which is as long as it is told.
        let received =
            unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
        nix::errno::Errno::result(received).map(isize::cast_unsigned)
    })
}

/// One `recvmsg`, with up to [`MAX_DESCRIPTORS`] descriptors and the sender.
///
/// # Errors
/// `WouldBlock` if `!wait` and nothing is there, or after [`receive_timeout`].
/// A signal does not end it.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> io::Result<Received> {
    // Not nix's recvmsg: once MSG_CTRUNC is set it refuses to list the control
    // messages, and the descriptors that did arrive would stay open for good.
    let mut control = Control([0; CONTROL_WORDS]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: msghdr is plain data, for which zeros are valid (also its padding
    // fields on musl).
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let flags = libc::MSG_CMSG_CLOEXEC | waiting(wait).bits();
    let length = retry(|| {
        // A call that failed may have changed these.
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the message points to the buffer and to the control space,
        // both alive and writable for the lengths given.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        nix::errno::Errno::result(received).map(isize::cast_unsigned)
    })?;
    // SAFETY: the kernel filled the message in, and its control space lives.
    let (mut descriptors, credentials) = unsafe { control_messages(&message) };
    // Without credentials there is room for more descriptors than promised.
    let truncated = message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0
        || descriptors.len() > MAX_DESCRIPTORS;
    descriptors.truncate(MAX_DESCRIPTORS);
    Ok(Received { length, descriptors, credentials, truncated })
}

/// Room for control messages, aligned as `cmsghdr` demands: one of descriptors
/// and one of credentials.
#[repr(C)]
struct Control([u64; CONTROL_WORDS]);
const CONTROL_WORDS: usize = 8;
#[allow(clippy::cast_possible_truncation)]
const _: () = {
    // SAFETY: CMSG_SPACE only calculates.
    let needed = unsafe {
        libc::CMSG_SPACE((MAX_DESCRIPTORS * size_of::<RawFd>()) as u32)
            + libc::CMSG_SPACE(size_of::<libc::ucred>() as u32)
    };
    assert!(CONTROL_WORDS * 8 >= needed as usize);
    assert!(align_of::<libc::cmsghdr>() <= align_of::<u64>());
};

/// # Safety
/// The message must be as a successful `recvmsg` left it, its control space
/// alive, and its descriptors not yet taken.
unsafe fn control_messages(message: &libc::msghdr) -> (Vec<OwnedFd>, Option<Credentials>) {
    let mut descriptors = Vec::new();
    let mut credentials = None;
    // SAFETY: as promised by the caller.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return aligned headers within
        // the control space, with their data behind them.
        let (kind, data, bytes) = unsafe {
            let data = libc::CMSG_DATA(header);
            let skipped = data.offset_from(header.cast::<u8>()).cast_unsigned();
            ((*header).cmsg_type, data, ((*header).cmsg_len as usize).saturating_sub(skipped))
        };
        if kind == libc::SCM_RIGHTS {
            for index in 0..bytes / size_of::<RawFd>() {
                // SAFETY: the kernel stored that many descriptors, each of them
                // open and nobody's but ours.
                descriptors.push(unsafe {
                    OwnedFd::from_raw_fd(ptr::read_unaligned(data.cast::<RawFd>().add(index)))
                });
            }
        } else if kind == libc::SCM_CREDENTIALS && bytes >= size_of::<libc::ucred>() {
            // SAFETY: the kernel stored a ucred there.
            let sender = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
            credentials = Some(Credentials { pid: sender.pid, uid: sender.uid, gid: sender.gid });
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    (descriptors, credentials)
}

/// Whoever reads from either end of the pair gets the end of the stream, and
/// whoever writes `BrokenPipe`; in every process that holds a descriptor.
pub fn shut_down(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(shutdown(socket.as_raw_fd(), Shutdown::Both)?)
}

/// Tells the peer that nothing more comes, whoever else holds this end.
///
/// # Errors
/// The socket is not connected.
pub fn hang_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(shutdown(socket.as_raw_fd(), Shutdown::Write)?)
}

/// Waits until a descriptor is readable, hung up or in error, and tells which
/// are. All false when the timeout (`None`: forever) has passed.
pub fn wait_readable(
    descriptors: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut polled: Vec<_> =
        descriptors.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    retry(|| {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        nix::poll::ppoll(&mut polled, left.map(TimeSpec::from_duration), None)
    })?;
    // Anything but "not a word": errors and hang-ups count as readable.
    Ok(polled.iter().map(|fd| fd.revents().is_none_or(|events| !events.is_empty())).collect())
}

/// Waits until a socket is readable, hung up or in error; false when the timeout
/// (`None`: forever) has passed. A reader had better wait here than in a receiving
/// call: Linux wakes whoever blocks there also when the peer has taken what was sent.
pub fn wait_for(socket: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut polled = [PollFd::new(socket, PollFlags::POLLIN)];
    let ready = retry(|| {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        nix::poll::ppoll(&mut polled, left.map(TimeSpec::from_duration), None)
    })?;
    Ok(ready > 0)
}

/// Waits until a socket can be read (or is hung up or in error) or written: which of
/// both. Neither when the timeout has passed.
pub fn wait_either(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<(bool, bool)> {
    let mut polled = [PollFd::new(socket, PollFlags::POLLIN | PollFlags::POLLOUT)];
    retry(|| nix::poll::ppoll(&mut polled, Some(TimeSpec::from_duration(timeout)), None))?;
    let events = polled[0].revents().unwrap_or(PollFlags::all());
    let writable = events.contains(PollFlags::POLLOUT);
    Ok((!(events - PollFlags::POLLOUT).is_empty(), writable))
}

fn waiting(wait: bool) -> MsgFlags {
    if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT }
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_socket_can_be_read_or_not_but_never_written() {
        let (one, other) = stream_pair().unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(wait_either(one.as_fd(), second).unwrap(), (false, true));
        let piece = [0; 65536];
        while send(one.as_fd(), &[IoSlice::new(&piece)], &[], false).is_ok() {}
        assert_eq!(wait_either(one.as_fd(), Duration::ZERO).unwrap(), (false, false));
        send(other.as_fd(), &[IoSlice::new(b"x")], &[], false).unwrap();
        assert_eq!(wait_either(one.as_fd(), second).unwrap(), (true, false));
        drop(other);
        assert!(wait_either(one.as_fd(), second).unwrap().0);
    }
    use std::fs::File;
    use std::io::{IoSlice, Read};

    #[test]
    fn parts_arrive_in_order_with_descriptors_and_credentials() {
        let (here, there) = seqpacket_pair().unwrap();
        pass_credentials(there.as_fd()).unwrap();
        let file = File::open("/proc/self/comm").unwrap();
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        let raw = [file.as_raw_fd(), file.as_raw_fd()];
        assert_eq!(send(here.as_fd(), &parts, &raw, true).unwrap(), 7);

        let mut buffer = [0; 16];
        let mut received = receive(there.as_fd(), &mut buffer, true).unwrap();
        assert_eq!(&buffer[..received.length], b"one two");
        assert!(!received.truncated);
        let sender = received.credentials.unwrap();
        assert_eq!(sender.pid.cast_unsigned(), std::process::id());
        assert_eq!(received.descriptors.len(), 2);
        let mut text = String::new();
        File::from(received.descriptors.remove(0)).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
    }

    #[test]
    fn too_many_descriptors_are_reported_and_those_received_are_owned() {
        let (here, there) = stream_pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let raw = [file.as_raw_fd(); 20];
        send(here.as_fd(), &[IoSlice::new(b"x")], &raw, true).unwrap();
        let received = receive(there.as_fd(), &mut [0; 8], true).unwrap();
        assert!(received.truncated);
        assert_eq!(received.descriptors.len(), MAX_DESCRIPTORS);
    }

    #[test]
    fn a_datagram_longer_than_the_buffer_is_truncated() {
        let (here, there) = datagram_pair().unwrap();
        send(here.as_fd(), &[IoSlice::new(b"long text")], &[], true).unwrap();
        let received = receive(there.as_fd(), &mut [0; 4], true).unwrap();
        assert_eq!((received.length, received.truncated), (4, true));
    }

    #[test]
    fn nothing_blocks_when_told_not_to() {
        let (here, there) = stream_pair().unwrap();
        let mut buffer = [0; 4];
        let empty = receive_bytes(there.as_fd(), &mut buffer, false).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        receive_timeout(there.as_fd(), Duration::ZERO).unwrap();
        assert!(receive_bytes(there.as_fd(), &mut buffer, true).is_err());
        buffer_sizes(here.as_fd(), 4096, 0).unwrap();
        let full = loop {
            if let Err(error) = send(here.as_fd(), &[IoSlice::new(&[0; 1024])], &[], false) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn shutting_down_ends_both_directions() {
        let (here, there) = stream_pair().unwrap();
        shut_down(there.as_fd()).unwrap();
        assert_eq!(receive_bytes(here.as_fd(), &mut [0; 4], true).unwrap(), 0);
        let gone = send(here.as_fd(), &[IoSlice::new(b"x")], &[], true).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn waiting_names_the_readable_ones() {
        let (here, there) = stream_pair().unwrap();
        let (quiet, _peer) = stream_pair().unwrap();
        let watched = [quiet.as_fd(), there.as_fd()];
        let short = Some(Duration::from_millis(5));
        assert_eq!(wait_readable(&watched, short).unwrap(), [false, false]);
        drop(here);
        assert_eq!(wait_readable(&watched, None).unwrap(), [false, true]);
    }
}
