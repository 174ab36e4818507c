//! What the kernel says of a request's client.

use std::ffi::{c_int, c_short};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::time::Duration;

use super::request::Request;
use super::sys;

impl Request<'_> {
    /// Whether the connection is dead: a write has failed, or the kernel says so. The
    /// end of what the client sends is no sign of it, as it may have closed its side
    /// only. Requests of HTTP/2 have no socket of their own.
    pub(crate) fn client_is_gone(self) -> bool {
        let Some(client) = self.client_descriptor() else { return self.is_aborted() };
        let mut asked = libc::pollfd { fd: client, events: 0, revents: 0 };
        // SAFETY: one record, and no waiting.
        let answered = unsafe { libc::poll(&raw mut asked, 1, 0) } == 1;
        self.is_aborted() || answered && asked.revents & (libc::POLLERR | libc::POLLHUP) != 0
    }

    /// Whether the client's socket takes more without waiting. A connection without a
    /// socket of its own (HTTP/2) always does: httpd buffers for it.
    pub(crate) fn client_takes_more(self) -> bool {
        self.poll_client(libc::POLLOUT, None, 0).1
    }

    /// Waits until a channel can be read or the client's socket takes more: which of
    /// both is the case.
    pub(crate) fn wait_with_client(
        self,
        channel: BorrowedFd<'_>,
        timeout: Duration,
    ) -> (bool, bool) {
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        self.poll_client(libc::POLLOUT, Some(channel), timeout)
    }

    /// Waits until a channel can be read or the client's socket has more of the request:
    /// which of both is the case. None under HTTP/2, where nobody can tell.
    pub(crate) fn wait_for_body(
        self,
        channel: BorrowedFd<'_>,
        timeout: Duration,
    ) -> Option<(bool, bool)> {
        self.client_descriptor()?;
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        Some(self.poll_client(libc::POLLIN, Some(channel), timeout))
    }

    /// Waits until the client's socket has more of the request or takes more of the
    /// response: which of both is the case. None under HTTP/2.
    pub(crate) fn wait_for_client(self, timeout: Duration) -> Option<(bool, bool)> {
        let client = self.client_descriptor()?;
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let mut asked =
            libc::pollfd { fd: client, events: libc::POLLIN | libc::POLLOUT, revents: 0 };
        // SAFETY: one record.
        let ready = unsafe { libc::poll(&raw mut asked, 1, timeout) } > 0;
        let events = if ready { asked.revents } else { 0 };
        Some((events & !libc::POLLOUT != 0, events & libc::POLLOUT != 0))
    }

    /// Polls a channel for input and the client's socket for `events`.
    fn poll_client(
        self,
        events: c_short,
        channel: Option<BorrowedFd<'_>>,
        timeout: c_int,
    ) -> (bool, bool) {
        let Some(client) = self.client_descriptor() else { return (channel.is_some(), true) };
        let channel = channel.map_or(-1, |channel| channel.as_raw_fd());
        let mut asked = [
            libc::pollfd { fd: channel, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: client, events, revents: 0 },
        ];
        // SAFETY: two records; negative descriptors are passed over.
        let ready = unsafe { libc::poll(asked.as_mut_ptr(), 2, timeout) } > 0;
        (ready && asked[0].revents != 0, ready && asked[1].revents != 0)
    }

    /// How long a write to the client may stall while the returned value lives. None under
    /// HTTP/2, whose requests have no socket of their own.
    pub(crate) fn wait_for_client_at_most(self, timeout: Duration) -> Option<ClientPatience> {
        if !self.connection_field(|c| c.master).is_null() {
            return None;
        }
        // APR hands it to poll(2), as an int of milliseconds.
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let microseconds = i64::from(milliseconds) * 1_000;
        // SAFETY: the connection and its socket outlive the request.
        unsafe {
            let socket = NonNull::new(sys::ap_get_conn_socket(self.connection()))?;
            let mut before = 0;
            (sys::apr_socket_timeout_get(socket.as_ptr(), &raw mut before) == 0
                && sys::apr_socket_timeout_set(socket.as_ptr(), microseconds) == 0)
                .then_some(ClientPatience { socket, before })
        }
    }

    /// The client's socket; none under HTTP/2, whose requests have none of their own.
    fn client_descriptor(self) -> Option<RawFd> {
        if !self.connection_field(|c| c.master).is_null() {
            return None;
        }
        let mut descriptor: RawFd = -1;
        // SAFETY: the connection outlives the request, and its socket stays open until
        // httpd has ended the connection.
        unsafe {
            let socket = sys::ap_get_conn_socket(self.connection());
            (!socket.is_null() && sys::apr_os_sock_get(&raw mut descriptor, socket) == 0)
                .then_some(descriptor)
        }
    }
}

/// A limit for writes to a client, which ends with this value.
#[derive(Debug)]
pub(crate) struct ClientPatience {
    socket: NonNull<sys::apr_socket_t>,
    before: sys::apr_interval_time_t,
}

impl Drop for ClientPatience {
    fn drop(&mut self) {
        // SAFETY: dropped on the request's thread before the handler returns, so before the
        // connection ends.
        unsafe { sys::apr_socket_timeout_set(self.socket.as_ptr(), self.before) };
    }
}
