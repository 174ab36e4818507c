//! What administrators order.

use wsgi_proto::admin::{Drain, Reload, Resume, Scale, Stacks, ToControl, ToSupervisor};
use wsgi_sys::table::PoolState;

use super::*;
use crate::state::VisitorId;

const VISITOR: VisitorId = VisitorId(1);

fn order(stage: &mut Stage, order: ToSupervisor) -> Vec<Action> {
    stage.feed(Event::Order { visitor: VISITOR, order })
}

fn reload(group: &str) -> ToSupervisor {
    ToSupervisor::Reload(Reload { group: Some(group.to_owned()) })
}

fn scale(group: &str, processes: u32) -> ToSupervisor {
    ToSupervisor::Scale(Scale { group: group.to_owned(), processes })
}

/// The first letters of the answers.
fn answers(actions: &[Action]) -> String {
    let answers = actions.iter().filter_map(|action| match action {
        Action::Reply { reply: ToControl::Begun(_), .. } => Some('b'),
        Action::Reply { reply: ToControl::Done(_), .. } => Some('d'),
        Action::Reply { reply: ToControl::Failed(_), .. } => Some('f'),
        _ => None,
    });
    answers.collect()
}

fn pool_state(actions: &[Action]) -> Option<PoolState> {
    let mut states = actions.iter().filter_map(|action| match action {
        Action::PoolState { state, .. } => Some(*state),
        _ => None,
    });
    states.next_back()
}

/// Makes ready what starts and ends what stops, until nothing does.
fn calm(stage: &mut Stage) {
    stage.settle();
    while let Some(daemon) = stage.in_state(ProcessState::Stopping).first().copied() {
        stage.exit(daemon, Exit::Status(0));
        stage.settle();
    }
}

fn serving(processes: u32) -> Stage {
    let mut stage = Stage::configured(4, &[preloading("site", processes, &[""])]);
    stage.settle();
    stage
}

#[test]
fn a_reload_replaces_all_processes_one_by_one_and_says_when_it_is_done() {
    let mut stage = serving(2);
    let old = stage.serving();
    assert_eq!(answers(&order(&mut stage, reload("site"))), "b");
    assert_eq!((stage.serving(), stage.starting().len()), (old.clone(), 1), "successors first");
    let first = stage.starting()[0];
    assert_eq!(answers(&stage.ready(first)), "");
    let mut said = String::new();
    while let Some(daemon) = stage.starting().first().copied() {
        said.push_str(&answers(&stage.ready(daemon)));
    }
    assert_eq!(said, "d");
    assert_eq!(stage.serving().len(), 2);
    assert!(stage.serving().iter().all(|id| !old.contains(id)));
}

#[test]
fn a_reload_that_cannot_load_fails_and_leaves_what_serves() {
    let mut stage = serving(1);
    let old = stage.serving();
    order(&mut stage, reload("site"));
    let daemon = stage.starting()[0];
    stage.hello(daemon);
    let actions = stage.feed(Event::Ready { daemon, loaded: false });
    assert_eq!(answers(&actions), "f");
    assert_eq!(stage.serving(), old);
    // The next attempt does not wait.
    stage.exit(daemon, Exit::Status(0));
    assert_eq!(launched(&order(&mut stage, reload("site"))).len(), 1);
}

#[test]
fn processes_come_and_go_as_ordered() {
    let mut stage = serving(2);
    assert_eq!(answers(&order(&mut stage, scale("site", 1))), "bd");
    let leaving = stage.in_state(ProcessState::Stopping);
    assert_eq!((stage.serving().len(), leaving.len()), (1, 1));
    stage.exit(leaving[0], Exit::Status(0));
    order(&mut stage, scale("site", 3));
    calm(&mut stage);
    assert_eq!(stage.serving().len(), 3);
    let done = stage.done.clone();
    assert!(answers(&done).ends_with('d'), "{}", answers(&done));
    // Far more than the pool has entries for.
    order(&mut stage, scale("site", 9));
    calm(&mut stage);
    assert_eq!(stage.serving().len(), 9);
    assert!(answers(&stage.done).ends_with('d'));
    order(&mut stage, scale("site", 0));
    assert_eq!(stage.serving().len(), 2, "as configured");
    assert_eq!(answers(&order(&mut stage, scale("site", 5_000))), "f");
    assert_eq!(answers(&order(&mut stage, scale("none", 1))), "f");
}

