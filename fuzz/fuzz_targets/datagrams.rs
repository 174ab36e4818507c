//! Any datagram on the daemon, mailbox and control links: decoding doesn't
//! panic, and what is decoded is encoded the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsgi_proto::{admin, control, daemon, mailbox};

macro_rules! decode {
    ($datagram:expr; $($records:ty),*) => {$(
        if let Ok(record) = <$records>::decode($datagram) {
            assert_eq!(record.encode().expect("what is read can be written"), $datagram);
        }
    )*};
}

fuzz_target!(|datagram: &[u8]| {
    decode!(datagram; daemon::ToDaemon, daemon::ToSupervisor);
    decode!(datagram; mailbox::ToSupervisor, mailbox::ToChild);
    decode!(datagram; control::ToSupervisor, control::ToParent);
    decode!(datagram; admin::ToSupervisor, admin::ToControl);
});
