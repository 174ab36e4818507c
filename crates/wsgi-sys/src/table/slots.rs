//! Reserving, releasing and replacing slots.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::{PoolRecord, ProcessRecord};
use super::word::{Hold, Word};
use super::{Attempt, MAX_SLOTS, PoolRef, PoolState, ProcessState, Reservation, SlotView, Table};
use crate::clock;

/// Searches for a free slot before an attempt is given up: each one was lost to
/// somebody else, who got a slot.
const SEARCHES: usize = 64;

impl Table {
    /// The lowest free slot of the first ready process that keeps up with what it has, else of
    /// the least busy one, unless tickets wait.
    pub fn reserve(&self, pool: PoolRef, lease: u32) -> Attempt {
        let Some(record) = self.shared().pool(pool.index).filter(|_| self.lease_is_valid(lease))
        else {
            return Attempt::Stale;
        };
        match record.identity() {
            (serial, _) if serial != pool.serial => return Attempt::Stale,
            (_, PoolState::Absent) => return Attempt::Stale,
            (_, PoolState::Failed | PoolState::Drained) => return Attempt::Failed,
            (_, PoolState::Starting | PoolState::Ready) => {}
        }
        if self.oldest_waiting(pool.index).is_some() {
            return Attempt::Full;
        }
        let Some(reservation) = self.claim_free(pool.index, lease) else {
            return Attempt::Full;
        };
        if record.identity().0 != pool.serial {
            self.give_back(pool, reservation, lease);
            return Attempt::Stale;
        }
        Attempt::Reserved(reservation)
    }

    /// Gives a slot back after a request: to the oldest ticket, else free.
    /// Nothing happens if the lease does not hold it any more.
    pub fn release(&self, pool: PoolRef, reservation: Reservation, lease: u32) {
        let shared = self.shared();
        let held = Word::busy(lease, reservation.epoch);
        if let (Some(word), Some(served)) =
            (shared.word(reservation.slot), shared.served.get(reservation.slot as usize))
            && word.load() == held
        {
            // Nobody else writes it while the slot is held.
            served.store(served.load(Relaxed).wrapping_add(1), Relaxed);
            self.give_back(pool, reservation, lease);
        }
    }

    /// The application took so many microseconds for the request in the slot, which the
    /// caller holds and is about to release.
    pub fn spend(&self, reservation: Reservation, microseconds: u64) {
        let shared = self.shared();
        if let Some(spent) = shared.spent.get(reservation.slot as usize) {
            spent.store(spent.load(Relaxed).saturating_add(microseconds), Relaxed);
        }
        if let Some(flow) = shared.owner_index(reservation.slot).and_then(|it| shared.flow(it)) {
            flow.ended(microseconds, clock::monotonic());
        }
    }

    /// As [`Table::release`], for a slot that served no request.
    pub fn give_back(&self, pool: PoolRef, reservation: Reservation, lease: u32) {
        // The pool that owns the slot now, which may be another one's successor.
        let owner = self.shared().owner(reservation.slot);
        let owner = owner.map_or(pool.index, |process| process.pool.load(Relaxed));
        self.place(owner, Some(reservation), lease);
    }

    /// Reserves a free slot, whoever waits.
    pub(super) fn claim_free(&self, pool: u32, lease: u32) -> Option<Reservation> {
        let shared = self.shared();
        let record = shared.pool(pool)?;
        for _ in 0..SEARCHES {
            let (slot, epoch) = self.best_slot(pool, record)?;
            if !shared.word(slot)?.change(Word::free(epoch), Word::busy(lease, epoch)) {
                continue;
            }
            let reservation = Reservation { slot, epoch };
            // The supervisor sets Draining and then retires the free slots:
            // either it saw this one busy, or this sees Draining.
            if self.takes_requests(slot) {
                return Some(reservation);
            }
            self.put_free(reservation, lease);
        }
        None
    }

    /// Slot and epoch of the best candidate.
    fn best_slot(&self, pool: u32, record: &PoolRecord) -> Option<(u32, u32)> {
        let shared = self.shared();
        let first = record.first_process.load(Relaxed);
        let mut best = None;
        let mut least = u32::MAX;
        // No pool has more; only scribbled memory says so.
        let mut searched = 0;
        for index in first..first.saturating_add(record.processes.load(Relaxed)) {
            let process = shared.process(index)?;
            if process.state() != ProcessState::Ready || process.pool.load(Relaxed) != pool {
                continue;
            }
            let first_slot = process.first_slot.load(Relaxed);
            let end = first_slot.saturating_add(process.threads.load(Relaxed));
            let Some(words) = shared.words.get(first_slot as usize..end as usize) else {
                continue;
            };
            searched += words.len();
            if searched > MAX_SLOTS as usize {
                break;
            }
            let (mut busy, mut free) = (0_u32, None);
            for (slot, word) in (first_slot..).zip(words) {
                let word = word.glance();
                match word.hold() {
                    Hold::Free if free.is_none() => free = Some((slot, word.epoch())),
                    Hold::Free | Hold::Absent => {}
                    Hold::Busy | Hold::Handed | Hold::Broken | Hold::Retired => busy += 1,
                }
            }
            let limit = process.limit.load(Relaxed);
            if limit != 0 && self.served_by(process).saturating_add(busy.into()) >= limit.into() {
                continue;
            }
            if free.is_none() {
                continue;
            }
            if busy == 0 || shared.flow(index)?.keeps_up(busy, clock::monotonic) {
                return free;
            }
            if busy < least {
                (best, least) = (free, busy);
            }
        }
        best
    }

