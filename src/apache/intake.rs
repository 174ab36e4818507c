//! The request's body as httpd's filters hand it over, in pieces that stay where they are.

use std::fmt;
use std::ptr::NonNull;
use std::slice;

use super::request::Request;
use super::{Status, sys};

/// Pieces beyond which nothing is read before they are cleared: filters may hand over a byte
/// at a time, and each piece costs memory of its own.
const MANY: usize = 64;

/// What a read of the body brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRead {
    /// This many bytes came; more may come.
    Some(usize),
    /// This many bytes came, the last ones.
    End(usize),
    /// Nothing is there yet (only without waiting).
    NotYet,
    /// The input filters failed; the request is to be answered with this.
    Failed(Status),
}

/// What was read of a request's body and is not cleared yet.
pub(crate) struct Intake<'r> {
    request: Request<'r>,
    brigades: Option<Brigades>,
    /// Where the bytes of the buckets in `held` are, in their order.
    pieces: Vec<(NonNull<u8>, usize)>,
}

/// Two brigades of the request.
#[derive(Clone, Copy)]
struct Brigades {
    /// Empty between two reads, as the filters expect it.
    fresh: NonNull<sys::apr_bucket_brigade>,
    held: NonNull<sys::apr_bucket_brigade>,
}

impl fmt::Debug for Intake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("pieces", &self.pieces.len()).finish_non_exhaustive()
    }
}

impl<'r> Intake<'r> {
    pub(crate) fn new(request: Request<'r>) -> Self {
        Self { request, brigades: None, pieces: Vec::new() }
    }

    /// What was read, in its order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        // SAFETY: each bucket's memory is its own (`wsgi_bucket_keep`) until `clear`.
        self.pieces.iter().map(|&(data, length)| unsafe {
            slice::from_raw_parts(data.as_ptr().cast_const(), length)
        })
    }

    /// Whether so much lies here that it had better be cleared before the next read.
    pub(crate) fn is_full(&self) -> bool {
        self.pieces.len() >= MANY
    }

    /// Lets go of what was read.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        if let Some(Brigades { held, .. }) = self.brigades {
            // SAFETY: the brigade is alive as long as the request.
            unsafe { sys::apr_brigade_cleanup(held.as_ptr().cast()) };
        }
    }

    /// Reads up to `limit` bytes more.
    pub(crate) fn read(&mut self, limit: usize, wait: bool) -> BodyRead {
        let request = self.request;
        let brigades = *self.brigades.get_or_insert_with(|| Brigades::new(request));
        let fresh = brigades.fresh.as_ptr();
        let block = if wait { sys::APR_BLOCK_READ } else { sys::APR_NONBLOCK_READ };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // SAFETY: the request is alive; the brigade is empty.
        let status = unsafe { sys::wsgi_read_body(request.raw(), fresh, block, limit) };
        let before = self.pieces.len();
        let outcome = match status {
            0 => self.keep(brigades, wait).inspect_err(|_| self.pieces.truncate(before)),
            _ => Err(status),
        };
        // SAFETY: the brigade is alive.
        unsafe { sys::apr_brigade_cleanup(fresh.cast()) };
        match outcome {
            Ok((count, true)) => BodyRead::End(count),
            Ok((0, false)) if !wait => BodyRead::NotYet,
            Ok((count, false)) => BodyRead::Some(count),
            Err(status) if !wait && is_again(status) => BodyRead::NotYet,
            Err(status) => BodyRead::Failed(Request::body_error(status)),
        }
    }

    /// Takes over what the filters have put into the fresh brigade: the bytes, and whether
    /// the body's end was behind them.
    fn keep(
        &mut self,
        Brigades { fresh, held }: Brigades,
        wait: bool,
    ) -> Result<(usize, bool), sys::apr_status_t> {
        let mut count = 0;
        loop {
            // SAFETY: the brigades are alive; the bucket is the first of one, and goes over to
            // the other one or is deleted before the next one is looked at.
            unsafe {
                let bucket = sys::wsgi_brigade_first(fresh.as_ptr());
                if bucket.is_null() {
                    return Ok((count, false));
                }
                if sys::wsgi_bucket_is_eos(bucket) != 0 {
                    return Ok((count, true));
                }
                if sys::wsgi_bucket_is_metadata(bucket) != 0 {
                    sys::wsgi_bucket_delete(bucket);
                    continue;
                }
                let (mut data, mut length) = (std::ptr::null(), 0);
                let status = sys::wsgi_bucket_keep(
                    bucket,
                    held.as_ptr(),
                    &raw mut data,
                    &raw mut length,
                    std::ffi::c_int::from(!wait),
                );
                if status != 0 && !is_again(status) {
                    return Err(status);
                }
                if let Some(data) = NonNull::new(data.cast_mut().cast::<u8>()) {
                    self.pieces.push((data, length));
                    count += length;
                }
            }
        }
    }
}

impl Brigades {
    fn new(request: Request<'_>) -> Self {
        let brigade = || {
            // SAFETY: pool and bucket allocator live at least as long as the request.
            let raw =
                unsafe { sys::apr_brigade_create(request.pool().raw(), request.bucket_alloc()) };
            NonNull::new(raw).unwrap_or_else(|| std::process::abort())
        };
        Self { fresh: brigade(), held: brigade() }
    }
}

fn is_again(status: sys::apr_status_t) -> bool {
    status == sys::apr_status_t::try_from(sys::APR_EAGAIN).unwrap_or(-1)
}
