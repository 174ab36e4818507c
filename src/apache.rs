//! httpd's C interface behind safe names: the only module that may say `unsafe`.
//!
//! A raw pointer becomes a wrapper in [`hooks`] or [`commands`] and is never
//! seen again. Wrappers borrow from the pool that holds their object, and are
//! neither `Send` nor `Sync`: a request belongs to one thread.
//!
//! *Runs in:* httpd's parent and children.

pub(crate) mod brigade;
mod client;
pub(crate) mod commands;
pub(crate) mod configuration;
mod endpoints;
pub(crate) mod guard;
pub(crate) mod hooks;
pub(crate) mod intake;
pub(crate) mod log;
pub(crate) mod module;
pub(crate) mod mpm;
pub(crate) mod other_child;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod providers;
pub(crate) mod regex;
pub(crate) mod request;
mod response;
pub(crate) mod retained;
pub(crate) mod scoreboard;
pub(crate) mod server;
pub(crate) mod statements;
pub(crate) mod table;

/// What bindgen made of httpd's headers.
#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]
pub(crate) mod sys {
    include!(concat!(env!("OUT_DIR"), "/httpd.rs"));
}

/// What a hook returns to httpd: `OK`, `DECLINED`, `DONE` or an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) i32);

impl Status {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const DECLINED: Self = Self(-1);
    pub(crate) const INTERNAL_SERVER_ERROR: Self = Self(500);

    /// An HTTP status as a hook's result.
    pub(crate) fn http(status: u16) -> Self {
        Self(i32::from(status))
    }
}