    /// Whether the process of a slot that is held may serve one more request on it.
    pub(super) fn has_another(&self, slot: u32) -> bool {
        let Some(process) = self.shared().owner(slot) else { return false };
        let limit = process.limit.load(Relaxed);
        if limit == 0 {
            return true;
        }
        let words = self.shared().words.get(slots_of(process)).unwrap_or_default();
        let free = |hold| matches!(hold, Hold::Free | Hold::Absent);
        let busy = words.iter().filter(|word| !free(word.glance().hold())).count() as u64;
        // The held one is among the busy.
        self.served_by(process).saturating_add(busy) <= limit.into()
    }

    fn served_by(&self, process: &ProcessRecord) -> u64 {
        let served = self.shared().served.get(slots_of(process)).unwrap_or_default();
        served.iter().map(|served| served.load(Relaxed)).fold(0, u64::saturating_add)
    }

    /// Whether the slot's process takes new requests.
    pub(super) fn takes_requests(&self, slot: u32) -> bool {
        self.shared().owner(slot).is_some_and(|process| process.state() == ProcessState::Ready)
    }

    /// Busy → Free, without a look at the queue.
    pub(super) fn put_free(&self, reservation: Reservation, lease: u32) {
        if let Some(word) = self.shared().word(reservation.slot) {
            let epoch = reservation.epoch;
            word.change(Word::busy(lease, epoch), Word::free(epoch));
        }
    }

    /// The child reports that it left a channel in doubt: Busy by this lease in
    /// this epoch → Broken. False if it did not hold it.
    pub fn break_slot(&self, slot: u32, epoch: u32, lease: u32) -> bool {
        self.shared()
            .word(slot)
            .is_some_and(|word| word.change(Word::busy(lease, epoch), Word::broken(epoch)))
    }

    /// Absent, Broken or Retired → Free in this epoch, then handed to the oldest
    /// ticket if any. The epoch must be one that this slot never had: a thread
    /// that holds the slot in an old one recognises by it that it lost it.
    pub fn free_slot(&self, pool: PoolRef, slot: u32, epoch: u32) {
        let Some(word) = self.shared().word(slot) else { return };
        let seen = word.load();
        if matches!(seen.hold(), Hold::Absent | Hold::Broken | Hold::Retired)
            && word.change(seen, Word::free(epoch))
        {
            self.dispatch(pool);
        }
    }

    /// Free → Retired. False while it is Busy or Broken.
    pub fn retire_slot(&self, slot: u32) -> bool {
        let Some(word) = self.shared().word(slot) else { return true };
        let seen = word.load();
        match seen.hold() {
            Hold::Absent | Hold::Retired => true,
            Hold::Free => word.change(seen, Word::retired(seen.epoch())),
            Hold::Busy | Hold::Handed | Hold::Broken => false,
        }
    }

    /// Any state → Absent (the process is gone). Whoever held it finds that out
    /// by its channel's end.
    pub fn clear_slot(&self, slot: u32) {
        let Some(word) = self.shared().word(slot) else { return };
        // Others change it only a few times: it leads to Absent from any state.
        for _ in 0..SEARCHES {
            let seen = word.load();
            if word.change(seen, Word::absent(seen.epoch())) {
                return;
            }
        }
    }

    /// The slot's word. A slot that does not exist is absent.
    pub fn slot(&self, slot: u32) -> SlotView {
        self.shared().word(slot).map_or(Word::absent(0), |word| word.load()).view()
    }

    /// Microseconds in applications of the requests that [`Table::served`] counts.
    pub fn spent(&self, slot: u32) -> u64 {
        self.shared().spent.get(slot as usize).map_or(0, |spent| spent.load(Relaxed))
    }

    /// Requests served by a slot since the process entry was last set Starting.
    pub fn served(&self, slot: u32) -> u64 {
        self.shared().served.get(slot as usize).map_or(0, |served| served.load(Relaxed))
    }
}

/// The slots of a process.
fn slots_of(process: &ProcessRecord) -> std::ops::Range<usize> {
    let first = process.first_slot.load(Relaxed);
    first as usize..first.saturating_add(process.threads.load(Relaxed)) as usize
}
