//! The module in a real httpd, seen by real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod access;
mod applications;
mod beyond;
mod body;
mod chaos;
mod configuration;
mod conformance;
mod disconnect;
mod environ;
mod errors;
mod faults;
mod groups;
mod karrigell;
mod karrigell_example;
mod lifecycle;
mod limits;
mod load;
mod metrics;
mod modes;
mod privileges;
mod proxies;
mod pythons;
mod security;
mod spool;
mod start_response;
mod streaming;
