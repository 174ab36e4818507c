//! Framing and field codecs shared by all links.
//!
//! A record is a head of eight bytes and its payload:
//!
//! ```text
//! 0      4    5     6        8
//! +------+----+-----+--------+---------
//! |length|kind|flags|reserved| payload
//! +------+----+-----+--------+---------
//! ```
//!
//! `length` counts the payload only. Integers are little-endian; `reserved` is
//! zero. Strings and lists are prefixed with their length as a `u32`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::Error;

/// Bytes of a record's head.
pub const HEAD_LEN: usize = 8;

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the payload that follows.
    pub length: u32,
    /// Which record it is, by the link's own numbering.
    pub kind: u8,
    /// Bits whose meaning depends on the record.
    pub flags: u8,
}

impl Head {
    /// The head's eight bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEAD_LEN] {
        let [a, b, c, d] = self.length.to_le_bytes();
        [a, b, c, d, self.kind, self.flags, 0, 0]
    }

    /// Reads a head. The caller checks `length` against the record's limit.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the reserved bytes are not zero.
    pub fn from_bytes(bytes: [u8; HEAD_LEN]) -> Result<Self, Error> {
        let [a, b, c, d, kind, flags, r0, r1] = bytes;
        if (r0, r1) != (0, 0) {
            return Err(Error::Invalid("reserved bytes"));
        }
        Ok(Self { length: u32::from_le_bytes([a, b, c, d]), kind, flags })
    }
}

/// A cursor over a payload. Never panics, never reads past the end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `payload`.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Takes `count` bytes; `field` names them in an error.
    ///
    /// # Errors
    /// [`Error::Missing`] if fewer are left.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::Missing(field))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes an array of `N` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`] if fewer are left.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::Missing(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes a `u8`.
    ///
    /// # Errors
    /// [`Error::Missing`] at the end of the payload.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        Ok(self.array::<1>(field)?[0])
    }

    /// Takes a `u16`.
    ///
    /// # Errors
    /// [`Error::Missing`] at the end of the payload.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// Takes a `u32`.
    ///
    /// # Errors
    /// [`Error::Missing`] at the end of the payload.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Takes a `u64`.
    ///
    /// # Errors
    /// [`Error::Missing`] at the end of the payload.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// Takes a `u32` length of at most `limit` and that many bytes.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::TooLong`].
    pub fn bytes(&mut self, limit: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.u32(field)?).map_err(|_| Error::TooLong(field))?;
        if length > limit {
            return Err(Error::TooLong(field));
        }
        self.take(length, field)
    }

    /// What was not taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes not taken yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the payload.
    ///
    /// # Errors
    /// [`Error::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing(self.rest.len())) }
    }
}

/// A record being written at the end of a buffer: the length in its head starts
/// at the maximum and is set by [`RecordWriter::finish`], so that an unfinished
/// record can't be taken for a whole one.
#[derive(Debug)]
#[must_use = "a record has no length until it is finished"]
pub struct RecordWriter<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> RecordWriter<'b> {
    /// Appends the head of a record to `buffer`.
    pub fn new(buffer: &'b mut Vec<u8>, kind: u8, flags: u8) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&Head { length: u32::MAX, kind, flags }.to_bytes());
        Self { buffer, start }
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        self
    }

    /// Appends a `u8`, and bytes with their length as [`RecordWriter::bytes`] does: one
    /// entry of many, so in one step.
    pub fn tagged(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        let [a, b, c, d] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.raw(&[tag, a, b, c, d]).raw(bytes)
    }

    /// Appends a `u8`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends a `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends a `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends a `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends a `u32` length and the bytes. What is longer than `u32::MAX`
    /// makes [`RecordWriter::finish`] fail, as the whole record is too long.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).raw(bytes)
    }

    /// Overwrites two bytes at `offset` of the payload, for counts known late.
    pub fn patch_u16(&mut self, offset: usize, value: u16) {
        let at = self.start + HEAD_LEN + offset;
        if let Some(field) = self.buffer.get_mut(at..at + 2) {
            field.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Adds flags to those in the head.
    pub fn flag(&mut self, flags: u8) {
        if let Some(byte) = self.buffer.get_mut(self.start + 5) {
            *byte |= flags;
        }
    }

    /// Bytes of the payload so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start - HEAD_LEN
    }

    /// True if the payload is empty so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the record again.
    pub fn discard(self) {
        self.buffer.truncate(self.start);
    }

    /// Sets the length in the head. A record over `limit` is removed again.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the payload exceeds `limit` bytes.
    pub fn finish(self, limit: u32) -> Result<(), Error> {
        match u32::try_from(self.len()) {
            Ok(length) if length <= limit => {
                self.buffer[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
                Ok(())
            }
            _ => {
                self.discard();
                Err(Error::TooLong("record"))
            }
        }
    }
}

/// A field of the records on the daemon, mailbox and control links.
pub trait Field: Sized {
    /// Appends the field.
    fn write(&self, record: &mut RecordWriter<'_>);

    /// Takes the field; `name` names it in an error.
    ///
    /// # Errors
    /// [`Error`] if the bytes do not hold such a value.
    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error>;
}

macro_rules! integer_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn write(&self, record: &mut RecordWriter<'_>) {
                record.raw(&self.to_le_bytes());
            }

            fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
                Ok(Self::from_le_bytes(reader.array(name)?))
            }
        }
    )*};
}

integer_field!(u8, u16, u32, u64, i32, f64);

impl Field for bool {
    fn write(&self, record: &mut RecordWriter<'_>) {
        record.u8(u8::from(*self));
    }

    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
        match reader.u8(name)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid(name)),
        }
    }
}

impl Field for String {
    fn write(&self, record: &mut RecordWriter<'_>) {
        record.bytes(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
        let bytes = reader.bytes(usize::MAX, name)?;
        std::str::from_utf8(bytes).map(Self::from).map_err(|_| Error::Invalid(name))
    }
}

impl Field for PathBuf {
    fn write(&self, record: &mut RecordWriter<'_>) {
        record.bytes(self.as_os_str().as_bytes());
    }

    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
        Ok(Self::from(OsString::from_vec(reader.bytes(usize::MAX, name)?.to_vec())))
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, record: &mut RecordWriter<'_>) {
        self.is_some().write(record);
        if let Some(value) = self {
            value.write(record);
        }
    }

    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
        if bool::read(reader, name)? { Ok(Some(T::read(reader, name)?)) } else { Ok(None) }
    }
}

impl<T: Field> Field for Vec<T> {
    fn write(&self, record: &mut RecordWriter<'_>) {
        record.u32(u32::try_from(self.len()).unwrap_or(u32::MAX));
        for item in self {
            item.write(record);
        }
    }

    /// Reserves nothing ahead: a false count runs into the end of the payload.
    fn read(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, Error> {
        let count = reader.u32(name)?;
        let mut items = Self::new();
        for _ in 0..count {
            if reader.remaining() == 0 {
                return Err(Error::Missing(name));
            }
            items.push(T::read(reader, name)?);
        }
        Ok(items)
    }
}
