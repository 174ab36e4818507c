//! Reloading, recycling and restarting while requests go on.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use crate::harness::{Config, Gate, Request, Server, program, wait_for};
use crate::ours_only;

fn versioned(version: &str) -> String {
    format!(
        "import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'{version} %d' % os.getpid()]
"
    )
}

fn change(server: &Server, version: &str, seconds: u64) {
    let path = server.app("site.wsgi");
    // A new file in its place: nobody may read half a script.
    let fresh = server.app("site.new");
    fs::write(&fresh, versioned(version)).unwrap();
    let time = SystemTime::now() + Duration::from_secs(seconds);
    File::options().write(true).open(&fresh).unwrap().set_modified(time).unwrap();
    fs::rename(fresh, path).unwrap();
}

#[test]
fn a_changed_script_is_served_by_a_new_process() {
    let server = Config::serving("site.wsgi", "").file("site.wsgi", &versioned("first")).start();
    let before = server.text("/");
    assert!(before.starts_with("first "));
    change(&server, "second", 5);
    let after = wait_for("the second version", || {
        Some(server.text("/")).filter(|text| text.starts_with("second "))
    });
    assert_ne!(before.split(' ').nth(1), after.split(' ').nth(1));
    // No return to the old one.
    for _ in 0..20 {
        assert!(server.text("/").starts_with("second "));
    }
}

#[test]
fn script_reloading_can_be_switched_off() {
    let server = Config::serving("site.wsgi", "")
        .file("site.wsgi", &versioned("first"))
        .line("WSGIScriptReloading Off")
        .start();
    let before = server.text("/");
    change(&server, "second", 5);
    for _ in 0..10 {
        assert_eq!(server.text("/"), before);
    }
}

#[test]
fn a_graceful_restart_lets_requests_finish() {
    ours_only!("mod_wsgi kills its daemons after three seconds");
    let server = Config::serving("program.wsgi", "").expect_log("AH00558").start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            gate.wait(environ)
            yield b'second'
        ";
    let target = format!("{}&{}", program(source), gate.query());
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    let head = connection.head().unwrap();
    let visitor = gate.visitor();
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    let next = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [b'served']
        ",
    );
    assert_eq!(server.text(&next), "served");
    visitor.release();
    assert_eq!(connection.body(&head).unwrap(), b"firstsecond");
}

#[test]
fn graceful_restarts_lose_no_request_and_leak_nothing() {
    ours_only!("mod_wsgi has no daemon for a while at each restart");
    let server = Config::serving("hello.wsgi", "processes=2 threads=3").start();
    server.text("/");
    let supervisor = server.supervisor().unwrap();
    let parent = crate::harness::Process::find(server.pid()).unwrap();
    let mut counts = Vec::new();
    for _ in 0..5 {
        let log = server.log().cursor();
        server.signal("USR1");
        wait_for("the restart", || {
            assert_eq!(server.text("/"), "Hello, World!\n");
            log.lines_with("resuming normal operations").pop()
        });
        for _ in 0..20 {
            assert_eq!(server.text("/"), "Hello, World!\n");
        }
        counts.push((parent.descriptors().len(), supervisor.descriptors().len()));
    }
    assert_eq!(server.supervisor(), Some(supervisor), "one supervisor for httpd's life");
    let settled = wait_for("the old generations' end", || {
        let now = (parent.descriptors().len(), supervisor.descriptors().len());
        (now.0 <= counts[0].0 + 1 && now.1 <= counts[0].1 + 4).then_some(now)
    });
    eprintln!("descriptors of parent and supervisor: {counts:?}, at last {settled:?}");
}

#[test]
fn a_full_restart_and_a_stop_leave_nothing_behind() {
    let mut server = Config::serving("hello.wsgi", "processes=2").start();
    server.text("/");
    let log = server.log().cursor();
    server.signal("HUP");
    log.wait_for("resuming normal operations");
    assert_eq!(server.text("/"), "Hello, World!\n");
    server.stop();
}

#[test]
fn maximum_requests_replaces_the_process_without_a_failure() {
    let server = Config::serving("site.wsgi", "threads=2 maximum-requests=10")
        .file("site.wsgi", &versioned("only"))
        .start();
    let mut pages: Vec<_> = (0..60).map(|_| server.text("/")).collect();
    pages.dedup();
    let (least, most) = if crate::harness::settings().reference { (2, 61) } else { (3, 12) };
    assert!((least..=most).contains(&pages.len()), "{} processes for 60 requests", pages.len());
}

#[test]
fn stopping_httpd_does_not_wait_for_a_request_without_end() {
    let mut server = Config::serving("program.wsgi", "shutdown-timeout=1")
        .expect_errors()
        .expect_log("AH")
        .start();
    let gate = Gate::open();
    let source = "
        import time
        def run(environ, start_response):
            gate.wait(environ)
            time.sleep(3600)
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    gate.visitor().release();
    server.stop();
}
