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
    assert_eq!(stopped(&stage.pass(20)), [old]);
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
    let actions = stage.pass(5_000);
    assert_eq!(complaints(&actions), ["MWR2021"]);
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
    assert_eq!(launched(&stage.pass(900)), []);
    let next = launched(&stage.pass(200));
    assert_eq!(next.len(), 1);
    // One that dies meanwhile does no harm either.
    stage.exit(next[0], Exit::Status(1));
    assert_eq!(stage.serving(), [old]);
    // The script was repaired: it says so again, and need not wait long.
    stage.pass(500);
    recycle(&mut stage, old);
    assert_eq!(launched(&stage.pass(1_000)).len(), 1);
    stage.settle();
    assert!(!stage.serving().contains(&old));
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
    assert!(stage.pass(250).contains(&Action::CountServed { daemon }));
    assert_eq!(launched(&stage.feed(Event::Served { daemon, requests: 99 })), []);
    assert!(stage.pass(250).contains(&Action::CountServed { daemon }));
    let new = launched(&stage.feed(Event::Served { daemon, requests: 100 }));
    assert_eq!(new.len(), 1);
    let actions = stage.ready(new[0]);
    assert_eq!(stopped(&actions), [daemon]);
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
