//! Slow requests: the entry in the log while they run; and the notes for the access log.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use super::venv::Venv;
use crate::harness::{
    Config, Gate, PATIENCE, Process, Request, Server, Visitor, program, wait_for,
};
use crate::{ours_only, skip};

const SLEEPING: &str = "
import time
def run(environ, start_response):
    time.sleep(3600)
";

const HOLDING: &str = "
import ctypes
def run(environ, start_response):
    hold_the_gil()
def hold_the_gil():
    ctypes.PyDLL(None).sleep(3600)
";

const HELLO: &str = "
def run(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

/// The daemon of a server that has one.
fn daemon(server: &Server) -> Process {
    let pid = "
import os
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";
    Process::find(server.text(&program(pid)).parse().unwrap()).unwrap()
}

#[test]
fn a_slow_request_is_reported_once_while_it_runs_with_its_stack() {
    ours_only!("mod_wsgi tells its telemetry service alone");
    let server = Config::serving("program.wsgi", "threads=2")
        .line("WSGISlowRequests 0.4")
        .expect_errors()
        .start();
    let daemon = daemon(&server);
    let log = server.log().cursor();
    let mut connection = server.connect();
    connection.send(&Request::get(&program(SLEEPING).replacen('/', "/slow%0Apath", 1))).unwrap();
    let line = log.wait_for("MWR2040");
    assert!(line.contains("GET ") && line.contains("/slow?path (client 127.0.0.1)"), "{line}");
    assert!(line.contains("channel 1 of") && line.contains("it is at"), "{line}");
    log.wait_for("\"<program>\", line 4, in run");
    // Others go on meanwhile, and it is said once.
    for _ in 0..5 {
        assert_eq!(server.text(&program(HELLO)), "hello");
    }
    // When a later one is reported, the first was looked at again.
    let mut later = server.connect();
    later.send(&Request::get(&program(SLEEPING).replacen('/', "/later", 1))).unwrap();
    log.wait_for("/later (client");
    let reports = log.lines_with("MWR2040");
    let first = reports.iter().filter(|line| line.contains("/slow?path")).count();
    assert_eq!((first, reports.len()), (1, 2), "{}", log.text());
    daemon.signal("KILL");
    for connection in [&mut connection, &mut later] {
        assert_eq!(connection.head().unwrap().status, 502);
    }
}

#[test]
fn a_slow_request_that_holds_the_gil_is_reported_with_what_the_kernel_knows() {
    ours_only!("mod_wsgi can't say");
    let server = Config::serving("program.wsgi", "threads=2")
        .line("WSGISlowRequests 0.4")
        .expect_errors()
        .start();
    let daemon = daemon(&server);
    let log = server.log().cursor();
    let mut connection = server.connect();
    connection.send(&Request::get(&program(HOLDING))).unwrap();
    let line = log.wait_for("MWR2040");
    assert!(line.contains("something holds the GIL"), "{line}");
    let line = log.wait_for("system call");
    // Unless a container keeps the supervisor from looking.
    if !line.contains("system call nothing") {
        // The module that does not let go of it.
        let libraries = log.wait_for("    in libc");
        assert!(libraries.contains("ffi") || libraries.contains("_ctypes"), "{libraries}");
    }
    // faulthandler's, which needs no GIL.
    log.wait_for("in hold_the_gil");
    assert!(daemon.is_alive());
    daemon.signal("KILL");
    assert_eq!(connection.head().unwrap().status, 502);
}

#[test]
fn each_place_has_its_own_threshold() {
    ours_only!("mod_wsgi has one for the whole server");
    let server = Config::serving("program.wsgi", "threads=3")
        .line("WSGISlowRequests 0.4")
        .line("<Location /patient>\nWSGISlowRequests 0\n</Location>")
        .expect_errors()
        .start();
    let log = server.log().cursor();
    let gate = Gate::open();
    let waiting = "
def run(environ, start_response):
    gate.wait(environ)
    start_response('200 OK', [])
    return [b'']
";
    let send = |path: &str| {
        let mut connection = server.connect();
        let target = format!("{}&{}", program(waiting).replacen('/', path, 1), gate.query());
        connection.send(&Request::get(&target)).unwrap();
        (connection, gate.visitor())
    };
    // The patient one runs for longest, and is there at both looks.
    let mut visits = vec![send("/patient/a")];
    for path in ["/hasty/b", "/hasty/c"] {
        visits.push(send(path));
        log.wait_for(&format!("{path} (client"));
    }
    assert_eq!(log.lines_with("MWR2040").len(), 2, "{}", log.text());
    for (mut connection, visitor) in visits {
        visitor.release();
        assert_eq!(connection.head().unwrap().status, 200);
    }
}

#[test]
fn reports_are_rationed() {
    ours_only!("mod_wsgi reports to its telemetry service");
    let server = Config::serving("program.wsgi", "threads=20")
        .line("WSGISlowRequests 0.2")
        .expect_errors()
        .start();
    // Far longer than all of them need to become slow.
    let napping = "
import time
def run(environ, start_response):
    gate.wait(environ)
    time.sleep(1.5)
    start_response('200 OK', [])
    return [b'']
";
    let log = server.log().cursor();
    let began = Instant::now();
    let gate = Gate::open();
    let target = format!("{}&{}", program(napping), gate.query());
    let mut connections: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(&Request::get(&target)).unwrap();
            connection
        })
        .collect();
    let inside: Vec<_> = (0..20).map(|_| gate.visitor()).collect();
    wait_for("ten reports", || (log.lines_with("MWR2040").len() >= 10).then_some(()));
    inside.into_iter().for_each(Visitor::release);
    for connection in &mut connections {
        assert_eq!(connection.head().unwrap().status, 200);
    }
    // Ten at once, and one more every six seconds.
    let most = 11 + began.elapsed().as_secs() / 6;
    let reports = log.lines_with("MWR2040").len();
    assert!(reports <= usize::try_from(most).unwrap(), "{reports} in {:?}", began.elapsed());
}

