//! The slot table: shared memory that says which worker thread serves whom.
//!
//! *Runs in:* parent (creates it), httpd child, supervisor. No daemon maps it.
//! *Threads:* every call may come from any thread of any of these processes.
//!
//! A slot is a worker thread and its channel. Its word, 64 bits of state, lease
//! (who holds it) and epoch (which channel), changes by compare-and-swap alone,
//! so a process that is killed at any instruction leaves a word that says who
//! it was, and the supervisor puts it right by [`Table::void_lease`].
//!
//! ```text
//!            free_slot          reserve
//!   Absent ───────────► Free ───────────► Busy(lease) ──── release ──► Free
//!            retire_slot │                   │  ▲
//!            Retired ◄───┘       hand over to│  │claimed by
//!                                the oldest  ▼  │the waiter
//!                                ticket   Handed(lease)
//!   Busy ── break_slot, void_lease ──► Broken ── free_slot, next epoch ──► Free
//! ```
//!
//! Who finds no free slot takes a ticket in the pool's ring (`queue`). Three
//! rules keep a slot from lying idle while somebody waits:
//! - whoever frees a slot looks for tickets *afterwards*, and whoever takes a
//!   ticket looks for free slots *afterwards*: one of the two sees the other;
//! - a slot is `Handed` to a lease before the ticket says so: a waiter that
//!   reads its grant can take the slot at once, and a slot that was handed over
//!   by a process which died before it told the waiter is found by the sweep;
//! - whoever waits looks again now and then, if its ticket is the oldest.
//!
//! Nothing read here is trusted: indices are checked, loops are bounded.

mod accounts;
mod activity;
mod chronicle;
mod flow;
mod layout;
mod leases;
mod notes;
mod pools;
mod profiles;
mod queue;
mod slots;
mod waits;
mod word;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::memory::{self, Mapping};

pub use accounts::{Account, Tally};
pub use activity::Activity;
pub use chronicle::{Incident, IncidentKind, MAX_INCIDENTS, Office};
use layout::Shared;
pub use profiles::{Profile, Seat};
pub use waits::{QueueFigures, WaitEnd};

/// Leases of httpd children: 1 to below this. 0 is nobody.
pub const MAX_LEASES: u32 = 32_768;
/// The supervisor's own lease, used while it hands slots to waiters. Always open.
pub const SUPERVISOR_LEASE: u32 = MAX_LEASES;
/// Pools.
pub const MAX_POOLS: u32 = 4_096;
/// Process entries of all pools together.
pub const MAX_PROCESSES: u32 = 16_384;
/// Slots of all pools together.
pub const MAX_SLOTS: u32 = 131_072;
/// Requests that may wait for one pool.
pub const MAX_TICKETS: u32 = 8_192;

/// Mapping of the table. Shared by all threads of a process.
#[derive(Debug)]
pub struct Table {
    memory: Mapping<Shared>,
}

/// A pool as a child knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRef {
    /// Index of its record.
    pub index: u32,
    /// Serial: another one means another pool.
    pub serial: u32,
}

/// A slot that the caller's lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Index of the slot.
    pub slot: u32,
    /// Epoch of the slot's channel.
    pub epoch: u32,
}

/// A place in a pool's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Pool.
    pub pool: PoolRef,
    /// Number; lower ones are served first.
    pub number: u64,
}

/// What became of an attempt to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Here it is.
    Reserved(Reservation),
    /// All busy, or others wait already: take a ticket.
    Full,
    /// The pool is not what it was: ask the supervisor again.
    Stale,
    /// The pool's processes can't start, or it is drained: answer 503 now.
    Failed,
}

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// A slot was handed over (the ticket is used up).
    Granted(Reservation),
    /// Nothing yet; the ticket stays valid.
    TimedOut,
    /// The pool is gone, or what was granted vanished: begin anew (the ticket is
    /// used up).
    Stale,
    /// The pool failed to start, or is drained: answer 503 (the ticket is used up).
    Failed,
}

