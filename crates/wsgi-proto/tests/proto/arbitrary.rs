//! No bytes make a reader panic, and what it accepts is written back the same.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::sample::Index;
use wsgi_proto::deframe::{Next, next};
use wsgi_proto::{admin, control, daemon, mailbox};

use crate::draw::{Draw, Pool};
use crate::model::Record;

fn read_channel(mut stream: &[u8]) {
    while let Ok(Next::Complete { kind, flags, payload, rest }) = next(stream) {
        if let Ok(record) = Record::read(kind, flags, payload) {
            let mut written = Vec::new();
            record.write(&mut written).unwrap();
            assert_eq!(written, &stream[..stream.len() - rest.len()]);
        }
        stream = rest;
    }
}

fn read_datagram(bytes: &[u8]) {
    macro_rules! read {
        ($($records:ty),*) => {$(
            if let Ok(record) = <$records>::decode(bytes) {
                assert_eq!(record.encode().unwrap(), bytes);
            }
        )*};
    }
    read!(daemon::ToDaemon, daemon::ToSupervisor, mailbox::ToSupervisor, mailbox::ToChild);
    read!(control::ToSupervisor, control::ToParent);
    read!(admin::ToSupervisor, admin::ToControl);
}

/// Replaces, removes and repeats bytes.
fn mutate(bytes: &mut Vec<u8>, mutations: &[(u8, Index, u8)]) {
    for (how, index, value) in mutations {
        if bytes.is_empty() {
            return;
        }
        let at = index.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = *value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, *value),
        }
    }
}

/// Sets the length in the head to what follows it, so that a mutation reaches
/// the fields behind.
fn mend(bytes: &mut [u8]) {
    if let Some((length, after)) = bytes.split_first_chunk_mut::<4>() {
        *length = u32::try_from(after.len().saturating_sub(4)).unwrap().to_le_bytes();
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..600)) {
        read_channel(&bytes);
        read_datagram(&bytes);
    }

    #[test]
    fn random_payloads(kind in any::<u8>(), flags in 0_u8..2, payload in vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![0, 0, 0, 0, kind, flags, 0, 0];
        bytes.extend_from_slice(&payload);
        mend(&mut bytes);
        read_channel(&bytes);
        read_datagram(&bytes);
    }

    #[test]
    fn mutated_channel_records(
        pool in vec(any::<u8>(), 0..600),
        mutations in vec(any::<(u8, Index, u8)>(), 1..6),
        mended in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        Record::draw(&mut Pool(&pool)).write(&mut bytes).unwrap();
        mutate(&mut bytes, &mutations);
        if mended {
            mend(&mut bytes);
        }
        read_channel(&bytes);
    }

    #[test]
    fn mutated_datagrams(
        pool in vec(any::<u8>(), 0..600),
        link in 0..6,
        mutations in vec(any::<(u8, Index, u8)>(), 1..6),
        mended in any::<bool>(),
    ) {
        let pool = &mut Pool(&pool);
        let mut bytes = match link {
            0 => daemon::ToDaemon::draw(pool).encode(),
            1 => daemon::ToSupervisor::draw(pool).encode(),
            2 => mailbox::ToSupervisor::draw(pool).encode(),
            3 => mailbox::ToChild::draw(pool).encode(),
            4 => control::ToSupervisor::draw(pool).encode(),
            _ => control::ToParent::draw(pool).encode(),
        }
        .unwrap();
        mutate(&mut bytes, &mutations);
        if mended {
            mend(&mut bytes);
        }
        read_datagram(&bytes);
    }

    #[test]
    fn every_cut_of_a_record_asks_for_more(pool in vec(any::<u8>(), 0..300)) {
        let mut bytes = Vec::new();
        Record::draw(&mut Pool(&pool)).write(&mut bytes).unwrap();
        for end in 0..bytes.len() {
            let expected = end < wsgi_proto::codec::HEAD_LEN;
            prop_assert_eq!(next(&bytes[..end]) == Ok(Next::NeedMore), expected);
            let whole = matches!(next(&bytes[..end]), Ok(Next::Complete { .. }));
            prop_assert_eq!(whole, false);
        }
    }
}
