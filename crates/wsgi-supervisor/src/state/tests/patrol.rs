use wsgi_sys::table::Activity;

use super::*;

/// A pool of one process with these settings, ready.
fn serving(settings: Group) -> (Stage, DaemonId) {
    let mut stage = Stage::configured(4, &[Group { threads: 2, ..settings }]);
    stage.settle();
    let daemon = stage.serving()[0];
    (stage, daemon)
}

fn settings() -> Group {
    preloading("g", 1, &[""])
}

/// What the first slot does, told whenever the state looks, for so many seconds.
/// Other processes do nothing.
fn look(stage: &mut Stage, daemon: DaemonId, served: u64, busy: bool, seconds: u64) -> Vec<Action> {
    let end = stage.now + seconds * 1_000;
    let mut actions = Vec::new();
    while stage.now < end {
        let step = stage.pass(100);
        for action in &step {
            if let Action::Look { daemon: which, .. } = *action {
                let first = if which == daemon { (served, busy) } else { (3, false) };
                let counted = Activity { served: first.0 + 7, busy: first.1 };
                let sight = Sight { slots: vec![first, (7, false)], counted, resident: 50 };
                actions.extend(stage.feed(Event::Seen { daemon: which, sight }));
            }
        }
        actions.extend(step);
    }
    actions
}

fn interrupts(actions: &[Action]) -> Vec<(u32, bool)> {
    let orders = actions.iter().filter_map(|action| match action {
        Action::Send { record: ToDaemon::Interrupt(order), .. } => {
            Some((order.thread, order.raise))
        }
        _ => None,
    });
    orders.collect()
}

fn probes(actions: &[Action]) -> usize {
    let probe =
        |action: &&Action| matches!(action, Action::Send { record: ToDaemon::Probe(_), .. });
    actions.iter().filter(probe).count()
}

#[test]
fn an_old_process_is_replaced_after_the_restart_interval() {
    let (mut stage, daemon) = serving(Group { restart_interval: 60, ..settings() });
    assert_eq!(launched(&stage.pass(59_900)), []);
    let new = launched(&stage.pass(200));
    assert_eq!(new.len(), 1);
    assert_eq!(stopped(&stage.ready(new[0])), [daemon]);
}

#[test]
fn a_script_that_does_not_load_in_time_is_given_up() {
    let mut stage = Stage::configured(4, &[Group { startup_timeout: 20, ..settings() }]);
    let daemon = stage.starting()[0];
    stage.pass(5_000);
    stage.hello(daemon);
    assert_eq!(complaints(&stage.pass(14_900)), [""; 0]);
    let actions = stage.pass(200);
    assert_eq!(complaints(&actions), ["MWR2016"]);
    assert!(actions.contains(&Action::Kill { daemon, signal: libc::SIGKILL }));
    let actions = stage.kill(daemon);
    assert_eq!((complaints(&actions), launched(&actions)), (vec![], vec![]));
    assert_eq!(launched(&stage.pass(1_000)).len(), 1);
}

#[test]
fn a_process_whose_python_does_not_answer_is_killed_with_its_stacks() {
    let (mut stage, daemon) = serving(Group { deadlock_timeout: 8, ..settings() });
    for _ in 0..5 {
        assert_eq!(probes(&stage.pass(2_000)), 1);
        stage.feed(Event::Alive(daemon));
    }
    assert_eq!(probes(&stage.pass(2_000)), 1);
    assert_eq!(complaints(&stage.pass(7_900)), [""; 0]);
    let actions = stage.pass(100);
    assert_eq!(complaints(&actions), ["MWR2023"]);
    assert!(actions.contains(&Action::Kill { daemon, signal: libc::SIGQUIT }));
    assert!(stage.pass(100).contains(&Action::Kill { daemon, signal: libc::SIGKILL }));
    assert_eq!(launched(&stage.kill(daemon)).len(), 1);
}

#[test]
fn a_process_without_deadlock_timeout_is_not_probed() {
    let (mut stage, daemon) = serving(settings());
    assert_eq!(stage.pass(1_000_000), []);
    assert_eq!(stage.feed(Event::Alive(daemon)), []);
}

#[test]
fn a_slow_request_is_interrupted_then_its_process_is_replaced() {
    // 2 s × (1 + ln 2) = 3.4 s
    let (mut stage, daemon) =
        serving(Group { request_timeout: 2, interrupt_timeout: 3, ..settings() });
    assert_eq!(interrupts(&look(&mut stage, daemon, 5, true, 4)), []);
    assert_eq!(interrupts(&look(&mut stage, daemon, 5, true, 1)), [(0, true)]);
    // It ended, and another one is not meant.
    assert_eq!(interrupts(&look(&mut stage, daemon, 6, true, 3)), []);
    assert_eq!(interrupts(&look(&mut stage, daemon, 6, true, 2)), [(0, true)]);
    let actions = look(&mut stage, daemon, 6, true, 4);
    assert_eq!(complaints(&actions), ["MWR2024"]);
    let new = launched(&actions);
    assert_eq!(new.len(), 1);
    // Nobody waits for it any more.
    stage.busy.insert(0);
    assert_eq!(stopped(&stage.ready(new[0])), [daemon]);
}

