#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use std::time::Duration;

mod order;
mod waits;

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_millis(20);

/// A pool at index 3 with ready processes; all slots free in epoch 1.
fn ready_pool(table: &Table, processes: u32, threads: u32) -> PoolRef {
    let shape = PoolShape {
        process_group: "group".into(),
        application_group: "host|/app".into(),
        first_process: 10,
        processes,
        first_slot: 100,
        threads,
    };
    let pool = table.open_pool(3, &shape);
    for process in 10..10 + processes {
        table.set_process(process, ProcessState::Ready, 4711, 42);
    }
    table.set_pool_state(3, PoolState::Ready);
    for slot in 100..100 + processes * threads {
        table.free_slot(pool, slot, 1);
    }
    pool
}

fn table() -> Table {
    Table::create().unwrap().1
}

fn reserved(attempt: Attempt) -> Reservation {
    match attempt {
        Attempt::Reserved(reservation) => reservation,
        other => panic!("not reserved: {other:?}"),
    }
}

fn granted(waited: Waited) -> Reservation {
    match waited {
        Waited::Granted(reservation) => reservation,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn another_mapping_sees_the_same_table_and_other_memory_is_refused() {
    let (fd, one) = Table::create().unwrap();
    let two = Table::map(fd.as_fd()).unwrap();
    let pool = ready_pool(&one, 1, 2);
    assert_eq!(reserved(two.reserve(pool, 1)), Reservation { slot: 100, epoch: 1 });
    assert_eq!(one.slot(100), SlotView { state: SlotState::Busy, lease: 1, epoch: 1 });
    assert!(nix::unistd::ftruncate(&fd, 4096).is_err(), "the memory can be shrunk");

    let file = tempfile::tempfile().unwrap();
    assert_eq!(Table::map(file.as_fd()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let small = memory::create(c"small", 4096).unwrap();
    assert_eq!(Table::map(small.as_fd()).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn the_least_busy_process_gives_its_lowest_slot() {
    let table = table();
    let pool = ready_pool(&table, 2, 3);
    let order: Vec<_> = (0..6).map(|_| reserved(table.reserve(pool, 1)).slot).collect();
    assert_eq!(order, [100, 103, 101, 104, 102, 105]);
    assert_eq!(table.reserve(pool, 1), Attempt::Full);
    table.release(pool, Reservation { slot: 104, epoch: 1 }, 1);
    table.release(pool, Reservation { slot: 104, epoch: 1 }, 1);
    assert_eq!(table.served(104), 1);
    assert_eq!(reserved(table.reserve(pool, 2)).slot, 104);
    // Neither another lease nor another epoch may release it.
    table.release(pool, Reservation { slot: 104, epoch: 1 }, 1);
    table.release(pool, Reservation { slot: 104, epoch: 2 }, 2);
    assert_eq!(table.slot(104).lease, 2);
}

#[test]
fn quick_requests_are_kept_together() {
    let table = table();
    let pool = ready_pool(&table, 2, 4);
    for _ in 0..64 {
        let slot = reserved(table.reserve(pool, 1));
        assert_eq!(slot.slot, 100);
        table.spend(slot, 40);
        table.release(pool, slot, 1);
    }
    // Unless the test is stopped for longer than a process may seem held up.
    let packed = || {
        let order: Vec<_> = (0..7).map(|_| reserved(table.reserve(pool, 1))).collect();
        let slots: Vec<_> = order.iter().map(|it| it.slot).collect();
        for slot in order.into_iter().rev() {
            table.spend(slot, 40);
            table.release(pool, slot, 1);
        }
        // The other process has the rest; after that it is no better than the first.
        slots == [100, 101, 102, 103, 104, 105, 106]
    };
    assert!((0..1000).any(|_| packed()));
    let slot = reserved(table.reserve(pool, 1));
    table.spend(slot, 60_000);
    assert_eq!(reserved(table.reserve(pool, 1)).slot, 104, "behind a slow one");
}

#[test]
fn what_a_pool_is_not_is_stale_or_failed() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    assert_eq!(table.pool_state(pool), Some(PoolState::Ready));
    let (seen, state, shape) = table.pool(3).unwrap();
    assert_eq!((seen, state), (pool, PoolState::Ready));
    assert_eq!((shape.process_group.as_str(), shape.first_slot), ("group", 100));
    table.set_pool_state(3, PoolState::Failed);
    assert_eq!(table.reserve(pool, 1), Attempt::Failed);
    table.close_pool(3);
    assert_eq!(table.reserve(pool, 1), Attempt::Stale);
    assert_eq!((table.pool(3), table.pool_state(pool)), (None, None));
    for pool in [PoolRef { index: MAX_POOLS, serial: 1 }, PoolRef { index: 3, serial: 99 }] {
        assert_eq!(table.reserve(pool, 1), Attempt::Stale);
    }
    assert_eq!(table.reserve(PoolRef { index: 3, serial: 2 }, 0), Attempt::Stale);
}

#[test]
fn a_released_slot_goes_to_the_oldest_ticket() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let (a, b, c) = (lease(&table), lease(&table), lease(&table));
    let first = reserved(table.reserve(pool, a));
    let one = table.enqueue(pool, b, MAX_TICKETS).unwrap();
    let two = table.enqueue(pool, c, MAX_TICKETS).unwrap();
    assert_eq!(table.waiting(3), 2);
    assert_eq!(table.wait(one, b, SOON), Waited::TimedOut);
    table.release(pool, first, a);
    assert_eq!(table.slot(100), SlotView { state: SlotState::Busy, lease: b, epoch: 1 });
    assert_eq!(table.reserve(pool, a), Attempt::Full, "a newcomer passed the queue");
    assert_eq!(table.wait(two, c, NOW), Waited::TimedOut);
    let second = granted(table.wait(one, b, NOW));
    assert_eq!(table.wait(one, b, NOW), Waited::Stale, "a ticket was used twice");
    table.release(pool, second, b);
    table.release(pool, granted(table.wait(two, c, NOW)), c);
    assert_eq!(table.waiting(3), 0);
    assert_eq!(table.slot(100).state, SlotState::Free);
}

fn lease(table: &Table) -> u32 {
    table.open_lease().unwrap()
}

#[test]
fn a_slot_that_is_free_before_the_ticket_is_granted_at_once() {
    let table = table();
    let pool = ready_pool(&table, 1, 2);
    let a = lease(&table);
    let ticket = table.enqueue(pool, a, MAX_TICKETS).unwrap();
    assert_eq!(granted(table.wait(ticket, a, NOW)).slot, 100);
}

#[test]
fn leaving_the_queue_returns_what_was_granted() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let (a, b, c) = (lease(&table), lease(&table), lease(&table));
    let held = reserved(table.reserve(pool, a));
    let (one, two) = (
        table.enqueue(pool, b, MAX_TICKETS).unwrap(),
        table.enqueue(pool, c, MAX_TICKETS).unwrap(),
    );
    assert_eq!(table.cancel(one, b), None);
    assert_eq!(table.waiting(3), 1);
    table.release(pool, held, a);
    assert_eq!(table.cancel(two, a), None, "somebody else's ticket");
    let returned = table.cancel(two, c).unwrap();
    assert_eq!(table.slot(100).lease, c);
    table.give_back(pool, returned, c);
    assert_eq!((table.slot(100).state, table.served(100)), (SlotState::Free, 1));
}

#[test]
fn waiters_learn_that_their_pool_failed_or_went_away() {
    let table = table();
    let shape = PoolShape { processes: 1, threads: 1, ..PoolShape::default() };
    let pool = table.open_pool(3, &shape);
    assert_eq!(table.reserve(pool, 1), Attempt::Full, "a starting pool is waited for");
    let table = &table;
    let a = lease(table);
    let long = Duration::from_secs(5);
    std::thread::scope(|scope| {
        let ticket = table.enqueue(pool, a, MAX_TICKETS).unwrap();
        let waiter = scope.spawn(move || table.wait(ticket, a, long));
        std::thread::sleep(SOON);
        table.set_pool_state(3, PoolState::Failed);
        assert_eq!(waiter.join().unwrap(), Waited::Failed);

        let late = table.enqueue(pool, a, MAX_TICKETS).unwrap();
        assert_eq!(table.wait(late, a, long), Waited::Failed);

        table.set_pool_state(3, PoolState::Starting);
        let ticket = table.enqueue(pool, a, MAX_TICKETS).unwrap();
        let waiter = scope.spawn(move || table.wait(ticket, a, long));
        std::thread::sleep(SOON);
        table.close_pool(3);
        assert_eq!(waiter.join().unwrap(), Waited::Stale);
    });
    assert_eq!(table.waiting(3), 0);
}

#[test]
fn a_ticket_of_the_pool_before_gets_no_slot_of_the_pool_after() {
    let table = table();
    let before = ready_pool(&table, 1, 1);
    let a = lease(&table);
    let after = ready_pool(&table, 1, 1);
    // As a child does that has read the serial and is slow.
    let late = table.enqueue(before, a, MAX_TICKETS).unwrap();
    assert_eq!(table.wait(late, a, SOON), Waited::Stale);
    assert_eq!(reserved(table.reserve(after, a)).slot, 100);
}

#[test]
fn a_full_queue_refuses_and_recovers_and_wraps_around() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let a = lease(&table);
    let held = reserved(table.reserve(pool, a));
    for _ in 0..2 {
        let tickets: Vec<_> =
            (0..MAX_TICKETS).map(|_| table.enqueue(pool, a, MAX_TICKETS).unwrap()).collect();
        assert_eq!(table.enqueue(pool, a, MAX_TICKETS), None);
        assert_eq!(table.waiting(3), MAX_TICKETS);
        for ticket in tickets {
            assert_eq!(table.cancel(ticket, a), None);
        }
    }
    let ticket = table.enqueue(pool, a, MAX_TICKETS).unwrap();
    table.release(pool, held, a);
    granted(table.wait(ticket, a, NOW));
}

#[test]
fn a_draining_process_gives_no_more_slots() {
    let table = table();
    let pool = ready_pool(&table, 1, 2);
    let (a, b) = (lease(&table), lease(&table));
    let held = reserved(table.reserve(pool, a));
    table.set_process(10, ProcessState::Draining, 4711, 42);
    assert_eq!(table.reserve(pool, b), Attempt::Full);
    let ticket = table.enqueue(pool, b, MAX_TICKETS).unwrap();
    assert!(table.retire_slot(101));
    assert!(!table.retire_slot(100), "a busy slot was retired");
    table.release(pool, held, a);
    assert_eq!(table.wait(ticket, b, NOW), Waited::TimedOut);
    assert!(table.retire_slot(100));
    assert_eq!(table.slot(100).state, SlotState::Retired);
    table.clear_slot(100);
    assert_eq!(table.slot(100), SlotView { state: SlotState::Absent, lease: 0, epoch: 1 });
    assert_eq!(table.served(100), 1);

    table.set_process(10, ProcessState::Starting, 4712, 43);
    assert_eq!(table.served(100), 0);
    table.free_slot(pool, 100, 2);
    assert_eq!(table.wait(ticket, b, NOW), Waited::TimedOut, "not ready yet");
    table.set_process(10, ProcessState::Ready, 4712, 43);
    table.dispatch(pool);
    assert_eq!(granted(table.wait(ticket, b, NOW)), Reservation { slot: 100, epoch: 2 });
    assert_eq!(table.process(10), (ProcessState::Ready, 4712, 43));
}

#[test]
fn a_dead_lease_leaves_broken_slots_and_no_tickets() {
    let table = table();
    let pool = ready_pool(&table, 1, 3);
    let (dead, alive) = (lease(&table), lease(&table));
    let used = reserved(table.reserve(pool, dead));
    let others = [reserved(table.reserve(pool, alive)), reserved(table.reserve(pool, alive))];
    let _forgotten = table.enqueue(pool, dead, MAX_TICKETS).unwrap();
    // Handed over to the dead one, which never looked.
    table.release(pool, others[0], alive);
    assert_eq!(table.slot(others[0].slot).lease, dead);
    let waiting = table.enqueue(pool, alive, MAX_TICKETS).unwrap();
    let _forgotten = table.enqueue(pool, dead, MAX_TICKETS).unwrap();

    assert_eq!(table.void_lease(dead), [used]);
    assert_eq!(table.slot(used.slot).state, SlotState::Broken);
    assert_eq!(granted(table.wait(waiting, alive, NOW)).slot, others[0].slot);
    assert_eq!(table.waiting(3), 0);
    table.free_slot(pool, used.slot, used.epoch + 1);
    assert_eq!(reserved(table.reserve(pool, alive)), Reservation { slot: used.slot, epoch: 2 });
}

#[test]
fn a_slot_whose_hand_over_was_cut_off_is_found() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let (dead, alive) = (lease(&table), lease(&table));
    let held = reserved(table.reserve(pool, dead));
    let ticket = table.enqueue(pool, alive, MAX_TICKETS).unwrap();
    // The dead one came as far as this: the waiter was not told.
    let word = table.shared().word(held.slot).unwrap();
    assert!(word.change(word::Word::busy(dead, 1), word::Word::handed(alive, 1)));
    assert_eq!(table.wait(ticket, alive, NOW), Waited::TimedOut);
    assert_eq!(table.void_lease(dead), []);
    assert_eq!(granted(table.wait(ticket, alive, NOW)), held);
}

#[test]
fn a_slot_that_was_freed_without_a_look_at_the_queue_is_handed_over() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let (dead, alive) = (lease(&table), lease(&table));
    let held = reserved(table.reserve(pool, dead));
    let ticket = table.enqueue(pool, alive, MAX_TICKETS).unwrap();
    table.put_free(held, dead);
    // By the waiter itself, even if nobody ever notices the death.
    let patient = Duration::from_secs(5);
    assert_eq!(granted(table.wait(ticket, alive, patient)), held);

    let ticket = table.enqueue(pool, alive, MAX_TICKETS).unwrap();
    table.put_free(held, alive);
    table.void_lease(dead);
    assert_eq!(granted(table.wait(ticket, alive, NOW)), held);
}

