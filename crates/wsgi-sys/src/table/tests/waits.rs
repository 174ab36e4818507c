//! Bounds of a queue, and what is recorded of it.

use super::*;

#[test]
fn a_bounded_queue_counts_those_who_wait_and_nobody_else() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let a = lease(&table);
    let held = reserved(table.reserve(pool, a));
    let first = table.enqueue(pool, a, 2).unwrap();
    let second = table.enqueue(pool, a, 2).unwrap();
    assert_eq!(table.enqueue(pool, a, 2), None);
    // Its place is taken until the first one has left; it does not count.
    table.cancel(second, a);
    let third = table.enqueue(pool, a, 2).unwrap();
    assert_eq!(table.enqueue(pool, a, 2), None);
    table.release(pool, held, a);
    table.release(pool, granted(table.wait(first, a, NOW)), a);
    assert_eq!(table.waiting(3), 0);
    table.give_back(pool, granted(table.wait(third, a, NOW)), a);
    let figures = table.queue_figures(3);
    assert_eq!((figures.refused, figures.deepest), (2, 3));
}

#[test]
fn waits_are_added_up_and_forgotten_with_the_pool() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    table.record_wait(pool, Duration::from_millis(5), WaitEnd::Over);
    table.record_wait(pool, Duration::from_millis(30), WaitEnd::Expired);
    table.record_wait(pool, Duration::from_millis(10), WaitEnd::Over);
    assert_eq!(
        table.queue_figures(3),
        QueueFigures {
            waited: 3,
            expired: 1,
            total: Duration::from_millis(45),
            longest: Duration::from_millis(30),
            ..QueueFigures::default()
        }
    );
    let next = ready_pool(&table, 1, 1);
    table.record_wait(pool, SOON, WaitEnd::Over);
    assert_eq!(table.queue_figures(next.index), QueueFigures::default());
    assert_eq!(table.queue_figures(MAX_POOLS), QueueFigures::default());
}

#[test]
fn what_is_recalled_from_a_lease_leaves_its_other_slots_alone() {
    let table = table();
    let pool = ready_pool(&table, 2, 1);
    let (a, b) = (lease(&table), lease(&table));
    let kept = reserved(table.reserve(pool, a));
    let taken = reserved(table.reserve(pool, b));
    let first = table.enqueue(pool, a, MAX_TICKETS).unwrap();
    let second = table.enqueue(pool, a, MAX_TICKETS).unwrap();
    let other = table.enqueue(pool, b, MAX_TICKETS).unwrap();
    table.release(pool, taken, b);
    // The first ticket has the slot; nobody has taken it.
    assert_eq!(table.recall(a, &[taken.slot]), []);
    assert_eq!(table.wait(first, a, NOW), Waited::Stale);
    assert_eq!(table.wait(second, a, NOW), Waited::Stale);
    assert_eq!(granted(table.wait(other, b, NOW)).slot, taken.slot);
    assert!(table.lease_is_open(a));
    assert_eq!(table.slot(kept.slot).lease, a);
    assert_eq!(table.recall(a, &[kept.slot]), [kept], "one that is held is broken");
}
