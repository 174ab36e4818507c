//! The module in a real httpd, seen by real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod access;
mod advisories;
mod applications;
mod balancer;
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
mod modes;
mod options;
mod privileges;
mod proxies;
mod pythons;
mod queue;
mod restarts;
mod runner;
mod security;
mod sites;
mod slow;
mod start_response;
mod status;
mod streaming;
mod suite;
mod supervisor;
mod venv;
