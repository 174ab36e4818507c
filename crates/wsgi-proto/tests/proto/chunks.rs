//! How a stream is cut into receives changes nothing about its records.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use wsgi_proto::Error;
use wsgi_proto::channel::Kind;
use wsgi_proto::deframe::{Next, next};

use crate::draw::{Draw, Pool};
use crate::model::Record;

/// What came out of a stream: records, and what was wrong with the first that
/// wasn't one.
type Outcome = (Vec<(Kind, u8, Vec<u8>)>, Option<Error>);

/// A receiver that waits for whole records.
#[derive(Default)]
struct Whole {
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl Whole {
    fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        let mut stream = self.buffer.as_slice();
        while self.outcome.1.is_none() {
            match next(stream) {
                Ok(Next::Complete { kind, flags, payload, rest }) => {
                    self.outcome.0.push((kind, flags, payload.to_vec()));
                    stream = rest;
                }
                Ok(Next::Partial { length, have, .. }) => {
                    assert!(have.len() < length);
                    break;
                }
                Ok(Next::NeedMore) => break,
                Err(error) => self.outcome.1 = Some(error),
            }
        }
        self.buffer = stream.to_vec();
    }
}

/// A receiver that uses BODY and DATA as they come and keeps nothing of them.
#[derive(Default)]
struct Piecewise {
    buffer: Vec<u8>,
    missing: usize,
    outcome: Outcome,
}

impl Piecewise {
    fn receive(&mut self, mut bytes: &[u8]) {
        if let (Some((_, _, payload)), 1..) = (self.outcome.0.last_mut(), self.missing) {
            let (piece, after) = bytes.split_at(self.missing.min(bytes.len()));
            payload.extend_from_slice(piece);
            self.missing -= piece.len();
            bytes = after;
        }
        self.buffer.extend_from_slice(bytes);
        let mut stream = self.buffer.as_slice();
        while self.outcome.1.is_none() {
            match next(stream) {
                Ok(Next::Complete { kind, flags, payload, rest }) => {
                    self.outcome.0.push((kind, flags, payload.to_vec()));
                    stream = rest;
                }
                Ok(Next::Partial {
                    kind: kind @ (Kind::Body | Kind::Data),
                    flags,
                    length,
                    have,
                }) => {
                    self.outcome.0.push((kind, flags, have.to_vec()));
                    self.missing = length - have.len();
                    stream = &[];
                    break;
                }
                Ok(Next::Partial { .. } | Next::NeedMore) => break,
                Err(error) => self.outcome.1 = Some(error),
            }
        }
        self.buffer = stream.to_vec();
    }
}

proptest! {
    #[test]
    fn the_same_records_come_out(
        pools in vec(vec(any::<u8>(), 0..300), 0..6),
        tail in vec(any::<u8>(), 0..20),
        cuts in vec(1_usize..200, 0..100),
    ) {
        let mut stream = Vec::new();
        for pool in &pools {
            Record::draw(&mut Pool(pool)).write(&mut stream).unwrap();
        }
        stream.extend_from_slice(&tail);

        let (mut at_once, mut whole, mut piecewise) =
            (Whole::default(), Whole::default(), Piecewise::default());
        at_once.receive(&stream);
        let mut rest = stream.as_slice();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            whole.receive(chunk);
            piecewise.receive(chunk);
            rest = after;
        }

        prop_assert_eq!(&whole.outcome, &at_once.outcome);
        // A receiver of pieces has also begun the record at the stream's end.
        let (begun, complete) = (&piecewise.outcome.0, &at_once.outcome.0);
        prop_assert_eq!(&begun[..complete.len()], complete.as_slice());
        prop_assert_eq!(begun.len() - complete.len(), usize::from(piecewise.missing > 0));
        prop_assert_eq!(piecewise.outcome.1, at_once.outcome.1);
    }

    #[test]
    fn one_byte_at_a_time(pool in vec(any::<u8>(), 0..300)) {
        let record = Record::draw(&mut Pool(&pool));
        let mut stream = Vec::new();
        record.write(&mut stream).unwrap();
        let mut whole = Whole::default();
        for byte in &stream {
            prop_assert_eq!(whole.outcome.0.len(), 0);
            whole.receive(&[*byte]);
        }
        let (kind, flags, payload) = whole.outcome.0.pop().unwrap();
        prop_assert_eq!(Record::read(kind, flags, &payload), Ok(record));
    }
}

#[test]
fn an_unfinished_record_is_refused_at_once() {
    let mut buffer = Vec::new();
    let writer = wsgi_proto::codec::RecordWriter::new(&mut buffer, Kind::Request as u8, 0);
    drop(writer);
    assert_eq!(next(&buffer), Err(Error::TooLong("record")));
}
