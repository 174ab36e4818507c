//! The named maximum of everything that a peer may send.
//!
//! A record that exceeds one is malformed: the link is closed, never resumed.

/// Payload of one record on a channel, in bytes, except DATA and BODY.
///
/// Holds httpd's own default maximum of a request (100 header fields of 8,190
/// bytes) many times over.
pub const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// Payload of one DATA or BODY record, in bytes. Larger pieces are split.
pub const MAX_DATA: u32 = 1024 * 1024;

/// Payload of one record on the daemon, mailbox and control links, in bytes:
/// they are datagrams, which Linux bounds by the socket's send buffer.
pub const MAX_DATAGRAM: u32 = 128 * 1024;

/// Entries of a request's environ.
pub const MAX_ENVIRON: u16 = 16_384;

/// Name of an environ entry, in bytes.
pub const MAX_ENVIRON_NAME: usize = 8_192;

/// Header fields of a response.
pub const MAX_HEADERS: u16 = 4_096;

/// Name of a response header field, in bytes.
pub const MAX_HEADER_NAME: usize = 8_192;

/// Value of a response header field, in bytes.
pub const MAX_HEADER_VALUE: usize = 1024 * 1024;

/// Reason phrase of a response, in bytes.
pub const MAX_REASON: usize = 8_192;

/// Text of one LOG record, in bytes. Longer texts are split between lines.
pub const MAX_LOG: usize = 64 * 1024;
