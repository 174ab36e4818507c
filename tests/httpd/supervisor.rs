//! A supervisor that can't be started: what goes on without it, and how it comes back. One that
//! httpd does not want any more.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{
    Config, Connection, Gate, Mpm, Request, Server, Visitor, copy_program, program, settings,
    wait_for,
};
use crate::ours_only;

/// A server whose supervisor was killed while its program could not run. It has one child, which
/// has served a request.
fn without_supervisor() -> (Server, Broken) {
    let server = Config::serving("hello.wsgi", "threads=1")
        .line(match settings().mpm {
            Mpm::Prefork => "StartServers 1\nMaxRequestWorkers 1",
            Mpm::Event | Mpm::Worker => "StartServers 1\nMinSpareThreads 1",
        })
        .own_module()
        .line("Alias /static {root}/htdocs")
        .expect_errors()
        .expect_log("[wsgi:crit]")
        .expect_log("[mpm_")
        .start();
    fs::write(server.root().join("htdocs/page"), "static").unwrap();
    server.text("/");
    let broken = Broken::make(&server);
    let log = server.log().cursor();
    server.supervisor().unwrap().signal("KILL");
    log.wait_for("MWR1610");
    log.wait_for("[wsgi:crit]");
    (server, broken)
}

/// A program in the place of the supervisor's that ends at once.
struct Broken {
    program: PathBuf,
    aside: PathBuf,
}

impl Broken {
    fn make(server: &Server) -> Self {
        let program = server.supervisor_program();
        let aside = program.with_extension("aside");
        fs::rename(&program, &aside).unwrap();
        fs::write(&program, "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Self { program, aside }
    }

    fn repair(self) {
        fs::rename(self.aside, self.program).unwrap();
    }
}

#[test]
fn a_supervisor_that_cannot_start_is_tried_again_until_it_can() {
    ours_only!("mod_wsgi has no supervisor");
    let (server, broken) = without_supervisor();
    broken.repair();
    // httpd's parent looks after it every ten seconds.
    wait_for("a supervisor", || server.supervisor());
    assert_eq!(server.text("/"), "Hello, World!\n");
}

#[test]
fn what_runs_needs_no_supervisor() {
    ours_only!("mod_wsgi has no supervisor");
    let (server, broken) = without_supervisor();
    // Beyond the time after which a child looks for another supervisor.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert_eq!(server.text("/"), "Hello, World!\n");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    broken.repair();
}

#[test]
fn a_restart_without_supervisor_leaves_httpd_at_work() {
    ours_only!("mod_wsgi has no supervisor");
    let (server, broken) = without_supervisor();
    let restart = || {
        let log = server.log().cursor();
        server.signal("USR1");
        log.wait_for("resuming normal operations");
    };
    restart();
    assert_eq!(server.text("/static/page"), "static");
    broken.repair();
    restart();
    assert_eq!(server.text("/"), "Hello, World!\n");
}

#[test]
fn a_graceful_restart_after_an_upgrade_runs_the_new_supervisor() {
    ours_only!("mod_wsgi has no supervisor");
    let server = Config::serving("hello.wsgi", "threads=3").own_module().start();
    server.text("/");
    let before = server.supervisor().unwrap();
    // As an installer does: another file under the same name.
    let program = server.supervisor_program();
    let fresh = program.with_extension("new");
    copy_program(&program, &fresh);
    fs::rename(&fresh, &program).unwrap();
    let log = server.log().cursor();
    server.signal("USR1");
    wait_for("the restart", || {
        assert_eq!(server.text("/"), "Hello, World!\n");
        log.lines_with("resuming normal operations").pop()
    });
    wait_for("another supervisor", || server.supervisor().filter(|now| *now != before));
    for _ in 0..50 {
        assert_eq!(server.text("/"), "Hello, World!\n");
    }
    wait_for("the end of the old processes", || {
        let processes = server.processes();
        processes.iter().all(|process| !process.is_child_of(before.pid)).then_some(())
    });
}

/// A request inside of the application, whose response has begun.
fn begun(server: &Server, gate: &Gate) -> (Connection, Visitor) {
    let source = "
        def run(environ, start_response):
            start_response('200 OK', [('Content-Length', '10')])
            yield b'begun'
            gate.wait(environ)
            yield b'ended'
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    (connection, gate.visitor())
}

/// Where the application says hello.
fn hello() -> String {
    program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [b'hello']
        ",
    )
}

