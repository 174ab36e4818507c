//! `wsgictl`: what it shows, and what its orders do to requests.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::{
    Config, Connection, Gate, Request, Server, copy_program, program, settings, wait_for,
};
use crate::ours_only;

mod explain;

/// Not as quick as requests are that one process keeps: all processes take part.
const PID: &str = "import os, time
def application(environ, start_response):
    time.sleep(0.005)
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]
";

fn wsgictl() -> PathBuf {
    settings().module.with_file_name("bin").join("wsgictl")
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(wsgictl());
    command.args(arguments).env("WSGICTL_SOCKET", server.root().join("run/wsgictl.sock"));
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    command(server, arguments).output().unwrap()
}

/// Its output, which must be that of a success.
#[track_caller]
fn done(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it says when it fails.
#[track_caller]
fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn site(options: &str) -> Config {
    Config::serving("site.wsgi", options)
        .line("WSGIApplicationGroup %{GLOBAL}")
        .file("site.wsgi", PID)
}

/// The body of a response that was waited for.
fn rest(connection: &mut Connection) -> String {
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200);
    String::from_utf8(connection.body(&head).unwrap()).unwrap()
}

/// The processes that have answered while `work` went on, with four clients. Every response
/// must be a 200.
fn under_load(server: &Server, work: impl FnOnce()) -> BTreeSet<String> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut pids = BTreeSet::new();
                    while !over.load(Ordering::Relaxed) {
                        let mut connection = server.connect();
                        for _ in 0..50 {
                            let page = connection.exchange(&Request::get("/")).unwrap();
                            pids.insert(page.expect(200).text());
                        }
                    }
                    pids
                })
            })
            .collect();
        work();
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// How many different processes answer now.
fn answering(server: &Server) -> BTreeSet<String> {
    under_load(server, || thread::sleep(std::time::Duration::from_millis(300)))
}

#[test]
fn a_reload_under_load_loses_nothing() {
    ours_only!("it has no such command");
    let server = site("processes=2 threads=3").start();
    server.text("/");
    let pids = under_load(&server, || {
        for _ in 0..3 {
            let text = done(&server, &["reload", "app"]);
            assert_eq!(text, "group 'app' now has 2 processes\n");
        }
    });
    assert!(pids.len() >= 6, "{pids:?}");
    let json = done(&server, &["reload", "--all", "--json"]);
    assert!(json.starts_with("{\"text\": ") && json.contains("\"processes\": ["), "{json}");
}

#[test]
fn a_reload_of_what_can_not_be_loaded_fails_and_the_old_version_serves() {
    ours_only!("it has no such command");
    let server = site("threads=2").line("WSGIScriptReloading Off").expect_errors().start();
    let before = server.text("/");
    fs::write(server.app("site.wsgi"), "raise KeyError('broken')\n").unwrap();
    let text = refused(&server, &["reload", "app"]);
    assert!(text.contains("could not load its scripts"), "{text}");
    assert_eq!(server.text("/"), before);
    fs::write(server.app("site.wsgi"), PID).unwrap();
    done(&server, &["reload", "app"]);
    assert_ne!(server.text("/"), before);
}

#[test]
fn a_group_is_scaled_up_and_down_under_load() {
    ours_only!("it has no such command");
    let server = site("processes=1 threads=2").start();
    server.text("/");
    under_load(&server, || {
        assert_eq!(done(&server, &["scale", "app", "4"]), "group 'app' now has 4 processes\n");
    });
    assert_eq!(answering(&server).len(), 4);
    under_load(&server, || {
        assert_eq!(done(&server, &["scale", "app", "2"]), "group 'app' now has 2 processes\n");
    });
    // It holds through a graceful restart.
    let before = answering(&server);
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    wait_for("two processes of the next generation", || {
        let now = answering(&server);
        (now.len() == 2 && now.is_disjoint(&before)).then_some(())
    });
    under_load(&server, || {
        done(&server, &["scale", "app", "configured"]);
    });
    assert_eq!(answering(&server).len(), 1);
    let text = refused(&server, &["scale", "none", "2"]);
    assert!(text.contains("no process group 'none', but groups '%{GLOBAL}', 'app'"), "{text}");
    assert!(refused(&server, &["scale", "app", "0"]).contains("use drain"));
}

