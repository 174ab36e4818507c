//! The status page, its JSON and OpenMetrics forms, and what they show of what happens.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{
    Config, Gate, Process, Request, Server, Visitor, program, settings, wait_for,
};
use crate::ours_only;

const STATUS: &str = "<Location /wsgi-status>\nSetHandler wsgi-status\n</Location>";

/// A server with the page at `/wsgi-status` and the application at `/app`.
fn configuration(options: &str) -> Config {
    Config::new()
        .daemon("app", options)
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/app", "program.wsgi")
        .line(STATUS)
}

fn app(source: &str) -> String {
    format!("/app{}", &program(source)[1..])
}

const HELLO: &str = "
def run(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

const GATED: &str = "
import os
def run(environ, start_response):
    gate.wait(environ, str(os.getpid()))
    start_response('200 OK', [])
    return [b'']
";

const HOLDING: &str = "
import ctypes, os
def run(environ, start_response):
    gate.wait(environ, str(os.getpid()))
    ctypes.PyDLL(None).sleep(3600)
";

/// The value of the sample of the group `app` that begins so.
fn sample(server: &Server, name: &str) -> f64 {
    let text = server.text("/wsgi-status?openmetrics");
    let lines = text.lines().filter(|line| line.starts_with(name));
    let mut own = lines.filter(|line| line.contains("process_group=\"app\""));
    let line = own.next().unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Runs a Python program of the tests' environment over a document.
fn python(source: &str, document: &str) -> String {
    let own = settings().repository.join("build/venv");
    let venv = std::env::var_os("VENV").map_or(own, PathBuf::from);
    let mut child = Command::new(venv.join("bin/python"))
        .args(["-c", source])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; run make build/venv/ready", venv.display()));
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{} of {document}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_page_shows_the_request_that_runs_and_escapes_it() {
    ours_only!("mod_wsgi has no status page");
    let server = configuration("threads=2").start();
    let gate = Gate::open();
    let mut connection = server.connect();
    let target = format!("{}&{}", app(GATED), gate.query()).replace("/app?", "/app/%3Cscript%3E?");
    connection.send(&Request::get(&target)).unwrap();
    let visitor = gate.visitor();
    let response = server.get("/wsgi-status").expect(200);
    assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(response.header("Cache-Control"), Some("no-store"));
    assert!(response.header("Content-Security-Policy").unwrap().contains("default-src 'none'"));
    let page = response.text();
    assert!(
        page.contains("GET localhost/app/&lt;script&gt;") || page.contains("/app/&lt;script&gt;"),
        "{page}"
    );
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains(&visitor.name) && page.contains("1 busy</span>"), "{page}");
    visitor.release();
    assert_eq!(connection.head().unwrap().status, 200);
    wait_for("an idle pool", || {
        let page = server.text("/wsgi-status");
        (page.contains("2 idle") && !page.contains("&lt;script&gt;")).then_some(())
    });
    let strict = "
import html5lib, sys
html5lib.HTMLParser(strict=True).parse(sys.stdin.read())";
    python(strict, &page);
}

#[test]
fn the_json_tells_of_groups_processes_threads_and_requests() {
    ours_only!("mod_wsgi has no status page");
    let server = configuration("processes=2 threads=3").start();
    let gate = Gate::open();
    let mut connection = server.connect();
    connection.send(&Request::get(&format!("{}&{}", app(GATED), gate.query()))).unwrap();
    let visitor = gate.visitor();
    let response = server.get("/wsgi-status?json").expect(200);
    assert_eq!(response.header("Content-Type"), Some("application/json"));
    let check = "
import json, sys
status = json.load(sys.stdin)
[pool] = [pool for pool in status['pools'] if pool['process_group'] == 'app']
assert pool['state'] == 'ready' and pool['application_group'] == '', pool
process, = [p for p in pool['processes'] if any(t['request'] for t in p['threads'])]
thread, = [t for t in process['threads'] if t['request']]
assert len(process['threads']) == 3, process
assert thread['state'] == 'busy', thread
request = thread['request']
assert request['method'] == 'GET' and request['uri'] == '/app', request
assert request['client'] == '127.0.0.1', request
assert 0 <= status['time'] - request['since'] < 60, request
assert process['resident_bytes'] > 1000000 and process['cpu_seconds'] >= 0, process
assert process['python']['version'][:2] in ('2.', '3.') and process['python']['executable'], process
assert status['supervisor']['alive'] and status['configuration']['count'] == 1, status
print(process['pid'])";
    assert_eq!(python(check, &response.text()).trim(), visitor.name);
    visitor.release();
}

#[test]
fn the_metrics_are_openmetrics_and_grow_over_recycling_and_graceful_restarts() {
    ours_only!("mod_wsgi has no metrics");
    let server = configuration("processes=2 threads=2 maximum-requests=10").start();
    let response = server.get("/wsgi-status?openmetrics").expect(200);
    let media_type = response.header("Content-Type").unwrap();
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    assert!(response.text().ends_with("# EOF\n"));
    let (mut served, mut cpu) = (0.0, 0.0);
    for round in 1..=30 {
        for _ in 0..5 {
            assert_eq!(server.text(&app(HELLO)), "hello");
        }
        if round % 10 == 0 {
            server.signal("USR1");
        }
        let now =
            (sample(&server, "wsgi_requests_total"), sample(&server, "wsgi_cpu_seconds_total"));
        assert!(now.0 >= served && now.1 >= cpu, "from {served}, {cpu} to {now:?}");
        (served, cpu) = now;
    }
    wait_for("all requests to be counted", || {
        (sample(&server, "wsgi_requests_total") >= 150.0).then_some(())
    });
    assert!(sample(&server, "wsgi_process_starts_total") > 10.0);
    wait_for("the third configuration", || {
        let text = server.text("/wsgi-status?openmetrics");
        text.contains("wsgi_configurations_total 4\n").then_some(())
    });
    let parse = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {family.name: family for family in text_string_to_metric_families(sys.stdin.read())}
assert families['wsgi_requests'].type == 'counter', families
assert families['wsgi_cpu_seconds'].unit == 'seconds', families
print(len(families))";
    let families = python(parse, &server.text("/wsgi-status?openmetrics"));
    assert!(families.trim().parse::<u32>().unwrap() > 10, "{families}");
}

#[test]
fn a_death_a_reload_and_a_replaced_supervisor_are_told_with_their_cause() {
    ours_only!("mod_wsgi tells nothing");
    let server = Config::serving("site.wsgi", "")
        .file("site.wsgi", "import os\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n")
        .line(STATUS)
        .line("WSGIScriptAlias /app {apps}/site.wsgi")
        .expect_errors()
        .start();
    let pid: u32 = server.text("/app").parse().unwrap();
    Process::find(pid).unwrap().signal("KILL");
    wait_for("the death on the page", || {
        let page = server.text("/wsgi-status");
        let told = page.contains("killed by signal 9") && page.contains("state died");
        (told && page.contains(&pid.to_string())).then_some(())
    });
    let path = server.app("site.wsgi");
    let text = fs::read_to_string(&path).unwrap();
    wait_for("a working process", || server.text("/app").parse::<u32>().ok());
    let fresh = server.app("site.new");
    fs::write(&fresh, text + "# changed\n").unwrap();
    fs::rename(fresh, path).unwrap();
    wait_for("the reload on the page", || {
        let page = server.text("/wsgi-status");
        (page.contains("a script has changed") && page.contains("1 reloaded")).then_some(())
    });
    server.supervisor().unwrap().signal("KILL");
    wait_for("the other supervisor", || {
        let text = server.text("/wsgi-status?openmetrics");
        let told = text.contains("wsgi_supervisor_replacements_total 1\n");
        (told && text.contains("wsgi_supervisor_up 1\n")).then_some(())
    });
}

#[test]
fn everything_is_shown_while_python_is_wedged_and_no_thread_is_free() {
    ours_only!("mod_wsgi has no status page");
    let server = configuration("threads=1 queue-timeout=60").expect_errors().start();
    let gate = Gate::open();
    let mut wedged = server.connect();
    wedged.send(&Request::get(&format!("{}&{}", app(HOLDING), gate.query()))).unwrap();
    let visitor = gate.visitor();
    let daemon = Process::find(visitor.pid()).unwrap();
    let mut waiting = server.connect();
    waiting.send(&Request::get(&app(HELLO))).unwrap();
    visitor.release();
    wait_for("a waiting request", || (sample(&server, "wsgi_queue_depth") > 0.5).then_some(()));
    assert!(sample(&server, "wsgi_longest_request_seconds") > 0.0);
    let page = server.text("/wsgi-status");
    assert!(page.contains("1 busy</span>") && page.contains(&daemon.pid.to_string()), "{page}");
    daemon.signal("KILL");
    assert_eq!(wedged.head().unwrap().status, 502);
    assert_eq!(waiting.head().unwrap().status, 200);
}

#[test]
fn only_who_configures_the_handler_has_a_page() {
    ours_only!("mod_wsgi has no status page");
    let server = configuration("")
        .line("<Location /closed>\nSetHandler wsgi-status\nRequire ip 192.0.2.1\n</Location>")
        .module("authz_host")
        .expect_log("[authz_core:error]")
        .start();
    assert_eq!(server.get("/elsewhere").status(), 404);
    assert_eq!(server.get("/closed").status(), 403);
    let response = server.request(&Request::post("/wsgi-status", "x"));
    assert!(matches!(response.status(), 404 | 405), "{}", response.status());
    assert_eq!(server.request(&Request::new("HEAD", "/wsgi-status")).text(), "");
}

#[test]
fn mod_status_has_a_block_and_names_requests_only_if_extended() {
    ours_only!("mod_wsgi adds nothing");
    for (extended, shown) in [("On", true), ("Off", false)] {
        let server = configuration("threads=2")
            .module("status")
            .line(&format!("ExtendedStatus {extended}"))
            .line("<Location /server-status>\nSetHandler server-status\n</Location>")
            .start();
        let gate = Gate::open();
        let mut connection = server.connect();
        let target = format!("{}&{}", app(GATED), gate.query()).replace("/app?", "/app/needle?");
        connection.send(&Request::get(&target)).unwrap();
        let visitor = gate.visitor();
        let page = server.text("/server-status");
        let (_, block) = page.split_once("WSGI applications").unwrap_or_else(|| panic!("{page}"));
        assert!(block.contains("<td>app</td>"), "{block}");
        assert_eq!(block.contains("/app/needle"), shown, "{block}");
        let lines = server.text("/server-status?auto");
        assert!(lines.contains("WSGIBusyThreads: 1\n"), "{lines}");
        Visitor::release(visitor);
    }
}
