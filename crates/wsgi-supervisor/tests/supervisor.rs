//! The supervisor's program between a parent, children and daemons that the
//! test plays, without httpd.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod scene;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use scene::{Child, Parent, Played, alive, group, until};
use wsgi_sys::table::{Attempt, MAX_TICKETS, PoolState, SlotState, Waited};

/// A scene that another process plays, started by [`scene::play`].
#[test]
#[ignore = "run by the other tests"]
fn played() {
    scene::played();
}

#[test]
fn by_hand_it_prints_its_usage() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wsgi-supervisor"))
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wsgi-supervisor"))
        .args(["--version-of-links", "1000"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wsgi-supervisor"))
        .args(["--version-of-links", &wsgi_proto::VERSION.to_string()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_request_goes_through_and_stop_leaves_nothing() {
    let mut parent = Parent::start();
    assert_eq!(parent.configure(1, &[group("g", 1, 3)]), 1);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    assert_eq!(child.echo(pool, "hello").1, "hello");
    // Three slots, no more.
    let held: Vec<_> = (0..3).map(|_| child.reserve(pool)).collect();
    assert_eq!(child.table.reserve(pool, child.lease), Attempt::Full);
    held.into_iter().for_each(|slot| child.table.release(pool, slot, child.lease));
    assert!(child.open_pool("unknown", "").unwrap_err().contains("unknown"));
    let daemon = child.daemons(pool)[0];
    let (status, took) = parent.stop();
    assert_eq!(status, Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!alive(daemon));
    assert!(parent.complaints("g").is_empty(), "{:?}", parent.complaints("g"));
}

#[test]
fn a_killed_daemon_is_explained_and_replaced_at_once() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let (first, _) = child.echo(pool, "x");
    let held = child.reserve(pool);
    let start = Instant::now();
    scene::kill(first);
    until("the slot is free again", || child.table.slot(held.slot).state == SlotState::Free);
    assert!(child.table.slot(held.slot).epoch > held.epoch);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let (second, _) = child.echo(pool, "y");
    assert_ne!(first, second);
    // Whoever held it finds nothing to give back.
    child.table.release(pool, held, child.lease);
    assert_eq!(child.table.slot(held.slot).state, SlotState::Free);
    let lines = parent.complaints("g");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in
        ["MWR2020", &format!("process {first} "), "SIGKILL", "1 request", "in progress failed"]
    {
        assert!(lines[0].contains(part), "{lines:?} has no {part}");
    }
    parent.stop();
}

#[test]
fn a_killed_child_gives_its_slots_back_with_new_channels() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let (daemon, _) = child.echo(pool, "x");
    let mut other =
        scene::play(Played::Child, &[parent.mailbox_for_children.as_fd(), parent.memory.as_fd()]);
    let slots: Vec<u32> = other.line().split(' ').map(|slot| slot.parse().unwrap()).collect();
    assert_eq!(slots.len(), 2);
    assert_eq!(child.table.reserve(pool, child.lease), Attempt::Full);
    other.kill();
    until("its slots are free", || {
        slots.iter().all(|&slot| child.table.slot(slot).state == SlotState::Free)
    });
    assert_eq!(child.table.slot(slots[0]).epoch, 2);
    let held: Vec<_> = (0..2).map(|_| child.reserve(pool)).collect();
    for slot in held {
        assert_eq!(child.exchange(slot, "again").0, daemon, "the same process goes on");
        child.table.release(pool, slot, child.lease);
    }
    parent.stop();
}

#[test]
fn a_channel_that_a_child_reports_broken_is_replaced() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 1)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    child.echo(pool, "x");
    for round in 1..5 {
        let held = child.reserve(pool);
        assert_eq!(held.epoch, round);
        child.report_broken(held);
        until("the slot is free", || child.table.slot(held.slot).state == SlotState::Free);
        child.echo(pool, "y");
    }
    parent.stop();
}

#[test]
fn a_daemon_that_asks_for_it_is_replaced_without_a_pause() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let (first, _) = child.echo(pool, "recycle");
    until("another process serves", || child.echo(pool, "x").0 != first);
    until("the first one is gone", || !alive(first));
    assert!(parent.complaints("g").is_empty(), "{:?}", parent.complaints("g"));
    parent.stop();
}

#[test]
fn a_new_configuration_replaces_the_processes_and_the_log() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let (first, _) = child.echo(pool, "log first words");
    until("the line is there", || parent.log("g").contains("first words"));
    parent.rotate("g");
    assert_eq!(parent.configure(2, &[group("g", 1, 2)]), 2);
    until("another process serves", || child.echo(pool, "x").0 != first);
    child.echo(pool, "log second words");
    until("the line is there", || parent.log("g").contains("second words"));
    assert!(!parent.log("g").contains("first words"));
    until("the first one is gone", || !alive(first));
    parent.stop();
}

#[test]
fn restarts_and_deaths_in_a_row_leave_no_descriptor_and_no_process() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 2, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let settled = |child: &Child| child.ready(pool) == 2;
    until("both processes are ready", || settled(&child));
    let before = parent.descriptors();
    for generation in 2..12 {
        parent.configure(generation, &[group("g", 2, 2)]);
        for _ in 0..5 {
            // Fails the test if it is not answered.
            child.echo(pool, "x");
        }
        match generation % 3 {
            0 => {
                let held = child.reserve(pool);
                child.report_broken(held);
            }
            1 => {
                let killed = child.daemons(pool)[0];
                scene::kill(killed);
                until("its slots are taken away", || !child.daemons(pool).contains(&killed));
            }
            _ => {}
        }
    }
    until("two processes are left", || settled(&child) && child.daemons(pool).len() == 2);
    until("what was opened is closed", || parent.descriptors() == before);
    parent.stop();
}