#[test]
fn a_drained_group_ends_its_requests_and_refuses_others_until_it_resumes() {
    ours_only!("it has no such command");
    let server = Config::serving("program.wsgi", "threads=2").start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            gate.wait(environ)
            start_response('200 OK', [])
            return [b'served']
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    let visitor = gate.visitor();
    done(&server, &["drain", "app", "--no-wait"]);
    server.get("/").expect(503);
    assert!(done(&server, &["status"]).contains("drained"));
    visitor.release();
    assert_eq!(rest(&mut connection), "served");
    assert_eq!(done(&server, &["drain", "app"]), "group 'app' now has 0 processes\n");
    server.get("/").expect(503);
    assert!(refused(&server, &["reload", "app"]).contains("resume it first"));
    done(&server, &["resume", "app"]);
    let served = "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [b'served']
        ";
    assert_eq!(server.text(&program(served)), "served");
}

#[test]
fn status_and_stacks_show_a_request_while_it_runs() {
    ours_only!("it has no such command");
    let server = Config::serving("program.wsgi", "threads=2").start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            where_it_waits(environ)
            start_response('200 OK', [])
            return [b'served']
        def where_it_waits(environ):
            gate.wait(environ)
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    let visitor = gate.visitor();
    let text = done(&server, &["status"]);
    assert!(text.contains("1 busy, 1 idle") && text.contains("GET 127.0.0.1/"), "{text}");
    let json = done(&server, &["status", "--json"]);
    assert!(json.starts_with('{') && json.contains("127.0.0.1"), "{json}");
    let top = done(&server, &["top", "--count=2", "--interval=1"]);
    assert!(top.contains("requests/s"), "{top}");
    let stacks = done(&server, &["stacks", "app"]);
    assert!(stacks.contains("where_it_waits"), "{stacks}");
    visitor.release();
    assert_eq!(rest(&mut connection), "served");
}

#[test]
fn nobody_else_is_heard() {
    ours_only!("it has no such command");
    if settings().user.is_none() {
        eprintln!("skipped: only root can be somebody else");
        return;
    }
    let server = site("").start();
    server.text("/");
    let path = server.root().join("run/wsgictl.sock");
    // Copied, as the repository may lie in a private folder.
    let copy = server.scratch("wsgictl");
    copy_program(&wsgictl(), &copy);
    let as_nobody = || {
        let mut command = Command::new(&copy);
        command.args(["drain", "--all", "--socket"]).arg(&path).uid(65_534).gid(65_534);
        let output = command.current_dir("/").output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(as_nobody().contains("Permission denied"));
    // The path's mode is not all that keeps them out.
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let answer = as_nobody();
    assert!(answer.contains("uid 65534 may not steer this httpd"), "{answer}");
    server.text("/");
}

#[test]
fn the_socket_is_there_after_restarts_kills_and_left_over_paths() {
    ours_only!("it has no such command");
    let mut server = site("").expect_log("MWR1610").expect_errors().start();
    server.text("/");
    let path = server.root().join("run/wsgictl.sock");
    let log = server.log().cursor();
    server.signal("HUP");
    log.wait_for("resuming normal operations");
    wait_for("an answer", || run(&server, &["status"]).status.success().then_some(()));
    let supervisor = server.supervisor().unwrap();
    supervisor.signal("KILL");
    wait_for("its end", || (!supervisor.is_alive()).then_some(()));
    wait_for("the next one", || run(&server, &["status"]).status.success().then_some(()));
    assert!(refused(&server, &["nothing"]).contains("no command 'nothing'"));
    server.stop();
    assert!(!path.exists());
}