#[test]
fn a_ticket_whose_owner_died_before_the_tail_moved_is_cancelled() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let (dead, alive) = (lease(&table), lease(&table));
    let held = reserved(table.reserve(pool, alive));
    let entry = table.shared().entry(3, 0).unwrap();
    assert!(entry.change(entry.load(), word::Entry::waiting(dead, 0)));
    assert!(table.void_lease(dead).is_empty());
    let ticket = table.enqueue(pool, alive, MAX_TICKETS).unwrap();
    assert_eq!(ticket.number, 1);
    table.release(pool, held, alive);
    granted(table.wait(ticket, alive, NOW));
}

#[test]
fn a_killed_supervisor_s_slots_are_free_for_its_successor() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    reserved(table.reserve(pool, SUPERVISOR_LEASE));
    assert!(table.void_lease(SUPERVISOR_LEASE).is_empty());
    assert_eq!(table.slot(100).state, SlotState::Free);
}

#[test]
fn a_broken_slot_comes_back_in_the_next_epoch() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let held = reserved(table.reserve(pool, 5));
    assert!(!table.break_slot(100, 1, 6) && !table.break_slot(100, 2, 5));
    assert!(table.break_slot(100, 1, 5));
    assert!(!table.retire_slot(100));
    table.release(pool, held, 5);
    assert_eq!(table.slot(100).state, SlotState::Broken);
    table.free_slot(pool, 100, 2);
    table.free_slot(pool, 100, 3);
    assert_eq!(table.slot(100), SlotView { state: SlotState::Free, lease: 0, epoch: 2 });
}

