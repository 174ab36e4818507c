//! Small requests and responses that pass through shared memory beside the channels.

use std::fs;

use crate::harness::{Config, Process, Request, Server, program, settings, wait_for};
use crate::ours_only;

const STATUS: &str = "<Location /wsgi-status>\nSetHandler wsgi-status\n</Location>";

/// Holds the GIL from its beginning: its process sees nothing of what comes then.
const HOLDING: &str = "
import ctypes
def run(environ, start_response):
    ctypes.PyDLL(None).sleep(3600)
";

const SERVED: &str = "
import ctypes, os
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

/// Whether a thread of the process sleeps by clock_nanosleep(2), as sleep(3) does.
fn is_asleep(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut calls = threads.filter_map(|it| fs::read_to_string(it.path().join("syscall")).ok());
    calls.any(|call| call.starts_with(&format!("{} ", clock_nanosleep())))
}

/// The system call's number.
const fn clock_nanosleep() -> u32 {
    if cfg!(target_arch = "x86_64") { 230 } else { 115 }
}

/// As above.
const fn futex() -> u32 {
    if cfg!(target_arch = "x86_64") { 202 } else { 98 }
}

#[test]
fn a_request_that_the_process_did_not_take_before_it_died_is_served_by_the_next() {
    ours_only!("mod_wsgi has one queue in the kernel, and no answer for who was in it");
    let config = Config::new().daemon("app", "threads=2").mount("/app", "program.wsgi");
    let server = config.line(STATUS).line("WSGIProcessGroup app").expect_errors().start();
    let app = |source: &str| program(source).replacen('/', "/app", 1);
    // After the script was loaded a worker has a thread more at hand, for so many requests.
    let pids: Vec<u32> = (0..100).map(|_| server.text(&app(SERVED)).parse().unwrap()).collect();
    let pid = pids[0];
    let mut holding = server.connect();
    holding.send(&Request::get(&app(HOLDING))).unwrap();
    wait_for("a process that holds its GIL", || is_asleep(pid).then_some(()));
    let mut waiting = server.connect();
    waiting.send(&Request::get(&app(SERVED))).unwrap();
    wait_for("two busy threads", || {
        server.text("/wsgi-status").contains("2 busy</span>").then_some(())
    });
    Process::find(pid).unwrap().signal("KILL");
    assert_eq!(holding.head().unwrap().status, 502);
    let head = waiting.head().unwrap();
    assert_eq!(head.status, 200);
    let served = String::from_utf8(waiting.body(&head).unwrap()).unwrap();
    assert_ne!(served, pid.to_string());
}

#[test]
fn daemon_and_children_share_a_lane_for_each_thread_and_no_descriptor() {
    ours_only!("mod_wsgi has sockets alone");
    let server = Config::serving("program.wsgi", "threads=3").start();
    let pid: u32 = server.text(&program(SERVED)).parse().unwrap();
    let daemon = Process::find(pid).unwrap();
    let lanes = |process: &Process| process.maps().matches("memfd:wsgi-lanes").count();
    // One mapping for what they have in common.
    assert_eq!(lanes(&daemon), 4, "{}", daemon.maps());
    assert!(server.children().iter().any(|child| lanes(child) == 2));
    let holds =
        |process: &Process| process.descriptors().iter().any(|it| it.contains("wsgi-lanes"));
    assert!(!holds(&daemon) && !server.children().iter().any(holds));
}

/// Writes into the lanes of its own process: `word`, the lengths, and the response; and into its
/// bell: whether it is awake, and who has rung.
const SCRIBBLING: &str = "
import ctypes, struct
def run(environ, start_response):
    lanes = [line for line in open('/proc/self/maps') if 'memfd:wsgi-lanes' in line]
    word, length = WORD
    for line in lanes:
        start, end = (int(number, 16) for number in line.split()[0].split('-'))
        ctypes.memset(start + 8192, 0xFF, 64)
        ctypes.memmove(start, struct.pack('=III', word, length, length), 12)
    import time
    time.sleep(0.2)
    start_response('200 OK', [])
    return [b'own']
";

