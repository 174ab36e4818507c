use wsgi_sys::table::PoolState;

use super::*;

#[test]
fn a_ready_process_that_dies_is_replaced_at_once() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let actions = stage.kill(old);
    assert_eq!(complaints(&actions), ["MWR2020"]);
    let text = format!("{actions:?}");
    assert!(text.contains("SIGKILL") && text.contains("5 requests"), "{text}");
    assert_eq!(launched(&actions).len(), 1);
    assert!(actions.contains(&Action::ClearSlot { slot: 0 }));
    assert!(actions.contains(&Action::PoolState { pool: 0, state: PoolState::Starting }));
    let new = launched(&actions)[0];
    let ready = stage.ready(new);
    assert_eq!(freed(&ready), [(0, 2), (1, 2)], "the epochs go on");
}

#[test]
fn a_process_that_cannot_start_is_retried_with_back_off() {
    let mut stage = Stage::configured(4, &[preloading("g", 3, &[""])]);
    for pause in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        let daemon = stage.starting()[0];
        assert_eq!(stage.starting().len(), 1, "one at a time");
        let actions = stage.exit(daemon, Exit::Status(1));
        assert_eq!(complaints(&actions), ["MWR2011"]);
        assert_eq!(launched(&stage.pass(pause - 1)), []);
        assert_eq!(launched(&stage.pass(1)).len(), 1, "after {pause}");
    }
    let failed = Action::PoolState { pool: 0, state: PoolState::Failed };
    assert_eq!(stage.done.iter().filter(|&action| *action == failed).count(), 1);
    stage.settle();
    assert_eq!(stage.serving().len(), 3);
    let daemon = stage.serving()[0];
    assert_eq!(launched(&stage.kill(daemon)).len(), 1, "failures are forgotten");
}

#[test]
fn a_program_that_cannot_be_launched_is_retried_with_back_off() {
    let mut stage = Stage::new(4);
    stage.launch_error = Some("execve: No such file");
    let actions = stage.configure(1, &[preloading("g", 1, &[""])]);
    assert_eq!(complaints(&actions), ["MWR2010"]);
    assert!(actions.contains(&Action::PoolState { pool: 0, state: PoolState::Failed }));
    stage.launch_error = None;
    assert_eq!(launched(&stage.pass(1_000)).len(), 1);
    stage.settle();
    assert_eq!(stage.serving().len(), 1);
}

#[test]
fn a_silent_process_is_killed_after_thirty_seconds() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    let daemon = stage.starting()[0];
    let actions = stage.pass(30_000);
    assert_eq!(complaints(&actions), ["MWR2012"]);
    assert!(actions.contains(&Action::Kill { daemon, signal: libc::SIGKILL }));
    let actions = stage.kill(daemon);
    assert_eq!(complaints(&actions), [""; 0]);
    assert_eq!(launched(&actions), []);
    assert_eq!(launched(&stage.pass(1_000)).len(), 1);
}

#[test]
fn a_worker_of_another_version_is_killed() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    let daemon = stage.starting()[0];
    let actions = stage.feed(Event::Hello { daemon, version: VERSION + 1 });
    assert_eq!(complaints(&actions), ["MWR2013"]);
    assert!(actions.contains(&Action::Kill { daemon, signal: libc::SIGKILL }));
}

#[test]
fn a_worker_that_speaks_out_of_turn_is_killed() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    let daemon = stage.starting()[0];
    let actions = stage.feed(Event::Ready { daemon, loaded: true });
    assert_eq!(complaints(&actions), ["MWR2014"]);
    assert_eq!(complaints(&stage.hello(daemon)), [""; 0]);
    assert!(stage.serving().is_empty());
}

#[test]
fn a_broken_slot_is_free_again_only_when_its_thread_took_the_new_channel() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let daemon = stage.serving()[0];
    let actions = stage.feed(Event::SlotBroken { slot: 1, epoch: 1 });
    assert_eq!(
        actions,
        [
            Action::ShutChannel { slot: 1 },
            Action::OpenChannel { daemon, slot: 1, thread: 1, epoch: 2 }
        ]
    );
    assert_eq!(stage.feed(Event::SlotBroken { slot: 1, epoch: 1 }), [], "said twice");
    assert_eq!(stage.feed(Event::ChannelLost { daemon, thread: 1, epoch: 1 }), []);
    assert_eq!(stage.feed(Event::ChannelReady { daemon, thread: 1, epoch: 1 }), []);
    let actions = stage.feed(Event::ChannelReady { daemon, thread: 1, epoch: 2 });
    assert_eq!(actions, [Action::FreeSlot { pool: 0, slot: 1, epoch: 2 }]);
}

