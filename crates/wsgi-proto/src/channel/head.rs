//! HEAD: the response's status and header fields.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};
use crate::limits::{MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS, MAX_REASON};

/// What a status line can hold: three digits.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;

/// Writes `u16 status`, `u16 count`, the reason phrase, then name and value of
/// each header field, all length-prefixed.
#[derive(Debug)]
#[must_use = "a HEAD has no length until it is finished"]
pub struct HeadWriter<'b> {
    record: RecordWriter<'b>,
    count: u16,
    fault: Option<Error>,
}

impl<'b> HeadWriter<'b> {
    /// Starts the record. `reason` may be empty.
    pub fn new(buffer: &'b mut Vec<u8>, status: u16, reason: &[u8]) -> Self {
        let mut record = RecordWriter::new(buffer, Kind::Head as u8, 0);
        record.u16(status).u16(0).bytes(reason);
        let fault = if !STATUSES.contains(&status) {
            Some(Error::Invalid("status"))
        } else if reason.len() > MAX_REASON {
            Some(Error::TooLong("reason"))
        } else {
            None
        };
        Self { record, count: 0, fault }
    }

    /// Appends a header field.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        self.record.bytes(name).bytes(value);
        if name.len() > MAX_HEADER_NAME {
            self.fault = Some(Error::TooLong("header name"));
        } else if value.len() > MAX_HEADER_VALUE {
            self.fault = Some(Error::TooLong("header value"));
        } else if self.count == MAX_HEADERS {
            self.fault = Some(Error::TooLong("header fields"));
        }
        self.count = self.count.saturating_add(1);
    }

    /// Ends the record.
    ///
    /// # Errors
    /// [`Error`] if it has too many fields or bytes, or one that a reader would
    /// refuse; it is removed then.
    pub fn finish(mut self) -> Result<(), Error> {
        self.record.patch_u16(2, self.count);
        match self.fault {
            None => self.record.finish(Kind::Head.limit()),
            Some(fault) => {
                self.record.discard();
                Err(fault)
            }
        }
    }
}

/// Name and value of a header field, as the daemon sent them.
pub type HeaderField<'a> = (&'a [u8], &'a [u8]);

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
        if !STATUSES.contains(&status) {
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
    pub fn header(&mut self) -> Result<Option<HeaderField<'a>>, Error> {
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
