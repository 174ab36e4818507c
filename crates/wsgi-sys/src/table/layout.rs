//! What lies where in the shared memory.
//!
//! All zeros is a valid, empty table: a new memfd needs no initialisation, and
//! what no pool uses costs no memory.

use std::fmt;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use super::accounts::AccountRecord;
use super::chronicle::Chronicle;
use super::flow::FlowRecord;
use super::notes::NoteRecord;
use super::profiles::ProfileRecord;
use super::waits::Waits;
use super::word::{EntryCell, WordCell};
use super::{
    MAX_LEASES, MAX_POOLS, MAX_PROCESSES, MAX_SLOTS, MAX_TICKETS, PoolState, ProcessState,
};
use crate::memory::{self, Shareable};

/// "wsgislot"; the last byte changes with the layout.
const MAGIC: u64 = u64::from_be_bytes(*b"wsgislo\x06");

/// The whole table.
#[repr(C, align(64))]
pub(super) struct Shared {
    pub(super) header: Header,
    leases: [AtomicU32; MAX_LEASES as usize],
    pools: [PoolRecord; MAX_POOLS as usize],
    processes: [ProcessRecord; MAX_PROCESSES as usize],
    /// Eight bytes apart: a search runs over few cache lines.
    pub(super) words: [WordCell; MAX_SLOTS as usize],
    /// The process entry that each slot belongs to. These and the counters are
    /// apart from the notes, as a pool that runs nothing needs no note's memory.
    pub(super) owners: [AtomicU32; MAX_SLOTS as usize],
    /// Requests, counted by whoever holds the slot.
    pub(super) served: [AtomicU64; MAX_SLOTS as usize],
    /// Microseconds in applications, likewise.
    pub(super) spent: [AtomicU64; MAX_SLOTS as usize],
    /// See `activity.rs`.
    pub(super) ignored: [AtomicU64; MAX_SLOTS as usize],
    notes: [NoteRecord; MAX_SLOTS as usize],
    rings: [[EntryCell; MAX_TICKETS as usize]; MAX_POOLS as usize],
    pub(super) chronicle: Chronicle,
    pub(super) accounts: [AccountRecord; MAX_POOLS as usize],
    profiles: [ProfileRecord; MAX_PROCESSES as usize],
    flows: [FlowRecord; MAX_PROCESSES as usize],
}

// SAFETY: atomics alone, in records of them.
unsafe impl Shareable for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Shared")
    }
}

#[repr(C, align(64))]
pub(super) struct Header {
    magic: AtomicU64,
    size: AtomicU64,
    /// The lease opened last.
    pub(super) last_lease: AtomicU32,
    /// Above all pools that there ever were.
    pools: AtomicU32,
    /// Above all slots that any pool ever had.
    slots: AtomicU32,
}

/// A pool.
#[repr(C, align(64))]
pub(super) struct PoolRecord {
    /// Serial and state in one: a child compares both at once.
    pub(super) identity: AtomicU64,
    pub(super) first_process: AtomicU32,
    pub(super) processes: AtomicU32,
    pub(super) first_slot: AtomicU32,
    pub(super) threads: AtomicU32,
    /// Index of its account.
    pub(super) account: AtomicU32,
    /// Apart from the above, which everybody reads and nobody writes.
    pub(super) queue: Ends,
    pub(super) waits: Waits,
    pub(super) process_group: Bytes<32>,
    pub(super) application_group: Bytes<32>,
}

/// Both ends of a pool's queue. Tickets from `head` to below `tail` are in it;
/// the numbers only ever grow.
#[repr(C, align(64))]
pub(super) struct Ends {
    pub(super) head: AtomicU64,
    pub(super) tail: AtomicU64,
}

/// A process entry.
#[repr(C, align(32))]
pub(super) struct ProcessRecord {
    state: AtomicU32,
    pub(super) pid: AtomicI32,
    pub(super) start_time: AtomicU64,
    pub(super) pool: AtomicU32,
    pub(super) first_slot: AtomicU32,
    pub(super) threads: AtomicU32,
    /// Requests after which it takes no more; 0 for none.
    pub(super) limit: AtomicU32,
}

const _: () = assert!(size_of::<NoteRecord>() == 512);
const _: () = assert!(size_of::<ProcessRecord>() == 32);
const _: () = assert!(size_of::<WordCell>() == 8 && size_of::<EntryCell>() == 8);

impl Shared {
    pub(super) fn lease(&self, lease: u32) -> Option<&AtomicU32> {
        self.leases.get(lease as usize).filter(|_| lease > 0)
    }

    pub(super) fn pool(&self, index: u32) -> Option<&PoolRecord> {
        self.pools.get(index as usize)
    }

