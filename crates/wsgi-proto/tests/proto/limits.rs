//! Each limit is met exactly, and refused one above, by writers and readers.

use wsgi_proto::channel::{Kind, data_head, write_body_head};
use wsgi_proto::codec::{HEAD_LEN, Head as RecordHead};
use wsgi_proto::deframe::{Next, next};
use wsgi_proto::limits::{
    MAX_DATA, MAX_DATAGRAM, MAX_ENVIRON, MAX_ENVIRON_NAME, MAX_HEADER_NAME, MAX_HEADER_VALUE,
    MAX_HEADERS, MAX_LOG, MAX_REASON, MAX_RECORD,
};
use wsgi_proto::{Error, control, daemon};

use crate::model::{EntryName, Head, Record, Request};

/// Writes a record and reads it back; what either refuses must be refused alike.
fn exchanged(record: &Record) -> Result<(), Error> {
    let mut stream = b"before".to_vec();
    let before = stream.len();
    if let Err(error) = record.write(&mut stream) {
        assert_eq!(stream, b"before", "a refused record leaves nothing behind");
        return Err(error);
    }
    match next(&stream[before..])? {
        Next::Complete { kind, flags, payload, rest: [] } => {
            assert!(Record::read(kind, flags, payload)? == *record);
            Ok(())
        }
        other => panic!("not one whole record: {other:?}"),
    }
}

fn request(entries: Vec<(EntryName, Vec<u8>)>) -> Record {
    Record::Request(Request {
        has_body: false,
        reloads: true,
        cpu_time: false,
        request_start: 0,
        queue_start: 0,
        script: Vec::new(),
        handler_script: Vec::new(),
        callable_object: Vec::new(),
        entries,
    })
}

fn head(reason: usize, headers: Vec<(Vec<u8>, Vec<u8>)>) -> Record {
    Record::Head(Head { status: 200, reason: vec![b'r'; reason], headers })
}

#[test]
fn of_a_request() {
    // Two times, a count, three empty strings; an entry with a number and a length.
    let value = MAX_RECORD as usize - (8 + 8 + 2 + 3 * 4) - (1 + 4);
    let long = |length| request(vec![(EntryName::Known(1), vec![b'v'; length])]);
    assert_eq!(exchanged(&long(value)), Ok(()));
    assert_eq!(exchanged(&long(value + 1)), Err(Error::TooLong("record")));
}

#[test]
fn of_environ_entries() {
    let many = |count| request(vec![(EntryName::Known(1), Vec::new()); usize::from(count)]);
    assert_eq!(exchanged(&many(MAX_ENVIRON)), Ok(()));
    assert_eq!(exchanged(&many(MAX_ENVIRON + 1)), Err(Error::TooLong("environ")));
    assert_eq!(exchanged(&many(u16::MAX)), Err(Error::TooLong("environ")));
}

#[test]
fn of_environ_names() {
    let named = |length| request(vec![(EntryName::Literal(vec![b'N'; length]), Vec::new())]);
    assert_eq!(exchanged(&named(MAX_ENVIRON_NAME)), Ok(()));
    assert_eq!(exchanged(&named(MAX_ENVIRON_NAME + 1)), Err(Error::TooLong("environ name")));
    for id in [0, 255] {
        let known = request(vec![(EntryName::Known(id), Vec::new())]);
        assert_eq!(exchanged(&known), Err(Error::Invalid("environ id")));
    }
}

#[test]
fn of_a_head() {
    let field = |value| (vec![b'n'; 8], vec![b'v'; value]);
    // Fifteen of the longest values, and one that fills the record.
    let filled = 4 + 4 + 15 * (8 + 8 + MAX_HEADER_VALUE) + (8 + 8);
    let last = MAX_RECORD as usize - filled;
    let long = |last| {
        let mut headers = vec![field(MAX_HEADER_VALUE); 15];
        headers.push(field(last));
        head(0, headers)
    };
    assert_eq!(exchanged(&long(last)), Ok(()));
    assert_eq!(exchanged(&long(last + 1)), Err(Error::TooLong("record")));
}

