//! HEAD: the response's status and header fields.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};
use crate::limits::{MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS, MAX_REASON};

/// Writes `u16 status`, `u16 count`, the reason phrase, then name and value of
/// each header field, all length-prefixed.
#[derive(Debug)]
#[must_use = "a HEAD has no length until it is finished"]
pub struct HeadWriter<'b> {
    record: RecordWriter<'b>,
    count: u16,
}

impl<'b> HeadWriter<'b> {
    /// Starts the record. `reason` may be empty.
    pub fn new(buffer: &'b mut Vec<u8>, status: u16, reason: &[u8]) -> Self {
        let mut record = RecordWriter::new(buffer, Kind::Head as u8, 0);
        record.u16(status).u16(0).bytes(reason);
        Self { record, count: 0 }
    }

    /// Appends a header field.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        self.record.bytes(name).bytes(value);
        self.count = self.count.saturating_add(1);
    }

    /// Ends the record.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it has too many fields or bytes; it is removed then.
    pub fn finish(mut self) -> Result<(), Error> {
        let limit = if self.count > MAX_HEADERS { 0 } else { Kind::Head.limit() };
        self.record.patch_u16(2, self.count);
        self.record.finish(limit)
    }
}

/// Reads a HEAD: status and reason, then one header field after the other.
///
/// The bytes are the daemon's: validating names and values is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct HeadReader<'a> {
    /// Three digits.
    pub status: u16,
    /// May be empty.
    pub reason: &'a [u8],
    /// Header fields not read yet.
    pub left: u16,
    reader: Reader<'a>,
}

impl<'a> HeadReader<'a> {
    /// Reads status and reason.
    ///
    /// # Errors
    /// [`Error`] if they are malformed or the status is not 100 to 999.
    pub fn new(payload: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let status = reader.u16("status")?;
        let left = reader.u16("count")?;
        let reason = reader.bytes(MAX_REASON, "reason")?;
        if !(100..=999).contains(&status) {
            return Err(Error::Invalid("status"));
        }
        if left > MAX_HEADERS {
            return Err(Error::TooLong("header fields"));
        }
        Ok(Self { status, reason, left, reader })
    }

    /// The next header field's name and value; none at the record's end.
    ///
    /// # Errors
    /// [`Error`] if the field is malformed or too long, or bytes are left over.
    pub fn header(&mut self) -> Result<Option<(&'a [u8], &'a [u8])>, Error> {
        if self.left == 0 {
            self.reader.finish()?;
            return Ok(None);
        }
        self.left -= 1;
        let name = self.reader.bytes(MAX_HEADER_NAME, "header name")?;
        let value = self.reader.bytes(MAX_HEADER_VALUE, "header value")?;
        Ok(Some((name, value)))
    }
}