#[test]
fn a_channel_that_the_worker_lost_is_replaced_once_the_slot_is_not_reserved() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let daemon = stage.serving()[0];
    stage.busy.insert(0);
    let actions = stage.feed(Event::ChannelLost { daemon, thread: 0, epoch: 1 });
    assert_eq!(actions, [Action::ShutChannel { slot: 0 }, Action::RetireSlot { slot: 0 }]);
    stage.busy.remove(&0);
    let actions = stage.pass(20);
    assert!(actions.contains(&Action::OpenChannel { daemon, slot: 0, thread: 0, epoch: 2 }));
    assert_eq!(stage.pass(1_000), [], "nothing goes on");
}

#[test]
fn slots_and_threads_that_do_not_exist_are_ignored() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let daemon = stage.serving()[0];
    for event in [
        Event::SlotBroken { slot: 4_000_000_000, epoch: 1 },
        Event::SlotRetired { slot: 3 },
        Event::ChannelReady { daemon, thread: u32::MAX, epoch: 1 },
        Event::ChannelLost { daemon, thread: 2, epoch: 0 },
        Event::Ready { daemon: DaemonId(99), loaded: true },
        Event::Waiting { pool: 77 },
        Event::Pressure { pool: 77, waiting: 1 },
    ] {
        assert_eq!(stage.feed(event), []);
    }
}

#[test]
fn a_process_that_closed_its_control_socket_and_lives_is_killed() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let daemon = stage.serving()[0];
    stage.feed(Event::LinkEnded(daemon));
    let actions = stage.pass(1_000);
    assert_eq!(complaints(&actions), ["MWR2022"]);
    assert_eq!(launched(&stage.kill(daemon)).len(), 1);
}

#[test]
fn everything_stops_and_what_does_not_is_killed() {
    let mut stage = Stage::configured(4, &[preloading("g", 2, &[""]), group("late", 1, 1)]);
    stage.settle();
    stage.open("late", "");
    let loading = stage.starting()[0];
    stage.hello(loading);
    let ready = stage.serving();
    let actions = stage.feed(Event::Stop);
    assert_eq!(stopped(&actions).len(), 3);
    assert!(actions.contains(&Action::PoolState { pool: 0, state: PoolState::Failed }));
    stage.exit(ready[0], Exit::Status(0));
    let actions = stage.pass(1_100);
    assert!(actions.contains(&Action::Kill { daemon: loading, signal: libc::SIGQUIT }));
    assert!(actions.contains(&Action::Kill { daemon: loading, signal: libc::SIGKILL }));
    stage.kill(loading);
    let actions = stage.pass(4_000);
    assert_eq!(complaints(&actions), ["MWR2021"]);
    assert!(actions.contains(&Action::Kill { daemon: ready[1], signal: libc::SIGKILL }));
    let actions = stage.kill(ready[1]);
    assert_eq!(actions.last(), Some(&Action::Exit));
    assert_eq!(launched(&stage.done).len(), 3, "nothing was started meanwhile");
    assert!(stage.open("g", "new").iter().any(|action| matches!(action, Action::Refuse { .. })));
}

#[test]
fn a_supervisor_without_daemons_stops_at_once() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.feed(Event::Stop), [Action::Exit]);
    assert_eq!(stage.feed(Event::Stop), []);
}

#[test]
fn a_start_that_somebody_kills_is_no_failure_until_it_is_the_rule() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    for _ in 0..3 {
        let daemon = stage.starting()[0];
        let actions = stage.kill(daemon);
        assert_eq!((complaints(&actions), launched(&actions).len()), (vec!["MWR2020".into()], 1));
        assert!(!actions.contains(&Action::PoolState { pool: 0, state: PoolState::Failed }));
    }
    let daemon = stage.starting()[0];
    let actions = stage.kill(daemon);
    assert_eq!((complaints(&actions), launched(&actions).len()), (vec!["MWR2011".into()], 0));
    stage.pass(1_000);
    stage.settle();
    let serving = stage.serving()[0];
    stage.kill(serving);
    let daemon = stage.starting()[0];
    assert_eq!(launched(&stage.kill(daemon)).len(), 1, "one that was ready ends the count");
}
