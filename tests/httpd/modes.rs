//! Ways to run httpd and its filters: one process, HTTP/2, sendfile, HEAD seen as GET, request
//! heads at their limits.

use std::process::Command;

use crate::harness::{Config, Request, Server, program};
use crate::ours_only;

const METHOD: &str = "
def run(environ, start_response):
    body = environ['REQUEST_METHOD'].encode()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]
";

#[test]
fn one_process_serves_and_leaves_nothing_behind() {
    ours_only!("mod_wsgi runs the application inside of the one process");
    let mut server = Config::serving("hello.wsgi", "threads=2").one_process().start();
    for _ in 0..3 {
        server.get("/").expect(200);
    }
    let supervisor = server.supervisor().unwrap();
    assert!(supervisor.is_child_of(server.pid()));
    let processes = server.processes();
    server.stop();
    assert!(processes.iter().all(|process| !process.is_alive()));
}

/// A request through curl, which speaks HTTP/2; none where curl is missing.
fn curl(server: &Server, arguments: &[&str], target: &str) -> Option<(i32, Vec<u8>)> {
    let url = format!("http://{}{target}", server.address());
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--http2-prior-knowledge"])
        .args(arguments)
        .arg(url)
        .output();
    match output {
        Ok(output) => Some((output.status.code().unwrap_or(-1), output.stdout)),
        Err(_) => {
            println!("SKIPPED: HTTP/2 needs curl");
            None
        }
    }
}

fn http2() -> Server {
    Config::serving("program.wsgi", "")
        .module("http2")
        .line("Protocols h2c http/1.1")
        // Debian's prefork has it too, and says that it is a bad idea.
        .expect_log("AH10034")
        .expect_errors()
        .start()
}

#[test]
fn http_2_requests_are_served() {
    let server = http2();
    let target = program(
        "
        def run(environ, start_response):
            length = len(environ['wsgi.input'].read())
            body = '{} {}'.format(environ['SERVER_PROTOCOL'], length).encode()
            start_response('200 OK', [('Content-Length', str(len(body)))])
            return [body]
        ",
    );
    let Some((code, body)) = curl(&server, &[], &target) else { return };
    assert_eq!((code, &*body), (0, &b"HTTP/2.0 0"[..]));
    let upload = server.scratch("upload");
    std::fs::write(&upload, vec![b'x'; 300_000]).unwrap();
    let file = upload.display().to_string();
    let (code, body) = curl(&server, &["--upload-file", &file], &target).unwrap();
    assert_eq!((code, &*body), (0, &b"HTTP/2.0 300000"[..]));
}

#[test]
fn a_broken_off_http_2_response_resets_its_stream() {
    ours_only!("mod_wsgi ends the response as if it were complete");
    let server = http2();
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            raise ValueError('in the middle')
        ",
    );
    let Some((code, body)) = curl(&server, &[], &target) else { return };
    assert_ne!(code, 0, "the response looks complete");
    // A reset may overtake what was sent before.
    assert!(b"first".starts_with(&body), "{}", String::from_utf8_lossy(&body));
}

#[test]
fn file_wrapper_sends_the_same_bytes_with_sendfile() {
    let server = Config::serving("program.wsgi", "")
        .line("EnableSendfile On")
        .line("WSGIEnableSendfile On")
        .start();
    let path = server.scratch("big");
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let target = program(&format!(
        "
        def run(environ, start_response):
            source = open('{}', 'rb')
            source.seek(1000)
            start_response('200 OK', [])
            return environ['wsgi.file_wrapper'](source)
        ",
        path.display()
    ));
    for _ in 0..3 {
        let response = server.get(&target).expect(200);
        assert_eq!(response.header("Content-Length"), Some("2999000"));
        assert!(response.body == content[1000..]);
    }
}

#[test]
fn head_is_seen_as_get_when_told_so() {
    for (setting, seen) in [("On", "GET"), ("Off", "HEAD")] {
        let server = Config::serving("program.wsgi", "")
            .line(&format!("WSGIMapHEADToGET {setting}"))
            .start();
        let announce =
            METHOD.replace("[('Content", "[('X-Method', environ['REQUEST_METHOD']), ('Content");
        let response = server.request(&Request::new("HEAD", &program(&announce))).expect(200);
        assert_eq!(response.header("X-Method"), Some(seen));
        assert!(response.body.is_empty());
    }
}

#[test]
fn request_heads_at_httpds_limits_reach_the_application() {
    let server = Config::serving("program.wsgi", "").start();
    let target = program(
        "
        def run(environ, start_response):
            total = sum(len(v) for k, v in environ.items() if k.startswith('HTTP_X_'))
            start_response('200 OK', [])
            return [str(total).encode()]
        ",
    );
    let mut request = Request::get(&target);
    let value = "v".repeat(8000);
    for number in 0..90 {
        request = request.header(&format!("X-{number}"), &value);
    }
    assert_eq!(server.request(&request).expect(200).text(), (90 * 8000).to_string());
}
