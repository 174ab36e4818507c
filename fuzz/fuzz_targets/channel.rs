//! Any bytes on a channel: no reader panics, and what is read is written back
//! the same.
#![no_main]

#[path = "../../crates/wsgi-proto/tests/proto/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::Record;
use wsgi_proto::deframe::{Next, next};

fuzz_target!(|stream: &[u8]| {
    let mut stream = stream;
    while let Ok(Next::Complete { kind, flags, payload, rest }) = next(stream) {
        if let Ok(record) = Record::read(kind, flags, payload) {
            let mut written = Vec::new();
            record.write(&mut written).expect("what is read can be written");
            assert_eq!(written, &stream[..stream.len() - rest.len()]);
        }
        stream = rest;
    }
});
