//! System calls behind safe names.
//!
//! *Runs in:* every process but Python code. What only Linux has stays in here.

pub mod clock;
pub mod descriptor;
pub mod listener;
pub mod process;
pub mod readiness;
pub mod socket;
pub mod table;
pub mod thread;
pub mod user;
