//! The slot table under contention, with threads and with processes that are
//! killed at any instruction.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use wsgi_sys::table::*;

/// A pool at index 0 with ready processes; all slots free in epoch 1.
fn ready_pool(table: &Table, processes: u32, threads: u32) -> PoolRef {
    let pool = table.open_pool(0, &PoolShape { processes, threads, ..PoolShape::default() });
    for process in 0..processes {
        table.set_process(process, ProcessState::Ready, 1, 1);
    }
    table.set_pool_state(0, PoolState::Ready);
    for slot in 0..processes * threads {
        table.free_slot(pool, slot, 1);
    }
    pool
}

/// A slot, whatever it takes; and whether it took a ticket.
fn obtain(table: &Table, pool: PoolRef, lease: u32) -> (Reservation, bool) {
    for _ in 0..100_000 {
        match table.reserve(pool, lease) {
            Attempt::Reserved(reservation) => return (reservation, false),
            Attempt::Full => {}
            other => panic!("{other:?}"),
        }
        let Some(ticket) = table.enqueue(pool, lease, MAX_TICKETS) else { continue };
        match table.wait(ticket, lease, Duration::from_secs(5)) {
            Waited::Granted(reservation) => return (reservation, true),
            Waited::Stale => {}
            other => panic!("{other:?} for ticket {}", ticket.number),
        }
    }
    panic!("no slot after many attempts");
}

#[test]
fn no_slot_is_held_twice_and_none_is_lost() {
    const THREADS: u32 = 8;
    const SLOTS: u32 = 3;
    const ROUNDS: u32 = 10_000;
    let table = Table::create().unwrap().1;
    let pool = ready_pool(&table, 1, SLOTS);
    let holders: Vec<_> = (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
    let queued = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let lease = table.open_lease().unwrap();
            let (table, holders, queued) = (&table, &holders, &queued);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if round % 16 == lease % 16
                        && let Some(ticket) = table.enqueue(pool, lease, MAX_TICKETS)
                        && let Some(granted) = table.cancel(ticket, lease)
                    {
                        table.give_back(pool, granted, lease);
                    }
                    let (reservation, waited) = obtain(table, pool, lease);
                    let holder = &holders[reservation.slot as usize];
                    assert_eq!(holder.swap(lease, SeqCst), 0, "a slot was held twice");
                    queued.fetch_add(u64::from(waited), SeqCst);
                    if round % 8 == 0 {
                        std::thread::yield_now();
                    }
                    assert_eq!(holder.swap(0, SeqCst), lease, "a slot was held twice");
                    table.release(pool, reservation, lease);
                }
            });
        }
    });
    for slot in 0..SLOTS {
        assert_eq!(table.slot(slot), SlotView { state: SlotState::Free, lease: 0, epoch: 1 });
    }
    assert_eq!(table.waiting(0), 0);
    let served: u64 = (0..SLOTS).map(|slot| table.served(slot)).sum();
    assert_eq!(served, u64::from(THREADS * ROUNDS));
    assert!(queued.into_inner() > 0, "nobody had to wait");
}

#[test]
fn hundreds_of_pools_take_little_memory() {
    let (memory, table) = Table::create().unwrap();
    let (processes, threads) = (10, 15);
    for index in 0..200 {
        let shape = PoolShape {
            first_process: index * processes,
            processes,
            first_slot: index * processes * threads,
            threads,
            ..PoolShape::default()
        };
        let pool = table.open_pool(index, &shape);
        table.free_slot(pool, shape.first_slot, 1);
        let ticket = table.enqueue(pool, 1, MAX_TICKETS).unwrap();
        table.cancel(ticket, 1);
    }
    table.void_lease(1);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&File::from(memory).metadata().unwrap());
    let kibibytes = blocks / 2;
    assert!(kibibytes < 3_072, "{kibibytes} KiB");
}

