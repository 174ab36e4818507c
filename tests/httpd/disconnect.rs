//! Clients that go away, and what is left of their requests: nothing.

use crate::harness::{Config, Gate, Request, Server, program};
use crate::ours_only;

const PID: &str = "
import os
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

fn gated(gate: &Gate, source: &str) -> String {
    format!("{}&{}", program(source), gate.query())
}

#[track_caller]
fn still_serves(server: &Server, pid: &str) {
    assert_eq!(server.text(&program(PID)), pid, "the daemon process was replaced");
}

#[test]
fn a_client_that_leaves_an_upload_frees_the_thread() {
    let server = Config::serving("program.wsgi", "threads=1").expect_errors().start();
    let pid = server.text(&program(PID));
    let target = program(
        "
        def run(environ, start_response):
            body = environ['wsgi.input'].read()
            start_response('200 OK', [])
            return [body]
        ",
    );
    for sent in [0, 10, 100_000] {
        let mut connection = server.connect();
        let request = Request::post(&target, Vec::new()).header("Content-Length", "200000");
        connection.send_head(&request).unwrap();
        connection.raw(&vec![b'x'; sent]).unwrap();
        drop(connection);
        still_serves(&server, &pid);
    }
}

#[test]
fn reading_the_body_of_a_client_that_left_raises_oserror() {
    ours_only!("mod_wsgi's daemon mode has uploaded the body before the application starts");
    let server = Config::serving("program.wsgi", "threads=1").expect_errors().start();
    let gate = Gate::open();
    let target = gated(
        &gate,
        "
        def run(environ, start_response):
            door = gate.Gate(environ)
            door.wait('inside')
            try:
                environ['wsgi.input'].read()
            except OSError as error:
                door.wait('OSError')
            start_response('200 OK', [])
            return []
        ",
    );
    let mut connection = server.connect();
    let request = Request::post(&target, Vec::new()).header("Content-Length", "200000");
    connection.send_head(&request).unwrap();
    let visitor = gate.visitor();
    drop(connection);
    let visitor = visitor.release_until_next();
    assert_eq!(visitor.name, "OSError");
    visitor.release();
}

#[test]
fn a_client_that_leaves_a_download_ends_the_iteration() {
    let server = Config::serving("program.wsgi", "threads=1").expect_errors().start();
    let pid = server.text(&program(PID));
    let gate = Gate::open();
    let target = gated(
        &gate,
        "
        def run(environ, start_response):
            door = gate.Gate(environ)
            def endless():
                while True:
                    yield b'x' * 65536
            start_response('200 OK', [])
            return Body(endless(), lambda: door.wait('closed'))
        ",
    );
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    connection.head().unwrap();
    connection.chunk().unwrap();
    drop(connection);
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "closed");
    visitor.release();
    still_serves(&server, &pid);
}

#[test]
fn write_to_a_client_that_left_raises_oserror() {
    let server = Config::serving("program.wsgi", "threads=1").expect_errors().start();
    let gate = Gate::open();
    let target = gated(
        &gate,
        "
        def run(environ, start_response):
            door = gate.Gate(environ)
            write = start_response('200 OK', [])
            try:
                while True:
                    write(b'x' * 65536)
            except OSError:
                door.wait('OSError')
            return []
        ",
    );
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    connection.head().unwrap();
    drop(connection);
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "OSError");
    visitor.release();
}

#[test]
fn a_client_that_leaves_the_queue_never_reaches_the_application() {
    ours_only!("mod_wsgi runs a queued request whoever is left to answer");
    let server = Config::serving("program.wsgi", "threads=1").line("LogLevel wsgi:debug").start();
    let gate = Gate::open();
    let target = gated(
        &gate,
        "
        def run(environ, start_response):
            gate.wait(environ, environ['HTTP_X_NAME'])
            start_response('200 OK', [])
            return [b'done']
        ",
    );
    let send = |name: &str| {
        let mut connection = server.connect();
        connection.send(&Request::get(&target).header("X-Name", name)).unwrap();
        connection
    };
    let mut first = send("first");
    let visitor = gate.visitor();
    // While the only thread is taken, one more client comes and goes.
    let log = server.log().cursor();
    let second = send("second");
    log.wait_for("waiting for a thread: 1");
    second.reset();
    let mut third = send("third");
    visitor.release();
    assert_eq!(first.head().unwrap().status, 200);
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "third");
    visitor.release();
    assert_eq!(third.head().unwrap().status, 200);
}

#[test]
fn clients_that_leave_in_crowds_cost_no_capacity() {
    let server = Config::serving("program.wsgi", "threads=4").expect_errors().start();
    let pid = server.text(&program(PID));
    let big = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            for _ in range(64):
                yield b'x' * 65536
        ",
    );
    for _ in 0..40 {
        let mut connection = server.connect();
        connection.send(&Request::get(&big)).unwrap();
    }
    // All four threads must be there at once afterwards.
    let gate = Gate::open();
    let target = gated(
        &gate,
        "
        def run(environ, start_response):
            gate.wait(environ)
            start_response('200 OK', [])
            return [b'done']
        ",
    );
    let mut connections: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&Request::get(&target)).unwrap();
            connection
        })
        .collect();
    let visitors: Vec<_> = (0..4).map(|_| gate.visitor()).collect();
    assert!(visitors.iter().all(|visitor| visitor.name == pid));
    visitors.into_iter().for_each(crate::harness::Visitor::release);
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
}
