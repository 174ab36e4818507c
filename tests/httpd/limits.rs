//! Time, memory and idleness: what ends a process, what its clients see, and what the log
//! tells of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::harness::{Config, Gate, Process, Request, Server, Visitor, program, wait_for};
use crate::ours_only;

const PID: &str = "
import os
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

fn pid(server: &Server) -> u32 {
    server.text(&program(PID)).parse().unwrap()
}

fn wait_for_another(server: &Server, before: u32) -> u32 {
    wait_for("another process", || Some(pid(server)).filter(|&now| now != before))
}

#[test]
fn a_request_that_runs_too_long_is_interrupted_with_504_and_the_process_lives() {
    ours_only!("the message is another one");
    let server = Config::serving("program.wsgi", "threads=1 request-timeout=1 interrupt-timeout=5")
        .expect_errors()
        .start();
    let before = pid(&server);
    let endless = "
        def run(environ, start_response):
            number = 0
            while True:
                number += 1
        ";
    let log = server.log().cursor();
    assert_eq!(server.get(&program(endless)).status(), 504);
    log.wait_for("MWR3050");
    log.wait_for("\"<program>\", line");
    assert_eq!(pid(&server), before);
}

#[test]
fn a_request_that_cannot_be_interrupted_costs_its_process_and_nobody_else() {
    ours_only!("mod_wsgi has no successor ready");
    let options = "threads=2 request-timeout=1 graceful-timeout=2 shutdown-timeout=1";
    let server = Config::serving("program.wsgi", options).expect_errors().start();
    let before = pid(&server);
    let sleeping = "
        import time
        def run(environ, start_response):
            time.sleep(3600)
        ";
    let log = server.log().cursor();
    let mut wedged = server.connect();
    wedged.send(&Request::get(&program(sleeping))).unwrap();
    let after = wait_for_another(&server, before);
    assert_eq!(wedged.head().unwrap().status, 502);
    log.wait_for("MWR2024");
    log.wait_for("\"<program>\", line 4, in run");
    assert_eq!(pid(&server), after);
}

#[test]
fn a_process_whose_gil_is_held_is_killed_and_the_log_shows_where() {
    ours_only!("mod_wsgi does not say where");
    let server =
        Config::serving("program.wsgi", "threads=2 deadlock-timeout=2").expect_errors().start();
    let before = pid(&server);
    let holding = "
        import ctypes
        def run(environ, start_response):
            hold_the_gil()
        def hold_the_gil():
            ctypes.PyDLL(None).sleep(3600)
        ";
    let log = server.log().cursor();
    assert_eq!(server.get(&program(holding)).status(), 502);
    log.wait_for("MWR2023");
    log.wait_for("in hold_the_gil");
    assert_ne!(pid(&server), before);
}

#[test]
fn a_crash_is_explained_with_the_stack_of_python() {
    ours_only!("mod_wsgi does not say where");
    let server = Config::serving("program.wsgi", "threads=2").expect_errors().start();
    let crashing = "
        import ctypes
        def run(environ, start_response):
            ctypes.string_at(0)
        ";
    let log = server.log().cursor();
    assert_eq!(server.get(&program(crashing)).status(), 502);
    log.wait_for("MWR2020");
    log.wait_for("\"<program>\", line");
    let line = log.wait_for("MWR2020");
    assert!(line.contains("SIGSEGV") && line.contains("1 request in progress failed"), "{line}");
    pid(&server);
}

#[test]
fn a_process_is_replaced_at_its_age() {
    let server = Config::serving("program.wsgi", "restart-interval=2").start();
    let first = pid(&server);
    let second = wait_for_another(&server, first);
    wait_for_another(&server, second);
}

#[test]
fn an_inactive_process_ends_and_the_next_request_starts_another() {
    let server = Config::serving("program.wsgi", "inactivity-timeout=2").start();
    let before = pid(&server);
    wait_for("its end", || Process::find(before).is_none().then_some(()));
    assert_ne!(pid(&server), before);
}

