//! Leases: under whose name slots are held, and what becomes of them when the
//! holder dies.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::word::{Hold, Word};
use super::{MAX_LEASES, Reservation, SUPERVISOR_LEASE, Table};

/// A lease's word.
const VOID: u32 = 0;
const OPEN: u32 = 1;

/// Slots just handed over whose queues one sweep searches for the ticket; those
/// beyond count as orphans, which costs their waiters a new attempt.
const ORPHAN_CHECKS: u32 = 1_024;

impl Table {
    /// A new lease, for a child that has registered; None if all are taken.
    /// Numbers come in turn, so that one is reused as late as possible.
    pub fn open_lease(&self) -> Option<u32> {
        let shared = self.shared();
        let last = shared.header.last_lease.load(SeqCst) % MAX_LEASES;
        (last + 1..MAX_LEASES).chain(1..=last).find(|&lease| {
            let opened = shared
                .lease(lease)
                .is_some_and(|word| word.compare_exchange(VOID, OPEN, SeqCst, SeqCst).is_ok());
            if opened {
                shared.header.last_lease.store(lease, SeqCst);
            }
            opened
        })
    }

    /// The child is gone: its tickets are cancelled; slots that it held become
    /// Broken and are returned with their epochs. Also hands out what the child
    /// may have freed without a look at the queue.
    ///
    /// A supervisor that takes over from one that was killed calls it with
    /// [`SUPERVISOR_LEASE`], which stays open, and whose slots become free.
    pub fn void_lease(&self, lease: u32) -> Vec<Reservation> {
        let shared = self.shared();
        if let Some(word) = shared.lease(lease) {
            word.store(VOID, SeqCst);
        }
        // Tickets first: whoever hands a slot to the dead lease now either finds
        // the ticket cancelled and takes it back, or did so before and the slot
        // is found below.
        for pool in shared.pool_indices() {
            self.sweep_tickets(pool, lease);
        }
        let mut checks = ORPHAN_CHECKS;
        let sweep = |slot| self.sweep_slot(slot, lease, &mut checks);
        let broken = shared.slot_indices().filter_map(sweep).collect();
        for pool in shared.pool_indices() {
            self.place(pool, None, SUPERVISOR_LEASE);
        }
        broken
    }

    /// As [`Table::void_lease`], for a holder of whom nobody knows whether it lives: only these
    /// slots are taken, and the lease stays open. A holder that lives begins anew.
    pub fn recall(&self, lease: u32, slots: &[u32]) -> Vec<Reservation> {
        for pool in self.shared().pool_indices() {
            self.sweep_tickets(pool, lease);
        }
        let mut checks = ORPHAN_CHECKS;
        let sweep = |&slot| self.sweep_slot(slot, lease, &mut checks);
        let broken = slots.iter().filter_map(sweep).collect();
        for pool in self.shared().pool_indices() {
            self.place(pool, None, SUPERVISOR_LEASE);
        }
        broken
    }

    /// Takes a slot from a dead lease; Some if its channel is in doubt.
    fn sweep_slot(&self, slot: u32, dead: u32, checks: &mut u32) -> Option<Reservation> {
        let word = self.shared().word(slot)?;
        // Again if it changed: into the dead one's hands it can come only once.
        for _ in 0..4 {
            let seen = word.load();
            let epoch = seen.epoch();
            match seen.hold() {
                Hold::Busy if seen.lease() == dead && dead != SUPERVISOR_LEASE => {
                    if word.change(seen, Word::broken(epoch)) {
                        return Some(Reservation { slot, epoch });
                    }
                }
                Hold::Busy if seen.lease() == dead => {
                    word.change(seen, Word::free(epoch));
                }
                // Nothing was sent over its channel yet. To a living lease: an
                // orphan if no ticket tells it so, as the dead one was about to.
                Hold::Handed if seen.lease() == dead || self.is_orphan(slot, seen, checks) => {
                    word.change(seen, Word::free(epoch));
                }
                _ => return None,
            }
        }
        None
    }

    /// Whether nobody knows that the slot was handed over. A living process may
    /// be just about to tell: then it and the waiter find that the slot is gone,
    /// and the waiter begins anew.
    fn is_orphan(&self, slot: u32, seen: Word, checks: &mut u32) -> bool {
        if *checks == 0 {
            return true;
        }
        *checks -= 1;
        let owner = self.shared().owner(slot).map(|process| process.pool.load(Relaxed));
        !owner.is_some_and(|pool| self.is_granted(pool, slot, seen.lease()))
    }

    /// Whether the number can be a holder's.
    pub(super) fn lease_is_valid(&self, lease: u32) -> bool {
        (1..=SUPERVISOR_LEASE).contains(&lease)
    }

    /// Whether the holder lives.
    pub fn lease_is_open(&self, lease: u32) -> bool {
        lease == SUPERVISOR_LEASE
            || self.shared().lease(lease).is_some_and(|word| word.load(SeqCst) == OPEN)
    }
}
