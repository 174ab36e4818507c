//! Options of WSGIDaemonProcess that concern waiting, replacing and buffers, each by what it
//! changes. More of them are in `limits.rs`, `load.rs` and `privileges.rs`.

use std::time::{Duration, Instant};

use crate::harness::{Config, Gate, Request, Server, program, wait_for};
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

/// The URL of a request that stands before the gate.
fn held(gate: &Gate) -> String {
    let held = "
import gate
def run(environ, start_response):
    gate.wait(environ)
    start_response('200 OK', [])
    return [b'released']
";
    format!("{}&{}", program(held), gate.query())
}

#[test]
fn a_request_waits_for_a_thread_as_long_as_the_connect_timeout() {
    ours_only!("mod_wsgi accepts the request, and it waits inside of the process");
    let server =
        Config::serving("program.wsgi", "threads=1 connect-timeout=1").expect_errors().start();
    let gate = Gate::open();
    let mut first = server.connect();
    first.send(&Request::get(&held(&gate))).unwrap();
    let visitor = gate.visitor();
    let begin = Instant::now();
    let log = server.log().cursor();
    assert_eq!(server.get(&program(PID)).status(), 503);
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    log.wait_for("MWR12");
    visitor.release();
    assert_eq!(first.head().unwrap().status, 200);
}

#[test]
fn an_application_that_says_nothing_is_waited_for_as_long_as_the_socket_timeout() {
    let server =
        Config::serving("program.wsgi", "threads=2 socket-timeout=1").expect_errors().start();
    let gate = Gate::open();
    let begin = Instant::now();
    assert_eq!(server.get(&held(&gate)).status(), 504);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    gate.visitor().release();
    assert_eq!(server.get(&program(PID)).status(), 200);
}

#[test]
fn an_evicted_process_has_the_eviction_timeout_and_not_the_graceful_one() {
    ours_only!("mod_wsgi has no successor ready");
    let options = "threads=2 eviction-timeout=1 graceful-timeout=600 shutdown-timeout=1";
    let server = Config::serving("program.wsgi", options).expect_errors().start();
    let before = pid(&server);
    let gate = Gate::open();
    let mut wedged = server.connect();
    wedged.send(&Request::get(&held(&gate))).unwrap();
    let _visitor = gate.visitor();
    let daemon = server.processes().into_iter().find(|process| process.pid == before).unwrap();
    daemon.signal("USR1");
    wait_for("a successor", || (pid(&server) != before).then_some(()));
    wait_for("the end of the old process", || (!daemon.is_alive()).then_some(()));
    assert_eq!(wedged.head().unwrap().status, 502);
}

#[test]
fn a_process_started_on_demand_ends_when_it_is_idle() {
    ours_only!("idle-timeout is not known to mod_wsgi");
    // The first application of a group keeps its processes.
    let server = Config::new()
        .daemon("app", "idle-timeout=1")
        .line("WSGIProcessGroup app")
        .mount("/first", "hello.wsgi")
        .mount("/", "program.wsgi")
        .start();
    server.get("/first").expect(200);
    let before = pid(&server);
    let daemon = server.processes().into_iter().find(|process| process.pid == before).unwrap();
    wait_for("the end of the idle process", || (!daemon.is_alive()).then_some(()));
    assert_ne!(pid(&server), before);
}

