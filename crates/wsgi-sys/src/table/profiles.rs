//! What each process is: its Python, its age, why it leaves.
//!
//! *Runs in:* supervisor (writes), httpd child (reads).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::Table;
use super::layout::Bytes;

/// A profile in the shared memory. A reader during a write may see a mixture, which is gone at
/// its next look.
#[repr(C, align(64))]
pub(super) struct ProfileRecord {
    started: AtomicU64,
    generation: AtomicU32,
    worker: Bytes<1>,
    version: Bytes<3>,
    executable: Bytes<32>,
    leaving: Bytes<6>,
}

/// What a process is; strings are cut to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Microseconds since 1970 when it was started.
    pub started: u64,
    /// Generation of the configuration that it was started under.
    pub generation: u32,
    /// `native` or `pure`; empty until it has introduced itself.
    pub worker: String,
    /// Version of its Python.
    pub version: String,
    /// Path of its interpreter.
    pub executable: String,
    /// Why it is to be replaced; empty if it is not.
    pub leaving: String,
}

/// Which thread of which process a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The process.
    pub pid: i32,
    /// Its thread, from 1.
    pub thread: u32,
    /// Generation of the configuration that the process was started under.
    pub generation: u32,
}

impl Table {
    /// Whose a slot is; none if there is no such slot.
    pub fn seat(&self, slot: u32) -> Option<Seat> {
        let shared = self.shared();
        let process = shared.owners.get(slot as usize)?.load(Relaxed);
        let entry = shared.process(process)?;
        Some(Seat {
            pid: entry.pid.load(Relaxed),
            thread: slot.wrapping_sub(entry.first_slot.load(Relaxed)).wrapping_add(1),
            generation: shared.profile(process)?.generation.load(Relaxed),
        })
    }

    /// A process is started: nothing else is known of it yet.
    pub fn begin_profile(&self, process: u32, started: u64, generation: u32) {
        let Some(record) = self.shared().profile(process) else { return };
        record.started.store(started, Relaxed);
        record.generation.store(generation, Relaxed);
        record.worker.write(b"");
        record.version.write(b"");
        record.executable.write(b"");
        record.leaving.write(b"");
    }

    /// The worker has introduced itself.
    pub fn set_python(&self, process: u32, worker: &str, version: &str, executable: &str) {
        let Some(record) = self.shared().profile(process) else { return };
        record.worker.write(worker.as_bytes());
        record.version.write(version.as_bytes());
        record.executable.write(executable.as_bytes());
    }

    /// The process is to be replaced, for this reason.
    pub fn set_leaving(&self, process: u32, reason: &str) {
        if let Some(record) = self.shared().profile(process) {
            record.leaving.write(reason.as_bytes());
        }
    }

    /// What is known of a process.
    pub fn profile(&self, process: u32) -> Profile {
        let Some(record) = self.shared().profile(process) else { return Profile::default() };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Profile {
            started: record.started.load(Relaxed),
            generation: record.generation.load(Relaxed),
            worker: text(record.worker.read()),
            version: text(record.version.read()),
            executable: text(record.executable.read()),
            leaving: text(record.leaving.read()),
        }
    }
}
