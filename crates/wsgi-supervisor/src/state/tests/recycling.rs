use super::*;

fn recycle(stage: &mut Stage, daemon: DaemonId) -> Vec<Action> {
    stage.feed(Event::Recycle { daemon, reason: "script_reload".to_owned() })
}

#[test]
fn the_successor_is_ready_before_the_old_process_drains() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let actions = recycle(&mut stage, old);
    let new = launched(&actions)[0];
    assert_eq!(stage.serving(), [old]);
    stage.busy.insert(1);
    let actions = stage.ready(new);
    assert_eq!(stage.serving(), [new]);
    assert_eq!(stopped(&actions), [], "a request runs");
    assert_eq!(stopped(&stage.pass(5_000)), []);
    stage.busy.clear();
    assert_eq!(stopped(&stage.pass(600)), [old]);
    let actions = stage.exit(old, Exit::Status(0));
    assert_eq!((complaints(&actions), launched(&actions)), (vec![], vec![]));
    assert_eq!(stage.pass(100_000), []);
}

#[test]
fn a_request_without_end_does_not_keep_an_old_process_for_ever() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    recycle(&mut stage, old);
    stage.busy.insert(0);
    stage.settle();
    assert_eq!(stopped(&stage.pass(15_100)), [old]);
    let actions = stage.pass(5_100);
    assert_eq!(complaints(&actions), ["MWR2021"]);
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGQUIT }));
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGKILL }));
}

#[test]
fn a_successor_that_cannot_load_never_replaces_a_process_that_works() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let new = launched(&recycle(&mut stage, old))[0];
    stage.hello(new);
    let actions = stage.feed(Event::Ready { daemon: new, loaded: false });
    assert_eq!(complaints(&actions), ["MWR2015"]);
    assert_eq!((stopped(&actions), stage.serving()), (vec![new], vec![old]));
    stage.exit(new, Exit::Status(0));
    assert_eq!(launched(&stage.pass(500_000)), [], "nothing has changed");
    let next = launched(&stage.pass(200_000));
    assert_eq!(next.len(), 1, "but somebody may have repaired what it imports");
    // One that dies meanwhile does no harm either.
    stage.exit(next[0], Exit::Status(1));
    assert_eq!(stage.serving(), [old]);
    // The script was repaired: it says so again, and need not wait.
    let next = launched(&recycle(&mut stage, old));
    assert_eq!(next.len(), 1);
    stage.settle();
    assert_eq!(stage.serving(), next);
}

#[test]
fn a_script_repaired_while_a_successor_reads_it_is_loaded_at_once() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let new = launched(&recycle(&mut stage, old))[0];
    stage.hello(new);
    stage.pass(10);
    assert_eq!(launched(&recycle(&mut stage, old)), []);
    let actions = stage.feed(Event::Ready { daemon: new, loaded: false });
    assert_eq!(complaints(&actions), ["MWR2015"]);
    assert_eq!(launched(&actions).len(), 1);
    stage.exit(new, Exit::Status(0));
    stage.settle();
    assert_eq!(stage.serving().len(), 1);
    assert!(!stage.serving().contains(&old));
}

#[test]
fn a_pool_whose_last_process_dies_starts_another_whatever_failed_to_load() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let new = launched(&recycle(&mut stage, old))[0];
    stage.hello(new);
    stage.feed(Event::Ready { daemon: new, loaded: false });
    stage.exit(new, Exit::Status(0));
    assert_eq!(launched(&stage.kill(old)).len(), 1);
}

#[test]
fn one_report_of_a_change_is_enough_for_all_processes_of_the_pool() {
    let mut stage = Stage::configured(2, &[preloading("g", 3, &[""])]);
    stage.settle();
    let old = stage.serving();
    stage.pass(1_000);
    recycle(&mut stage, old[1]);
    let successor = stage.starting();
    // The others notice later; that is no further change.
    recycle(&mut stage, old[0]);
    recycle(&mut stage, old[2]);
    assert_eq!(stage.starting(), successor);
    while let Some(&daemon) = stage.starting().first() {
        stage.ready(daemon);
        assert_eq!(stage.serving().len(), 3);
    }
    assert!(stage.serving().iter().all(|daemon| !old.contains(daemon)));
    let new = stage.serving();
    for daemon in old {
        stage.exit(daemon, Exit::Status(0));
    }
    recycle(&mut stage, new[2]);
    stage.settle();
    assert!(stage.serving().iter().all(|daemon| !new.contains(daemon)));
    let Some(Action::Launch { polite: true, .. }) =
        stage.done.iter().rfind(|action| matches!(action, Action::Launch { .. }))
    else {
        panic!("it must not slow down those that serve");
    };
}

