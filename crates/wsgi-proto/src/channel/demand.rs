//! DEMAND: the application reads and the worker has too little of the body.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};

/// Payload: `u64 need`, `u64 window`.
///
/// Both count bytes of the body since its first one, what came unasked
/// included: body that is still under way when the worker asks is thereby part
/// of the answer, and the child never waits for more than the application does.
///
/// The child waits for the client until it has sent `need` bytes or BODY_END;
/// then it may send what httpd has already, without waiting, up to `window`
/// bytes. The worker sends nothing until `need` is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes since the body's start without which the application can't go on;
    /// `u64::MAX` for all.
    pub need: u64,
    /// Bytes since the body's start that the worker is glad to have; at least
    /// `need`.
    pub window: u64,
}

impl Demand {
    /// Appends the record.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `window` is less than `need`.
    pub fn write(self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.validate()?;
        let mut record = RecordWriter::new(buffer, Kind::Demand as u8, 0);
        record.u64(self.need).u64(self.window);
        record.finish(Kind::Demand.limit())
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`Error`] if it is malformed or `window` is less than `need`.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let demand = Self { need: reader.u64("need")?, window: reader.u64("window")? };
        reader.finish()?;
        demand.validate()?;
        Ok(demand)
    }

    fn validate(self) -> Result<(), Error> {
        if self.window < self.need { Err(Error::Invalid("window")) } else { Ok(()) }
    }
}