#[test]
fn a_scale_survives_a_graceful_restart_until_the_group_is_configured_otherwise() {
    let mut stage = serving(2);
    order(&mut stage, scale("site", 1));
    stage.configure(2, &[preloading("site", 2, &[""])]);
    calm(&mut stage);
    assert_eq!(stage.serving().len(), 1);
    stage.configure(3, &[preloading("site", 3, &[""])]);
    calm(&mut stage);
    assert_eq!(stage.serving().len(), 3);
}

#[test]
fn a_drained_group_has_no_process_and_refuses_until_it_is_resumed() {
    let mut stage = serving(2);
    let old = stage.serving();
    let drain = ToSupervisor::Drain(Drain { group: None });
    let actions = order(&mut stage, drain);
    assert_eq!((answers(&actions), pool_state(&actions)), ("b".into(), Some(PoolState::Drained)));
    assert_eq!(answers(&order(&mut stage, reload("site"))), "f");
    let mut said = String::new();
    for daemon in old {
        said.push_str(&answers(&stage.exit(daemon, Exit::Status(0))));
    }
    assert_eq!(said, "d");
    stage.pass(60_000);
    assert!(stage.starting().is_empty());
    // A graceful restart changes nothing, nor does another application.
    stage.configure(2, &[preloading("site", 2, &[""])]);
    assert_eq!(pool_state(&stage.open("site", "other")), Some(PoolState::Drained));
    assert!(stage.starting().is_empty());
    let resume = ToSupervisor::Resume(Resume { group: Some("site".into()) });
    assert_eq!(answers(&order(&mut stage, resume)), "b");
    stage.settle();
    assert!(stage.serving().len() >= 2);
    assert!(answers(&stage.done).ends_with('d'));
}

#[test]
fn a_request_in_progress_ends_before_its_drained_process() {
    let mut stage = serving(1);
    let slot = freed(&stage.done)[0].0;
    stage.busy.insert(slot);
    order(&mut stage, ToSupervisor::Drain(Drain { group: None }));
    assert_eq!(stage.in_state(ProcessState::Draining).len(), 1);
    stage.pass(1_000);
    stage.busy.clear();
    assert_eq!(stopped(&stage.pass(1_000)).len(), 1);
}

#[test]
fn stacks_are_asked_of_all_processes_that_can_tell() {
    let mut stage = serving(2);
    let actions = order(&mut stage, ToSupervisor::Stacks(Stacks { group: None }));
    let asked = |action: &&Action| matches!(action, Action::Kill { signal: libc::SIGQUIT, .. });
    assert_eq!(actions.iter().filter(asked).count(), 2);
    assert_eq!(answers(&actions), "d");
}

#[test]
fn orders_are_refused_before_a_configuration_and_while_stopping() {
    let mut stage = Stage::new(1);
    assert_eq!(answers(&order(&mut stage, reload("site"))), "f");
    let mut stage = serving(1);
    order(&mut stage, reload("site"));
    assert_eq!(answers(&stage.feed(Event::Stop)), "f", "who waits is told");
    assert_eq!(answers(&order(&mut stage, reload("site"))), "f");
}

#[test]
fn nobody_is_answered_who_has_left() {
    let mut stage = serving(1);
    order(&mut stage, reload("site"));
    stage.feed(Event::VisitorGone(VISITOR));
    let before = answers(&stage.done);
    stage.settle();
    assert_eq!(answers(&stage.done), before);
    assert_eq!(stage.serving().len(), 1);
}
