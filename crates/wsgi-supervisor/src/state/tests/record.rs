use wsgi_sys::table::{IncidentKind, Tally};

use super::*;

/// What was written down, and what was counted.
fn recorded(actions: &[Action]) -> (Vec<(IncidentKind, String)>, Vec<Tally>) {
    let mut incidents = Vec::new();
    let mut tallies = Vec::new();
    for action in actions {
        match action {
            Action::Tell { kind, text, .. } => incidents.push((*kind, text.clone())),
            Action::Count { tally, .. } => tallies.push(*tally),
            _ => {}
        }
    }
    (incidents, tallies)
}

fn serving() -> (Stage, DaemonId) {
    let mut stage = Stage::configured(4, &[preloading("g", 1, &[""])]);
    stage.settle();
    let daemon = stage.serving()[0];
    (stage, daemon)
}

#[test]
fn starts_are_counted() {
    let (stage, _) = serving();
    assert_eq!(recorded(&stage.done).1, [Tally::Started, Tally::Ready]);
}

#[test]
fn a_death_is_written_down_with_its_cause() {
    let (mut stage, daemon) = serving();
    let (incidents, tallies) = recorded(&stage.kill(daemon));
    let [(kind, text)] = &incidents[..] else { panic!("{incidents:?}") };
    assert_eq!(*kind, IncidentKind::Died);
    assert!(text.starts_with("killed by signal 9"), "{text}");
    assert_eq!(tallies[0], Tally::Died);
}

#[test]
fn a_kill_is_written_down_with_the_limit() {
    let settings = Group { deadlock_timeout: 2, ..preloading("g", 1, &[""]) };
    let mut stage = Stage::configured(4, &[settings]);
    stage.settle();
    let daemon = stage.serving()[0];
    stage.pass(5_000);
    let (incidents, _) = recorded(&stage.kill(daemon));
    assert_eq!(incidents[0].0, IncidentKind::Killed);
    assert!(incidents[0].1.starts_with("deadlock-timeout: "), "{incidents:?}");
}

#[test]
fn a_reload_is_one_incident_and_ends_of_processes_name_it() {
    let (mut stage, daemon) = serving();
    let reload = Event::Recycle { daemon, reason: "script_reload".to_owned() };
    let (incidents, tallies) = recorded(&stage.feed(reload));
    assert_eq!(incidents, [(IncidentKind::Reloaded, "a script has changed".to_owned())]);
    assert_eq!(tallies[0], Tally::Reloaded);
    let new = stage.starting()[0];
    stage.ready(new);
    stage.pass(100);
    let (incidents, tallies) = recorded(&stage.exit(daemon, Exit::Status(0)));
    assert_eq!(incidents[0].0, IncidentKind::Stopped);
    assert!(incidents[0].1.starts_with("script_reload: exit status 0"), "{incidents:?}");
    assert_eq!(tallies, [Tally::Stopped]);
}