#[test]
fn leases_are_reused_as_late_as_possible() {
    let table = table();
    let (one, two) = (lease(&table), lease(&table));
    assert_eq!((one, two), (1, 2));
    table.void_lease(one);
    assert_eq!(lease(&table), 3);
    for expected in (4..MAX_LEASES).chain([1]) {
        assert_eq!(table.open_lease(), Some(expected));
    }
    assert_eq!(table.open_lease(), None);
}

#[test]
fn a_note_is_read_back_cut_to_fit() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    assert_eq!(table.note(100), None);
    let held = reserved(table.reserve(pool, 1));
    let uri = [b'u'; 1000];
    let note = Note {
        method: b"GET",
        host: b"www.example.com",
        uri: &uri,
        client: b"::1",
        since: 77,
        slow_at: 5,
    };
    table.describe(held, &note);
    let read = table.note(100).unwrap();
    assert_eq!((read.method.as_slice(), read.host.as_slice()), (&b"GET"[..], note.host));
    assert_eq!((read.uri.as_slice(), read.since), (&uri[..256], 77));
    table.describe(Reservation { slot: 100, epoch: 9 }, &Note { since: 78, ..note });
    assert_eq!(table.note(100), Some(read.clone()), "an old holder wrote");
    assert_eq!(table.current(100), Some(read));
    table.release(pool, held, 1);
    assert_eq!(table.current(100), None, "it runs nothing");
    reserved(table.reserve(pool, 1));
    assert_eq!(table.current(100), None, "it runs what is not described yet");
}

