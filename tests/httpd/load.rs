//! More requests than threads: queues, their order and their ends.

use std::time::{Duration, Instant};

use crate::harness::{Config, Connection, Gate, Request, Server, Visitor, program};
use crate::ours_only;

const GATED: &str = "
import os
def run(environ, start_response):
    gate.wait(environ)
    body = str(os.getpid()).encode()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]
";

fn send(server: &Server, gate: &Gate, count: usize) -> Vec<Connection> {
    let request = Request::get(&format!("{}&{}", program(GATED), gate.query()));
    let open = |_| {
        let mut connection = server.connect();
        connection.send(&request).unwrap();
        connection
    };
    (0..count).map(open).collect()
}

#[test]
fn a_hundred_slow_requests_share_fifteen_threads() {
    let server = Config::serving("program.wsgi", "threads=15").start();
    let gate = Gate::open();
    let mut connections = send(&server, &gate, 100);
    let mut inside: Vec<Visitor> = (0..15).map(|_| gate.visitor()).collect();
    assert!(gate.try_visitor().is_none(), "more requests inside than threads");
    for _ in 15..100 {
        inside.remove(0).release();
        inside.push(gate.visitor());
        assert!(gate.try_visitor().is_none(), "more requests inside than threads");
    }
    inside.into_iter().for_each(Visitor::release);
    for connection in &mut connections {
        let head = connection.head().unwrap();
        assert_eq!(head.status, 200);
        connection.body(&head).unwrap();
    }
}

#[test]
fn every_process_of_a_group_takes_part() {
    let server = Config::serving("program.wsgi", "processes=3 threads=2").start();
    let gate = Gate::open();
    let mut connections = send(&server, &gate, 6);
    let visitors: Vec<_> = (0..6).map(|_| gate.visitor()).collect();
    let mut pids: Vec<_> = visitors.iter().map(Visitor::pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3);
    visitors.into_iter().for_each(Visitor::release);
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
}

#[test]
fn waiting_longer_than_the_queue_timeout_is_a_504() {
    let server =
        Config::serving("program.wsgi", "threads=1 queue-timeout=1").expect_errors().start();
    let gate = Gate::open();
    let mut first = send(&server, &gate, 1).remove(0);
    let visitor = gate.visitor();
    let started = Instant::now();
    let mut second = send(&server, &gate, 1).remove(0);
    if crate::harness::settings().reference {
        // It looks at the request's age only when a thread takes it.
        std::thread::sleep(Duration::from_millis(2100));
        visitor.release();
        assert_eq!(second.head().unwrap().status, 504);
    } else {
        assert_eq!(second.head().unwrap().status, 504);
        let waited = started.elapsed();
        // At its deadline, and not when a thread is free: the first one is still inside.
        assert!(waited > Duration::from_millis(900), "{waited:?}");
        visitor.release();
    }
    assert_eq!(first.head().unwrap().status, 200);
    // The expired request was never inside.
    assert!(gate.try_visitor().is_none());
}

#[test]
fn the_queue_is_first_come_first_served() {
    ours_only!("mod_wsgi polls a full backlog");
    let server = Config::serving("program.wsgi", "threads=1").line("LogLevel wsgi:debug").start();
    let mut log = server.log();
    let gate = Gate::open();
    let target = format!(
        "{}&{}",
        program(
            "
            def run(environ, start_response):
                gate.wait(environ, environ['HTTP_X_NAME'])
                start_response('200 OK', [])
                return [b'']
            "
        ),
        gate.query()
    );
    let mut connections = Vec::new();
    let mut inside = None;
    for number in 0..10 {
        let mut connection = server.connect();
        let request = Request::get(&target).header("X-Name", &number.to_string());
        connection.send(&request).unwrap();
        connections.push(connection);
        if inside.is_none() {
            inside = Some(gate.visitor());
            // The first one may have waited for the process to start.
            log = log.cursor();
        } else {
            log.wait_for(&format!("waiting for a thread: {number}"));
        }
    }
    for number in 0..10 {
        let visitor = inside.take().unwrap_or_else(|| gate.visitor());
        assert_eq!(visitor.name, number.to_string());
        visitor.release();
    }
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
}

#[test]
fn keep_alive_connections_serve_many_requests() {
    let server = Config::serving("hello.wsgi", "processes=2 threads=3").start();
    let mut connections: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for _ in 0..200 {
        for connection in &mut connections {
            let response = connection.exchange(&Request::get("/")).unwrap();
            assert_eq!(response.expect(200).text(), "Hello, World!\n");
        }
    }
}

#[test]
fn a_thread_is_a_batch_while_requests_wait_for_it() {
    ours_only!("scheduling policies of its threads");
    let server = Config::serving("program.wsgi", "threads=6").start();
    let policy = program(
        "
        import os
        def run(environ, start_response):
            for _ in range(5000):
                pass
            start_response('200 OK', [])
            return [str(os.sched_getscheduler(0)).encode()]
        ",
    );
    const OTHER: &str = "0";
    const BATCH: &str = "3";
    let seen = |request: &Request, wanted: &str| {
        let mut connection = server.connect();
        (0..2_000).any(|_| connection.exchange(request).unwrap().expect(200).text() == wanted)
    };
    let get = Request::get(&policy);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(|| seen(&get, BATCH))).collect();
        assert!(clients.into_iter().any(|client| client.join().unwrap()), "never a batch");
    });
    assert!(seen(&get, OTHER), "still a batch for requests that come one by one");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Config::serving("program.wsgi", "").start();
    let mut connection = server.connect();
    let target = |number: usize| {
        program(&format!(
            "
            def run(environ, start_response):
                start_response('200 OK', [('Content-Length', '1')])
                return [b'{number}']
            "
        ))
    };
    for number in 0..5 {
        connection.send(&Request::get(&target(number))).unwrap();
    }
    for number in 0..5 {
        let head = connection.head().unwrap();
        assert_eq!(connection.body(&head).unwrap(), number.to_string().as_bytes());
    }
}

#[test]
fn descriptors_do_not_grow_with_requests() {
    let server = Config::serving("program.wsgi", "threads=3").start();
    let hello = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [environ['wsgi.input'].read()]
        ",
    );
    let warm_up = |count: usize| {
        for _ in 0..count {
            server.request(&Request::post(&hello, "body")).expect(200);
        }
    };
    let count = |server: &Server| -> Vec<(u32, usize)> {
        let count = |process: &crate::harness::Process| (process.pid, process.descriptors().len());
        let mut processes = server.processes();
        processes.extend(crate::harness::Process::find(server.pid()));
        let mut counts: Vec<_> = processes.iter().map(count).collect();
        counts.sort_unstable();
        counts
    };
    warm_up(100);
    let before = count(&server);
    warm_up(300);
    // Client connections that httpd is just closing come and go.
    const SLACK: usize = 5;
    for ((pid, before), (_, after)) in before.iter().zip(count(&server)) {
        assert!(after <= before + SLACK, "process {pid}: from {before} to {after} descriptors");
    }
}
