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

/// Kind and fields of a datagram: numbers as they are, texts by their length.
fn fields(datagram: &[u8]) -> (u8, Vec<(u16, f64)>) {
    assert_eq!((&datagram[..4], datagram[4]), (&b"WSGI"[..], 1));
    let eight = |at: usize| <[u8; 8]>::try_from(&datagram[at..at + 8]).unwrap();
    let two = |at: usize| u16::from_le_bytes([datagram[at], datagram[at + 1]]);
    let (mut at, mut fields) = (24, Vec::new());
    while at < datagram.len() {
        let (number, kind) = (two(at), datagram[at + 2]);
        at += 3;
        let count = if kind > 3 { usize::from(two(at)) } else { 0 };
        let (value, length) = match kind {
            1 => (u64::from_le_bytes(eight(at)) as f64, 8),
            2 => (f64::from_le_bytes(eight(at)), 8),
            4 => (count as f64, 2 + count),
            5 => (count as f64, 2 + 4 * count),
            6 => (count as f64, 2 + 8 * count),
            other => unreachable!("{other}"),
        };
        fields.push((number, value));
        at += length;
    }
    assert_eq!(at, datagram.len());
    (datagram[5], fields)
}

#[test]
fn a_collector_hears_of_a_process_of_its_requests_and_of_its_end() {
    let table = table();
    let sender = Sender { interval: 1.0, slow: Some(1.0), ..Sender::default() };
    let mut reporter = Reporter::default();
    let mut report = || {
        let datagrams = reporter.report(&sender, &Snapshot::take(&table));
        datagrams.iter().map(|datagram| fields(datagram)).collect::<Vec<_>>()
    };
    let value = |fields: &[(u16, f64)], number| {
        fields.iter().find(|(it, _)| *it == number).map(|(_, value)| *value)
    };
    assert_eq!(report().iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [5]);
    let second = report();
    let [(2, figures), (4, slow)] = &second[..] else { panic!("{second:?}") };
    assert_eq!((value(figures, 20), value(figures, 52)), (Some(0.0), Some(1.0)));
    assert!(value(figures, 40).unwrap() > 1e5 && value(figures, 113) == Some(2.0), "{figures:?}");
    assert_eq!((value(slow, 200), value(slow, 203)), (Some(0.0), Some(1.0)));
    table.clear_slot(40);
    let third = report();
    assert_eq!(third.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(value(&third[1].1, 200), Some(1.0));
    table.set_process(4, ProcessState::Absent, 0, 0);
    let [(7, end)] = &report()[..] else { panic!("no end") };
    assert_eq!(value(end, 132), Some(1.0));
    assert!(report().is_empty());
}
