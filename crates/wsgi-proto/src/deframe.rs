//! Finds the records in the bytes of a channel.
//!
//! A channel is a stream: one receive may bring half a record or several. Both
//! ends keep what they received in a buffer of their own and ask [`next`] what
//! stands at its front. Nothing is copied and no state is kept here, so that
//! the result depends on the bytes alone, never on how they arrived.
//!
//! *Runs in:* httpd child, daemon.

use crate::Error;
use crate::channel::Kind;
use crate::codec::{HEAD_LEN, Head};

/// What stands at the front of a channel's received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole record.
    Complete {
        /// Which record it is.
        kind: Kind,
        /// Bits that this kind permits.
        flags: u8,
        /// The payload, within the kind's limit.
        payload: &'a [u8],
        /// What follows the record.
        rest: &'a [u8],
    },
    /// A record whose payload is not all there.
    ///
    /// The payload of BODY and DATA is bytes as they are: it may be used at
    /// once and forgotten. The next `length - have.len()` bytes of the stream
    /// then belong to the same record, and `next` is asked again behind them.
    Partial {
        /// Which record it is.
        kind: Kind,
        /// Bits that this kind permits.
        flags: u8,
        /// Bytes of the whole payload, within the kind's limit.
        length: usize,
        /// The payload so far; shorter than `length`.
        have: &'a [u8],
    },
    /// Fewer bytes than a head.
    NeedMore,
}

/// Reads the head at the front of `stream` and takes as much of the payload as
/// is there. A bad head is refused before its payload arrives, so a receiver
/// never makes room for more than [`Kind::limit`].
///
/// # Errors
/// [`Error::Invalid`] for reserved bytes that are not zero or flags that the
/// kind does not have, [`Error::UnknownKind`], and [`Error::TooLong`] for a
/// length over the kind's limit.
pub fn next(stream: &[u8]) -> Result<Next<'_>, Error> {
    let Some((kind, Head { length, flags, .. })) = head(stream)? else {
        return Ok(Next::NeedMore);
    };
    let after = stream.get(HEAD_LEN..).unwrap_or_default();
    let length = usize::try_from(length).map_err(|_| Error::TooLong("record"))?;
    Ok(match after.split_at_checked(length) {
        Some((payload, rest)) => Next::Complete { kind, flags, payload, rest },
        None => Next::Partial { kind, flags, length, have: after },
    })
}

/// The head at the front of `stream`, checked for its kind's flags and limit; none
/// if it is not all there.
///
/// # Errors
/// As for [`next`].
pub fn head(stream: &[u8]) -> Result<Option<(Kind, Head)>, Error> {
    let Some((bytes, _)) = stream.split_first_chunk::<HEAD_LEN>() else {
        return Ok(None);
    };
    let head = Head::from_bytes(*bytes)?;
    let kind = Kind::from_u8(head.kind)?;
    if head.flags & !kind.flags() != 0 {
        return Err(Error::Invalid("flags"));
    }
    if head.length > kind.limit() {
        return Err(Error::TooLong("record"));
    }
    Ok(Some((kind, head)))
}
