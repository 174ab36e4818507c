//! System calls behind safe names.
//!
//! *Runs in:* every process but Python code. What only Linux has stays in here.

pub mod clock;
pub mod descriptor;
mod futex;
pub mod hangups;
pub mod heap;
pub mod lanes;
pub mod listener;
mod memory;
pub mod process;
pub mod socket;
pub mod table;
pub mod thread;
pub mod user;
