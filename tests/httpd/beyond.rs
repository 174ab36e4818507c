//! What an application has beyond PEP 3333: early hints, and the question whether its client
//! is still there.

use std::process::Command;

use crate::harness::{Config, Gate, Request, Server, program};
use crate::ours_only;

const HINTS: &str = "
def run(environ, start_response):
    hint = environ['wsgi.early_hints']
    if environ['REQUEST_METHOD'] == 'POST':
        hint([('Link', '</read.css>; rel=preload')])
        environ['wsgi.input'].read()
    else:
        hint([('Link', '</a.css>; rel=preload'), ('Link', '</b.js>; rel=preload'),
              ('Connection', 'close'), ('Content-Length', '5')])
        hint([('Link', '<//cdn.example>; rel=preconnect')])
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'after the hints']
";

fn server(worker: &str) -> Server {
    Config::serving("program.wsgi", "threads=2")
        .environment("MOD_WSGI_WORKER", worker)
        .expect_errors()
        .start()
}

fn hints_come_before_the_response(worker: &str) {
    let server = server(worker);
    let target = program(HINTS);
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    let first = connection.head().unwrap();
    assert_eq!((first.status, &*first.reason), (103, "Early Hints"));
    assert_eq!(first.all("Link"), ["</a.css>; rel=preload", "</b.js>; rel=preload"]);
    assert_eq!(first.headers.len(), 2, "{first:?}");
    let second = connection.head().unwrap();
    assert_eq!((second.status, second.all("Link").len()), (103, 1));
    let head = connection.head().unwrap();
    assert_eq!((head.status, head.header("Link")), (200, None));
    assert_eq!(head.header("Content-Type"), Some("text/plain"));
    assert_eq!(connection.body(&head).unwrap(), b"after the hints");

    // 100 Continue is still sent when the application reads.
    let request = Request::post(&target, Vec::new())
        .header("Content-Length", "3")
        .header("Expect", "100-continue");
    connection.send_head(&request).unwrap();
    assert_eq!(connection.head().unwrap().status, 103);
    assert_eq!(connection.head().unwrap().status, 100);
    connection.raw(b"abc").unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(connection.body(&head).unwrap(), b"after the hints");

    let mut old = server.connect();
    old.raw(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let head = old.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(old.body(&head).unwrap(), b"after the hints");
}

#[test]
fn early_hints_come_before_the_response() {
    ours_only!("mod_wsgi has no early hints");
    hints_come_before_the_response("native");
}

#[test]
fn early_hints_of_the_worker_in_python_alone() {
    ours_only!("mod_wsgi has no early hints");
    hints_come_before_the_response("pure");
}

#[test]
fn early_hints_go_to_clients_of_http_2_that_httpd_sends_them_to() {
    ours_only!("mod_wsgi has no early hints");
    let server = Config::serving("program.wsgi", "")
        .module("http2")
        .line("Protocols h2c http/1.1\nH2EarlyHints on")
        // Debian's prefork has it too, and says that it is a bad idea.
        .expect_log("AH10034")
        .start();
    let output = Command::new("curl")
        .args(["--silent", "--include", "--max-time", "20", "--http2-prior-knowledge"])
        .arg(format!("http://{}{}", server.address(), program(HINTS)))
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let (hints, response) = text.split_once("HTTP/2 200").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(hints.matches("HTTP/2 103").count(), 2, "{text}");
    assert!(hints.contains("</b.js>; rel=preload"), "{text}");
    assert!(!response.contains("link:") && response.ends_with("after the hints"), "{text}");
}

#[test]
fn early_hints_that_are_no_header_fields_are_refused() {
    ours_only!("mod_wsgi has no early hints");
    for worker in ["native", "pure"] {
        let server = server(worker);
        let target = program(
            "
            import threading
            def kind(function, *arguments):
                try:
                    function(*arguments)
                except Exception as error:
                    return type(error).__name__
                return 'none'
            def run(environ, start_response):
                hint = environ['wsgi.early_hints']
                found = [kind(hint, [('Link', '</a>\\r\\nSet-Cookie: a=b')]),
                         kind(hint, [('Li nk', 'a')]), kind(hint, 'Link'), kind(hint, [(1, 'a')]),
                         kind(start_response, '103 Early Hints', [])]
                other = threading.Thread(target=lambda: found.append(kind(hint, [])))
                other.start()
                other.join()
                start_response('200 OK', [])
                yield b'begun '
                found.append(kind(hint, [('Link', '</late.css>')]))
                yield ' '.join(found).encode()
            ",
        );
        assert_eq!(
            server.text(&target),
            "begun ValueError ValueError TypeError TypeError ValueError RuntimeError RuntimeError",
            "{worker}"
        );
    }
}

fn a_lost_client_is_noticed(worker: &str) {
    let server = server(worker);
    let gate = Gate::open();
    let source = "
        import time
        def run(environ, start_response):
            connected = environ['mod_wsgi.client_connected']
            door = gate.Gate(environ)
            door.wait(connected())
            deadline = time.time() + 60
            while connected() and time.time() < deadline:
                time.sleep(0.02)
            door.wait(connected())
            start_response('200 OK', [])
            return []
        ";
    let target = format!("{}&{}", program(source), gate.query());
    // With a body that nobody reads: what tells of the client comes behind it.
    for size in [0, 50_000] {
        let mut connection = server.connect();
        connection.send(&Request::post(&target, vec![b'x'; size])).unwrap();
        let visitor = gate.visitor();
        assert_eq!(visitor.name, "True", "{size}");
        connection.reset();
        let visitor = visitor.release_until_next();
        assert_eq!(visitor.name, "False", "{size}");
        visitor.release();
    }
}

#[test]
fn an_application_can_ask_whether_its_client_is_there() {
    ours_only!("mod_wsgi can't be asked");
    a_lost_client_is_noticed("native");
}

#[test]
fn an_application_of_the_worker_in_python_alone_can_ask_too() {
    ours_only!("mod_wsgi can't be asked");
    a_lost_client_is_noticed("pure");
}
