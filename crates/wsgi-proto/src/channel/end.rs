//! END: the request is over, and the channel is free for the next.

use super::Kind;
use crate::Error;
use crate::codec::{Reader, RecordWriter};

/// The HTTP statuses of errors.
const FAILURES: std::ops::RangeInclusive<u16> = 400..=599;

/// How the request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response is complete as sent.
    Complete,
    /// No HEAD was sent: answer with this HTTP status and httpd's own page.
    Failed(u16),
    /// The response broke off after HEAD: abort the client's connection.
    Aborted,
}

/// Payload: `u8 outcome` (0 complete, 1 failed, 2 aborted), `u16 status` (0
/// unless failed), then `u64` each: microseconds in the application,
/// microseconds of CPU time, bytes of body read, bytes of body sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How the request ended.
    pub outcome: Outcome,
    /// Microseconds from the call of the application to the end of `close()`.
    pub application_time: u64,
    /// Microseconds of CPU time that the thread spent on it; 0 unless it was asked for.
    pub cpu_time: u64,
    /// Bytes of the request's body that the application read.
    pub input: u64,
    /// Bytes of the response's body that were sent.
    pub output: u64,
}

impl End {
    /// Appends the record.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a failure whose status is not 400 to 599.
    pub fn write(self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let (outcome, status) = match self.outcome {
            Outcome::Complete => (0, 0),
            Outcome::Failed(status) if FAILURES.contains(&status) => (1, status),
            Outcome::Failed(_) => return Err(Error::Invalid("status")),
            Outcome::Aborted => (2, 0),
        };
        let mut record = RecordWriter::new(buffer, Kind::End as u8, 0);
        record.u8(outcome).u16(status);
        record.u64(self.application_time).u64(self.cpu_time).u64(self.input).u64(self.output);
        record.finish(Kind::End.limit())
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// [`Error`] if it is malformed, or a failure has no status of 400 to 599.
    pub fn read(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let outcome = match (reader.u8("outcome")?, reader.u16("status")?) {
            (0, 0) => Outcome::Complete,
            (1, status) if FAILURES.contains(&status) => Outcome::Failed(status),
            (2, 0) => Outcome::Aborted,
            (0..=2, _) => return Err(Error::Invalid("status")),
            _ => return Err(Error::Invalid("outcome")),
        };
        let end = Self {
            outcome,
            application_time: reader.u64("application time")?,
            cpu_time: reader.u64("CPU time")?,
            input: reader.u64("input")?,
            output: reader.u64("output")?,
        };
        reader.finish()?;
        Ok(end)
    }
}
