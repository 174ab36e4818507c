//! What is wrong with bytes that were received.

use std::fmt;

/// A malformed record. The peer that sent it is at fault; the link it came from
/// must not be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The payload ends inside the named field.
    Missing(&'static str),
    /// The payload goes on after its last field.
    Trailing(usize),
    /// The named field or record is longer than its maximum.
    TooLong(&'static str),
    /// The named field holds a value that its type does not have.
    Invalid(&'static str),
    /// No record of this link has this kind.
    UnknownKind(u8),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "record ends inside {field}"),
            Self::Trailing(count) => write!(f, "record has {count} bytes after its last field"),
            Self::TooLong(what) => write!(f, "{what} is longer than its limit"),
            Self::Invalid(field) => write!(f, "{field} has an invalid value"),
            Self::UnknownKind(kind) => write!(f, "no record has kind {kind}"),
        }
    }
}

impl std::error::Error for Error {}
