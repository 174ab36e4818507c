//! Brigades: the response's body going out.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::NonNull;

use super::request::Request;
use super::sys;

/// What follows the pieces of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// More comes at once.
    Hold,
    /// More comes later: what came so far goes to the client now.
    Flush,
    /// The response is complete.
    End,
    /// The response broke off: the client must be able to tell.
    BreakOff,
}

/// A brigade of a request, emptied after each use.
pub(crate) struct Brigade<'r> {
    raw: NonNull<sys::apr_bucket_brigade>,
    request: Request<'r>,
    lifetime: PhantomData<&'r ()>,
}

impl fmt::Debug for Brigade<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brigade").finish_non_exhaustive()
    }
}

impl<'r> Brigade<'r> {
    /// A brigade in the request's pool.
    pub(crate) fn new(request: Request<'r>) -> Self {
        // SAFETY: pool and bucket allocator live at least as long as the request.
        let raw = unsafe { sys::apr_brigade_create(request.pool().raw(), request.bucket_alloc()) };
        let raw = NonNull::new(raw).unwrap_or_else(|| std::process::abort());
        Self { raw, request, lifetime: PhantomData }
    }

    /// Sends pieces of the body to the output filters. False if the client is gone or
    /// a filter failed.
    pub(crate) fn send(&mut self, pieces: &[&[u8]], then: Then) -> bool {
        let list = self.request.bucket_alloc();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let length = sys::apr_size_t::try_from(piece.len()).unwrap_or(0);
            // SAFETY: every filter that keeps a transient bucket copies it, and the
            // brigade is emptied below, while the pieces are still borrowed.
            self.append(unsafe {
                sys::apr_bucket_transient_create(piece.as_ptr().cast(), length, list)
            });
        }
        // SAFETY: the allocator lives as long as the connection, and the pool as long
        // as the request. 502 makes httpd's chunk filter leave out the last chunk, and
        // the end-of-connection bucket ends the connection (HTTP/2: resets the stream).
        unsafe {
            if then == Then::BreakOff {
                let pool = self.request.pool().raw();
                self.append(sys::ap_bucket_error_create(502, std::ptr::null(), pool, list));
                self.append(sys::ap_bucket_eoc_create(list));
            }
            match then {
                Then::Hold => {}
                Then::Flush => self.append(sys::apr_bucket_flush_create(list)),
                Then::End | Then::BreakOff => self.append(sys::apr_bucket_eos_create(list)),
            }
        }
        // SAFETY: the filters belong to the request.
        let status =
            unsafe { sys::ap_pass_brigade(self.request.output_filters(), self.raw.as_ptr()) };
        self.clear();
        status == 0 && !self.request.is_aborted()
    }

    /// Sends a part of a file by sendfile(2), as the whole body. False if the client is
    /// gone.
    pub(crate) fn send_file(&mut self, file: OwnedFd, offset: u64, length: u64) -> bool {
        let (Ok(offset), Ok(length)) = (i64::try_from(offset), usize::try_from(length)) else {
            return false;
        };
        let pool = self.request.pool().raw();
        let descriptor = file.into_raw_fd();
        // SAFETY: the descriptor goes over to the pool; pool and allocator live at least
        // as long as the request.
        let bucket = unsafe {
            let list = self.request.bucket_alloc();
            sys::wsgi_file_bucket(descriptor, offset, length, pool, list)
        };
        if bucket.is_null() {
            return false;
        }
        self.append(bucket);
        self.send(&[], Then::Flush)
    }

    fn append(&mut self, bucket: *mut sys::apr_bucket) {
        // SAFETY: `bucket` was just made from the request's allocator and is in no
        // other brigade.
        unsafe { sys::wsgi_brigade_append(self.raw.as_ptr(), bucket) };
    }

    fn clear(&mut self) {
        // SAFETY: the brigade is alive.
        unsafe { sys::apr_brigade_cleanup(self.raw.as_ptr().cast()) };
    }
}
