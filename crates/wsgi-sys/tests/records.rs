//! What the slot table keeps for those who look: accounts, profiles, the chronicle.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use wsgi_sys::table::{
    Attempt, Incident, IncidentKind, MAX_INCIDENTS, PoolRef, PoolShape, PoolState, ProcessState,
    Seat, Table, Tally, WaitEnd,
};

fn shape(first: u32) -> PoolShape {
    PoolShape {
        process_group: "group".into(),
        application_group: "host|/app".into(),
        first_process: first,
        processes: 2,
        first_slot: first * 10,
        threads: 2,
    }
}

fn start(table: &Table, pool: PoolRef, process: u32) {
    table.set_process(process, ProcessState::Starting, 4711, 42);
    table.set_process(process, ProcessState::Ready, 4711, 42);
    table.set_pool_state(pool.index, PoolState::Ready);
}

fn serve(table: &Table, pool: PoolRef, lease: u32) {
    let Attempt::Reserved(reservation) = table.reserve(pool, lease) else { unreachable!() };
    table.spend(reservation, 100);
    table.release(pool, reservation, lease);
}

fn total(table: &Table, pool: u32, slots: std::ops::Range<u32>) -> u64 {
    let (account, living) =
        table.balance(pool, || slots.clone().map(|slot| table.served(slot)).sum::<u64>());
    account.served + living
}

#[test]
fn requests_are_counted_over_restarts_of_processes_and_of_pools() {
    let table = Table::create().unwrap().1;
    let lease = table.open_lease().unwrap();
    let pool = table.open_pool(0, &shape(4));
    start(&table, pool, 4);
    table.free_slot(pool, 40, 1);
    serve(&table, pool, lease);
    serve(&table, pool, lease);
    assert_eq!(total(&table, 0, 40..44), 2);
    // Its process ends, and another one begins in its place.
    table.set_process(4, ProcessState::Absent, 0, 0);
    table.clear_slot(40);
    assert_eq!(total(&table, 0, 40..44), 2);
    start(&table, pool, 4);
    assert_eq!((table.served(40), total(&table, 0, 40..44)), (0, 2));
    table.free_slot(pool, 40, 2);
    serve(&table, pool, lease);
    // Another pool takes over the names.
    let successor = table.open_pool(1, &shape(8));
    table.close_pool(0);
    assert_eq!(total(&table, successor.index, 80..84), 3);
    assert_eq!(table.balance(successor.index, || ()).0.spent, 300);
    // Once only.
    table.close_pool(0);
    assert_eq!(total(&table, successor.index, 80..84), 3);
}

#[test]
fn processor_time_moves_to_the_account_with_the_pid() {
    let table = Table::create().unwrap().1;
    let pool = table.open_pool(0, &shape(4));
    start(&table, pool, 5);
    table.count(0, Tally::Died);
    table.settle_cpu(5, 1_500_000);
    let (account, ()) = table.balance(0, || ());
    assert_eq!(
        (account.cpu, account.tally(Tally::Died), account.tally(Tally::Started)),
        (1_500_000, 1, 0)
    );
    assert_eq!(table.process(5), (ProcessState::Ready, 0, 42));
    // What does not exist changes nothing.
    table.settle_cpu(u32::MAX, 1);
    table.count(u32::MAX, Tally::Died);
}

#[test]
fn waits_are_counted_over_pools() {
    let table = Table::create().unwrap().1;
    let pool = table.open_pool(0, &shape(4));
    table.record_wait(pool, Duration::from_millis(3), WaitEnd::Over);
    table.record_wait(pool, Duration::from_millis(4), WaitEnd::Expired);
    table.open_pool(1, &shape(8));
    table.close_pool(0);
    let (account, figures) = table.balance(1, || table.queue_figures(1));
    assert_eq!((account.waits, figures.waited), ([2, 1, 0, 7_000], 0));
}

#[test]
fn a_slot_knows_its_seat() {
    let table = Table::create().unwrap().1;
    let pool = table.open_pool(0, &shape(4));
    start(&table, pool, 5);
    table.begin_profile(5, 1_000, 3);
    assert_eq!(table.seat(43), Some(Seat { pid: 4711, thread: 2, generation: 3 }));
    assert_eq!(table.seat(u32::MAX), None);
}

#[test]
fn a_profile_says_what_a_process_is() {
    let table = Table::create().unwrap().1;
    table.begin_profile(5, 1_000, 3);
    table.set_python(5, "native", "3.13.0", "/srv/venv/bin/python");
    table.set_leaving(5, "script_reload");
    let profile = table.profile(5);
    assert_eq!((profile.started, profile.generation), (1_000, 3));
    assert_eq!((profile.worker.as_str(), profile.version.as_str()), ("native", "3.13.0"));
    assert_eq!(profile.executable, "/srv/venv/bin/python");
    assert_eq!(profile.leaving, "script_reload");
    table.begin_profile(5, 2_000, 4);
    assert_eq!(table.profile(5).leaving, "");
}

#[test]
fn the_chronicle_keeps_the_latest() {
    let table = Table::create().unwrap().1;
    assert!(table.incidents().is_empty());
    let incident = |number: u32| Incident {
        at: number.into(),
        kind: IncidentKind::Died,
        pid: 4711,
        process_group: "group".into(),
        application_group: String::new(),
        text: "é".repeat(number as usize),
    };
    for number in 0..MAX_INCIDENTS + 5 {
        table.tell(&incident(number));
    }
    let incidents = table.incidents();
    assert_eq!(incidents.len(), MAX_INCIDENTS as usize);
    assert_eq!(incidents[0], incident(MAX_INCIDENTS + 4));
    assert_eq!(incidents[63].at, 5);
}
