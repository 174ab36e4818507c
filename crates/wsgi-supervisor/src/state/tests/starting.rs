use wsgi_proto::control::Committed;
use wsgi_sys::table::PoolState;

use super::*;

#[test]
fn a_preloading_group_starts_with_the_configuration_one_process_first() {
    let mut stage = Stage::new(4);
    let actions = stage.configure(3, &[preloading("g", 3, &["a"])]);
    assert!(actions.contains(&Action::Committed(Committed { version: VERSION, generation: 3 })));
    let first = launched(&actions);
    assert_eq!(first.len(), 1);

    let greeting = stage.hello(first[0]);
    let Action::Send { record: ToDaemon::Start(start), .. } = &greeting[0] else {
        panic!("{greeting:?}");
    };
    assert_eq!((start.process_group.as_str(), start.application_group.as_str()), ("g", "a"));
    assert_eq!(start.preload, [std::path::PathBuf::from("/srv/app.wsgi")]);
    let channels = greeting.iter().filter(|action| matches!(action, Action::OpenChannel { .. }));
    assert_eq!(channels.count(), 2);
    assert!(freed(&greeting).is_empty());

    let ready = stage.feed(Event::Ready { daemon: first[0], loaded: true });
    assert_eq!(freed(&ready), [(0, 1), (1, 1)]);
    assert!(ready.contains(&Action::PoolState { pool: 0, state: PoolState::Ready }));
    assert_eq!(launched(&ready).len(), 2, "the others start together");
    stage.settle();
    assert_eq!(stage.serving().len(), 3);
}

#[test]
fn the_pools_of_further_application_groups_start_with_one_process() {
    let mut stage = Stage::configured(8, &[preloading("g", 3, &["a", "b", "a"])]);
    stage.settle();
    assert_eq!(stage.serving().len(), 4);
}

#[test]
fn a_group_without_preload_starts_when_it_is_asked_for() {
    let mut stage = Stage::configured(4, &[group("g", 2, 1)]);
    assert!(stage.living.is_empty());
    let actions = stage.open("g", "");
    assert_eq!(launched(&actions).len(), 1);
    assert!(actions.contains(&Action::AnswerPool { child: ChildId(1), sequence: 7, pool: 0 }));
    assert_eq!(launched(&stage.open("g", "")), []);
    assert_eq!(launched(&stage.open("g", "other")).len(), 1);
    stage.settle();
    assert_eq!(stage.serving().len(), 3);
}

#[test]
fn an_unknown_group_is_refused_and_a_question_before_the_configuration_waits() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.open("g", ""), []);
    let actions = stage.configure(1, &[group("g", 1, 1)]);
    assert!(actions.iter().any(|action| matches!(action, Action::AnswerPool { .. })));
    let actions = stage.open("h", "");
    assert!(matches!(&actions[..], [Action::Refuse { sequence: 7, .. }]), "{actions:?}");
}

#[test]
fn no_more_processes_load_at_once_than_there_are_cores() {
    let groups: Vec<_> = (0..6).map(|n| preloading(&format!("g{n}"), 2, &[""])).collect();
    let mut stage = Stage::configured(2, &groups);
    assert_eq!(stage.starting().len(), 2);
    for _ in 0..4 {
        let daemon = stage.starting()[0];
        stage.ready(daemon);
        assert_eq!(stage.starting().len(), 2);
    }
    // Each pool has one before any has two.
    let pools: BTreeSet<_> = stage.living.values().map(|(slot, _)| slot / 8).collect();
    assert_eq!(pools.len(), 6);
    stage.settle();
    assert_eq!(stage.serving().len(), 12);
}

#[test]
fn an_import_that_hangs_does_not_hold_up_others_for_ever() {
    let mut stage = Stage::configured(1, &[preloading("a", 1, &[""]), preloading("b", 1, &[""])]);
    let first = stage.starting();
    stage.hello(first[0]);
    assert_eq!(first.len(), 1);
    assert_eq!(launched(&stage.pass(9_000)), []);
    assert_eq!(launched(&stage.pass(2_000)).len(), 1);
}

#[test]
fn a_pool_grows_while_requests_wait_and_not_beyond_its_maximum() {
    let mut stage = Stage::configured(4, &[Group { processes_max: 3, ..group("", 1, 1) }]);
    stage.open("", "");
    stage.settle();
    for expected in [2, 3, 3] {
        stage.feed(Event::Waiting { pool: 0 });
        let actions = stage.pass(60);
        let probes = actions.contains(&Action::Probe { pool: 0 });
        assert_eq!(probes, stage.serving().len() < 3);
        stage.feed(Event::Pressure { pool: 0, waiting: u32::from(probes) });
        stage.settle();
        assert_eq!(stage.serving().len(), expected);
    }
}

#[test]
fn a_pool_does_not_grow_when_nobody_waits_any_more() {
    let mut stage = Stage::configured(4, &[Group { processes_max: 3, ..group("", 1, 1) }]);
    stage.open("", "");
    stage.settle();
    stage.feed(Event::Pressure { pool: 0, waiting: 0 });
    assert_eq!(stage.starting(), []);
}

#[test]
fn a_pool_without_room_in_the_table_is_refused_with_a_reason() {
    let mut stage = Stage::configured(4, &[group("g", 20_000, 15)]);
    let actions = stage.open("g", "");
    assert_eq!(complaints(&actions), ["MWR2030"]);
    assert!(actions.iter().any(|action| matches!(action, Action::Refuse { .. })));
}
