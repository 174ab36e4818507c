//! Every vector means what it says, and writing its meaning gives its bytes.

use std::path::Path;

use wsgi_proto::Error;
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::daemon::{ToDaemon, ToSupervisor};
use wsgi_proto::deframe::{Next, next};

use crate::fields;
use crate::model::Record;
use crate::vector::{self, Vector};

#[test]
fn channel_records_are_read_and_written_as_their_vectors_say() {
    for Vector { name, bytes, lines } in read("channel.txt") {
        let record = channel_record(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fields::channel(&record), lines, "{name}");
        let mut written = Vec::new();
        record.write(&mut written).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(written == bytes, "{name}: written differently");
    }
}

#[test]
fn malformed_channel_records_are_refused_for_the_reason_given() {
    for Vector { name, bytes, lines } in read("channel_malformed.txt") {
        assert_eq!(channel_record(&bytes).map_err(reason), Err(expected(&lines)), "{name}");
    }
}

#[test]
fn channel_streams_hold_the_records_given() {
    for Vector { name, bytes, lines } in read("channel_stream.txt") {
        let mut found = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Ok(Next::Complete { kind, flags, payload, rest: after }) = next(rest) else {
                panic!("{name}: no whole record at {rest:02x?}");
            };
            let record = Record::read(kind, flags, payload).unwrap();
            found.push(fields::channel(&record).swap_remove(0));
            rest = after;
        }
        assert_eq!(found, lines, "{name}");
    }
}

#[test]
fn daemon_records_are_read_and_written_as_their_vectors_say() {
    for Vector { name, bytes, lines } in read("daemon.txt") {
        let (read, written) = daemon_record(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read, lines, "{name}");
        assert!(written == bytes, "{name}: written differently");
    }
}

#[test]
fn malformed_daemon_records_are_refused_for_the_reason_given() {
    for Vector { name, bytes, lines } in read("daemon_malformed.txt") {
        assert_eq!(daemon_record(&bytes).map_err(reason), Err(expected(&lines)), "{name}");
    }
}

fn read(file: &str) -> Vec<Vector> {
    let vectors = vector::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file));
    assert!(vectors.len() > 5, "{file} has only {} vectors", vectors.len());
    vectors
}

fn channel_record(bytes: &[u8]) -> Result<Record, Error> {
    match next(bytes)? {
        Next::Complete { kind, flags, payload, rest: [] } => Record::read(kind, flags, payload),
        other => panic!("not one whole record: {other:?}"),
    }
}

/// The record's lines and its bytes when written again. The kind tells which
/// side sends it; either side refuses a kind that neither sends.
fn daemon_record(bytes: &[u8]) -> Result<(fields::Lines, Vec<u8>), Error> {
    let kind = bytes.get(..HEAD_LEN).map_or(0, |head| head[4]);
    if kind < 64 {
        let record = ToDaemon::decode(bytes)?;
        Ok((fields::to_daemon(&record), record.encode()?))
    } else {
        let record = ToSupervisor::decode(bytes)?;
        Ok((fields::to_supervisor(&record), record.encode()?))
    }
}

fn reason(error: Error) -> String {
    match error {
        Error::Missing(field) => format!("Missing {field}"),
        Error::Trailing(count) => format!("Trailing {count}"),
        Error::TooLong(what) => format!("TooLong {what}"),
        Error::Invalid(field) => format!("Invalid {field}"),
        Error::UnknownKind(kind) => format!("UnknownKind {kind}"),
    }
}

fn expected(lines: &[(String, Vec<u8>)]) -> String {
    let [(key, value)] = lines else { panic!("not one line: {lines:?}") };
    assert_eq!(key, "error");
    String::from_utf8(value.clone()).unwrap()
}
