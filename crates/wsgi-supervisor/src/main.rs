//! The supervisor: starts, watches, recycles and stops an httpd's daemons.
//!
//! httpd's parent executes it once in its life, with these descriptors:
//!
//! | descriptor | what |
//! |---|---|
//! | 0 | `/dev/null` |
//! | 1, 2 | main error log |
//! | 3 | control: seqpacket socket to the parent ([`wsgi_proto::control`]) |
//! | 4 | mailbox: datagram socket to the children ([`wsgi_proto::mailbox`]) |
//! | 5 | memfd of the slot table ([`wsgi_sys::table`]) |
//!
//! [`state`] decides, [`run`] carries out. It holds no Python and none of
//! httpd's memory.
//!
//! *Runs in:* supervisor. *Threads:* one.
#![forbid(unsafe_code)]

mod run;
mod state;

use std::process::ExitCode;

use wsgi_proto::VERSION;

/// Exit status: everything was stopped as asked.
const STOPPED: u8 = 0;
/// Exit status: not started by httpd.
const USAGE: u8 = 2;
/// Exit status: its descriptors or the slot table can't be used.
const UNUSABLE: u8 = 3;
/// Exit status: the module that started it is of another release.
const OTHER_RELEASE: u8 = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let version: Option<u32> = match &arguments[..] {
        [option, version] if option == "--version-of-links" => version.parse().ok(),
        _ => None,
    };
    let Some(version) = version else {
        eprintln!(
            "usage: wsgi-supervisor --version-of-links N\n\n\
             Apache httpd's mod_wsgi starts this program with sockets to talk over.\n\
             It does nothing when it is run by hand. Its links have version {VERSION}."
        );
        return ExitCode::from(USAGE);
    };
    if version != VERSION {
        eprintln!(
            "MWR2001: wsgi-supervisor speaks version {VERSION} of its links and mod_wsgi.so \
             version {version}: install files of one release"
        );
        return ExitCode::from(OTHER_RELEASE);
    }
    match run::Loop::open() {
        Ok(mut work) => {
            work.run();
            ExitCode::from(STOPPED)
        }
        Err(error) => {
            eprintln!("MWR2002: wsgi-supervisor can't start: {error}; restart httpd");
            ExitCode::from(UNUSABLE)
        }
    }
}