#[test]
fn a_daemon_that_scribbles_on_its_lanes_harms_its_own_request_alone() {
    ours_only!("mod_wsgi has no lanes");
    let server = Config::serving("program.wsgi", "threads=2").expect_errors().start();
    // Its imports take longer than a child waits by the lane.
    server.text(&program(SERVED));
    // Answered, with nonsense; with more than there is room for; an unknown phase; asleep for
    // nobody; offered again.
    for (word, length, statuses) in [
        (3_u32, 64_u32, &[502][..]),
        (3, u32::MAX, &[200, 502]),
        (0x1234_5678, 0, &[200]),
        (0x102, 0, &[200]),
        (1, 12, &[200, 502]),
    ] {
        let source = SCRIBBLING.replace("WORD", &format!("{word}, {length}"));
        for _ in 0..4 {
            // So that the lanes are used, and not only the sockets.
            let status = server.get(&program(&source)).status();
            assert!(statuses.contains(&status), "{status} for {word:#x}, {length}");
            server.text(&program(SERVED));
        }
    }
    let children = server.children();
    assert!(!children.is_empty() && children.iter().all(Process::is_alive));
}

/// Waits for a worker thread to doze, and says then in the bell that one is awake: so it is left
/// by a child that ends while it rings.
const SILENCING: &str = "
import ctypes, os, threading, time
def dozing():
    ranges = [line.split()[0] for line in open('/proc/self/maps') if 'memfd:wsgi-lanes' in line]
    starts = [int(it.split('-')[0], 16) for it in ranges]
    calls = [open('/proc/self/task/%s/syscall' % it).read() for it in os.listdir('/proc/self/task')]
    words = [int(it.split()[1], 16) for it in calls if it.startswith('FUTEX ')]
    return [word for word in words if word in starts]
def run(environ, start_response):
    def silence():
        while not dozing():
            time.sleep(0.01)
        # What dozes is shared by all of them.
        ctypes.c_uint32.from_address(dozing()[0]).value = 1
        open('FILE', 'w').close()
    threading.Thread(target=silence, daemon=True).start()
    start_response('200 OK', [])
    return [b'']
";

#[test]
fn a_child_that_ends_while_it_rings_silences_nobody() {
    ours_only!("mod_wsgi has no bell");
    let server = Config::serving("program.wsgi", "threads=2").start();
    let file = server.scratch("silenced");
    let source =
        SILENCING.replace("FUTEX", &futex().to_string()).replace("FILE", file.to_str().unwrap());
    server.text(&program(&source));
    wait_for("a silent bell", || file.exists().then_some(()));
    server.text(&program(SERVED));
}

#[test]
fn exchanges_of_all_kinds_follow_each_other_under_load() {
    let server = Config::serving("mixed.wsgi", "processes=2 threads=4")
        .file(
            "mixed.wsgi",
            "
import sys
def application(environ, start_response):
    name, kind = environ['QUERY_STRING'].split('&')
    if kind == 'log':
        print('an entry', file=environ['wsgi.errors'])
    if kind == 'read':
        name += str(len(environ['wsgi.input'].read()))
    body = name.encode()
    if kind == 'large':
        body *= 20000
    start_response('200 OK', [('X-Name', name)])
    return (body for _ in range(3)) if kind == 'stream' else [body]
",
        )
        .expect_log("an entry")
        .start();
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server: &Server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0..300 {
                    let name = format!("{client}-{number}-");
                    let kinds = ["small", "unread", "small", "log", "large", "read", "stream"];
                    let kind = kinds[number % kinds.len()];
                    let target = format!("/?{name}&{kind}");
                    let sent = "x".repeat(50_000);
                    let request = match kind {
                        "unread" | "read" => Request::post(&target, sent),
                        _ => Request::get(&target),
                    };
                    let response = connection.exchange(&request).unwrap().expect(200);
                    let expected = match kind {
                        "read" => format!("{name}50000"),
                        "large" => name.repeat(20_000),
                        "stream" => name.repeat(3),
                        _ => name,
                    };
                    assert!(response.text() == expected, "{target}");
                }
            });
        }
    });
    assert!(server.log().text().contains("an entry") || settings().reference);
}
