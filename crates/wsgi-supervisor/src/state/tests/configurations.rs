use wsgi_proto::control::Committed;
use wsgi_sys::table::{Activity, PoolShape};

use super::super::{OldPool, OldProcess};
use super::*;

#[test]
fn another_release_is_told_the_version_and_nothing_changes() {
    let mut stage = Stage::configured(1, &[preloading("g", 1, &[""])]);
    let begin = Begin { version: VERSION + 1, generation: 9, ..Begin::default() };
    let actions = stage.feed(Event::Begin(begin));
    assert_eq!(actions, [Action::Committed(Committed { version: VERSION, generation: 9 })]);
    assert_eq!(stage.feed(Event::Group(group("h", 1, 1))), []);
    assert_eq!(stage.feed(Event::Commit(Commit { generation: 9 })), []);
    assert!(matches!(&stage.open("h", "")[..], [Action::Refuse { .. }]));
}

#[test]
fn a_new_configuration_recycles_every_pool_successor_first() {
    let groups = [preloading("g", 2, &[""]), group("lazy", 1, 1)];
    let mut stage = Stage::configured(4, &groups);
    stage.open("lazy", "x");
    stage.settle();
    let old = stage.serving();
    assert_eq!(old.len(), 3);
    let actions = stage.configure(2, &groups);
    assert!(!actions.iter().any(|action| matches!(action, Action::OpenPool { .. })));
    while let Some(&daemon) = stage.starting().first() {
        stage.ready(daemon);
        assert_eq!(stage.serving().len(), 3);
    }
    assert!(stage.serving().iter().all(|daemon| !old.contains(daemon)));
}

#[test]
fn a_hundred_restarts_in_a_row_never_leave_a_pool_without_a_process() {
    let groups = [preloading("g", 2, &["", "b"])];
    let mut stage = Stage::configured(2, &groups);
    stage.settle();
    for generation in 2..102 {
        stage.configure(generation, &groups);
        // Sometimes one process is ready before the next restart, sometimes none.
        if generation % 3 == 0
            && let Some(&daemon) = stage.starting().first()
        {
            stage.ready(daemon);
        }
        for id in stage.in_state(ProcessState::Stopping) {
            stage.exit(id, Exit::Status(0));
        }
        assert_eq!(stage.serving().len(), 3, "generation {generation}");
        assert!(stage.living.len() <= 8);
        stage.pass(10);
    }
    let before = stage.serving();
    stage.settle();
    for id in stage.in_state(ProcessState::Stopping) {
        stage.exit(id, Exit::Status(0));
    }
    stage.settle();
    assert_eq!(stage.serving().len(), 3);
    assert!(stage.serving().iter().all(|daemon| !before.contains(daemon)));
    assert_eq!(complaints(&stage.done), [""; 0]);
}

#[test]
fn a_group_with_more_threads_gets_another_pool_before_the_old_one_closes() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let old = stage.serving()[0];
    let actions = stage.configure(2, &[Group { threads: 5, ..preloading("g", 1, &[""]) }]);
    let opened = actions.iter().any(|action| matches!(action, Action::OpenPool { pool: 1, .. }));
    assert!(opened, "{actions:?}");
    let question = stage.open("g", "");
    assert!(question.contains(&Action::AnswerPool { child: ChildId(1), sequence: 7, pool: 1 }));
    assert_eq!(stage.serving(), [old]);
    let new = stage.starting()[0];
    let actions = stage.ready(new);
    assert!(actions.contains(&Action::ClosePool { pool: 0 }));
    assert_eq!(stopped(&actions), [old]);
    stage.exit(old, Exit::Status(0));
    // Its place in the table is free again.
    let actions = stage.open("g", "third");
    assert!(actions.iter().any(|action| matches!(action, Action::OpenPool { pool: 0, .. })));
}

#[test]
fn what_the_configuration_no_longer_has_ends_with_its_generation() {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""]), preloading("h", 1, &[""])]);
    stage.settle();
    let old = stage.serving();
    stage.configure(2, &[preloading("g", 1, &[""])]);
    stage.settle();
    assert!(stage.serving().contains(&old[1]), "old children still use it");
    assert_eq!(launched(&stage.kill(old[1])).len(), 1, "and it is replaced if it dies");
    stage.settle();
    let survivor = *stage.serving().last().unwrap();
    let actions = stage.feed(Event::GenerationEnded(1));
    assert_eq!(stopped(&actions), [survivor]);
    assert!(matches!(&stage.open("h", "")[..], [Action::Refuse { .. }]));
    assert_eq!(stage.feed(Event::GenerationEnded(2)), []);
}

fn old_pool(stage: &mut Stage) -> (OldPool, DaemonId) {
    let daemon = stage.state.number_daemon();
    stage.states.insert(daemon, ProcessState::Ready);
    let shape = PoolShape {
        process_group: "g".to_owned(),
        application_group: "a".to_owned(),
        first_process: 4,
        processes: 2,
        first_slot: 10,
        threads: 2,
    };
    let processes = vec![OldProcess { daemon, entry: 1, pid: 42, ready: true }];
    (OldPool { index: 3, shape, processes, epochs: vec![7, 7, 8, 9] }, daemon)
}

