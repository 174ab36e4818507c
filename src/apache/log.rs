//! httpd's error log: to a request's or a server's virtual host, at a level.

use std::ffi::c_int;
use std::fmt;

use super::request::Request;
use super::server::Server;
use super::{hooks, sys};

/// Severity, syslog's numbers as httpd uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub(crate) enum Level {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Info = 6,
    Debug = 7,
}

impl Level {
    /// The level with syslog's number; what is worse than critical counts as that.
    pub(crate) fn from_u8(level: u8) -> Self {
        match level {
            0..=2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 | 6 => Self::Info,
            _ => Self::Debug,
        }
    }
}

/// What an entry belongs to: the log that it goes to and the tags that it gets.
pub(crate) trait Loggable {
    /// The level up to which this module's entries are wanted.
    fn level(&self) -> c_int;
    /// Writes one entry; its level was compared already.
    fn write(&self, level: Level, text: &str);

    /// Writes an entry if its level is wanted. `text` is formatted only then.
    fn log(&self, level: Level, text: impl fmt::Display)
    where
        Self: Sized,
    {
        if self.level() >= level as c_int {
            self.write(level, &text.to_string());
        }
    }
}

impl Loggable for Request<'_> {
    fn level(&self) -> c_int {
        // SAFETY: the request is alive as long as its wrapper.
        unsafe { sys::wsgi_log_request_level(self.raw(), hooks::module_index()) }
    }

    fn write(&self, level: Level, text: &str) {
        // SAFETY: the request is alive; the text is passed with its length.
        unsafe {
            sys::wsgi_log_request(
                // No source line: entries have codes.
                std::ptr::null(),
                0,
                hooks::module_index(),
                level as c_int,
                0,
                self.raw(),
                text.as_ptr().cast(),
                text.len(),
            );
        }
    }
}

impl Loggable for Server<'_> {
    fn level(&self) -> c_int {
        // SAFETY: the server is alive as long as its wrapper.
        unsafe { sys::wsgi_log_server_level(self.raw(), hooks::module_index()) }
    }

    fn write(&self, level: Level, text: &str) {
        // SAFETY: the server is alive; the text is passed with its length.
        unsafe {
            sys::wsgi_log_server(
                // No source line: entries have codes.
                std::ptr::null(),
                0,
                hooks::module_index(),
                level as c_int,
                0,
                self.raw(),
                text.as_ptr().cast(),
                text.len(),
            );
        }
    }
}
