//! Tickets: who waits for a slot, in what order, and how one is handed over.
//!
//! A ticket's entry lies in its pool's ring at number modulo size. It is
//! published first, and the queue's tail moved over it afterwards, by its owner
//! or by the next one who comes: so an owner that dies in between leaves no gap.
//! The head moves over entries that are over, by whoever looks.

use std::collections::BTreeSet;
use std::sync::atomic::{Ordering::SeqCst, fence};
use std::time::{Duration, Instant};

use super::word::{Entry, EntryCell, Stage, Word};
use super::{MAX_TICKETS, PoolRef, PoolState, Reservation, Table, Ticket, Waited};

/// After so long a sleep the owner of the oldest ticket looks for a free slot
/// itself, in case whoever freed one died before it looked at the queue.
const SLICE: Duration = Duration::from_millis(250);

/// Rounds of a loop in which each round lost means that somebody else won one.
const ROUNDS: usize = 4 * MAX_TICKETS as usize;

impl Table {
    /// Joins the pool's queue; None if so many wait already, which is at most
    /// [`MAX_TICKETS`]. Then hands free slots to the oldest tickets, which may be
    /// this one.
    pub fn enqueue(&self, pool: PoolRef, lease: u32, most: u32) -> Option<Ticket> {
        let record = self.shared().pool(pool.index).filter(|_| self.lease_is_valid(lease))?;
        let Some(number) = self.publish(pool.index, lease, most.min(MAX_TICKETS)) else {
            record.waits.refuse();
            return None;
        };
        self.place(pool.index, None, lease);
        let taken = number.wrapping_add(1).wrapping_sub(record.queue.head.load(SeqCst));
        // The head may have passed over it by now.
        if taken <= u64::from(MAX_TICKETS) {
            record.waits.reached(taken);
        }
        Some(Ticket { pool, number })
    }

    fn publish(&self, pool: u32, lease: u32, most: u32) -> Option<u64> {
        let shared = self.shared();
        let queue = &shared.pool(pool)?.queue;
        for _ in 0..ROUNDS {
            let tail = queue.tail.load(SeqCst);
            if tail.wrapping_sub(queue.head.load(SeqCst)) >= u64::from(MAX_TICKETS)
                && tail.wrapping_sub(self.advance_head(pool)) >= u64::from(MAX_TICKETS)
            {
                return None;
            }
            // Nobody can have joined since if the place at this tail is vacant below.
            if tail.wrapping_sub(queue.head.load(SeqCst)) >= u64::from(most)
                && self.waiting(pool) >= most
            {
                return None;
            }
            let entry = shared.entry(pool, tail)?;
            let seen = entry.load();
            if seen.is(tail) {
                let _ = queue.tail.compare_exchange(tail, tail.wrapping_add(1), SeqCst, SeqCst);
                continue;
            }
            // Only over the one that had the place before, and only if it is
            // over: anything else means that the tail has moved on.
            let before = tail.wrapping_sub(u64::from(MAX_TICKETS));
            let vacant = seen.stage() == Stage::Empty || seen.is(before) && seen.is_over();
            if vacant && entry.change(seen, Entry::waiting(lease, tail)) {
                let _ = queue.tail.compare_exchange(tail, tail.wrapping_add(1), SeqCst, SeqCst);
                return Some(tail);
            }
        }
        None
    }