#[test]
fn requests_that_are_to_be_ignored_do_not_keep_a_process() {
    let server = Config::serving("process.wsgi", "threads=2 inactivity-timeout=2")
        .file(
            "process.wsgi",
            "
import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
",
        )
        .line("<Location /health>\nWSGIIgnoreActivity On\n</Location>")
        .start();
    let first = server.text("/");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(4_500) {
        assert_eq!(server.text("/"), first);
        assert_eq!(server.text("/health"), first);
        thread::sleep(Duration::from_millis(50));
    }
    wait_for("another process", || (server.text("/health") != first).then_some(()));
}

#[test]
fn a_script_that_does_not_load_in_time_is_given_up_with_its_stack() {
    ours_only!("mod_wsgi does not say where");
    let server = Config::serving("slow.wsgi", "startup-timeout=2")
        .file("slow.wsgi", "import time\ntime.sleep(3600)\n")
        .expect_errors()
        .start();
    let log = server.log();
    let status = server.get("/").status();
    assert!([500, 503].contains(&status), "{status}");
    log.wait_for("MWR2016");
    log.wait_for("slow.wsgi\", line 2");
}

#[test]
fn a_process_that_has_used_its_cpu_time_is_replaced_without_a_failure() {
    let server = Config::serving("program.wsgi", "threads=2 cpu-time-limit=1").start();
    let before = pid(&server);
    let busy = "
        import time
        def run(environ, start_response):
            end = time.process_time() + 0.1
            while time.process_time() < end:
                pass
            start_response('200 OK', [])
            return []
        ";
    wait_for("another process", || {
        server.text(&program(busy));
        (pid(&server) != before).then_some(())
    });
}

#[test]
fn a_process_that_has_grown_too_large_is_replaced_without_a_failure() {
    ours_only!("resident-memory-limit is an option of this module");
    let server =
        Config::serving("program.wsgi", "threads=2 resident-memory-limit=100000000").start();
    let before = pid(&server);
    let grow = "
        import sys
        def run(environ, start_response):
            sys.kept = b'x' * 120000000
            start_response('200 OK', [])
            return []
        ";
    server.text(&program(grow));
    wait_for_another(&server, before);
}

#[test]
fn a_range_of_processes_is_used_when_requests_wait() {
    ours_only!("a range is an option of this module");
    let server = Config::serving("program.wsgi", "processes=1-3 threads=1").start();
    let waiting = "
        def run(environ, start_response):
            gate.wait(environ)
            start_response('200 OK', [])
            return [b'']
        ";
    let gate = Gate::open();
    let request = Request::get(&format!("{}&{}", program(waiting), gate.query()));
    let mut connections: Vec<_> = (0..12).map(|_| server.connect()).collect();
    for connection in &mut connections {
        connection.send(&request).unwrap();
    }
    let mut inside: Vec<_> = (0..3).map(|_| gate.visitor()).collect();
    let mut pids = BTreeSet::new();
    for _ in 3..12 {
        pids.extend(inside.iter().map(Visitor::pid));
        inside.remove(0).release();
        inside.push(gate.visitor());
    }
    pids.extend(inside.iter().map(Visitor::pid));
    assert_eq!(pids.len(), 3, "{pids:?}");
    inside.into_iter().for_each(Visitor::release);
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
}

#[test]
fn a_service_without_threads_runs_its_script_and_ends_in_order() {
    let service = "
import atexit, os, time
def note(name):
    with open(name, 'w') as file:
        file.write(str(os.getpid()))
atexit.register(note, 'ended')
note('begun')
while True:
    time.sleep(3600)
";
    let mut server = Config::serving("program.wsgi", "")
        .daemon("service", "threads=0 home={root}/scratch")
        .line(
            "WSGIImportScript {apps}/service.py process-group=service \
             application-group=%{GLOBAL}",
        )
        .file("service.py", service)
        .start();
    let begun = server.scratch("begun");
    let pid =
        wait_for("the service", || fs::read_to_string(&begun).ok().filter(|text| !text.is_empty()));
    // A graceful restart stops it before it starts it again.
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    let next = wait_for("the next service", || {
        fs::read_to_string(&begun).ok().filter(|text| !text.is_empty() && *text != pid)
    });
    assert_eq!(fs::read_to_string(server.scratch("ended")).unwrap(), pid);
    server.stop();
    assert_eq!(fs::read_to_string(server.scratch("ended")).unwrap(), next);
}