#[test]
fn a_supervisor_that_drains_and_refills_loses_nothing() {
    let table = Table::create().unwrap().1;
    let pool = ready_pool(&table, 2, 2);
    let end = Instant::now() + Duration::from_millis(700);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let lease = table.open_lease().unwrap();
            let table = &table;
            scope.spawn(move || {
                while Instant::now() < end {
                    let (reservation, _) = obtain(table, pool, lease);
                    if reservation.epoch % 7 == 0 && lease.is_multiple_of(2) {
                        assert!(table.break_slot(reservation.slot, reservation.epoch, lease));
                    } else {
                        table.release(pool, reservation, lease);
                    }
                }
            });
        }
        // Recycles one process after the other; mends what the children broke.
        let mut epoch = 1;
        while Instant::now() < end + Duration::from_millis(50) {
            for process in 0..2 {
                epoch += 1;
                table.set_process(process, ProcessState::Draining, 1, 1);
                for slot in process * 2..process * 2 + 2 {
                    while !table.retire_slot(slot) {
                        if table.slot(slot).state == SlotState::Broken {
                            table.clear_slot(slot);
                        }
                        std::thread::yield_now();
                    }
                }
                table.set_process(process, ProcessState::Starting, 1, 1);
                for slot in process * 2..process * 2 + 2 {
                    table.free_slot(pool, slot, epoch);
                }
                table.set_process(process, ProcessState::Ready, 1, 1);
                table.dispatch(pool);
                for slot in 0..4 {
                    if table.slot(slot).state == SlotState::Broken {
                        epoch += 1;
                        table.free_slot(pool, slot, epoch);
                    }
                }
            }
        }
    });
    assert!((0..4).all(|slot| table.slot(slot).state == SlotState::Free));
    assert_eq!(table.waiting(0), 0);
}

const CONTENDER: &str = "WSGI_TEST_CONTENDER";
const DOUBLE_HOLD: i32 = 9;

/// What a killed process runs; started by the test below, idle otherwise.
#[test]
fn contender() {
    let Ok(arguments) = std::env::var(CONTENDER) else { return };
    let (path, numbers) = arguments.split_once(' ').unwrap();
    let (lease, serial) = numbers.split_once(' ').unwrap();
    let memory = File::options().read(true).write(true).open(path).unwrap();
    let table = Table::map(memory.as_fd()).unwrap();
    let pool = PoolRef { index: 0, serial: serial.parse().unwrap() };
    let lease: u32 = lease.parse().unwrap();
    let parent = std::os::unix::process::parent_id();
    let end = Instant::now() + Duration::from_secs(10);
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let table = &table;
            scope.spawn(move || {
                let mut mark = u64::from(lease) << 40 | thread << 36;
                // Bounded even if the test that started it was killed.
                while Instant::now() < end && std::os::unix::process::parent_id() == parent {
                    let (reservation, _) = obtain(table, pool, lease);
                    mark += 1;
                    let note = Note {
                        method: b"",
                        host: b"",
                        uri: b"",
                        client: b"",
                        since: mark,
                        slow_at: 0,
                    };
                    table.describe(reservation, &note);
                    if mark.is_multiple_of(4) {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                    // Only its holder writes a slot's note.
                    if table.note(reservation.slot).is_none_or(|note| note.since != mark) {
                        std::process::exit(DOUBLE_HOLD);
                    }
                    table.release(pool, reservation, lease);
                }
            });
        }
    });
}

