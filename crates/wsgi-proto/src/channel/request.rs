//! REQUEST: everything about a request but its body.

use super::{Kind, environ_name};
use crate::Error;
use crate::codec::{Reader, RecordWriter};
use crate::limits::{MAX_ENVIRON, MAX_ENVIRON_NAME, MAX_RECORD};

/// Flag: BODY and BODY_END records belong to the request. Without it the body is
/// empty and no BODY_END comes.
pub(super) const FLAG_BODY: u8 = 1;

/// Flag: a change of the script is no reason to replace the process.
pub(super) const FLAG_NO_RELOAD: u8 = 2;

/// Flag: END has to tell the CPU time.
pub(super) const FLAG_CPU: u8 = 4;

/// Writes `u64 request_start`, `u64 queue_start` (microseconds since the epoch),
/// `u16 count`, the script's path, the handler script's path (empty unless a
/// WSGIHandlerScript serves the request), the callable's name, then the environ:
/// per entry `u8 id`, for id 0 the name, and the value.
#[derive(Debug)]
#[must_use = "a REQUEST has no length until it is finished"]
pub struct RequestWriter<'b> {
    record: RecordWriter<'b>,
    count: u16,
    fault: Option<Error>,
}

impl<'b> RequestWriter<'b> {
    const COUNT_OFFSET: usize = 16;

    /// Starts the record. Paths are absolute; times are microseconds since the
    /// epoch, `queue_start` being when the child looked for a slot.
    pub fn new(
        buffer: &'b mut Vec<u8>,
        has_body: bool,
        times: (u64, u64),
        script: &[u8],
        handler_script: &[u8],
        callable_object: &[u8],
    ) -> Self {
        let flags = if has_body { FLAG_BODY } else { 0 };
        let mut record = RecordWriter::new(buffer, Kind::Request as u8, flags);
        record.u64(times.0).u64(times.1).u16(0);
        record.bytes(script).bytes(handler_script).bytes(callable_object);
        Self { record, count: 0, fault: None }
    }

    /// Says that a change of the script is no reason to replace the process.
    pub fn without_reloading(&mut self) {
        self.record.flag(FLAG_NO_RELOAD);
    }

    /// Asks for the CPU time that the thread spends on it.
    pub fn with_cpu_time(&mut self) {
        self.record.flag(FLAG_CPU);
    }

    /// Appends an entry whose name has a number in
    /// [`ENVIRON_NAMES`](super::ENVIRON_NAMES).
    pub fn known(&mut self, id: u8, value: &[u8]) {
        if environ_name(id).is_none() {
            self.fault = Some(Error::Invalid("environ id"));
        }
        self.record.tagged(id, value);
        self.counted();
    }

    /// Appends an entry with its name.
    pub fn named(&mut self, name: &[u8], value: &[u8]) {
        self.record.tagged(0, name).bytes(value);
        if name.len() > MAX_ENVIRON_NAME {
            self.fault = Some(Error::TooLong("environ name"));
        }
        self.counted();
    }

    fn counted(&mut self) {
        if self.count == MAX_ENVIRON {
            self.fault = Some(Error::TooLong("environ"));
        }
        self.count = self.count.saturating_add(1);
    }

    /// Ends the record.
    ///
    /// # Errors
    /// [`Error`] if it has too many entries or bytes, or one that a reader would
    /// refuse; it is removed then.
    pub fn finish(mut self) -> Result<(), Error> {
        self.record.patch_u16(Self::COUNT_OFFSET, self.count);
        match self.fault {
            None => self.record.finish(MAX_RECORD),
            Some(fault) => {
                self.record.discard();
                Err(fault)
            }
        }
    }
}

/// Name of an environ entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// Its number in [`ENVIRON_NAMES`](super::ENVIRON_NAMES); always a valid one.
    Known(u8),
    /// The name itself.
    Literal(&'a [u8]),
}

/// Reads a REQUEST: the fixed part, then one environ entry after the other.
#[derive(Clone, Copy, Debug)]
pub struct RequestReader<'a> {
    /// BODY and BODY_END records follow, now or against DEMAND.
    pub has_body: bool,
    /// A change of the script replaces the process.
    pub reloads: bool,
    /// END has to tell the CPU time.
    pub cpu_time: bool,
    /// Microseconds since the epoch when httpd read the request.
    pub request_start: u64,
    /// Microseconds since the epoch when the child looked for a slot.
    pub queue_start: u64,
    /// Absolute path of the script.
    pub script: &'a [u8],
    /// Absolute path of the WSGIHandlerScript, or empty.
    pub handler_script: &'a [u8],
    /// Name of the callable in the script.
    pub callable_object: &'a [u8],
    /// Entries not read yet.
    pub left: u16,
    reader: Reader<'a>,
}

impl<'a> RequestReader<'a> {
    /// Reads the fixed part of a REQUEST with these flags.
    ///
    /// # Errors
    /// [`Error`] if it is malformed.
    pub fn new(flags: u8, payload: &'a [u8]) -> Result<Self, Error> {
        if flags & !(FLAG_BODY | FLAG_NO_RELOAD | FLAG_CPU) != 0 {
            return Err(Error::Invalid("flags"));
        }
        let mut reader = Reader::new(payload);
        let request_start = reader.u64("request start")?;
        let queue_start = reader.u64("queue start")?;
        let left = reader.u16("count")?;
        if left > MAX_ENVIRON {
            return Err(Error::TooLong("environ"));
        }
        Ok(Self {
            has_body: flags & FLAG_BODY != 0,
            reloads: flags & FLAG_NO_RELOAD == 0,
            cpu_time: flags & FLAG_CPU != 0,
            request_start,
            queue_start,
            script: reader.bytes(MAX_RECORD as usize, "script")?,
            handler_script: reader.bytes(MAX_RECORD as usize, "handler script")?,
            callable_object: reader.bytes(MAX_RECORD as usize, "callable object")?,
            left,
            reader,
        })
    }

    /// Bytes of the entries that were not read yet.
    #[must_use]
    pub fn unread(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// Passes over the next entry if its bytes are those of `entry`, a whole one that was
    /// read from another record.
    pub fn pass(&mut self, entry: &[u8]) -> bool {
        let same = self.left > 0 && self.unread().starts_with(entry);
        if same {
            self.left -= 1;
            // As many bytes are there.
            let _ = self.reader.take(entry.len(), "environ entry");
        }
        same
    }

    /// The next environ entry; none at the record's end.
    ///
    /// # Errors
    /// [`Error`] if the entry is malformed or bytes are left over.
    pub fn entry(&mut self) -> Result<Option<(Name<'a>, &'a [u8])>, Error> {
        if self.left == 0 {
            self.reader.finish()?;
            return Ok(None);
        }
        self.left -= 1;
        let name = match self.reader.u8("environ id")? {
            0 => Name::Literal(self.reader.bytes(MAX_ENVIRON_NAME, "environ name")?),
            id if environ_name(id).is_some() => Name::Known(id),
            _ => return Err(Error::Invalid("environ id")),
        };
        Ok(Some((name, self.reader.bytes(MAX_RECORD as usize, "environ value")?)))
    }
}