    pub(super) fn process(&self, index: u32) -> Option<&ProcessRecord> {
        self.processes.get(index as usize)
    }

    pub(super) fn word(&self, slot: u32) -> Option<&WordCell> {
        self.words.get(slot as usize)
    }

    /// The process entry that the slot belongs to.
    pub(super) fn owner(&self, slot: u32) -> Option<&ProcessRecord> {
        self.process(self.owner_index(slot)?)
    }

    pub(super) fn owner_index(&self, slot: u32) -> Option<u32> {
        Some(self.owners.get(slot as usize)?.load(Relaxed))
    }

    pub(super) fn note(&self, slot: u32) -> Option<&NoteRecord> {
        self.notes.get(slot as usize)
    }

    pub(super) fn flow(&self, process: u32) -> Option<&FlowRecord> {
        self.flows.get(process as usize)
    }

    pub(super) fn profile(&self, process: u32) -> Option<&ProfileRecord> {
        self.profiles.get(process as usize)
    }

    /// The place in a pool's ring where the ticket belongs.
    pub(super) fn entry(&self, pool: u32, ticket: u64) -> Option<&EntryCell> {
        let place = ticket % u64::from(MAX_TICKETS);
        self.rings.get(pool as usize)?.get(usize::try_from(place).ok()?)
    }

    /// Indices of all pools that there ever were.
    pub(super) fn pool_indices(&self) -> std::ops::Range<u32> {
        0..self.header.pools.load(SeqCst).min(MAX_POOLS)
    }

    /// Indices of all slots that any pool ever had.
    pub(super) fn slot_indices(&self) -> std::ops::Range<u32> {
        0..self.header.slots.load(SeqCst).min(MAX_SLOTS)
    }
}

impl Header {
    pub(super) fn stamp(&self) {
        self.size.store(size_of::<Shared>() as u64, SeqCst);
        self.magic.store(MAGIC, SeqCst);
    }

    pub(super) fn is_ours(&self) -> bool {
        self.magic.load(SeqCst) == MAGIC && self.size.load(SeqCst) == size_of::<Shared>() as u64
    }

    /// Takes a pool and its slots into the ranges that sweeps go over.
    pub(super) fn cover(&self, pool: u32, slots_end: u32) {
        self.pools.fetch_max(pool + 1, SeqCst);
        self.slots.fetch_max(slots_end, SeqCst);
    }
}

impl PoolRecord {
    /// Serial and state.
    pub(super) fn identity(&self) -> (u32, PoolState) {
        let identity = self.identity.load(SeqCst);
        (high(identity), PoolState::from_number(low(identity)))
    }

    pub(super) fn set_identity(&self, serial: u32, state: PoolState) {
        self.identity.store(join(serial, state as u32), SeqCst);
    }
}

impl ProcessRecord {
    pub(super) fn state(&self) -> ProcessState {
        ProcessState::from_number(self.state.load(SeqCst))
    }

    pub(super) fn set_state(&self, state: ProcessState) {
        self.state.store(state as u32, SeqCst);
    }
}

impl PoolState {
    /// Memory that somebody scribbled on names no pool.
    fn from_number(number: u32) -> Self {
        [Self::Starting, Self::Ready, Self::Failed, Self::Drained]
            .into_iter()
            .find(|state| *state as u32 == number)
            .unwrap_or(Self::Absent)
    }
}

impl ProcessState {
    fn from_number(number: u32) -> Self {
        [Self::Starting, Self::Ready, Self::Draining, Self::Stopping]
            .into_iter()
            .find(|state| *state as u32 == number)
            .unwrap_or(Self::Absent)
    }
}

/// Bytes of variable length, cut to fit. A reader during a write gets a mixture.
#[repr(C)]
pub(super) struct Bytes<const WORDS: usize> {
    length: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Bytes<WORDS> {
    pub(super) fn write(&self, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(WORDS * 8)];
        self.length.store(bytes.len() as u64, Relaxed);
        memory::write(&self.words, bytes);
    }

    pub(super) fn read(&self) -> Vec<u8> {
        let length = usize::try_from(self.length.load(Relaxed)).unwrap_or(0).min(WORDS * 8);
        let words = self.words.iter().take(length.div_ceil(8));
        let mut bytes: Vec<u8> = words.flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        bytes.truncate(length);
        bytes
    }
}

/// The upper half.
pub(super) const fn high(number: u64) -> u32 {
    (number >> 32) as u32
}

/// The lower half.
#[allow(clippy::cast_possible_truncation)]
pub(super) const fn low(number: u64) -> u32 {
    number as u32
}

/// Both halves.
pub(super) const fn join(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}
