//! The records against their vectors, against chance and at their limits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod arbitrary;
mod chunks;
mod draw;
mod fields;
mod limits;
mod model;
mod page;
mod round_trip;
mod vector;
mod vectors;
