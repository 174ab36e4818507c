//! kill -9 of anything at any moment: who fails, what is said of it, what is back afterwards.

use crate::harness::{
    Config, Connection, Gate, Process, Request, Server, Visitor, program, wait_for,
};
use crate::ours_only;

/// Says "PID SERVER_PID" at the gate, then answers with the daemon's pid.
const GATED: &str = "
import os
def run(environ, start_response):
    gate.wait(environ, '%d %s' % (os.getpid(), environ['mod_wsgi.server_pid']))
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

const HELLO: &str = "
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
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

/// Daemon and httpd child of a request at the gate.
fn processes(visitor: &Visitor) -> (Process, Process) {
    let mut pids = visitor.name.split(' ').map(|pid| pid.parse().unwrap());
    let mut next = || Process::find(pids.next().unwrap()).unwrap();
    (next(), next())
}

/// All of `count` threads must be free: so many requests are inside at once, and all succeed.
#[track_caller]
fn capacity_is(server: &Server, count: usize) {
    let gate = Gate::open();
    let mut connections = send(server, &gate, count);
    let visitors: Vec<_> = (0..count).map(|_| gate.visitor()).collect();
    visitors.into_iter().for_each(Visitor::release);
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
}

#[test]
fn a_killed_daemon_fails_its_requests_with_502_and_is_replaced() {
    let server = Config::serving("program.wsgi", "threads=50").expect_errors().start();
    let gate = Gate::open();
    let mut connections = send(&server, &gate, 50);
    let visitors: Vec<_> = (0..50).map(|_| gate.visitor()).collect();
    let (daemon, _) = processes(&visitors[0]);
    let log = server.log().cursor();
    daemon.signal("KILL");
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 502);
    }
    drop(visitors);
    capacity_is(&server, 50);
    if crate::harness::settings().reference {
        return;
    }
    // One line tells the cause, with the dead process's number.
    let pid = daemon.pid.to_string();
    log.wait_for(&pid);
    let telling: Vec<_> = log
        .lines_with(&pid)
        .into_iter()
        .filter(|line| line.contains("SIGKILL") || line.contains("signal 9"))
        .collect();
    assert_eq!(telling.len(), 1, "{telling:#?} of {}", log.text());
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_response_breaks_it_off() {
    ours_only!("mod_wsgi ends the chunks as if all were well");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            gate.wait(environ)
            yield b'never'
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    let head = connection.head().unwrap();
    let visitor = gate.visitor();
    Process::find(visitor.pid()).unwrap().signal("KILL");
    assert_eq!(connection.body(&head).unwrap_err().received, b"first");
    assert!(connection.closed());
    capacity_is(&server, 15);
}

#[test]
fn a_killed_child_loses_no_slot() {
    let server = Config::serving("program.wsgi", "threads=4")
        .expect_log(":notice]")
        .expect_log("AH00052")
        .expect_errors()
        .start();
    for _ in 0..3 {
        let gate = Gate::open();
        let connections = send(&server, &gate, 4);
        let visitors: Vec<_> = (0..4).map(|_| gate.visitor()).collect();
        let mut children: Vec<_> = visitors.iter().map(|visitor| processes(visitor).1).collect();
        children.dedup();
        for child in &children {
            child.signal("KILL");
        }
        drop(connections);
        visitors.into_iter().for_each(Visitor::release);
        wait_for("the end of the killed children", || {
            children.iter().all(|child| !child.is_alive()).then_some(())
        });
        capacity_is(&server, 4);
    }
}

#[test]
fn a_killed_supervisor_costs_no_request_and_is_replaced() {
    ours_only!("mod_wsgi has no supervisor");
    let server = Config::serving("program.wsgi", "processes=2 threads=2").expect_errors().start();
    for _ in 0..3 {
        let supervisor = wait_for("a supervisor", || server.supervisor());
        let gate = Gate::open();
        let mut connections = send(&server, &gate, 4);
        let visitors: Vec<_> = (0..4).map(|_| gate.visitor()).collect();
        supervisor.signal("KILL");
        wait_for("a new supervisor", || server.supervisor().filter(|new| *new != supervisor));
        visitors.into_iter().for_each(Visitor::release);
        for connection in &mut connections {
            assert_eq!(connection.head().unwrap().status, 200);
        }
        capacity_is(&server, 4);
    }
}

#[test]
fn a_killed_parent_leaves_no_supervisor_and_no_daemon() {
    ours_only!("mod_wsgi's daemons stay behind");
    let mut server = Config::serving("program.wsgi", "processes=2").expect_errors().start();
    capacity_is(&server, 30);
    let everything = server.processes();
    let children = server.children();
    server.signal("KILL");
    let ours: Vec<_> = everything.iter().filter(|p| !children.contains(p)).copied().collect();
    assert!(ours.len() >= 3, "a supervisor and two daemons: {ours:?}");
    wait_for("the end of supervisor and daemons", || {
        ours.iter().all(|process| !process.is_alive()).then_some(())
    });
    // httpd's own children outlive their parent; that is httpd's business.
    children.iter().for_each(|child| child.signal("KILL"));
    server.wait_for_end(&everything);
}

#[test]
fn a_daemon_that_dies_at_import_is_not_restarted_without_end() {
    ours_only!("mod_wsgi restarts it as often as requests come");
    let server = Config::serving("deadly.wsgi", "")
        .file("deadly.wsgi", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
        .expect_errors()
        .start();
    let log = server.log();
    let mut connections: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&Request::get("/")).unwrap();
            connection
        })
        .collect();
    for connection in &mut connections {
        let status = connection.head().unwrap().status;
        assert!([500, 502, 503, 504].contains(&status), "{status}");
    }
    let deaths = log.lines_with("SIGKILL").len() + log.lines_with("signal 9").len();
    assert!((1..=20).contains(&deaths), "{deaths} deaths logged");
}

#[test]
fn a_start_that_is_killed_keeps_requests_waiting_for_the_next() {
    ours_only!("mod_wsgi lets them wait for httpd's Timeout");
    let gate = Gate::open();
    let slow = format!("import gate\ngate.wait({{'QUERY_STRING': '{}'}})\n{HELLO}", gate.query());
    let server = Config::serving("slow.wsgi", "home={apps}")
        .file("slow.wsgi", &slow)
        .expect_log("MWR2020")
        .start();
    let mut connection = server.connect();
    connection.send(&Request::get("/")).unwrap();
    for _ in 0..2 {
        Process::find(gate.visitor().pid()).unwrap().signal("KILL");
    }
    gate.visitor().release();
    assert_eq!(connection.head().unwrap().status, 200);
}
