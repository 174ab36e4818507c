//! Graceful restarts, one after the other: nobody notices, and nothing is left of them.
//!
//! `RESTARTS=number` makes them more (`make restarts`).

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::harness::{Config, Process, Request, Server, wait_for};
use crate::ours_only;

/// Restarts before the first look: until then buffers and pools find their size.
const WARM_UP: usize = 4;

fn number(default: usize) -> usize {
    std::env::var("RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn restart(server: &Server, times: usize) {
    for _ in 0..times {
        let log = server.log().cursor();
        server.signal("USR1");
        log.wait_for("resuming normal operations");
    }
}

/// What httpd's parent and the supervisor hold.
#[derive(Debug)]
struct Holdings {
    parent_descriptors: usize,
    supervisor_descriptors: usize,
    /// httpd's children. Their number differs from one restart to the next: it depends on how
    /// quickly the old ones leave and on how many threads are idle just then.
    children: Vec<Process>,
    /// The supervisor and its daemons.
    others: usize,
    /// Segments of `mod_wsgi.so` in the parent: an old mapping that stays, because of a thread-local
    /// key or a caught panic, would add some at each restart.
    mappings: usize,
    parent_kib: usize,
    supervisor_kib: usize,
}

impl Holdings {
    fn of(server: &Server) -> Self {
        let parent = Process::find(server.pid()).unwrap();
        let supervisor = server.supervisor().unwrap();
        let children = server.children();
        let resident =
            |process: &Process| process.status("VmRSS").split(' ').next().unwrap().parse().unwrap();
        Self {
            parent_descriptors: parent.descriptors().len(),
            supervisor_descriptors: supervisor.descriptors().len(),
            others: server.processes().len().saturating_sub(children.len()),
            children,
            mappings: parent.maps().lines().filter(|line| line.contains("mod_wsgi.so")).count(),
            parent_kib: resident(&parent),
            supervisor_kib: resident(&supervisor),
        }
    }

    /// Nothing but a little memory more than before, and none of the children of then.
    fn are_as(&self, before: &Self) -> bool {
        const MORE_KIB: usize = 1_024;
        self.parent_descriptors <= before.parent_descriptors
            // A link and a pidfd for each child that has had a request.
            && self.supervisor_descriptors <= before.supervisor_descriptors + 2 * (self.children.len() + self.others)
            && !self.children.iter().any(|child| before.children.contains(child))
            && self.others <= before.others
            && self.mappings == before.mappings
            && self.parent_kib <= before.parent_kib + MORE_KIB
            && self.supervisor_kib <= before.supervisor_kib + MORE_KIB
    }
}

/// Has httpd restarted so often, and waits until it holds no more than after the first few
/// restarts.
fn compare(server: &Server, times: usize, restarted: impl FnOnce()) {
    restart(server, WARM_UP);
    // The last old generation leaves.
    let settled = |server: &Server| {
        let now = Holdings::of(server);
        thread::sleep(std::time::Duration::from_millis(300));
        let then = Holdings::of(server);
        (then.others == now.others && then.supervisor_descriptors == now.supervisor_descriptors)
            .then_some(now)
    };
    let before = wait_for("the old generation's end", || settled(server));
    restarted();
    let after = wait_for("what was held before", || {
        let now = Holdings::of(server);
        now.are_as(&before).then_some(now)
    });
    eprintln!("{times} restarts: {before:?}, then {after:?}");
}

#[test]
fn restarts_leave_nothing_behind() {
    ours_only!("mod_wsgi starts all of its daemons anew");
    let server = Config::serving("hello.wsgi", "processes=2 threads=3").start();
    assert_eq!(server.text("/"), "Hello, World!\n");
    let supervisor = server.supervisor();
    let times = number(12);
    compare(&server, times, || restart(&server, times));
    assert_eq!(server.supervisor(), supervisor, "one supervisor for httpd's life");
    assert_eq!(server.text("/"), "Hello, World!\n");
}

#[test]
fn restarts_under_load_lose_no_request() {
    ours_only!("mod_wsgi has no daemon for a while at each restart");
    let server = Config::serving("hello.wsgi", "processes=2 threads=3").start();
    assert_eq!(server.text("/"), "Hello, World!\n");
    let (over, served, times) = (AtomicBool::new(false), AtomicUsize::new(0), number(12).min(100));
    let under_load = || {
        thread::scope(|scope| {
            let _end = End(&over);
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        ask_until_closed(&server, &over, &served);
                    }
                });
            }
            for _ in 0..times {
                let enough = served.load(Ordering::Relaxed) + 20;
                restart(&server, 1);
                wait_for("requests", || (served.load(Ordering::Relaxed) >= enough).then_some(()));
            }
        });
    };
    compare(&server, times, under_load);
    eprintln!("{served:?} requests, none failed");
}

/// Tells clients to end, also when their test has failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks on one connection until httpd closes it between two requests, as it does with idle ones
/// at a restart, and counts the answers. Each must be right.
fn ask_until_closed(server: &Server, over: &AtomicBool, answers: &AtomicUsize) {
    let mut connection = server.connect();
    let mut served = 0;
    while !over.load(Ordering::Relaxed) {
        match connection.exchange(&Request::get("/")) {
            Ok(page) => {
                let closing = page.header("Connection") == Some("close");
                assert_eq!(page.expect(200).text(), "Hello, World!\n");
                served += 1;
                answers.fetch_add(1, Ordering::Relaxed);
                if closing {
                    break;
                }
            }
            Err(error) if served > 0 && was_idle(&error) => break,
            Err(error) => panic!("request {served} of its connection: {error}"),
        }
    }
}

/// The connection was closed before any answer.
fn was_idle(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