#[test]
fn a_process_that_cannot_start_fails_the_pool_with_an_explanation() {
    let mut parent = Parent::start();
    let mut missing = group("missing", 1, 1);
    missing.python = "/nonexistent/python".into();
    let mut nowhere = group("nowhere", 1, 1);
    nowhere.home = Some("/nonexistent/home".into());
    parent.configure(1, &[group("g", 1, 1), missing, nowhere]);
    let mut child = Child::register(&parent);
    for (name, application, code, word) in [
        ("g", "crash", "MWR2011", "exit status 3"),
        ("missing", "", "MWR2010", "/nonexistent/python"),
        ("nowhere", "", "MWR2010", "/nonexistent/home"),
    ] {
        let pool = child.open_pool(name, application).unwrap();
        until("the pool has failed", || child.table.pool_state(pool) == Some(PoolState::Failed));
        assert_eq!(child.table.reserve(pool, child.lease), Attempt::Failed);
        let lines = parent.complaints(name);
        assert!(lines[0].contains(code) && lines[0].contains(word), "{lines:?}");
    }
    // A healthy pool does not suffer.
    let pool = child.open_pool("g", "").unwrap();
    child.echo(pool, "x");
    parent.stop();
}

#[test]
fn a_daemon_has_the_groups_user_and_nothing_of_its_parents() {
    if !root() {
        eprintln!("skipped: needs root");
        return;
    }
    let mut parent = Parent::start();
    let mut dropped = group("g", 1, 2);
    dropped.identity = Some(wsgi_proto::control::Identity {
        name: "nobody".to_owned(),
        uid: 65_534,
        gid: 65_534,
        groups: vec![65_534],
        home: "/".into(),
    });
    parent.configure(1, &[dropped]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let (daemon, _) = child.echo(pool, "x");
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    for ids in ["Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534"] {
        assert!(status.contains(ids), "{status}");
    }
    let signals = ["SigBlk:\t0000000000000000", "CapEff:\t0000000000000000"];
    assert!(signals.iter().all(|line| status.contains(line)), "{status}");
    // Standard streams, control socket, two channels.
    let open = std::fs::read_dir(format!("/proc/{daemon}/fd")).unwrap().count();
    assert_eq!(open, 6);
    let environment = std::fs::read(format!("/proc/{daemon}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("USER=nobody\0") && environment.contains("HOME=/\0"));
    parent.stop();
}

fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn many_threads_get_their_channels() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 600)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    until("the pool is ready", || child.table.pool_state(pool) == Some(PoolState::Ready));
    assert_eq!(child.echo(pool, "x").1, "x");
    parent.stop();
}

#[test]
fn a_parent_that_is_killed_leaves_nothing() {
    let mut other = scene::play(Played::Parent, &[]);
    let pids: Vec<i32> = other.line().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|&pid| alive(pid)), "{pids:?}");
    other.kill();
    until("supervisor and daemon are gone", || !pids.iter().any(|&pid| alive(pid)));
}

#[test]
fn a_killed_supervisors_pools_go_on_with_its_successor() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 2)]);
    let mut child = Child::register(&parent);
    let pool = child.open_pool("g", "").unwrap();
    let held = child.reserve(pool);
    let channel = child.fetch(held);
    let old = scene::exchange(&channel, "x").0;
    parent.replace_killed_supervisor();
    assert_eq!(scene::exchange(&channel, "y").0, old, "the daemon serves without it");
    parent.configure(2, &[group("g", 1, 2)]);
    let mut again = Child::register(&parent);
    assert_eq!(again.open_pool("g", "").unwrap(), pool, "index and serial stay");
    until("a successor serves", || again.echo(pool, "x").0 != old);
    assert_eq!(scene::exchange(&channel, "z").0, old, "the request goes on");
    child.table.release(pool, held, child.lease);
    until("the old daemon is gone", || !alive(old));
    parent.stop();
}

#[test]
fn tickets_of_children_that_died_with_the_supervisor_hold_nobody_up() {
    let mut parent = Parent::start();
    parent.configure(1, &[group("g", 1, 1)]);
    let mut gone = Child::register(&parent);
    let pool = gone.open_pool("g", "").unwrap();
    let held = gone.reserve(pool);
    // As long as somebody has this, the process does not end by itself.
    let _channel = gone.fetch(held);
    let tickets: Vec<_> =
        (0..3).map(|_| gone.table.enqueue(pool, gone.lease, MAX_TICKETS).unwrap()).collect();
    // One ticket has the slot from now on, and nobody takes it.
    gone.table.release(pool, held, gone.lease);
    parent.replace_killed_supervisor();
    parent.configure(2, &[group("g", 1, 1)]);
    // The first child says nothing any more.
    let mut child = Child::register(&parent);
    let begun = Instant::now();
    until("somebody else's turn", || {
        let ticket = child.table.enqueue(pool, child.lease, MAX_TICKETS).unwrap();
        match child.table.wait(ticket, child.lease, Duration::from_millis(500)) {
            Waited::Granted(slot) => {
                child.table.release(pool, slot, child.lease);
                true
            }
            _ => {
                child.table.cancel(ticket, child.lease);
                false
            }
        }
    });
    eprintln!("after {:?}", begun.elapsed());
    child.echo(pool, "y");
    until("an empty queue", || child.table.ticket_holders().is_empty());
    for ticket in tickets {
        assert_eq!(child.table.cancel(ticket, gone.lease), None);
    }
    parent.stop();
}