#[test]
fn a_slow_request_is_told_of_once_if_it_is_not_to_be_interrupted() {
    let (mut stage, daemon) = serving(Group { request_timeout: 2, ..settings() });
    let actions = look(&mut stage, daemon, 5, true, 20);
    assert_eq!(interrupts(&actions), [(0, false)]);
    assert_eq!(complaints(&actions), ["MWR2024"]);
    assert_eq!(launched(&actions).len(), 1);
}

#[test]
fn a_process_with_too_much_memory_is_replaced() {
    let (mut stage, daemon) = serving(Group { resident_memory_limit: 51, ..settings() });
    assert_eq!(launched(&look(&mut stage, daemon, 5, false, 5)), []);
    let (mut stage, daemon) = serving(Group { resident_memory_limit: 50, ..settings() });
    let actions = look(&mut stage, daemon, 5, false, 5);
    let looks = Action::Look { daemon, memory: true };
    assert!(actions.contains(&looks), "{actions:?}");
    assert_eq!(launched(&actions).len(), 1);
}

#[test]
fn an_inactive_process_ends_and_the_next_request_starts_another() {
    let (mut stage, daemon) = serving(Group { inactivity_timeout: 10, ..settings() });
    assert_eq!(stopped(&look(&mut stage, daemon, 5, true, 30)), []);
    let actions = look(&mut stage, daemon, 6, false, 9);
    assert_eq!(stopped(&actions), []);
    assert_eq!(stopped(&look(&mut stage, daemon, 6, false, 4)), [daemon]);
    assert_eq!(launched(&stage.exit(daemon, Exit::Status(0))), []);
    assert_eq!(launched(&stage.pass(1_000_000)), []);
    assert_eq!(launched(&stage.feed(Event::Waiting { pool: 0 })).len(), 1);
    stage.settle();
    assert_eq!(stage.serving().len(), 1);
}

#[test]
fn pools_started_on_demand_shrink_to_none_and_the_first_does_not() {
    let (mut stage, first) = serving(Group { idle_timeout: 600, ..settings() });
    stage.open("g", "other");
    stage.settle();
    let second = *stage.serving().last().unwrap();
    assert_eq!(stopped(&look(&mut stage, second, 5, true, 700)), []);
    assert_eq!(stopped(&look(&mut stage, second, 5, false, 700)), [second]);
    stage.exit(second, Exit::Status(0));
    assert_eq!(stage.serving(), [first]);
    assert_eq!(launched(&stage.feed(Event::Waiting { pool: 1 })).len(), 1);
}

#[test]
fn processes_beyond_the_minimum_end_when_they_are_idle() {
    let range = Group { processes_max: 3, idle_timeout: 30, ..settings() };
    let (mut stage, first) = serving(range);
    stage.feed(Event::Pressure { pool: 0, waiting: 1 });
    stage.settle();
    let second = *stage.serving().last().unwrap();
    assert_eq!(stopped(&look(&mut stage, first, 5, true, 25)), []);
    assert_eq!(stopped(&look(&mut stage, first, 5, true, 15)), [second]);
    stage.exit(second, Exit::Status(0));
    assert_eq!(stopped(&look(&mut stage, first, 5, false, 100)), [], "one is the minimum");
}

#[test]
fn a_group_at_its_cap_ends_the_process_that_is_idle_for_longest() {
    let (mut stage, first) = serving(Group { processes_cap: 3, idle_timeout: 600, ..settings() });
    for application in ["a", "b"] {
        stage.open("g", application);
        stage.settle();
        look(&mut stage, first, 9, true, 5);
    }
    let serving = stage.serving();
    look(&mut stage, serving[1], 9, true, 12);
    let actions = stage.open("g", "c");
    assert_eq!(stopped(&actions), [serving[2]], "{first:?} stays, {:?} is busy", serving[1]);
    assert_eq!(launched(&actions).len(), 1);
    assert_eq!(complaints(&actions), [""; 0]);
}

#[test]
fn a_group_whose_applications_are_all_in_use_exceeds_its_cap_and_says_so() {
    let (mut stage, _) = serving(Group { processes_cap: 2, idle_timeout: 600, ..settings() });
    stage.open("g", "a");
    stage.settle();
    let actions = stage.open("g", "b");
    assert_eq!((complaints(&actions), launched(&actions).len()), (vec!["MWR2031".to_owned()], 1));
    stage.settle();
    assert_eq!(complaints(&stage.open("g", "c")), [""; 0], "once a minute");
}

#[test]
fn a_service_is_stopped_by_a_signal_before_its_successor_starts() {
    let service = Group { threads: 0, ..settings() };
    let mut stage = Stage::configured(4, std::slice::from_ref(&service));
    let old = stage.starting()[0];
    stage.hello(old);
    assert_eq!(complaints(&stage.pass(1_000_000)), [""; 0], "it may run for ever");
    let actions = stage.configure(2, &[service]);
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGTERM }));
    assert_eq!(launched(&actions), []);
    assert_eq!(launched(&stage.exit(old, Exit::Status(0))).len(), 1);
}
