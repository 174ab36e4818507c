//! LOG: a message for the error log of the request's virtual host.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};
use crate::limits::MAX_LOG;

/// Payload: `u8 level`, then text to the end of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log<'a> {
    /// Syslog's number: 2 critical, 3 error, 4 warning, 6 info, 7 debug.
    pub level: u8,
    /// UTF-8 by intent, any bytes in fact; escaped by whoever logs it.
    pub text: &'a [u8],
}

impl<'a> Log<'a> {
    /// Appends the record.
    ///
    /// # Errors
    /// [`Error::TooLong`] over [`MAX_LOG`] bytes, [`Error::Invalid`] for a level
    /// that is none of syslog's.
    pub fn write(self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.validate()?;
        let mut record = RecordWriter::new(buffer, Kind::Log as u8, 0);
        record.u8(self.level).raw(self.text);
        record.finish(Kind::Log.limit())
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`Error`] if it is empty or the level is none of syslog's.
    pub fn read(payload: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let level = reader.u8("level")?;
        let log = Self { level, text: reader.take(reader.remaining(), "text")? };
        log.validate()?;
        Ok(log)
    }

    fn validate(self) -> Result<(), Error> {
        if self.level > 7 {
            return Err(Error::Invalid("level"));
        }
        if self.text.len() > MAX_LOG {
            return Err(Error::TooLong("log text"));
        }
        Ok(())
    }
}
