#![allow(clippy::unwrap_used)]

use wsgi_sys::table::{
    Attempt, Incident, IncidentKind, Note, PoolShape, PoolState, ProcessState, Table, Tally,
};

use super::*;

const HOSTILE: &str = "</td><script>alert('x')</script>\"\\\n\u{202e}";

/// A pool with one process, whose first thread runs a request with hostile words.
fn table() -> Table {
    let table = Table::create().unwrap().1;
    let shape = PoolShape {
        process_group: "group".into(),
        application_group: HOSTILE.into(),
        first_process: 4,
        processes: 2,
        first_slot: 40,
        threads: 2,
    };
    let pool = table.open_pool(0, &shape);
    let own = std::process::id().cast_signed();
    let start_time = wsgi_sys::process::start_time(own).unwrap();
    table.take_office(own, 1_000_000);
    table.set_configuration(7, 2_000_000);
    table.set_process(4, ProcessState::Starting, own, start_time);
    table.begin_profile(4, 3_000_000, 7);
    table.set_python(4, "native", "3.13.1", "/srv/venv/bin/python");
    table.set_process(4, ProcessState::Ready, own, start_time);
    table.set_pool_state(0, PoolState::Ready);
    table.count(0, Tally::Started);
    table.free_slot(pool, 40, 1);
    table.free_slot(pool, 41, 1);
    let lease = table.open_lease().unwrap();
    let reserve = || match table.reserve(pool, lease) {
        Attempt::Reserved(reservation) => reservation,
        other => unreachable!("{other:?}"),
    };
    let one = reserve();
    table.release(pool, one, lease);
    let words = HOSTILE.as_bytes();
    let note = Note {
        method: b"GET",
        host: b"\xff",
        uri: words,
        client: b"::1",
        since: 5_000_000,
        slow_at: 0,
    };
    table.describe(reserve(), &note);
    table.tell(&Incident {
        at: 6_000_000,
        kind: IncidentKind::Died,
        pid: 99,
        process_group: "group".into(),
        application_group: String::new(),
        text: HOSTILE.into(),
    });
    table
}

#[test]
fn a_snapshot_has_pool_process_thread_and_request() {
    let snapshot = Snapshot::take(&table());
    assert_eq!((snapshot.supervisor.generation, snapshot.supervisor.alive), (7, true));
    let [pool] = &snapshot.pools[..] else { panic!("{snapshot:?}") };
    assert_eq!((pool.state, pool.served, pool.tally(Tally::Started)), (PoolState::Ready, 1, 1));
    let [process] = &pool.processes[..] else { panic!("{pool:?}") };
    assert_eq!((process.state, process.generation, process.served), (ProcessState::Ready, 7, 1));
    assert_eq!(process.python.executable, "/srv/venv/bin/python");
    assert!(process.resident.unwrap() > 0 && process.cpu.is_some());
    assert_eq!((pool.count(Work::Busy), pool.count(Work::Idle)), (1, 1));
    let request = pool.requests().next().unwrap();
    assert_eq!((request.uri.as_str(), request.since), (HOSTILE, 5_000_000));
    assert_eq!(snapshot.incidents.len(), 1);
}

#[test]
fn nothing_that_a_client_says_becomes_markup() {
    let snapshot = Snapshot::take(&table());
    for text in [page(&snapshot, 5), fragment(&snapshot, true)] {
        assert!(!text.contains("<script") && !text.contains('\u{202e}'), "{text}");
        assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{text}");
    }
    let json = document(&snapshot);
    assert!(!json.contains('<') && json.contains("\\u003cscript\\u003e"), "{json}");
    assert!(json.lines().count() == 1, "{json}");
    let metrics = exposition(&snapshot);
    assert!(metrics.lines().all(|line| !line.starts_with('\u{202e}')), "{metrics}");
    assert!(metrics.ends_with("# EOF\n") && metrics.contains("\\\"\\\\\\n"), "{metrics}");
}

#[test]
fn the_page_refreshes_only_if_asked() {
    let snapshot = Snapshot::take(&table());
    assert!(page(&snapshot, 5).contains("http-equiv=\"refresh\" content=\"5\""));
    assert!(!page(&snapshot, 0).contains("http-equiv=\"refresh\""));
}

#[test]
fn an_empty_table_is_shown_too() {
    let snapshot = Snapshot::take(&Table::create().unwrap().1);
    assert!(page(&snapshot, 0).contains("the supervisor is not running"));
    assert!(lines(&snapshot).contains("WSGIProcesses: 0\n"));
}
