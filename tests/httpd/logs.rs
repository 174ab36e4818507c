//! Where what an application says is logged, however it says it: the virtual host, the level, the
//! request's log id.

use crate::harness::{Config, Log, Request, Server};
use crate::ours_only;

/// A way of speaking, the text that is logged, and its level.
const WAYS: [(&str, &str, &str); 11] = [
    ("wsgi.errors", "environ['wsgi.errors'].write('by wsgi.errors\\n')", "error"),
    ("print", "print('by print')", "error"),
    ("stderr", "sys.stderr.write('by stderr\\n')", "error"),
    ("no end of line", "sys.stdout.write('by no end of line')", "error"),
    ("root logger", "logging.warning('by root logger')", "error"),
    ("handler of the import", "early.warning('by handler of the import')", "error"),
    ("warnings", "warnings.warn('by warnings')", "error"),
    ("LogHandler", "handled.info('by LogHandler')", "info"),
    ("LogHandler", "handled.warning('by LogHandler')", "warn"),
    ("LogHandler", "handled.critical('by LogHandler')", "crit"),
    ("code", "sys.stderr.write('by ' + 'code\\n')", "error"),
];

const SPEAKER: &str = "
import logging, sys, warnings
from urllib.parse import unquote
import mod_wsgi

warnings.simplefilter('always')
early = logging.getLogger('early')
early.addHandler(logging.StreamHandler())
early.propagate = False
handled = logging.getLogger('handled')
handled.addHandler(mod_wsgi.LogHandler())
handled.setLevel(logging.DEBUG)
handled.propagate = False

def application(environ, start_response):
    eval(unquote(environ['QUERY_STRING']), dict(globals(), environ=environ))
    start_response('200 OK', [])
    return [environ['mod_wsgi.request_id'].encode()]
";

/// `%XX` for everything but letters and digits.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn requests_are_logged_where_they_belong(worker: &str) {
    let hosts = ["one.example", "two.example"];
    let alias = "WSGIScriptAlias / {apps}/speaker.wsgi process-group=app";
    let server = Config::new()
        .daemon("app", "threads=2")
        .file("speaker.wsgi", SPEAKER)
        .vhost(hosts[0], &[alias])
        .vhost(hosts[1], &[alias])
        .environment("MOD_WSGI_WORKER", worker)
        .expect_errors()
        .expect_log("by LogHandler")
        .start();
    for (number, (name, code, level)) in WAYS.iter().enumerate() {
        let own = server.vhost_log(hosts[number % 2]).cursor();
        let elsewhere = [server.log().cursor(), server.vhost_log(hosts[(number + 1) % 2]).cursor()];
        let request =
            Request::get(&format!("/?{}", quoted(code))).header("Host", hosts[number % 2]);
        let id = server.request(&request).expect(200).text();
        let text = format!("by {name}");
        let line = own.wait_for(&text);
        assert!(line.contains(&format!("[wsgi:{level}]")), "{name}: {line}");
        assert!(line.contains(&format!("[id {id}]")), "{name}, request {id}: {line}");
        assert!(line.contains("[client 127.0.0.1"), "{name}: {line}");
        assert_eq!(own.lines_with(&text).len(), 1, "{name}");
        for log in &elsewhere {
            assert_eq!(log.lines_with(&text), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn what_a_request_says_is_in_its_virtual_hosts_log_with_its_id() {
    requests_are_logged_where_they_belong("native");
}

#[test]
fn the_worker_in_python_alone_logs_to_the_same_places() {
    ours_only!("it has one worker");
    requests_are_logged_where_they_belong("pure");
}

const OUTSIDE: &str = "
import atexit, logging, os, sys, threading
import mod_wsgi

print('said at import')
os.write(1, b'written to 1 at import\\n')
os.write(2, b'written to 2 at import\\n')
atexit.register(print, 'said at exit')
atexit.register(os.write, 2, b'written to 2 at exit\\n')

def background():
    go.wait()
    print('said by a thread')
    logging.warning('logged by a thread')
    handled = logging.getLogger('handled')
    handled.addHandler(mod_wsgi.LogHandler())
    handled.propagate = False
    handled.warning('handled for a thread')
    os.write(2, b'written to 2 by a thread\\n')
    done.set()

go, done = threading.Event(), threading.Event()
threading.Thread(target=background, daemon=True).start()

def application(environ, start_response):
    go.set()
    done.wait()
    os.write(2, b'written to 2 in a request\\n')
    start_response('200 OK', [])
    return []
";

/// What belongs to no request is in the log of the group's virtual host.
fn the_rest_is_logged_where_the_group_is(worker: &str) {
    let host = "group.example";
    let mut server = Config::new()
        .file("outside.wsgi", OUTSIDE)
        .vhost(
            host,
            &[
                "WSGIDaemonProcess app threads=2",
                "WSGIScriptAlias / {apps}/outside.wsgi process-group=app application-group=%{GLOBAL}",
            ],
        )
        .environment("MOD_WSGI_WORKER", worker)
        .expect_errors()
        .start();
    let log = server.vhost_log(host);
    let said = |log: &Log, text: &str, level: &str| {
        let line = log.wait_for(text);
        assert!(line.contains(&format!("[wsgi:{level}]")), "{line}");
    };
    said(&log, "said at import", "error");
    log.wait_for("written to 1 at import");
    log.wait_for("written to 2 at import");
    server.request(&Request::get("/").header("Host", host)).expect(200);
    said(&log, "said by a thread", "error");
    said(&log, "logged by a thread", "error");
    said(&log, "handled for a thread", "warn");
    log.wait_for("written to 2 by a thread");
    log.wait_for("written to 2 in a request");
    server.stop();
    said(&log, "said at exit", "error");
    log.wait_for("written to 2 at exit");
    let main = server.log();
    for text in ["said ", "written to", "logged by", "handled for"] {
        assert_eq!(main.lines_with(text), Vec::<String>::new());
    }
}

#[test]
fn what_belongs_to_no_request_is_in_the_log_of_the_groups_virtual_host() {
    ours_only!("descriptor 1 of a process of mod_wsgi is that of httpd");
    the_rest_is_logged_where_the_group_is("native");
}

#[test]
fn the_worker_in_python_alone_logs_the_rest_there_too() {
    ours_only!("it has one worker");
    the_rest_is_logged_where_the_group_is("pure");
}

fn restricted(worker: &str) -> Server {
    let ask = "
import sys

def application(environ, start_response):
    answers = [sys.stdout.closed, sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.flush(),
               sys.stdin.closed, sys.stdin.isatty()]
    for refused in (lambda: sys.stdout.write('x'), lambda: print('x'),
                    lambda: sys.stdin.read(), lambda: sys.stdout.fileno()):
        try:
            refused()
        except OSError as error:
            answers.append('restricted' in str(error))
    start_response('200 OK', [])
    return [repr(answers).encode()]
";
    Config::serving("ask.wsgi", "")
        .file("ask.wsgi", ask)
        .line("WSGIRestrictStdin On\nWSGIRestrictStdout On")
        .environment("MOD_WSGI_WORKER", worker)
        .start()
}

#[test]
fn a_restricted_stream_may_be_asked_about() {
    ours_only!("mod_wsgi raises OSError for every attribute");
    for worker in ["native", "pure"] {
        assert_eq!(
            restricted(worker).text("/"),
            "[False, False, 'utf-8', None, False, False, True, True, True, True]",
            "{worker}"
        );
    }
}