#[test]
fn scripts_loaded_for_requests_are_loaded_by_successors_before_they_are_ready() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    for script in ["/srv/two.wsgi", "/srv/app.wsgi", "/srv/two.wsgi"] {
        stage.feed(Event::Loaded { daemon: old, script: script.into() });
    }
    let new = launched(&recycle(&mut stage, old))[0];
    let greeting = stage.hello(new);
    let Action::Send { record: ToDaemon::Start(start), .. } = &greeting[0] else {
        panic!("{greeting:?}");
    };
    let expected = ["/srv/app.wsgi", "/srv/two.wsgi"].map(std::path::PathBuf::from);
    assert_eq!(start.preload, expected);
}

#[test]
fn a_script_that_cannot_load_at_first_is_served_nevertheless() {
    let mut stage = Stage::configured(4, &[preloading("g", 2, &[""])]);
    for _ in 0..2 {
        let daemon = stage.starting()[0];
        stage.hello(daemon);
        stage.feed(Event::Ready { daemon, loaded: false });
    }
    assert_eq!(stage.serving().len(), 2);
    let old = stage.serving()[0];
    recycle(&mut stage, old);
    stage.settle();
    assert!(!stage.serving().contains(&old));
}

#[test]
fn processes_are_replaced_after_the_maximum_of_requests() {
    let group = Group { maximum_requests: 100, ..preloading("g", 1, &[""]) };
    let mut stage = Stage::configured(4, &[group]);
    stage.settle();
    let daemon = stage.serving()[0];
    assert!(stage.done.contains(&Action::Limit { pool: 0, process: 0, limit: 100 }));
    assert!(stage.pass(250).contains(&Action::CountServed { daemon }));
    assert_eq!(launched(&stage.feed(Event::Served { daemon, requests: 74 })), []);
    assert!(stage.pass(1_000).contains(&Action::CountServed { daemon }));
    let new = launched(&stage.feed(Event::Served { daemon, requests: 75 }));
    assert_eq!(new.len(), 1, "in time");
    let actions = stage.ready(new[0]);
    assert_eq!(stopped(&actions), [daemon]);
    assert!(actions.contains(&Action::Limit { pool: 0, process: 1, limit: 100 }));
}

#[test]
fn the_faster_requests_come_the_earlier_the_successor_is_started() {
    let group = Group { maximum_requests: 10_000, ..preloading("g", 1, &[""]) };
    let mut stage = Stage::configured(4, &[group]);
    let first = stage.starting()[0];
    stage.hello(first);
    stage.pass(2_000);
    stage.feed(Event::Ready { daemon: first, loaded: true });
    stage.pass(1_000);
    // 2,000 a second, and a start takes two seconds: not yet, then yes.
    assert_eq!(launched(&stage.feed(Event::Served { daemon: first, requests: 2_000 })), []);
    stage.now += 1_000;
    assert_eq!(launched(&stage.feed(Event::Served { daemon: first, requests: 4_000 })), []);
    stage.now += 1_000;
    assert_eq!(launched(&stage.feed(Event::Served { daemon: first, requests: 6_000 })).len(), 1);
}

#[test]
fn a_process_serves_beyond_its_limit_while_no_successor_can_be_had() {
    let group = Group { maximum_requests: 100, ..preloading("g", 1, &[""]) };
    let mut stage = Stage::configured(4, &[group]);
    stage.settle();
    let daemon = stage.serving()[0];
    let new = launched(&stage.feed(Event::Served { daemon, requests: 90 }))[0];
    let actions = stage.exit(new, Exit::Status(1));
    assert!(actions.contains(&Action::Limit { pool: 0, process: 0, limit: 0 }));
    assert_eq!(stage.serving(), [daemon]);
}

