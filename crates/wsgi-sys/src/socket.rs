//! Socket pairs, and messages with descriptors.
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Who sent a message, as the kernel says (`SCM_CREDENTIALS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials { /// pid
    pub pid: i32, /// uid
    pub uid: u32, /// gid
    pub gid: u32 }

/// A received message.
#[derive(Debug)]
pub struct Received { /// bytes stored in the buffer; 0 at the end of the stream
    pub length: usize, /// descriptors, close-on-exec
    pub descriptors: Vec<OwnedFd>, /// sender, if `pass_credentials` was called on the socket
    pub credentials: Option<Credentials>, /// the datagram or its descriptors did not fit (MSG_TRUNC or MSG_CTRUNC)
    pub truncated: bool }

/// A pair of connected stream sockets, close-on-exec.
pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> { todo!() }
/// A pair of connected seqpacket sockets, close-on-exec.
pub fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> { todo!() }
/// A pair of connected datagram sockets, close-on-exec.
pub fn datagram_pair() -> io::Result<(OwnedFd, OwnedFd)> { todo!() }
/// SO_PASSCRED
pub fn pass_credentials(_socket: BorrowedFd<'_>) -> io::Result<()> { todo!() }
/// SO_SNDBUF / SO_RCVBUF (uses the FORCE variants where allowed); 0 leaves as is
pub fn buffer_sizes(_socket: BorrowedFd<'_>, _send: u32, _receive: u32) -> io::Result<()> { todo!() }
/// SO_RCVTIMEO
pub fn receive_timeout(_socket: BorrowedFd<'_>, _timeout: Duration) -> io::Result<()> { todo!() }
/// SO_SNDTIMEO
pub fn send_timeout(_socket: BorrowedFd<'_>, _timeout: Duration) -> io::Result<()> { todo!() }
/// One sendmsg of the parts in order with descriptors; MSG_NOSIGNAL always, MSG_DONTWAIT if `!wait`. Retries EINTR.
pub fn send(_socket: BorrowedFd<'_>, _parts: &[io::IoSlice<'_>], _descriptors: &[RawFd], _wait: bool) -> io::Result<usize> { todo!() }
/// One recvmsg; up to 4 descriptors (MSG_CMSG_CLOEXEC). MSG_DONTWAIT if `!wait`. Retries EINTR.
pub fn receive(_socket: BorrowedFd<'_>, _buffer: &mut [u8], _wait: bool) -> io::Result<Received> { todo!() }
/// One plain recv (no descriptors), the fast path. Retries EINTR.
pub fn receive_bytes(_socket: BorrowedFd<'_>, _buffer: &mut [u8], _wait: bool) -> io::Result<usize> { todo!() }
/// shutdown(SHUT_RDWR): whoever reads from either end gets the end of the stream.
pub fn shut_down(_socket: BorrowedFd<'_>) -> io::Result<()> { todo!() }
/// poll(2) for input on each descriptor; returns which are ready (readable, hung up or in error).
pub fn wait_readable(_descriptors: &[BorrowedFd<'_>], _timeout: Option<Duration>) -> io::Result<Vec<bool>> { todo!() }
