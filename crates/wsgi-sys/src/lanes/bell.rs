//! Who of a process' channels has something for its worker, and where the worker's threads sleep.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::lane;
use crate::futex;
use crate::memory::{self, Mapping, Shareable};

/// Bytes in front of the first lane.
pub(super) const SIZE: usize = 16 * 1024;

/// Groups of 64 channels.
const WORDS: usize = SIZE / 8 - 1;

#[repr(C, align(4096))]
struct Record {
    /// 0 while a worker thread dozes: then who rings has to wake it. 1 while one looks for what
    /// has rung, now or soon.
    awake: AtomicU32,
    unused: AtomicU32,
    /// A bit for each channel that has rung.
    rung: [AtomicU64; WORDS],
}

const _: () = assert!(size_of::<Record>() == SIZE);

// SAFETY: atomics alone.
unsafe impl Shareable for Record {}

/// The bell of one process.
#[derive(Debug)]
pub struct Bell {
    record: Mapping<Record>,
    /// Groups of 64 channels that the process has.
    words: usize,
}

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
        let record = Mapping::new(memory, 0)?;
        let lanes = memory::sealed_size(memory).map_or(0, lane::count);
        Ok(Self { record, words: lanes.div_ceil(64) })
    }

    /// Tells the worker to look at a channel, and wakes a thread if that has to be: the first
    /// that rings does so, and the others rely on it. False if there was nobody to be woken: a
    /// thread is just about to doze and looks once more, or the process has ended.
    pub fn ring(&self, channel: u32) -> bool {
        let Some(word) = self.words().get(channel as usize / 64) else { return false };
        word.fetch_or(1 << (channel % 64), SeqCst);
        // After the bit: who dozes off looks for bits after it has said so.
        self.record.awake.swap(1, SeqCst) == 1 || self.wake()
    }

    /// Wakes a thread that dozes, if one does.
    pub fn wake(&self) -> bool {
        futex::wake_one(&self.record.awake)
    }

    /// The channels that have rung since the last call. Only for the worker.
    pub fn rung(&self) -> impl Iterator<Item = usize> {
        let rung = self.words().iter().enumerate().filter(|(_, word)| word.load(SeqCst) != 0);
        rung.flat_map(|(index, word)| {
            let mut bits = word.swap(0, SeqCst);
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(index * 64 + bit)
            })
        })
    }

    /// Whether somebody looks for what has rung. Who says that nobody does looks once more
    /// before it dozes. Only for the worker.
    pub fn set_awake(&self, awake: bool) {
        self.record.awake.store(awake.into(), SeqCst);
    }

    /// Sleeps until somebody rings, unless that has happened since nobody was awake. It may
    /// return for no reason. Only for the worker.
    pub fn doze(&self) {
        futex::wait_forever(&self.record.awake, 0);
    }

    fn words(&self) -> &[AtomicU64] {
        self.record.rung.get(..self.words).unwrap_or(&self.record.rung)
    }
}