fn start(path: &str, pool: PoolRef, lease: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "contender"])
        .env(CONTENDER, format!("{path} {lease} {}", pool.serial))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn processes_killed_at_any_instruction_cost_no_slot() {
    const SLOTS: u32 = 4;
    let (memory, table) = Table::create().unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    let pool = ready_pool(&table, 2, SLOTS / 2);
    let begin = || {
        let lease = table.open_lease().unwrap();
        (start(&path, pool, lease), lease)
    };
    let bury = |(mut child, lease): (Child, u32)| {
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "a child found a slot held twice, or panicked");
        let broken = table.void_lease(lease);
        for reservation in &broken {
            assert_eq!(table.slot(reservation.slot).state, SlotState::Broken);
            table.free_slot(pool, reservation.slot, reservation.epoch + 1);
        }
        broken.len()
    };
    let mut children: Vec<_> = (0..4).map(|_| begin()).collect();
    let mut random = u64::from(std::process::id());
    let (mut kills, mut broken) = (0, 0);
    let end = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < end {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros(5_000 + (random >> 33) % 20_000));
        let victim = usize::try_from((random >> 40) % 4).unwrap();
        broken += bury(std::mem::replace(&mut children[victim], begin()));
        kills += 1;
    }
    let served: u64 = (0..SLOTS).map(|slot| table.served(slot)).sum();
    for child in children {
        broken += bury(child);
    }
    eprintln!("{kills} kills, {broken} slots in use by the killed, {served} requests");
    assert!(kills > 20 && broken > 0 && served > 1_000, "{kills} {broken} {served}");
    assert_eq!(table.waiting(0), 0);
    for slot in 0..SLOTS {
        assert_eq!(table.slot(slot).state, SlotState::Free, "slot {slot} was lost");
    }
    let lease = table.open_lease().unwrap();
    for _ in 0..SLOTS {
        assert!(matches!(table.reserve(pool, lease), Attempt::Reserved(_)));
    }
}

#[test]
fn scribbled_memory_neither_crashes_nor_hangs() {
    let (memory, table) = Table::create().unwrap();
    let file = File::from(memory);
    let pool = ready_pool(&table, 2, 2);
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random.rotate_left(20)
    };
    let begin = Instant::now();
    for round in 0..6 {
        // The header's ranges, the leases, pools, processes and words; from the
        // third round on all numbers are small, and thus often plausible.
        let noise: Vec<u8> = (0..700_000)
            .flat_map(|_| (if round < 2 { next() } else { next() >> (next() % 64) }).to_le_bytes())
            .collect();
        std::os::unix::fs::FileExt::write_at(&file, &noise, 16).unwrap();
        for index in 0..4 {
            for serial in [0, 1, pool.serial] {
                let pool = PoolRef { index, serial };
                let _ = table.reserve(pool, 3);
                if let Some(ticket) = table.enqueue(pool, 3, MAX_TICKETS) {
                    let _ = table.wait(ticket, 3, Duration::from_millis(1));
                    let _ = table.cancel(ticket, 3);
                }
                table.dispatch(pool);
                table.release(pool, Reservation { slot: 1, epoch: 0 }, 3);
            }
            let _ = (table.pool(index), table.waiting(index), table.note(index));
            let _ = (table.process(index), table.slot(index), table.retire_slot(index));
            table.set_process(index, ProcessState::Starting, 1, 1);
        }
        let _ = (table.open_lease(), table.void_lease(3).len());
    }
    // A new pool in the place works.
    let pool = ready_pool(&table, 2, 2);
    let lease = table.open_lease().unwrap_or(SUPERVISOR_LEASE);
    assert!(matches!(table.reserve(pool, lease), Attempt::Reserved(_)));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// `cargo test --release -p wsgi-sys --test table -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost_of_reserve_and_release() {
    for (processes, busy) in [(1, 0), (64, 0), (1, 10), (64, 640), (64, 959)] {
        let table = Table::create().unwrap().1;
        let pool = ready_pool(&table, processes, 15);
        let lease = table.open_lease().unwrap();
        for _ in 0..busy {
            assert!(matches!(table.reserve(pool, lease), Attempt::Reserved(_)));
        }
        let rounds = 1_000_000;
        let begin = Instant::now();
        for _ in 0..rounds {
            let Attempt::Reserved(reservation) = table.reserve(pool, lease) else { panic!() };
            table.release(pool, reservation, lease);
        }
        let cost = begin.elapsed() / rounds;
        println!("{processes} x 15, {busy} busy: {} ns", cost.as_nanos());
    }
}