#[test]
fn limits_of_requests_differ_by_the_jitter_and_stay_below_the_maximum() {
    ours_only!("the jitter is not known to mod_wsgi");
    let options = "threads=1 maximum-requests=20 maximum-requests-jitter=50";
    let server = Config::serving("program.wsgi", options).start();
    let pids: Vec<u32> = (0..60).map(|_| pid(&server)).collect();
    let mut counts: Vec<(u32, usize)> = Vec::new();
    for pid in pids {
        match counts.iter_mut().find(|(known, _)| *known == pid) {
            Some((_, count)) => *count += 1,
            None => counts.push((pid, 1)),
        }
    }
    assert!(counts.len() >= 3, "{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count <= 20), "{counts:?}");
    // The last ones are still at work.
    assert!(counts.iter().rev().skip(2).all(|(_, count)| *count >= 10), "{counts:?}");
}

#[test]
fn bodies_pass_through_the_smallest_buffers() {
    let options = "send-buffer-size=512 receive-buffer-size=512 header-buffer-size=8192";
    let server = Config::serving("program.wsgi", options).start();
    let echo = "
def run(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let response = server.request(&Request::post(&program(echo), body.clone())).expect(200);
    assert!(response.body == body);
}

#[test]
fn pass_authorization_of_an_alias_by_an_expression_holds() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app\nWSGIScriptAliasMatch ^/closed {apps}/environ.wsgi")
        .line("WSGIScriptAliasMatch ^/open {apps}/environ.wsgi pass-authorization=On")
        .start();
    for (target, passed) in [("/open", true), ("/closed", false)] {
        let request = Request::get(target).header("Authorization", "Basic eDp5");
        let text = server.request(&request).expect(200).text();
        assert_eq!(text.contains("HTTP_AUTHORIZATION"), passed, "{target}");
    }
}

#[test]
fn an_application_group_does_not_depend_on_case_if_files_do_not() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGICaseSensitivity Off\nWSGIProcessGroup app")
        .mount("/Mixed", "environ.wsgi")
        .start();
    let text = server.text("/Mixed");
    assert!(text.contains("|/mixed'"), "{text}");
}

#[test]
fn a_client_that_does_not_read_is_given_up_after_the_response_socket_timeout() {
    let options = "threads=1 response-buffer-size=65536 response-socket-timeout=1";
    let server = Config::serving("program.wsgi", options).expect_errors().start();
    let gate = Gate::open();
    let endless = "
import gate
def run(environ, start_response):
    start_response('200 OK', [])
    def body():
        while True:
            yield b'x' * 65536
    door = gate.Gate(environ)
    return Body(body(), lambda: door.wait('closed'))
";
    let begin = Instant::now();
    let mut client = server.connect();
    client.send(&Request::get(&format!("{}&{}", program(endless), gate.query()))).unwrap();
    // Well before Timeout, which is 30 seconds.
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "closed");
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    visitor.release();
    assert!(client.head().is_ok_and(|head| client.body(&head).is_err()));

    // The next request on a connection has httpd's own patience again.
    let mut patient = server.connect();
    patient.send(&Request::get(&program(PID))).unwrap();
    let head = patient.head().unwrap();
    patient.body(&head).unwrap();
    let held = held(&gate);
    patient.send(&Request::get(&held)).unwrap();
    gate.visitor().release();
    assert_eq!(patient.head().unwrap().status, 200);
}

#[test]
fn a_header_field_may_be_as_long_as_the_header_buffer() {
    let server = Config::serving("program.wsgi", "header-buffer-size=8192").expect_errors().start();
    let field = |length: usize| {
        let source = "
def run(environ, start_response):
    start_response('200 OK', [('X-Long', 'x' * LENGTH)])
    return [b'sent']
";
        program(&source.replace("LENGTH", &length.to_string()))
    };
    assert_eq!(server.get(&field(8_000)).header("X-Long").map(str::len), Some(8_000));
    let log = server.log().cursor();
    assert_eq!(server.get(&field(9_000)).status(), 500);
    log.wait_for("[wsgi:error]");
    assert_eq!(server.get(&field(8_000)).status(), 200);

    ours_only!("mod_wsgi refuses more than 32768 bytes if nothing is said");
    let server = Config::serving("program.wsgi", "").start();
    assert_eq!(server.get(&field(100_000)).header("X-Long").map(str::len), Some(100_000));
}

#[test]
fn output_waits_for_more_as_long_as_the_flush_delay() {
    let server = Config::serving("program.wsgi", "threads=1 response-flush-delay=1000").start();
    let gate = Gate::open();
    let pieces = "
import gate
def run(environ, start_response):
    start_response('200 OK', [])
    yield b'first'
    yield b'second'
    gate.wait(environ)
    yield b'third'
";
    let mut connection = server.connect();
    connection.send(&Request::get(&format!("{}&{}", program(pieces), gate.query()))).unwrap();
    let visitor = gate.visitor();
    let begin = Instant::now();
    let head = connection.head().unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(800), "{:?}", begin.elapsed());
    let mut received = Vec::new();
    while received.len() < "firstsecond".len() {
        received.extend(connection.chunk().unwrap().unwrap());
    }
    assert_eq!(received, b"firstsecond");
    visitor.release();
    assert_eq!(connection.body(&head).unwrap(), b"third");
}