#[test]
fn daemons_of_a_killed_supervisor_serve_until_their_successors_are_ready() {
    let mut stage = Stage::new(4);
    let (pool, old) = old_pool(&mut stage);
    stage.feed(Event::Adopted(pool));
    assert_eq!(launched(&stage.done), []);
    stage.configure(1, &[group("g", 1, 2)]);
    let new = stage.starting();
    assert_eq!(new.len(), 1);
    stage.busy.insert(13);
    let actions = stage.ready(new[0]);
    assert_eq!(freed(&actions), [(10, 8), (11, 8)], "the free entry, the next epochs");
    assert!(!actions.iter().any(|action| matches!(action, Action::Kill { .. })));
    assert_eq!(stage.pass(590_000).iter().filter(|a| matches!(a, Action::Kill { .. })).count(), 0);
    let actions = stage.pass(10_100);
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGTERM }));
    let actions = stage.pass(5_000);
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGKILL }));
    let actions = stage
        .feed(Event::Exited { daemon: old, end: End { served: 1, busy: 1, ..End::default() } });
    assert!(actions.contains(&Action::ClearSlot { slot: 12 }));
    let question = stage.open("g", "a");
    assert!(question.contains(&Action::AnswerPool { child: ChildId(1), sequence: 7, pool: 3 }));
}

#[test]
fn an_old_pool_that_no_group_wants_is_closed() {
    let mut stage = Stage::new(4);
    let (pool, old) = old_pool(&mut stage);
    stage.feed(Event::Adopted(pool));
    let actions = stage.configure(1, &[group("h", 1, 2)]);
    assert!(actions.contains(&Action::ClosePool { pool: 3 }));
    assert!(actions.contains(&Action::Kill { daemon: old, signal: libc::SIGTERM }));
}

#[test]
fn whatever_happens_in_whatever_order_the_books_stay_right() {
    let mut seed = 1_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let limited = Group {
        maximum_requests: 100,
        maximum_requests_jitter: 50,
        request_timeout: 1,
        interrupt_timeout: 1,
        deadlock_timeout: 60,
        restart_interval: 300,
        idle_timeout: 100,
        resident_memory_limit: 190,
        ..preloading("g", 3, &["", "b"])
    };
    let groups = [limited, Group { processes_max: 4, processes_cap: 5, ..group("", 1, 3) }];
    let mut stage = Stage::configured(3, &groups);
    let mut generation = 1;
    for _ in 0..8_000 {
        let ids: Vec<_> = stage.living.keys().copied().collect();
        let some = usize::try_from(random(ids.len().max(1) as u64)).unwrap();
        let daemon = ids.get(some).copied().unwrap_or(DaemonId(0));
        let slot = u32::try_from(random(40)).unwrap();
        let small = u32::try_from(random(4)).unwrap();
        match random(17) {
            0 => _ = stage.hello(daemon),
            1 | 2 => _ = stage.ready(daemon),
            3 => _ = stage.feed(Event::Ready { daemon, loaded: false }),
            4 => _ = stage.kill(daemon),
            5 => _ = stage.feed(Event::Recycle { daemon, reason: "r".to_owned() }),
            6 => _ = stage.feed(Event::SlotBroken { slot, epoch: small }),
            7 => _ = stage.feed(Event::ChannelLost { daemon, thread: small, epoch: small }),
            8 => _ = stage.feed(Event::ChannelReady { daemon, thread: small, epoch: small }),
            9 => _ = stage.open("", ["x", "y"][slot as usize % 2]),
            10 => _ = stage.feed(Event::Pressure { pool: small, waiting: small }),
            11 if slot == 0 => {
                generation += 1;
                stage.configure(generation, &groups);
                stage.feed(Event::GenerationEnded(generation - 1));
            }
            12 => _ = stage.busy.insert(slot),
            13 => _ = stage.feed(Event::Alive(daemon)),
            14 => _ = stage.feed(Event::Served { daemon, requests: random(120) }),
            15 => {
                let slots = vec![(random(3), small == 0), (1, true), (0, false)];
                let sight = Sight { slots, counted: Activity::default(), resident: random(200) };
                stage.feed(Event::Seen { daemon, sight });
            }
            _ => {
                stage.busy.remove(&slot);
                stage.pass(random(2_000));
            }
        }
        // No two living processes share a slot.
        let mut ranges: Vec<_> = stage.living.values().copied().collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    }
    stage.busy.clear();
    for _ in 0..30 {
        stage.settle();
        for id in stage.in_state(ProcessState::Stopping) {
            stage.exit(id, Exit::Status(0));
        }
        for id in ids_killed(&stage) {
            stage.kill(id);
        }
        stage.pass(31_000);
    }
    assert!(stage.serving().len() >= 6, "{:?}", stage.states);
    stage.feed(Event::Stop);
    for id in stage.living.keys().copied().collect::<Vec<_>>() {
        stage.kill(id);
    }
    assert_eq!(stage.done.last(), Some(&Action::Exit));
}

/// Those whom the supervisor killed and whose end was not told yet.
fn ids_killed(stage: &Stage) -> Vec<DaemonId> {
    let killed: BTreeSet<_> = stage
        .done
        .iter()
        .filter_map(|action| match action {
            Action::Kill { daemon, .. } => Some(*daemon),
            _ => None,
        })
        .collect();
    stage.living.keys().copied().filter(|id| killed.contains(id)).collect()
}
