//! What the commands `wsgi-httpd` and `wsgictl` are made of.
//!
//! *Runs in:* processes of their own, started by administrators and developers.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod control;
pub mod runner;
