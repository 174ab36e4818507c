//! The module in a real httpd, seen by real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod access;
mod applications;
mod balancer;
mod beyond;
mod body;
mod chaos;
mod configcheck;
mod configuration;
mod conformance;
mod demand;
mod disconnect;
mod environ;
mod errors;
mod faults;
mod frameworks;
mod groups;
mod interpreters;
mod karrigell;
mod karrigell_example;
mod karrigell_host;
mod lifecycle;
mod limits;
mod load;
mod metrics;
mod modes;
mod privileges;
mod proxies;
mod pythons;
mod queue;
mod runner;
mod security;
mod sites;
mod slow;
mod spool;
mod start_response;
mod status;
mod streaming;
mod suite;
mod supervisor;
mod venv;
