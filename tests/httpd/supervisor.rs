//! A supervisor that can't be started: what goes on without it, and how it comes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::{Config, Mpm, Server, settings, wait_for};
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
    fs::copy(&program, &fresh).unwrap();
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
