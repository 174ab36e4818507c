//! What each slot runs, for the status page.

use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};

use super::layout::Bytes;
use super::{Note, Reservation, SlotNote, SlotState, Table};

/// A note in the shared memory. The sequence is odd during a write.
#[repr(C, align(64))]
pub(super) struct NoteRecord {
    sequence: AtomicU64,
    since: AtomicU64,
    /// Requests that the slot had served before: tells this request from the next.
    number: AtomicU64,
    slow_at: AtomicU64,
    epoch: AtomicU32,
    method: Bytes<2>,
    client: Bytes<6>,
    host: Bytes<15>,
    uri: Bytes<32>,
}

impl Table {
    /// Writes what the slot runs. The caller holds the slot.
    pub fn describe(&self, reservation: Reservation, note: &Note<'_>) {
        let shared = self.shared();
        let holds = shared.word(reservation.slot).map(|word| word.load().epoch());
        let Some(record) =
            shared.note(reservation.slot).filter(|_| holds == Some(reservation.epoch))
        else {
            return;
        };
        // A writer that died in the middle has left it odd.
        let writing = record.sequence.load(Relaxed) | 1;
        record.sequence.store(writing, Relaxed);
        fence(Release);
        record.since.store(note.since, Relaxed);
        record.number.store(self.served(reservation.slot), Relaxed);
        record.epoch.store(reservation.epoch, Relaxed);
        record.slow_at.store(note.slow_at, Relaxed);
        record.method.write(note.method);
        record.client.write(note.client);
        record.host.write(note.host);
        record.uri.write(note.uri);
        record.sequence.store(writing.wrapping_add(1), Release);
    }

    /// What the slot runs now; None also while its holder has not written it yet.
    pub fn current(&self, slot: u32) -> Option<SlotNote> {
        let word = self.slot(slot);
        let note = self.note(slot).filter(|_| word.state == SlotState::Busy)?;
        (note.epoch == word.epoch && note.number == self.served(slot)).then_some(note)
    }

    /// What the slot ran last; None if nothing yet, or if it is being written.
    pub fn note(&self, slot: u32) -> Option<SlotNote> {
        let record = self.shared().note(slot)?;
        for _ in 0..3 {
            let before = record.sequence.load(Acquire);
            if before == 0 {
                return None;
            }
            let note = SlotNote {
                method: record.method.read(),
                host: record.host.read(),
                uri: record.uri.read(),
                client: record.client.read(),
                since: record.since.load(Relaxed),
                number: record.number.load(Relaxed),
                epoch: record.epoch.load(Relaxed),
                slow_at: record.slow_at.load(Relaxed),
            };
            fence(Acquire);
            if before % 2 == 0 && record.sequence.load(Relaxed) == before {
                return Some(note);
            }
        }
        None
    }
}