#[test]
fn the_limits_of_processes_differ_as_much_as_the_jitter_says() {
    let jitter = |percent| {
        let group = Group {
            maximum_requests: 1_000,
            maximum_requests_jitter: percent,
            ..preloading("g", 8, &[""])
        };
        let mut stage = Stage::configured(8, &[group]);
        stage.settle();
        let limits = stage.done.iter().filter_map(|action| match action {
            Action::Limit { limit, .. } => Some(*limit),
            _ => None,
        });
        limits.collect::<BTreeSet<_>>()
    };
    assert_eq!(jitter(0), BTreeSet::from([1_000]));
    let limits = jitter(10);
    assert!(limits.len() >= 4 && limits.iter().all(|limit| (900..=1_000).contains(limit)));
}

#[test]
fn all_processes_of_a_pool_are_replaced_without_a_gap() {
    let mut stage = Stage::configured(2, &[preloading("g", 3, &[""])]);
    stage.settle();
    let old = stage.serving();
    for &daemon in &old {
        recycle(&mut stage, daemon);
    }
    assert_eq!(stage.starting().len(), 1, "one proves first that the scripts load");
    while let Some(&daemon) = stage.starting().first() {
        stage.ready(daemon);
        assert_eq!(stage.serving().len(), 3);
    }
    assert!(stage.serving().iter().all(|daemon| !old.contains(daemon)));
}

#[test]
fn a_slot_that_breaks_in_a_draining_process_does_not_hold_it_up() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    recycle(&mut stage, old);
    stage.busy.insert(0);
    stage.settle();
    let actions = stage.feed(Event::SlotBroken { slot: 0, epoch: 1 });
    assert_eq!(stopped(&actions), [old]);
}

#[test]
fn a_process_that_was_starting_when_the_change_was_told_is_replaced_alone() {
    let mut stage = Stage::configured(4, &[preloading("g", 2, &[""])]);
    stage.settle();
    let old = stage.serving();
    stage.pass(500);
    stage.kill(old[1]);
    let late = stage.starting()[0];
    stage.pass(500);
    recycle(&mut stage, old[0]);
    stage.ready(late);
    let new = stage.starting()[0];
    stage.ready(new);
    assert_eq!(stage.serving(), [late, new]);
    stage.pass(500);
    recycle(&mut stage, late);
    stage.settle();
    assert!(stage.serving().contains(&new) && !stage.serving().contains(&late));
    // A change that the new one tells of is another.
    stage.pass(500);
    recycle(&mut stage, new);
    for id in stage.in_state(ProcessState::Stopping) {
        stage.exit(id, Exit::Status(0));
    }
    stage.settle();
    assert_eq!(stage.serving().len(), 2);
    assert!(!stage.serving().contains(&new));
}

#[test]
fn a_process_that_notices_a_change_late_does_not_replace_those_that_have_loaded_it() {
    let mut stage = Stage::configured(4, &[preloading("g", 2, &[""])]);
    stage.settle();
    let old = stage.serving();
    stage.pass(500);
    let new = launched(&recycle(&mut stage, old[0]))[0];
    stage.busy.extend([0, 1, 2, 3]);
    stage.ready(new);
    recycle(&mut stage, old[1]);
    stage.settle();
    stage.busy.clear();
    stage.pass(1_000);
    assert_eq!(stage.serving().len(), 2);
    assert!(stage.serving().contains(&new));
}

#[test]
fn a_graceful_restart_waits_for_requests_until_their_place_is_needed() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let mut lingering = Vec::new();
    // A request of each generation goes on for ever.
    for generation in 2..=8 {
        lingering.extend(stage.serving());
        stage.busy.extend(0..16);
        stage.configure(generation, &[preloading("g", 1, &[""])]);
        stage.settle();
        assert_eq!(stopped(&stage.pass(3_600_000)), []);
    }
    assert_eq!(stage.in_state(ProcessState::Draining), lingering);
    // All entries are taken now: the oldest of them makes room.
    let serving = stage.serving();
    let actions = stage.configure(9, &[preloading("g", 1, &[""])]);
    assert_eq!((stopped(&actions), launched(&actions).len()), (vec![lingering[0]], 0));
    assert_eq!(stage.serving(), serving);
    assert_eq!(launched(&stage.exit(lingering[0], Exit::Status(0))).len(), 1);
}