fn ended((mut connection, visitor): (Connection, Visitor)) {
    visitor.release();
    let head = connection.head().unwrap();
    assert_eq!(connection.body(&head).unwrap(), b"begunended");
}

#[test]
fn a_module_of_another_layout_gets_a_supervisor_of_its_own_while_the_old_one_ends_its_requests() {
    ours_only!("mod_wsgi has no supervisor");
    let mut server = Config::serving("program.wsgi", "processes=2 threads=3").own_module().start();
    let hello = hello();
    assert_eq!(server.text(&hello), "hello");
    let gate = Gate::open();
    let request = begun(&server, &gate);
    let (before, daemon) = (server.supervisor().unwrap(), request.1.pid());
    let program = server.supervisor_program();
    for file in [server.root().join("module/mod_wsgi.so"), program] {
        give_another_layout(&file);
    }
    let log = server.log().cursor();
    server.signal("USR1");
    wait_for("the restart", || {
        assert_eq!(server.text(&hello), "hello");
        log.lines_with("resuming normal operations").pop()
    });
    log.wait_for("a supervisor of another release");
    for _ in 0..50 {
        assert_eq!(server.text(&hello), "hello");
    }
    let supervisors = server.processes();
    let supervisors = supervisors.iter().filter(|process| process.name() == before.name()).count();
    assert_eq!((before.is_alive(), supervisors), (true, 2));
    // Another restart makes no difference to it.
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    assert_eq!(request.1.pid(), daemon);
    ended(request);
    wait_for("the old supervisor's end", || (!before.is_alive()).then_some(()));
    assert_eq!(server.text(&hello), "hello");
    server.stop();
}

/// Changes the number of the slot table's layout, as a release that has another one would.
fn give_another_layout(file: &Path) {
    // "wsgislo" and the number, as a little-endian machine stores it.
    const NAME: &[u8] = b"olsigsw";
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<_> =
        (1..bytes.len() - NAME.len()).filter(|&at| bytes[at..].starts_with(NAME)).collect();
    assert!(!places.is_empty(), "no layout in {}", file.display());
    places.iter().for_each(|at| bytes[at - 1] += 1);
    let fresh = file.with_extension("new");
    fs::write(&fresh, bytes).unwrap();
    fs::set_permissions(&fresh, fs::metadata(file).unwrap().permissions()).unwrap();
    fs::rename(fresh, file).unwrap();
}

#[test]
fn a_supervisor_ends_when_the_module_is_taken_out_of_the_configuration() {
    ours_only!("mod_wsgi has no supervisor");
    let mut server = Config::serving("program.wsgi", "processes=2 threads=3")
        // Nobody is left in httpd who knows whose child the supervisor was.
        .expect_log("long lost child came home")
        .start();
    fs::write(server.root().join("htdocs/page"), "static").unwrap();
    let gate = Gate::open();
    let request = begun(&server, &gate);
    let supervisor = server.supervisor().unwrap();
    let path = server.root().join("httpd.conf");
    let text = fs::read_to_string(&path).unwrap();
    let ours = |line: &&str| line.starts_with("WSGI") || line.starts_with("LoadModule wsgi");
    let rest: Vec<_> = text.lines().filter(|line| !ours(line)).collect();
    fs::write(&path, rest.join("\n").replace(" wsgi:info", "")).unwrap();
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    // A child of the old generation may take one more request.
    let page = hello().replacen('/', "/page", 1);
    wait_for("the new configuration", || (server.text(&page) == "static").then_some(()));
    log.wait_for("does without this module now");
    assert!(supervisor.is_alive());
    ended(request);
    wait_for("the supervisor's end", || (!supervisor.is_alive()).then_some(()));
    let children = server.children();
    wait_for("the daemons' end", || {
        server.processes().iter().all(|process| children.contains(process)).then_some(())
    });
    assert_eq!(server.text(&page), "static");
    server.stop();
}
