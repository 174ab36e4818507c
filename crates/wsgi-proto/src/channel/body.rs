//! BODY, BODY_END and CANCEL: what the child sends after a REQUEST.

use super::Kind;
use crate::Error;
use crate::codec::{HEAD_LEN, Head, Reader, RecordWriter};

/// How a request's body ended. Payload: `u16 status`, 0 when it is complete,
/// else the HTTP status with which httpd's input filters failed (400, 408,
/// 413 …), or 499 when the client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyEnd {
    /// 0, or the HTTP status of the failure.
    pub status: u16,
}

impl BodyEnd {
    /// Reads the payload.
    ///
    /// # Errors
    /// [`Error`] if it isn't two bytes.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let status = reader.u16("status")?;
        reader.finish()?;
        Ok(Self { status })
    }
}

/// The head of a BODY record with `length` bytes.
#[must_use]
pub fn write_body_head(length: u32) -> [u8; HEAD_LEN] {
    Head { length, kind: Kind::Body as u8, flags: 0 }.to_bytes()
}

/// Appends a BODY_END record.
///
/// # Errors
/// None in practice: the record is two bytes long.
pub fn write_body_end(buffer: &mut Vec<u8>, end: BodyEnd) -> Result<(), Error> {
    let mut record = RecordWriter::new(buffer, Kind::BodyEnd as u8, 0);
    record.u16(end.status);
    record.finish(Kind::BodyEnd.limit())
}

/// The CANCEL record, which has no payload.
#[must_use]
pub fn write_cancel() -> [u8; HEAD_LEN] {
    Head { length: 0, kind: Kind::Cancel as u8, flags: 0 }.to_bytes()
}