    /// Waits until a slot is handed over, at most that long. A caller that wants
    /// to look after its client calls it again and again with the same ticket.
    pub fn wait(&self, ticket: Ticket, lease: u32, timeout: Duration) -> Waited {
        let shared = self.shared();
        let index = ticket.pool.index;
        let (Some(record), Some(entry)) = (shared.pool(index), shared.entry(index, ticket.number))
        else {
            return Waited::Stale;
        };
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let seen = entry.load();
            let ours = seen.is(ticket.number) && seen.lease() == lease;
            // After the entry: who drives the tickets out sets the state first.
            let (serial, state) = record.identity();
            let stale = serial != ticket.pool.serial || state == PoolState::Absent;
            if !ours || seen.stage() != Stage::Waiting || stale || state.refuses() {
                return match self.cancel(ticket, lease) {
                    Some(reservation) if stale => {
                        // Handed over by the pool that has taken the place.
                        self.give_back(ticket.pool, reservation, lease);
                        Waited::Stale
                    }
                    Some(reservation) => Waited::Granted(reservation),
                    None if state.refuses() && !stale => Waited::Failed,
                    None => Waited::Stale,
                };
            }
            let left = deadline
                .map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Waited::TimedOut;
            }
            let oldest = || self.oldest_waiting(index).is_some_and(|(_, oldest)| oldest == seen);
            if !entry.sleep(seen, left.min(SLICE)) && oldest() {
                self.place(index, None, lease);
            }
        }
    }

    /// Leaves the queue; Some if a slot had been granted already (the caller uses
    /// it or gives it back).
    pub fn cancel(&self, ticket: Ticket, lease: u32) -> Option<Reservation> {
        let entry = self.shared().entry(ticket.pool.index, ticket.number)?;
        // At most twice: from Waiting it can only become Granted or Cancelled.
        for _ in 0..3 {
            let seen = entry.load();
            if !seen.is(ticket.number) || seen.lease() != lease {
                return None;
            }
            match seen.stage() {
                Stage::Waiting => {
                    if entry.change(seen, seen.finished(Stage::Cancelled)) {
                        return None;
                    }
                }
                Stage::Granted => {
                    // The slot first: while the entry says Granted, a sweep does
                    // not take the slot for an orphan.
                    let reservation = self.claim_handed(seen.slot(), lease);
                    entry.change(seen, seen.finished(Stage::Done));
                    return reservation;
                }
                Stage::Empty | Stage::Done | Stage::Cancelled => return None,
            }
        }
        None
    }

    /// Takes a slot that was handed over; None if it was cleared since.
    fn claim_handed(&self, slot: u32, lease: u32) -> Option<Reservation> {
        let word = self.shared().word(slot)?;
        let epoch = word.load().epoch();
        word.change(Word::handed(lease, epoch), Word::busy(lease, epoch))
            .then_some(Reservation { slot, epoch })
    }

    /// Requests waiting for the pool.
    pub fn waiting(&self, pool: u32) -> u32 {
        let waiting = self.tickets(pool).filter(|(_, seen)| seen.stage() == Stage::Waiting);
        u32::try_from(waiting.count()).unwrap_or(u32::MAX)
    }

    /// Leases that have a ticket in any pool's queue.
    pub fn ticket_holders(&self) -> BTreeSet<u32> {
        let tickets = self.shared().pool_indices().flat_map(|pool| self.tickets_and_next(pool));
        tickets.filter(|(_, seen)| !seen.is_over()).map(|(_, seen)| seen.lease()).collect()
    }

    /// Hands free slots of ready processes to waiting tickets (after a change of
    /// state), under the supervisor's lease.
    pub fn dispatch(&self, pool: PoolRef) {
        self.place(pool.index, None, super::SUPERVISOR_LEASE);
    }

    /// Finds a use for a slot that the lease holds, and for those that are free:
    /// the oldest ticket, else free. Always ends with a look at the queue.
    pub(super) fn place(&self, pool: u32, mut held: Option<Reservation>, lease: u32) {
        if let Some(reservation) =
            held.take_if(|held| !self.takes_requests(held.slot) || !self.has_another(held.slot))
        {
            self.put_free(reservation, lease);
        }
        for _ in 0..ROUNDS {
            let Some((entry, seen)) = self.oldest_waiting(pool) else {
                let Some(reservation) = held.take() else { return };
                self.put_free(reservation, lease);
                // Somebody may have joined before it was free: look again.
                continue;
            };
            if !self.lease_is_open(seen.lease()) {
                entry.change(seen, seen.finished(Stage::Cancelled));
                continue;
            }
            if held.is_none() {
                // The search reads without order; it must come after the ticket.
                fence(SeqCst);
                held = self.claim_free(pool, lease);
            }
            let Some(reservation) = held.take() else { return };
            held = self.hand_over(reservation, lease, entry, seen);
        }
        if let Some(reservation) = held {
            self.put_free(reservation, lease);
        }
    }

    /// Gives a slot to a ticket; Some(slot) if the ticket was taken meanwhile and
    /// the lease holds it still.
    fn hand_over(
        &self,
        reservation: Reservation,
        lease: u32,
        entry: &EntryCell,
        seen: Entry,
    ) -> Option<Reservation> {
        let word = self.shared().word(reservation.slot)?;
        let ours = Word::busy(lease, reservation.epoch);
        let theirs = Word::handed(seen.lease(), reservation.epoch);
        if !word.change(ours, theirs) {
            return None;
        }
        if entry.change(seen, seen.granted(reservation.slot)) {
            entry.wake();
            return None;
        }
        word.change(theirs, ours).then_some(reservation)
    }

    /// The oldest ticket that waits. None in no time if the queue is empty.
    pub(super) fn oldest_waiting(&self, pool: u32) -> Option<(&EntryCell, Entry)> {
        let queue = &self.shared().pool(pool)?.queue;
        if queue.head.load(SeqCst) == queue.tail.load(SeqCst) {
            return None;
        }
        self.advance_head(pool);
        self.tickets(pool).find(|(_, seen)| seen.stage() == Stage::Waiting)
    }

    /// Moves the head over what is over; returns it.
    fn advance_head(&self, pool: u32) -> u64 {
        let shared = self.shared();
        let Some(record) = shared.pool(pool) else { return 0 };
        for _ in 0..ROUNDS {
            let head = record.queue.head.load(SeqCst);
            let length = record.queue.tail.load(SeqCst).wrapping_sub(head);
            // Between head and tail every entry is published: if this one is
            // not, the head has moved meanwhile, or somebody scribbled on it.
            let over = (1..=u64::from(MAX_TICKETS)).contains(&length)
                && shared
                    .entry(pool, head)
                    .map(EntryCell::load)
                    .is_some_and(|seen| !seen.is(head) || seen.is_over());
            if !over {
                return head;
            }
            let next = head.wrapping_add(1);
            let _ = record.queue.head.compare_exchange(head, next, SeqCst, SeqCst);
        }
        record.queue.head.load(SeqCst)
    }

    /// The tickets in the queue, oldest first, whatever their stage.
    fn tickets(&self, pool: u32) -> impl Iterator<Item = (&EntryCell, Entry)> {
        let shared = self.shared();
        let numbers = shared.pool(pool).and_then(|record| {
            // Longer than the ring: the head was read long before the tail, or
            // the memory is no good.
            (0..4).find_map(|_| {
                let head = record.queue.head.load(SeqCst);
                let length = record.queue.tail.load(SeqCst).wrapping_sub(head);
                (length <= u64::from(MAX_TICKETS)).then(|| head..head.saturating_add(length))
            })
        });
        numbers.unwrap_or(0..0).filter_map(move |number| {
            let entry = shared.entry(pool, number)?;
            let seen = entry.load();
            seen.is(number).then_some((entry, seen))
        })
    }

    /// The tickets in the queue, and the one that the next tail may be about to
    /// move over: its owner may have died just then.
    fn tickets_and_next(&self, pool: u32) -> impl Iterator<Item = (&EntryCell, Entry)> {
        let shared = self.shared();
        let tail = shared.pool(pool).map_or(0, |record| record.queue.tail.load(SeqCst));
        let next = shared.entry(pool, tail).map(|entry| (entry, entry.load()));
        self.tickets(pool).chain(next.filter(move |(_, seen)| seen.is(tail)))
    }

    /// Drives all waiting tickets out and wakes their owners, who read in the
    /// pool's identity why.
    pub(super) fn drive_out(&self, pool: u32) {
        for (entry, seen) in self.tickets_and_next(pool) {
            if seen.stage() == Stage::Waiting {
                entry.change(seen, seen.finished(Stage::Cancelled));
            }
            entry.wake();
        }
    }

    /// Cancels a dead lease's tickets. Wakes those who have a grant, in case it
    /// was the dead one who should have.
    pub(super) fn sweep_tickets(&self, pool: u32, dead: u32) {
        for (entry, seen) in self.tickets_and_next(pool) {
            if seen.lease() == dead {
                // Again if it became Granted just then.
                for _ in 0..3 {
                    let seen = entry.load();
                    if seen.lease() != dead
                        || seen.is_over()
                        || entry.change(seen, seen.finished(Stage::Cancelled))
                    {
                        break;
                    }
                }
            } else if seen.stage() == Stage::Granted {
                entry.wake();
            }
        }
    }

    /// Empties a queue whose ends are no good: longer than the ring.
    pub(super) fn mend_queue(&self, pool: u32) {
        let Some(record) = self.shared().pool(pool) else { return };
        let (head, tail) = (record.queue.head.load(SeqCst), record.queue.tail.load(SeqCst));
        if tail.wrapping_sub(head) > u64::from(MAX_TICKETS) {
            record.queue.head.store(tail, SeqCst);
        }
    }

    /// Whether a ticket says that the slot was handed to its lease.
    pub(super) fn is_granted(&self, pool: u32, slot: u32, lease: u32) -> bool {
        self.tickets_and_next(pool).any(|(_, seen)| {
            seen.stage() == Stage::Granted && seen.slot() == slot && seen.lease() == lease
        })
    }
}
