//! Records that httpd, the supervisor and the daemons exchange.
//!
//! Five links share one framing (see [`codec`]); each link has a module that
//! lists its records:
//!
//! | link | module | socket |
//! |---|---|---|
//! | httpd child ↔ worker thread, one request at a time | [`channel`] | stream |
//! | supervisor ↔ daemon process | [`daemon`] | seqpacket |
//! | httpd child ↔ supervisor | [`mailbox`] | datagram, then seqpacket |
//! | httpd parent ↔ supervisor | [`control`] | seqpacket |
//! | wsgictl ↔ supervisor | [`admin`] | seqpacket, by a path |
//!
//! [`deframe`] finds the records in the bytes of a channel; the other links'
//! sockets keep them apart.
//!
//! `docs/protocol.md` is normative for [`channel`] and [`daemon`], which other
//! workers implement; the other links join programs of the same build.
//!
//! *Runs in:* every process. No unsafe code, no dependencies, no I/O.
#![forbid(unsafe_code)]

pub mod admin;
pub mod channel;
pub mod codec;
pub mod control;
pub mod daemon;
pub mod deframe;
mod error;
pub mod fields;
pub mod limits;
pub mod mailbox;
mod record;

pub use error::Error;

/// Version of all links. Peers of different versions refuse each other.
pub const VERSION: u32 = 2;
