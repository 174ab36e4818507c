//! The module in a real httpd, seen by real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod applications;
mod body;
mod chaos;
mod configuration;
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
mod modes;
mod privileges;
mod pythons;
mod start_response;
mod streaming;
