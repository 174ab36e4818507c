//! The two kinds of 64-bit words that change by compare-and-swap: slots' words
//! and tickets' entries.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use super::layout::{high, join, low};
use super::{MAX_SLOTS, MAX_TICKETS, SUPERVISOR_LEASE, SlotState, SlotView};
use crate::futex;

/// A slot's word: state (8 bits), lease (24), epoch (32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

/// A word's state: that of [`SlotState`], and one that only the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Hold {
    Absent = 0,
    Free = 1,
    Busy = 2,
    Broken = 3,
    Retired = 4,
    /// Given to a waiting lease, which has not taken it yet: nothing has been
    /// sent over its channel.
    Handed = 5,
}

impl Word {
    fn new(hold: Hold, lease: u32, epoch: u32) -> Self {
        Self(join((hold as u32) << 24 | lease & 0xff_ffff, epoch))
    }

    pub(super) fn absent(epoch: u32) -> Self {
        Self::new(Hold::Absent, 0, epoch)
    }

    pub(super) fn free(epoch: u32) -> Self {
        Self::new(Hold::Free, 0, epoch)
    }

    pub(super) fn busy(lease: u32, epoch: u32) -> Self {
        Self::new(Hold::Busy, lease, epoch)
    }

    pub(super) fn handed(lease: u32, epoch: u32) -> Self {
        Self::new(Hold::Handed, lease, epoch)
    }

    pub(super) fn broken(epoch: u32) -> Self {
        Self::new(Hold::Broken, 0, epoch)
    }

    pub(super) fn retired(epoch: u32) -> Self {
        Self::new(Hold::Retired, 0, epoch)
    }

    /// What nobody could have written counts as absent.
    pub(super) fn hold(self) -> Hold {
        match high(self.0) >> 24 {
            1 => Hold::Free,
            2 => Hold::Busy,
            3 => Hold::Broken,
            4 => Hold::Retired,
            5 => Hold::Handed,
            _ => Hold::Absent,
        }
    }

    pub(super) fn lease(self) -> u32 {
        high(self.0) & 0xff_ffff
    }

    pub(super) fn epoch(self) -> u32 {
        low(self.0)
    }

    pub(super) fn view(self) -> SlotView {
        let (state, lease) = match self.hold() {
            Hold::Absent => (SlotState::Absent, 0),
            Hold::Free => (SlotState::Free, 0),
            Hold::Busy | Hold::Handed => (SlotState::Busy, self.lease()),
            Hold::Broken => (SlotState::Broken, 0),
            Hold::Retired => (SlotState::Retired, 0),
        };
        SlotView { state, lease, epoch: self.epoch() }
    }
}

/// A slot's word in the shared memory.
#[repr(transparent)]
pub(super) struct WordCell(AtomicU64);

impl WordCell {
    pub(super) fn load(&self) -> Word {
        Word(self.0.load(SeqCst))
    }

    /// For a search, whose result is confirmed by [`WordCell::change`].
    pub(super) fn glance(&self) -> Word {
        Word(self.0.load(Relaxed))
    }

    /// Compare-and-swap; false if the word is not `from`.
    pub(super) fn change(&self, from: Word, to: Word) -> bool {
        self.0.compare_exchange(from.0, to.0, SeqCst, SeqCst).is_ok()
    }
}

/// A ticket in a pool's ring: state (3 bits), granted slot (17), lease (16), and
/// as much of the number (28) as tells it from those that had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Never used.
    Empty = 0,
    /// In the queue.
    Waiting = 1,
    /// A slot was handed to the lease; it has not taken it yet.
    Granted = 2,
    /// The lease has seen its grant.
    Done = 3,
    /// Left, or driven out.
    Cancelled = 4,
}

const SLOT_SHIFT: u32 = 44;
const LEASE_SHIFT: u32 = 28;
const NUMBER_MASK: u64 = (1 << LEASE_SHIFT) - 1;
const _: () = assert!(MAX_SLOTS <= 1 << 17 && SUPERVISOR_LEASE < 1 << 16);
const _: () = assert!(MAX_TICKETS.is_power_of_two() && (MAX_TICKETS as u64) < NUMBER_MASK / 2);

impl Entry {
    fn new(stage: Stage, slot: u32, lease: u32, number: u64) -> Self {
        let upper = (stage as u64) << 61 | u64::from(slot & 0x1_ffff) << SLOT_SHIFT;
        Self(upper | u64::from(lease & 0xffff) << LEASE_SHIFT | number & NUMBER_MASK)
    }

    pub(super) fn waiting(lease: u32, number: u64) -> Self {
        Self::new(Stage::Waiting, 0, lease, number)
    }

    pub(super) fn granted(self, slot: u32) -> Self {
        Self::new(Stage::Granted, slot, self.lease(), self.0)
    }

    pub(super) fn finished(self, stage: Stage) -> Self {
        Self::new(stage, 0, self.lease(), self.0)
    }

    pub(super) fn stage(self) -> Stage {
        match self.0 >> 61 {
            1 => Stage::Waiting,
            2 => Stage::Granted,
            3 => Stage::Done,
            4 => Stage::Cancelled,
            _ => Stage::Empty,
        }
    }

    pub(super) fn slot(self) -> u32 {
        low(self.0 >> SLOT_SHIFT) & 0x1_ffff
    }

    pub(super) fn lease(self) -> u32 {
        low(self.0 >> LEASE_SHIFT) & 0xffff
    }

    /// Whether this is that ticket, in whatever stage.
    pub(super) fn is(self, number: u64) -> bool {
        self.stage() != Stage::Empty && self.0 & NUMBER_MASK == number & NUMBER_MASK
    }

    /// Whether nobody expects anything of this ticket any more.
    pub(super) fn is_over(self) -> bool {
        matches!(self.stage(), Stage::Done | Stage::Cancelled)
    }
}

/// A ticket in the shared memory.
#[repr(transparent)]
pub(super) struct EntryCell(AtomicU64);

impl EntryCell {
    pub(super) fn load(&self) -> Entry {
        Entry(self.0.load(SeqCst))
    }

    /// Compare-and-swap; false if the entry is not `from`.
    pub(super) fn change(&self, from: Entry, to: Entry) -> bool {
        self.0.compare_exchange(from.0, to.0, SeqCst, SeqCst).is_ok()
    }

    /// Wakes whoever waits for a change. The kernel watches the upper half,
    /// which holds the stage.
    pub(super) fn wake(&self) {
        futex::wake_upper(&self.0);
    }

    /// Sleeps while the entry is `seen`, at most that long. False if time is up.
    pub(super) fn sleep(&self, seen: Entry, timeout: std::time::Duration) -> bool {
        futex::wait_upper(&self.0, high(seen.0), timeout)
    }
}
