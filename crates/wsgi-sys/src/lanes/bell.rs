//! Who of a process' lanes has something for its worker, and whether anybody there looks.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use crate::memory::{Mapping, Shareable};

/// Lanes of one process; threads beyond have none that rings.
const LANES: usize = 1_024;

/// Bytes in front of the first lane.
pub(super) const SIZE: usize = 4_096;

#[repr(C, align(4096))]
struct Record {
    /// 1 once the worker uses lanes.
    open: AtomicU32,
    /// 0 while a worker thread sleeps until the sockets have something.
    awake: AtomicU32,
    /// A bit for each lane that has rung.
    rung: [AtomicU64; LANES / 64],
}

const _: () = assert!(size_of::<Record>() == SIZE);

// SAFETY: atomics alone.
unsafe impl Shareable for Record {}

/// The bell of one process.
#[derive(Debug)]
pub struct Bell(Mapping<Record>);

impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Record")
    }
}

impl Bell {
    /// Maps it.
    ///
    /// # Errors
    /// The descriptor is none of [`create`](super::create)'s, or there is no memory.
    pub fn map(memory: BorrowedFd<'_>) -> io::Result<Self> {
        Mapping::new(memory, 0).map(Self)
    }

    /// The worker uses lanes, and is awake.
    pub fn open(&self) {
        self.0.awake.store(1, SeqCst);
        self.0.open.store(1, SeqCst);
    }

    /// Whether the worker uses lanes.
    pub fn is_open(&self) -> bool {
        self.0.open.load(SeqCst) == 1
    }

    /// Whether somebody looks for what has rung, now or soon.
    pub fn is_awake(&self) -> bool {
        self.0.awake.load(SeqCst) == 1
    }

    /// Tells the worker to look at a lane, or at its socket; false if it sleeps.
    pub fn ring(&self, lane: u32) -> bool {
        let Some(word) = self.0.rung.get(lane as usize / 64) else { return false };
        word.fetch_or(1 << (lane % 64), SeqCst);
        // After the bit: who goes to sleep looks for bits after it has said so.
        self.is_awake()
    }

    /// The lanes that have rung since the last call. Only for the worker.
    pub fn rung(&self) -> impl Iterator<Item = usize> {
        let rung = self.0.rung.iter().enumerate().filter(|(_, word)| word.load(SeqCst) != 0);
        rung.flat_map(|(index, word)| {
            let mut bits = word.swap(0, SeqCst);
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(index * 64 + bit)
            })
        })
    }

    /// From now on nobody looks; false, and somebody does, if a lane has rung. Only for the
    /// worker, one thread at a time.
    pub fn sleep(&self) -> bool {
        self.0.awake.store(0, SeqCst);
        let quiet = self.0.rung.iter().all(|word| word.load(SeqCst) == 0);
        if !quiet {
            self.wake_up();
        }
        quiet
    }

    /// Somebody looks again.
    pub fn wake_up(&self) {
        self.0.awake.store(1, SeqCst);
    }
}