#[test]
fn indices_beyond_the_table_have_no_effect() {
    let table = table();
    let far = u32::MAX;
    let pool = table.open_pool(far, &PoolShape::default());
    assert_eq!(table.reserve(pool, 1), Attempt::Stale);
    assert_eq!(table.enqueue(pool, 1, MAX_TICKETS), None);
    assert_eq!(table.slot(far).state, SlotState::Absent);
    assert_eq!(table.process(far).0, ProcessState::Absent);
    assert!(table.retire_slot(far) && !table.break_slot(far, 0, 1));
    table.free_slot(pool, far, 1);
    table.clear_slot(far);
    table.set_process(far, ProcessState::Starting, 0, 0);
    table.release(pool, Reservation { slot: far, epoch: 0 }, 1);
    assert_eq!(table.waiting(far), 0);
    let shape = PoolShape {
        first_process: far,
        processes: far,
        first_slot: far,
        threads: far,
        ..<_>::default()
    };
    let pool = table.open_pool(4, &shape);
    assert_eq!(table.reserve(pool, 1), Attempt::Full);
    assert!(table.void_lease(1).is_empty());
}

#[test]
fn a_process_at_its_limit_takes_no_more_until_it_is_raised() {
    let table = table();
    let lease = table.open_lease().unwrap();
    let pool = ready_pool(&table, 2, 2);
    table.set_limit(10, 3);
    table.set_limit(11, 1);
    let (one, two) = (reserved(table.reserve(pool, lease)), reserved(table.reserve(pool, lease)));
    assert_eq!((one.slot, two.slot), (100, 102));
    let three = reserved(table.reserve(pool, lease));
    assert_eq!(three.slot, 101, "the other process is at its limit");
    table.release(pool, one, lease);
    table.release(pool, three, lease);
    let last = reserved(table.reserve(pool, lease));
    assert_eq!((last.slot, table.reserve(pool, lease)), (100, Attempt::Full));
    // Whoever waits is not handed a slot that has done its last request.
    let ticket = table.enqueue(pool, lease, MAX_TICKETS).unwrap();
    table.release(pool, last, lease);
    assert_eq!(table.wait(ticket, lease, NOW), Waited::TimedOut);
    assert_eq!(table.slot(100).state, SlotState::Free);
    table.set_limit(10, 0);
    table.dispatch(pool);
    assert_eq!(granted(table.wait(ticket, lease, SOON)).slot, 100);
    // A new process begins without.
    table.set_limit(10, 1);
    table.set_process(10, ProcessState::Starting, 4712, 43);
    table.set_process(10, ProcessState::Ready, 4712, 43);
    let again = reserved(table.reserve(pool, lease));
    assert_eq!(again.slot, 101);
}

#[test]
fn requests_that_are_ignored_are_no_activity_and_leave_others_alone() {
    let table = table();
    let pool = ready_pool(&table, 1, 1);
    let activity = |served, busy| Activity { served, busy };
    for number in 0..4 {
        let slot = reserved(table.reserve(pool, 1));
        assert_eq!(table.activity(100), activity(number, true));
        table.release(pool, slot, 1);
        assert_eq!(table.activity(100), activity(number + 1, false));

        let slot = reserved(table.reserve(pool, 1));
        table.ignore_activity(slot, true);
        assert_eq!(table.activity(100), activity(number + 1, false));
        table.release(pool, slot, 1);
        assert_eq!(table.activity(100), activity(number + 1, false));
    }
    // One that the slot did not serve: the next one counts again.
    let slot = reserved(table.reserve(pool, 1));
    table.ignore_activity(slot, true);
    table.ignore_activity(slot, false);
    table.give_back(pool, slot, 1);
    let _next = reserved(table.reserve(pool, 1));
    assert_eq!(table.activity(100), activity(4, true));
}
