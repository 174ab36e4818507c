//! First come, first served, while many contend for few slots.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::table::word::Stage;

/// Tickets before this one that still wait. A ticket is granted when all before
/// it are granted or cancelled, and neither of these ends: so none can be there,
/// whenever the owner of this one gets to look.
fn still_waiting_before(table: &Table, ticket: Ticket) -> usize {
    let oldest = ticket.number.saturating_sub(u64::from(MAX_TICKETS) - 1);
    let entries = (oldest..ticket.number).filter_map(|number| {
        let seen = table.shared().entry(ticket.pool.index, number)?.load();
        (seen.is(number) && seen.stage() == Stage::Waiting).then_some(())
    });
    entries.count()
}

#[test]
fn no_ticket_is_granted_before_an_older_one() {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 1_500;
    let table = table();
    let pool = ready_pool(&table, 1, 3);
    let granted_later = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (table, granted_later, lease) = (&table, &granted_later, lease(&table));
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let ticket = table.enqueue(pool, lease, MAX_TICKETS).unwrap();
                    if round % 16 == lease % 16 {
                        if let Some(reservation) = table.cancel(ticket, lease) {
                            table.give_back(pool, reservation, lease);
                        }
                        continue;
                    }
                    let at_once = table.wait(ticket, lease, NOW);
                    if at_once == Waited::TimedOut {
                        granted_later.fetch_add(1, SeqCst);
                    }
                    let reservation = match at_once {
                        Waited::TimedOut => {
                            granted(table.wait(ticket, lease, Duration::from_secs(30)))
                        }
                        at_once => granted(at_once),
                    };
                    assert_eq!(still_waiting_before(table, ticket), 0, "{ticket:?}");
                    std::thread::yield_now();
                    table.release(pool, reservation, lease);
                }
            });
        }
    });
    assert!(granted_later.into_inner() > 0, "nobody had to wait");
    assert_eq!(table.waiting(3), 0);
}
