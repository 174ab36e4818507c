//! What a writer writes, a reader reads back.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use wsgi_proto::channel::{
    ENVIRON_NAMES, RequestReader, RequestWriter, environ_name, environ_name_id, find_environ_name,
};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::deframe::{Next, next};
use wsgi_proto::{control, daemon, mailbox};

use crate::draw::{Draw, Pool};
use crate::model::Record;

proptest! {
    #[test]
    fn a_channel_record(pool in vec(any::<u8>(), 0..2000)) {
        let record = Record::draw(&mut Pool(&pool));
        let mut stream = Vec::new();
        record.write(&mut stream).unwrap();
        let Ok(Next::Complete { kind, flags, payload, rest: [] }) = next(&stream) else {
            panic!("not one whole record: {stream:02x?}");
        };
        prop_assert_eq!(Record::read(kind, flags, payload), Ok(record));
    }
}

macro_rules! datagram_round_trips {
    ($($name:ident: $records:ty,)*) => {
        proptest! {$(
            #[test]
            fn $name(pool in vec(any::<u8>(), 0..2000)) {
                let record = <$records>::draw(&mut Pool(&pool));
                let datagram = record.encode().unwrap();
                prop_assert_eq!(<$records>::decode(&datagram), Ok(record));
            }
        )*}
    };
}

datagram_round_trips! {
    a_record_of_the_supervisor_to_a_daemon: daemon::ToDaemon,
    a_record_of_a_daemon: daemon::ToSupervisor,
    a_record_of_a_child: mailbox::ToSupervisor,
    a_record_of_the_supervisor_to_a_child: mailbox::ToChild,
    a_record_of_the_parent: control::ToSupervisor,
    a_record_of_the_supervisor_to_the_parent: control::ToParent,
}

#[test]
fn environ_names_and_numbers_are_one_to_one() {
    for (index, name) in ENVIRON_NAMES.iter().enumerate() {
        let id = u8::try_from(index + 1).unwrap();
        assert_eq!((environ_name(id), environ_name_id(name)), (Some(*name), id));
        assert_eq!(find_environ_name(name.as_bytes()), id);
    }
    assert_eq!(environ_name(0), None);
    assert_eq!(environ_name(u8::try_from(ENVIRON_NAMES.len() + 1).unwrap()), None);
    assert_eq!(environ_name_id("HTTP_PROXY"), 0);
    for unknown in ["", "X", "HTTP_", "HTTP_PROXY", "HTTP_HOSX", "HTTP_X_REQUEST_01"] {
        assert_eq!(find_environ_name(unknown.as_bytes()), 0, "{unknown}");
    }
}

#[test]
fn an_entry_that_is_known_is_passed_over() {
    let mut record = Vec::new();
    let mut writer = RequestWriter::new(&mut record, false, (1, 2), b"/a", b"", b"application");
    writer.known(1, b"GET");
    writer.named(b"trac.env", b"/t");
    writer.finish().unwrap();
    let mut reader = RequestReader::new(0, &record[HEAD_LEN..]).unwrap();
    let all = reader.unread();
    assert!(!reader.pass(&all[1..]));
    assert!(reader.pass(&all[..8]), "one byte of a name, four of a length, three of a value");
    let (mut passed, rest) = (reader, reader.unread());
    assert!(passed.pass(rest) && !passed.pass(&[]));
    assert_eq!(passed.entry(), Ok(None));
    assert_eq!(reader.entry().unwrap().map(|(_, value)| value), Some(&b"/t"[..]));
}
