use super::*;
use crate::state::SlowRequest;

/// One ready process under a configuration in which requests may be slow.
fn watched(least: u32) -> (Stage, DaemonId) {
    let mut stage = Stage::new(4);
    let begin = Begin { version: VERSION, generation: 1, slow_requests: least, ..Begin::default() };
    stage.feed(Event::Begin(begin));
    stage.feed(Event::Group(preloading("g", 1, &[""])));
    stage.feed(Event::Commit(Commit { generation: 1 }));
    stage.settle();
    let daemon = stage.serving()[0];
    (stage, daemon)
}

fn slow(thread: u32, number: u64) -> SlowRequest {
    let line = "GET host/path (client ::1)".to_owned();
    SlowRequest { thread, number: (1, number), age: 5_000, over: 100, line }
}

fn tell(stage: &mut Stage, daemon: DaemonId, requests: Vec<SlowRequest>) -> Vec<Action> {
    stage.feed(Event::Slow { daemon, requests })
}

fn asked(actions: &[Action]) -> Vec<u32> {
    let traces = actions.iter().filter_map(|action| match action {
        Action::Send { record: ToDaemon::Trace(trace), .. } => Some(trace.thread),
        _ => None,
    });
    traces.collect()
}

fn logged(actions: &[Action]) -> Vec<String> {
    let texts = actions.iter().filter_map(|action| match action {
        Action::Log { level: Level::Warning, text, .. } => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn nobody_looks_where_no_request_is_slow() {
    let (mut stage, _) = watched(0);
    assert!(!stage.pass(10_000).iter().any(|action| matches!(action, Action::LookSlow { .. })));
    let (mut stage, _) = watched(400);
    assert!(stage.pass(150).iter().any(|action| matches!(action, Action::LookSlow { .. })));
}

#[test]
fn a_slow_request_is_asked_about_once_and_logged_with_its_stack() {
    let (mut stage, daemon) = watched(1_000);
    assert_eq!(asked(&tell(&mut stage, daemon, vec![slow(1, 7)])), [1]);
    assert_eq!(asked(&tell(&mut stage, daemon, vec![slow(1, 7)])), []);
    let stack = "  File x, line 3".to_owned();
    let texts = logged(&stage.feed(Event::Traced { daemon, thread: 1, stack: stack.clone() }));
    let [text] = &texts[..] else { panic!("{texts:?}") };
    assert!(text.starts_with("MWR2040: slow request: GET host/path (client ::1) takes 5.0 s"));
    assert!(text.contains("channel 2 of daemon process") && text.ends_with(&stack), "{text}");
    // Nothing more is expected, and nobody was asked about others.
    assert!(logged(&stage.feed(Event::Traced { daemon, thread: 1, stack })).is_empty());
    assert_eq!(asked(&tell(&mut stage, daemon, vec![slow(1, 8)])), [1]);
}

#[test]
fn a_worker_that_does_not_answer_is_looked_at_from_outside() {
    let (mut stage, daemon) = watched(1_000);
    tell(&mut stage, daemon, vec![slow(0, 7)]);
    let wedged = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::LogWedged { .. })).count()
    };
    assert_eq!(wedged(&stage.pass(400)), 0);
    assert_eq!(wedged(&stage.pass(200)), 1);
    assert_eq!(wedged(&stage.pass(5_000)), 0);
    let stack = "late".to_owned();
    assert!(logged(&stage.feed(Event::Traced { daemon, thread: 0, stack })).is_empty());
}

#[test]
fn entries_are_rationed_and_say_how_many_are_missing() {
    let (mut stage, daemon) = watched(1_000);
    let asked_in_all: usize =
        (0..14).map(|number| asked(&tell(&mut stage, daemon, vec![slow(0, number)])).len()).sum();
    assert_eq!(asked_in_all, 10);
    stage.pass(6_100);
    assert_eq!(asked(&tell(&mut stage, daemon, vec![slow(0, 20)])), [0]);
    let texts = logged(&stage.feed(Event::Traced { daemon, thread: 0, stack: String::new() }));
    assert!(texts[0].contains("(4 other slow requests were not reported)"), "{texts:?}");
    assert!(texts[0].ends_with("ended before its stack could be taken"), "{texts:?}");
    assert_eq!(asked(&tell(&mut stage, daemon, vec![slow(0, 21)])), []);
}
