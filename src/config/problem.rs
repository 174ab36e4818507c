//! What can be wrong with a configuration, with stable codes.

use std::fmt;

/// A mistake in the configuration, to be shown to the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One of the constants of this module.
    pub code: u16,
    /// What is wrong, with the value that was given.
    pub text: String,
}

impl Problem {
    /// A problem of the given kind.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The same with the object that it is about put in front.
    #[must_use]
    pub fn of(self, object: impl fmt::Display) -> Self {
        Self { code: self.code, text: format!("{object}: {}", self.text) }
    }
}

/// `MWR1001: text`.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MWR{}: {}", self.code, self.text)
    }
}

/// A quoted word has no end.
pub const UNTERMINATED: u16 = 1001;
/// Too few or too many arguments.
pub const ARGUMENTS: u16 = 1002;
/// A directive for the whole server stands in a virtual host.
pub const IN_VIRTUAL_HOST: u16 = 1003;
/// An option is not of the form name=value.
pub const NOT_AN_OPTION: u16 = 1004;
/// There is no option of this name.
pub const UNKNOWN_OPTION: u16 = 1005;
/// A value is not a number.
pub const NOT_A_NUMBER: u16 = 1006;
/// A number is outside of its range.
pub const OUT_OF_RANGE: u16 = 1007;
/// A value is not one of the words that are allowed.
pub const NOT_A_CHOICE: u16 = 1008;
/// A name or a path is empty.
pub const EMPTY: u16 = 1009;
/// A name was given twice.
pub const DUPLICATE: u16 = 1010;
/// There is no such user.
pub const UNKNOWN_USER: u16 = 1011;
/// There is no such group of users.
pub const UNKNOWN_GROUP: u16 = 1012;
/// Daemons would run as root.
pub const ROOT: u16 = 1013;
/// Two options exclude each other.
pub const EXCLUSIVE: u16 = 1014;
/// A regular expression does not compile.
pub const REGEX: u16 = 1015;
/// An option is missing that must be given.
pub const MISSING_OPTION: u16 = 1016;
/// Not an address to which telemetry can be sent.
pub const TELEMETRY: u16 = 1017;
/// Not an IP address or network.
pub const NETWORK: u16 = 1018;
/// A section cannot stand here.
pub const NESTED: u16 = 1019;
/// A script is to be loaded in a process group that is not defined.
pub const NO_SUCH_GROUP: u16 = 1020;
/// A script is to be loaded in a process group of another virtual host.
pub const FOREIGN_GROUP: u16 = 1021;
/// The interpreter is not there.
pub const NO_INTERPRETER: u16 = 1022;
/// The daemon's user may not execute the interpreter.
pub const INTERPRETER_BLOCKED: u16 = 1023;
/// The user database could not be read.
pub const USER_DATABASE: u16 = 1024;
/// A file path or other value holds something that it cannot hold.
pub const INVALID_VALUE: u16 = 1025;
/// What should be an interpreter does not run, or is none.
pub const NOT_PYTHON: u16 = 1026;
/// The interpreter is too old for the worker.
pub const TOO_OLD: u16 = 1027;
