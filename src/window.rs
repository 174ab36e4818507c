//! Where daemons ask for httpd's scoreboard: only httpd's own processes can read it.
//!
//! The parent makes a pair of datagram sockets, once in its life. Daemons of groups with
//! `server-metrics=On` hold one end, and send it the socket that the answer shall go to. A thread
//! of each child waits at the other end; whichever comes first answers, in JSON.
//!
//! *Runs in:* httpd's parent ([`Window`]) and its children ([`attend`]). *Threads:* one of its own
//! in each child.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wsgi_sys::{socket, thread};

use crate::apache::log::{Level, Loggable};
use crate::apache::pool::Pool;
use crate::apache::retained::{Kept, retained};
use crate::apache::scoreboard;
use crate::apache::server::Server;

/// How long a daemon may take to receive the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often, and how far apart, an ending child looks whether the scoreboard is still read.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(1);

/// What outlives the configuration and the module's code.
#[derive(Clone, Copy, Debug)]
struct Record {
    children: Kept,
    daemons: Kept,
}

/// The sockets, by the record in the process's pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    record: &'static Cell<Record>,
}

impl Window {
    /// The window of this httpd, made if there is none. None if that fails, which is logged.
    pub(crate) fn open(process_pool: Pool<'static>, server: Server<'static>) -> Option<Self> {
        let made = Self::make(process_pool);
        if let Err(error) = &made {
            let text = format_args!(
                "MWR1614: server_metrics() returns None, as its sockets can't be made: {error}"
            );
            server.log(Level::Error, text);
        }
        made.ok()
    }

    fn make(process_pool: Pool<'static>) -> io::Result<Self> {
        let empty = Record { children: Kept::NONE, daemons: Kept::NONE };
        let record = retained(process_pool, c"mod_wsgi scoreboard 1", empty);
        if record.get().children.get().is_none() {
            let (children, daemons) = socket::datagram_pair()?;
            let (children, daemons) = (Kept::new(children), Kept::new(daemons));
            record.set(Record { children, daemons });
        }
        Ok(Self { record })
    }

    /// The end of httpd's children.
    pub(crate) fn children(self) -> Option<BorrowedFd<'static>> {
        self.record.get().children.get()
    }

    /// The end of daemons.
    pub(crate) fn daemons(self) -> Option<BorrowedFd<'static>> {
        self.record.get().daemons.get()
    }
}

/// Held while the scoreboard is read, and for ever when the child ends: its memory is given back
/// then.
static READING: Mutex<()> = Mutex::new(());

/// The end of a child.
struct Closing;

impl Drop for Closing {
    fn drop(&mut self) {
        // A child of prefork may end inside of a signal handler, where the other thread may wait for
        // what this one holds: so not for ever.
        for _ in 0..LOOKS {
            match READING.try_lock() {
                Ok(reading) => return std::mem::forget(reading),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }
}

/// Has a thread of this child answer until `pool` ends.
///
/// # Errors
/// There is no room for the thread.
pub(crate) fn attend(window: BorrowedFd<'static>, pool: Pool<'static>) -> io::Result<()> {
    pool.own(Closing);
    thread::start("wsgi-scoreboard", move || {
        // One byte of no meaning comes with the socket for the answer. Datagrams know no end.
        while let Ok(received) = socket::receive(window, &mut [0; 1], true) {
            if let Some(asker) = received.descriptors.into_iter().next() {
                answer(&asker);
            }
        }
    })
}

/// Sends the scoreboard. Whoever does not take it gets a part or nothing.
fn answer(asker: &OwnedFd) {
    let reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    let board = scoreboard::read();
    drop(reading);
    let Some(board) = board else { return };
    let document = board.document();
    let mut rest = document.as_bytes();
    let deadline = Instant::now() + PATIENCE;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        // Fails for what is no socket.
        let sent = socket::send_timeout(asker.as_fd(), left)
            .and_then(|()| socket::send(asker.as_fd(), &[io::IoSlice::new(rest)], &[], true));
        match sent {
            Ok(count) if count > 0 && !left.is_zero() => rest = rest.get(count..).unwrap_or(&[]),
            _ => return,
        }
    }
}
