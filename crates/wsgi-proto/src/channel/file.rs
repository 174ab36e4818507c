//! FILE: the response's body is a part of a regular file.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};

/// Payload: `u64 offset`, `u64 length`. The descriptor comes with the record's
/// first byte. The child reads the range without moving the file's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// First byte to send.
    pub offset: u64,
    /// Bytes to send.
    pub length: u64,
}

impl File {
    /// Appends the record.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the range ends beyond `i64::MAX`.
    pub fn write(self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.validate()?;
        let mut record = RecordWriter::new(buffer, Kind::File as u8, 0);
        record.u64(self.offset).u64(self.length);
        record.finish(Kind::File.limit())
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`Error`] if it is malformed or the range ends beyond `i64::MAX`.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let file = Self { offset: reader.u64("offset")?, length: reader.u64("length")? };
        reader.finish()?;
        file.validate()?;
        Ok(file)
    }

    fn validate(self) -> Result<(), Error> {
        match self.offset.checked_add(self.length) {
            Some(end) if i64::try_from(end).is_ok() => Ok(()),
            _ => Err(Error::Invalid("length")),
        }
    }
}
