//! What the daemon processes do now and have done, for people and for monitors.
//!
//! A [`Snapshot`] is read from the slot table and from `/proc`: nobody is asked, so that it can be
//! had while Python, or the supervisor, hangs. The status page, its JSON and OpenMetrics forms, and
//! `wsgictl` show the same snapshot.
//!
//! *Runs in:* httpd child, supervisor. *Threads:* any.
#![forbid(unsafe_code)]

mod gather;
mod html;
mod json;
mod openmetrics;
pub mod scoreboard;
mod snapshot;
mod summary;
mod telemetry;
#[cfg(test)]
mod tests;

pub use html::{MEDIA_TYPE as HTML, page};
pub use json::{MEDIA_TYPE as JSON, document};
pub use openmetrics::{MEDIA_TYPE as OPENMETRICS, exposition};
pub use snapshot::{
    Current, Pool, Process, Python, Queue, Snapshot, State, Supervisor, Thread, Work,
};
pub use summary::{fragment, lines};
pub use telemetry::{Reporter, Sender};