#[test]
fn the_report_names_the_line_of_a_django_view() {
    ours_only!("mod_wsgi tells its telemetry service alone");
    let Some(venv) = Venv::find() else { skip!("no virtual environment") };
    let site = "
import gate
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
def patient_view(request):
    gate.wait(request.META)
    return HttpResponse('done')
urlpatterns = [path('', patient_view)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'], SECRET_KEY='test')
application = get_wsgi_application()
";
    let server = venv
        .configure(Config::new())
        .daemon("app", &format!("python-home={} home={{apps}}", venv.home.display()))
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}\nWSGISlowRequests 0.5")
        .file("view.wsgi", site)
        .mount("/", "view.wsgi")
        .expect_errors()
        .start();
    let log = server.log().cursor();
    let gate = Gate::open();
    let mut connection = server.connect();
    connection.send(&Request::get(&format!("/?{}", gate.query()))).unwrap();
    let visitor = gate.visitor();
    log.wait_for("MWR2040");
    let frame = log.wait_for("view.wsgi\", line 8, in patient_view");
    assert!(log.text().contains("gate.wait(request.META)"), "{frame}");
    visitor.release();
    assert_eq!(connection.head().unwrap().status, 200);
}

#[test]
fn the_access_log_has_notes_about_each_request() {
    ours_only!("mod_wsgi leaves no notes");
    let busy = "
import time
def run(environ, start_response):
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        pass
    time.sleep(0.1)
    start_response('200 OK', [])
    return [b'']
";
    let format = "%U q=%{wsgi-queue}n a=%{wsgi-application}n c=%{wsgi-cpu}n p=%{wsgi-process}n \
                  t=%{wsgi-thread}n g=%{wsgi-generation}n";
    let server = Config::serving("program.wsgi", "threads=2")
        .line(&format!("LogFormat \"{format}\" wsgi\nCustomLog {{root}}/access.log wsgi"))
        .line("<Location /cpu>\nWSGILogNotes CPU\n</Location>")
        .line("<Location /on>\nWSGILogNotes On\n</Location>")
        .start();
    let pid = daemon(&server).pid;
    for path in ["/cpu", "/on", "/off"] {
        server.get(&program(busy).replacen('/', path, 1)).expect(200);
    }
    let path = server.root().join("access.log");
    let line = |wanted: &str| {
        wait_for("the line of the access log", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.lines().find(|line| line.starts_with(wanted)).map(str::to_owned)
        })
    };
    let value = |line: &str, name: &str| -> u64 {
        let found = line.split(' ').find_map(|word| word.strip_prefix(name));
        found.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} in {line}"))
    };
    let cpu = line("/cpu ");
    assert_eq!((value(&cpu, "p="), value(&cpu, "t=")), (pid.into(), 1), "{cpu}");
    assert!(value(&cpu, "a=") >= 150_000 && value(&cpu, "q=") < 5_000_000, "{cpu}");
    assert!((50_000..150_000).contains(&value(&cpu, "c=")), "{cpu}");
    let on = line("/on ");
    assert!(on.contains(" c=- ") && value(&on, "a=") >= 150_000, "{on}");
    assert_eq!(value(&on, "g="), 0, "{on}");
    assert!(line("/off ").contains("q=- a=- c=- p=- t=- g=-"));
}

#[test]
fn a_collector_of_telemetry_gets_figures_of_each_process() {
    ours_only!("the figures differ");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector");
    let collector = UnixDatagram::bind(&path).unwrap();
    collector.set_read_timeout(Some(PATIENCE)).unwrap();
    let server = Config::serving("program.wsgi", "threads=2")
        .line(&format!("WSGITelemetryService unix:{} interval=0.5", path.display()))
        .expect_log("MWR2050")
        .start();
    let pid = daemon(&server).pid;
    let mut datagram = [0; 65_536];
    let mut next = |kind: u8| loop {
        let length = collector.recv(&mut datagram).unwrap();
        let head = &datagram[..24];
        assert_eq!(&head[..5], b"WSGI\x01");
        if head[5] == kind && head[8..12] == pid.to_le_bytes() {
            break datagram[24..length].to_vec();
        }
    };
    assert!(next(5).windows(3).any(|name| name == b"app"));
    next(2);
    for _ in 0..7 {
        assert_eq!(server.text(&program(HELLO)), "hello");
    }
    // Field 20, of type 1: the requests of the interval.
    let mut requests = 0;
    while requests < 7 {
        let fields = next(2);
        let at = fields.windows(3).position(|field| field == [20, 0, 1]).unwrap() + 3;
        requests += u64::from_le_bytes(fields[at..at + 8].try_into().unwrap());
    }
    // The one that told the pid may be among them.
    assert!(requests <= 8, "{requests}");
    drop(collector);
    server.log().wait_for("MWR2050");
}
