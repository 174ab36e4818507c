//! Requests that are no sign that a process is needed (WSGIIgnoreActivity).
//!
//! A slot's word holds how many of its requests were ignored, and which one was the last: by its
//! number among those that the slot has served. Other requests leave it alone.

use std::sync::atomic::Ordering::Relaxed;

use super::{Reservation, SlotState, Table};

/// What a slot has done that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Requests that it has served.
    pub served: u64,
    /// It runs one.
    pub busy: bool,
}

impl Table {
    /// The request that holds the slot does not count, or does after all because the slot will
    /// not have served it. Only for whoever holds it.
    pub fn ignore_activity(&self, reservation: Reservation, ignore: bool) {
        if let Some(word) = self.shared().ignored.get(reservation.slot as usize) {
            let count = word.load(Relaxed) >> 32;
            let (count, last) = match ignore {
                true => (count + 1, number(self.served(reservation.slot))),
                false => (count.saturating_sub(1), 0),
            };
            word.store(count << 32 | last, Relaxed);
        }
    }

    /// What a slot has done since its process was started, without what is ignored.
    pub fn activity(&self, slot: u32) -> Activity {
        let word = self.shared().ignored.get(slot as usize);
        let word = word.map_or(0, |word| word.load(Relaxed));
        let served = self.served(slot);
        let busy = self.slot(slot).state == SlotState::Busy;
        let ignores = busy && word & LOW == number(served);
        let ignored = (word >> 32) - u64::from(ignores && word >> 32 > 0);
        Activity { served: served.saturating_sub(ignored), busy: busy && !ignores }
    }
}

const LOW: u64 = 0xFFFF_FFFF;

/// The number of the request that follows so many others; never 0.
fn number(served: u64) -> u64 {
    served % LOW + 1
}
