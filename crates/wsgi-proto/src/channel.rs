//! httpd child ↔ worker thread: one request at a time over a stream socket.
//!
//! ```text
//! child                                  worker thread
//!   REQUEST, BODY…, BODY_END? ─────────▶
//!                             ◀───────── DEMAND          (the application reads)
//!   BODY…, BODY_END           ─────────▶
//!                             ◀───────── LOG, HEAD, DATA…, FILE
//!   CANCEL                    ─────────▶                 (the client is gone)
//!                             ◀───────── END             (exactly one, last)
//! ```
//!
//! - REQUEST comes with at most [`READ_AHEAD`] bytes of body, so that sending it
//!   never waits for a worker that does not read. Later the child sends body
//!   only against a DEMAND, waiting for the client until `need` is met.
//! - The worker ignores BODY, BODY_END and CANCEL between END and the next
//!   REQUEST: they crossed its END.
//! - HEAD comes at most once, before DATA and FILE. FILE excludes DATA.

mod body;
mod data;
mod demand;
mod end;
mod file;
mod head;
mod log;
mod names;
mod request;

pub use body::{BodyEnd, write_body_end, write_body_head, write_cancel};
pub use data::{FLAG_MORE, data_head};
pub use demand::Demand;
pub use end::{End, Outcome};
pub use file::File;
pub use head::{HeadReader, HeadWriter, HeaderField};
pub use log::Log;
pub use names::{ENVIRON_NAMES, environ_name, environ_name_id, find_environ_name};
pub use request::{Name, RequestReader, RequestWriter};

use request::{FLAG_BODY, FLAG_CPU, FLAG_NO_RELOAD};

use crate::Error;
use crate::limits::{MAX_DATA, MAX_LOG, MAX_RECORD};

/// Most body bytes that accompany a REQUEST unasked.
pub const READ_AHEAD: usize = 64 * 1024;

/// The kinds of records on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Child: a request, see [`RequestWriter`].
    Request = 1,
    /// Child: bytes of the request's body.
    Body = 2,
    /// Child: the body is complete, or failed; see [`BodyEnd`].
    BodyEnd = 3,
    /// Child: the client is gone; finish without sending anything but END.
    Cancel = 4,
    /// Worker: the application reads, see [`Demand`].
    Demand = 65,
    /// Worker: status and header fields, see [`HeadWriter`].
    Head = 66,
    /// Worker: bytes of the response's body.
    Data = 67,
    /// Worker: a file is the response's body, see [`File`]. One descriptor.
    File = 68,
    /// Worker: a message for the request's log, see [`Log`].
    Log = 69,
    /// Worker: the request is over, see [`End`].
    End = 70,
}

impl Kind {
    /// The kind with this number.
    ///
    /// # Errors
    /// [`Error::UnknownKind`].
    pub fn from_u8(kind: u8) -> Result<Self, Error> {
        Ok(match kind {
            1 => Self::Request,
            2 => Self::Body,
            3 => Self::BodyEnd,
            4 => Self::Cancel,
            65 => Self::Demand,
            66 => Self::Head,
            67 => Self::Data,
            68 => Self::File,
            69 => Self::Log,
            70 => Self::End,
            _ => return Err(Error::UnknownKind(kind)),
        })
    }

    /// The flags that such a record may carry.
    #[must_use]
    pub const fn flags(self) -> u8 {
        match self {
            Self::Request => FLAG_BODY | FLAG_NO_RELOAD | FLAG_CPU,
            Self::Data => FLAG_MORE,
            _ => 0,
        }
    }

    /// Most bytes of such a record's payload.
    #[must_use]
    pub fn limit(self) -> u32 {
        match self {
            Self::Request | Self::Head => MAX_RECORD,
            Self::Body | Self::Data => MAX_DATA,
            #[allow(clippy::cast_possible_truncation)] // 64 KiB and one byte
            Self::Log => MAX_LOG as u32 + 1,
            Self::BodyEnd | Self::Demand | Self::File | Self::End => 256,
            Self::Cancel => 0,
        }
    }
}