/// State of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PoolState {
    /// Unused record.
    Absent = 0,
    /// Its first process is starting (children wait without counting it as
    /// queueing).
    Starting = 1,
    /// At least one process is ready.
    Ready = 2,
    /// The last start failed, the next one is backing off.
    Failed = 3,
    /// An administrator has taken it out of service.
    Drained = 4,
}

impl PoolState {
    /// Nobody shall wait for it.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(self, Self::Failed | Self::Drained)
    }
}

/// State of a process entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ProcessState {
    /// Unused entry.
    Absent = 0,
    /// Interpreter and script are loading.
    Starting = 1,
    /// Takes requests.
    Ready = 2,
    /// Takes no new requests.
    Draining = 3,
    /// Told to stop.
    Stopping = 4,
}

/// State of a slot's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SlotState {
    /// No worker thread behind it.
    Absent = 0,
    /// Reservable.
    Free = 1,
    /// Reserved by `lease`, or handed over to it.
    Busy = 2,
    /// Its channel is being replaced.
    Broken = 3,
    /// Of a draining process; never reserved again in this epoch.
    Retired = 4,
}

/// A slot's word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView {
    /// State.
    pub state: SlotState,
    /// Holder, 0 unless busy.
    pub lease: u32,
    /// Epoch; survives all states.
    pub epoch: u32,
}

/// A pool's shape, written by the supervisor before the pool gets its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolShape {
    /// Truncated to 255 bytes.
    pub process_group: String,
    /// Truncated to 255 bytes.
    pub application_group: String,
    /// First process entry.
    pub first_process: u32,
    /// Process entries.
    pub processes: u32,
    /// First slot; process entry i has slots `first_slot + i * threads ..`.
    pub first_slot: u32,
    /// Slots of each process.
    pub threads: u32,
}

/// What a child writes about the request in a slot; strings are cut to fit.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Host.
    pub host: &'a [u8],
    /// URI.
    pub uri: &'a [u8],
    /// Client's address.
    pub client: &'a [u8],
    /// Microseconds since 1970.
    pub since: u64,
    /// Microseconds since 1970 from when on it counts as slow; 0 for never.
    pub slow_at: u64,
}

/// A slot's note, as read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotNote {
    /// Method.
    pub method: Vec<u8>,
    /// Host.
    pub host: Vec<u8>,
    /// URI.
    pub uri: Vec<u8>,
    /// Client's address.
    pub client: Vec<u8>,
    /// Microseconds since 1970.
    pub since: u64,
    /// Microseconds since 1970 from when on it counts as slow; 0 for never.
    pub slow_at: u64,
    /// Requests that the slot had served before this one.
    pub number: u64,
    /// Epoch of the slot's channel.
    pub epoch: u32,
}

impl Table {
    /// A new table in memory of its own (close-on-exec, sparse, sealed against resizing).
    pub fn create() -> io::Result<(OwnedFd, Self)> {
        let memory = memory::create(c"wsgi-slot-table", size_of::<Shared>())?;
        let table = Self { memory: Mapping::new(memory.as_fd(), 0)? };
        table.shared().header.stamp();
        Ok((memory, table))
    }

    /// Maps a table.
    ///
    /// # Errors
    /// `InvalidData` if this is no table, or one of another layout.
    pub fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let refused = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let size = memory::sealed_size(fd)
            .ok_or_else(|| refused("the slot table's descriptor is no sealed memory"))?;
        if size == size_of::<Shared>() {
            let table = Self { memory: Mapping::new(fd, 0)? };
            if table.shared().header.is_ours() {
                return Ok(table);
            }
        }
        Err(refused("the slot table has another layout: module and supervisor differ in version"))
    }

    fn shared(&self) -> &Shared {
        &self.memory
    }
}

#[cfg(test)]
mod tests;