#[test]
fn of_header_fields() {
    let many = |count| head(0, vec![(Vec::new(), Vec::new()); usize::from(count)]);
    assert_eq!(exchanged(&many(MAX_HEADERS)), Ok(()));
    assert_eq!(exchanged(&many(MAX_HEADERS + 1)), Err(Error::TooLong("header fields")));
}

#[test]
fn of_reasons_names_and_values() {
    assert_eq!(exchanged(&head(MAX_REASON, Vec::new())), Ok(()));
    assert_eq!(exchanged(&head(MAX_REASON + 1, Vec::new())), Err(Error::TooLong("reason")));
    let field = |name, value| head(0, vec![(vec![b'n'; name], vec![b'v'; value])]);
    assert_eq!(exchanged(&field(MAX_HEADER_NAME, MAX_HEADER_VALUE)), Ok(()));
    let name = field(MAX_HEADER_NAME + 1, 0);
    assert_eq!(exchanged(&name), Err(Error::TooLong("header name")));
    let value = field(0, MAX_HEADER_VALUE + 1);
    assert_eq!(exchanged(&value), Err(Error::TooLong("header value")));
}

#[test]
fn of_log_texts() {
    let log = |length| Record::Log { level: 7, text: vec![b'x'; length] };
    assert_eq!(exchanged(&log(MAX_LOG)), Ok(()));
    assert_eq!(exchanged(&log(MAX_LOG + 1)), Err(Error::TooLong("log text")));
    let level = Record::Log { level: 8, text: Vec::new() };
    assert_eq!(exchanged(&level), Err(Error::Invalid("level")));
}

#[test]
fn of_pieces_of_bodies() {
    for head in
        [write_body_head, |length| data_head(length, false), |length| data_head(length, true)]
    {
        assert!(matches!(next(&head(MAX_DATA)), Ok(Next::Partial { have: [], .. })));
        assert_eq!(next(&head(MAX_DATA + 1)), Err(Error::TooLong("record")));
    }
}

#[test]
fn of_every_kind_by_its_head_alone() {
    for kind in (0..=u8::MAX).filter_map(|kind| Kind::from_u8(kind).ok()) {
        let head = |length, flags| RecordHead { length, kind: kind as u8, flags }.to_bytes();
        assert!(matches!(
            next(&head(kind.limit(), kind.flags())),
            Ok(Next::Partial { .. } | Next::Complete { .. })
        ));
        assert_eq!(next(&head(kind.limit() + 1, 0)), Err(Error::TooLong("record")));
        assert_eq!(next(&head(0, !kind.flags())), Err(Error::Invalid("flags")));
    }
}

#[test]
fn of_datagrams() {
    let log =
        |length| daemon::ToSupervisor::Log(daemon::Log { level: 3, text: "x".repeat(length) });
    let text = MAX_DATAGRAM as usize - (1 + 4);
    let datagram = log(text).encode().unwrap();
    assert_eq!(datagram.len(), HEAD_LEN + MAX_DATAGRAM as usize);
    assert_eq!(daemon::ToSupervisor::decode(&datagram), Ok(log(text)));
    assert_eq!(log(text + 1).encode(), Err(Error::TooLong("record")));

    let mut longer = datagram;
    longer.push(b'x');
    longer[..4].copy_from_slice(&(MAX_DATAGRAM + 1).to_le_bytes());
    longer[HEAD_LEN + 1..HEAD_LEN + 5].copy_from_slice(&(MAX_DATAGRAM - 4).to_le_bytes());
    assert_eq!(daemon::ToSupervisor::decode(&longer), Err(Error::TooLong("record")));
}

#[test]
fn of_lists_are_the_records_own() {
    // A list that claims more items than the record has bytes costs nothing.
    let groups = control::ToSupervisor::Group(control::Group::default());
    let mut datagram = groups.encode().unwrap();
    let end = datagram.len();
    datagram[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(control::ToSupervisor::decode(&datagram), Err(Error::Missing("preload")));
}
