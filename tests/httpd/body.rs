//! Bodies of requests: every size around a buffer, every way to send and to read one.

use std::io::Write;
use std::process::{Command, Stdio};

use super::access::{certificate, free_port};
use crate::harness::{Config, Gate, Request, program};
use crate::{ours_only, skip};

const ECHO: &str = "
def run(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Length', str(len(body))),
                              ('X-Announced', environ.get('CONTENT_LENGTH', 'nothing'))])
    return [body]
";

/// Bytes that no offset error leaves unnoticed; the same for the same length.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().to_owned()
}

#[test]
fn bodies_of_every_size_around_the_buffers_come_back() {
    let server = Config::serving("program.wsgi", "").line("WSGIChunkedRequest On").start();
    let edges = [8_000, 8_192, 16_384, 32_768, 65_536, 131_072, 1 << 20];
    let around = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]);
    let mut connection = server.connect();
    for size in [0, 1, 2].into_iter().chain(around) {
        let body = noise(size);
        let request = Request::post(&program(ECHO), body.clone());
        let response = connection.exchange(&request).unwrap().expect(200);
        assert_eq!(response.header("X-Announced"), Some(size.to_string().as_str()));
        assert!(response.body == body, "{size} bytes by length came back otherwise");
        let response = connection.exchange(&request.chunked()).unwrap().expect(200);
        assert_eq!(response.header("X-Announced"), Some("nothing"));
        assert!(response.body == body, "{size} bytes in chunks came back otherwise");
    }
}

#[test]
fn chunked_bodies_are_refused_unless_allowed() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let request = Request::post(&program(ECHO), "body").chunked();
    assert_eq!(server.request(&request).status(), 411);
}

#[test]
fn every_method_of_the_input_reads_the_same_body() {
    let server = Config::serving("program.wsgi", "").start();
    let body = b"one\ntwo\n\nthree without an end";
    let ways = [
        "[i.read()]",
        "[i.read(-1)]",
        "list(iter(lambda: i.read(1), b''))",
        "list(iter(lambda: i.read(7), b''))",
        "list(iter(lambda: i.readline(), b''))",
        "list(iter(lambda: i.readline(2), b''))",
        "i.readlines()",
        "i.readlines(5) + i.readlines()",
        "list(i)",
        "[i.readline(), i.read(2), next(i)] + list(i)",
        "[i.read(100), i.read(100), i.read(), i.readline()]",
        "[i.read(0), i.read()]",
    ];
    for way in ways {
        let source = format!(
            "
            def run(environ, start_response):
                i = environ['wsgi.input']
                parts = {way}
                assert i.read() == b'' and i.readline() == b'' and list(i) == []
                start_response('200 OK', [])
                return [b'|'.join(parts)]
            "
        );
        let response = server.request(&Request::post(&program(&source), &body[..])).expect(200);
        assert_eq!(response.text().replace('|', ""), String::from_utf8_lossy(body), "{way}");
    }
    let lines = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [repr(environ['wsgi.input'].readlines()).encode()]
        ",
    );
    let response = server.request(&Request::post(&lines, &body[..])).expect(200);
    assert_eq!(response.text(), r"[b'one\n', b'two\n', b'\n', b'three without an end']");
}

#[test]
fn sixty_four_mebibytes_up_keep_their_hash() {
    let server = Config::serving("program.wsgi", "").start();
    let body = noise(64 << 20);
    let target = program(
        "
        import hashlib
        def run(environ, start_response):
            digest = hashlib.sha256()
            for part in iter(lambda: environ['wsgi.input'].read(65536), b''):
                digest.update(part)
            start_response('200 OK', [])
            return [digest.hexdigest().encode()]
        ",
    );
    let expected = sha256(&body);
    assert_eq!(server.request(&Request::post(&target, body)).expect(200).text(), expected);
}

#[test]
fn sixty_four_mebibytes_down_keep_their_hash() {
    let server = Config::serving("program.wsgi", "").start();
    let target = program(
        "
        import hashlib
        def run(environ, start_response):
            blocks = [bytes([n]) * 65536 for n in range(256)] * 4
            digest = hashlib.sha256(b''.join(blocks)).hexdigest()
            start_response('200 OK', [('X-Digest', digest)])
            return iter(blocks)
        ",
    );
    let response = server.get(&target).expect(200);
    assert_eq!(response.body.len(), 64 << 20);
    assert_eq!(response.header("X-Digest"), Some(sha256(&response.body).as_str()));
}

#[test]
fn a_body_that_nobody_reads_does_not_spoil_the_connection() {
    let server = Config::serving("program.wsgi", "").start();
    let ignoring = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [b'ignored']
        ",
    );
    let mut connection = server.connect();
    for size in [1, 100, 70_000, 1 << 20] {
        let response = connection.exchange(&Request::post(&ignoring, noise(size))).unwrap();
        assert_eq!(response.expect(200).text(), "ignored", "{size}");
        let response = connection.exchange(&Request::post(&program(ECHO), "next")).unwrap();
        assert_eq!(response.expect(200).text(), "next", "{size}");
    }
}

const DIGEST: &str = "
def run(environ, start_response):
    import hashlib
    digest = hashlib.sha256()
    for part in iter(lambda: environ['wsgi.input'].read(50000), b''):
        digest.update(part)
    start_response('200 OK', [('Content-Length', '64')])
    return [digest.hexdigest().encode()]
";

#[test]
fn what_follows_a_body_at_once_is_the_next_request() {
    let server = Config::serving("program.wsgi", "").line("WSGIChunkedRequest On").start();
    let mut connection = server.connect();
    for size in [100, 70_000, 300_000] {
        let request = Request::post(&program(DIGEST), noise(size));
        let all = [request.clone(), request.chunked(), Request::get(&program(DIGEST))];
        let bytes: Vec<u8> = all.iter().flat_map(|request| request.bytes("localhost")).collect();
        connection.raw(&bytes).unwrap();
        for expected in [noise(size), noise(size), Vec::new()] {
            let head = connection.head().unwrap();
            assert_eq!(connection.body(&head).unwrap(), sha256(&expected).as_bytes(), "{size}");
        }
    }
}

#[test]
fn a_body_in_tiny_chunks_comes_whole() {
    let server = Config::serving("program.wsgi", "").line("WSGIChunkedRequest On").start();
    let body = noise(3_000);
    let mut connection = server.connect();
    connection.send_head(&Request::post(&program(DIGEST), Vec::new()).chunked()).unwrap();
    let chunks = body.iter().flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    connection.raw(&chunks.chain(*b"0\r\n\r\n").collect::<Vec<_>>()).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(connection.body(&head).unwrap(), sha256(&body).as_bytes());
}

#[test]
fn a_body_over_tls_keeps_its_hash() {
    let Some(certificate) = certificate() else { skip!("openssl makes no certificate") };
    let tls = free_port();
    let body = noise(3 << 20);
    let server = Config::serving("program.wsgi", "")
        .module("ssl")
        .module("http2")
        .file("tls.pem", &certificate)
        .line(&format!(
            "Protocols h2 http/1.1\nListen 127.0.0.1:{tls}\n<VirtualHost 127.0.0.1:{tls}>\nServerName localhost\n\
             SSLEngine On\nSSLCertificateFile {{apps}}/tls.pem\n</VirtualHost>"
        ))
        .expect_log("[ssl:warn]")
        // Under prefork there is no HTTP/2, and httpd says so.
        .expect_log("AH10034")
        .start();
    let url = format!("https://127.0.0.1:{tls}{}", program(DIGEST));
    for version in ["--http1.1", "--http2"] {
        let mut curl = Command::new("curl")
            .args(["-sk", "--max-time", "20", version, "--data-binary", "@-", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        curl.stdin.take().unwrap().write_all(&body).unwrap();
        let output = curl.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(shown, sha256(&body), "{version}: {}", server.log().text());
    }
}

#[test]
fn a_body_is_read_while_the_response_streams() {
    ours_only!("mod_wsgi deadlocks until its socket timeout");
    let server = Config::serving("program.wsgi", "").start();
    // More than every buffer between, in both directions, the output first.
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            for _ in range(48):
                yield b'x' * 65536
            count = 0
            for part in iter(lambda: environ['wsgi.input'].read(65536), b''):
                count += len(part)
            yield b'%d' % count
        ",
    );
    let mut connection = server.connect();
    let length = 3 << 20;
    let request = Request::post(&target, Vec::new()).header("Content-Length", &length.to_string());
    connection.send_head(&request).unwrap();
    let head = connection.head().unwrap();
    let mut output = 0;
    while output < 48 * 65_536 {
        output += connection.chunk().unwrap().unwrap().len();
    }
    connection.raw(&noise(length)).unwrap();
    assert_eq!(connection.body(&head).unwrap(), length.to_string().as_bytes());
}

#[test]
fn a_small_body_arrives_while_the_client_still_owes_the_rest() {
    ours_only!("mod_wsgi's daemon mode uploads the whole body before it starts the application");
    let server = Config::serving("program.wsgi", "").start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            door = gate.Gate(environ)
            door.wait(environ['wsgi.input'].read(5).decode())
            rest = environ['wsgi.input'].read()
            start_response('200 OK', [])
            return [rest]
        ";
    let request = Request::post(&format!("{}&{}", program(source), gate.query()), Vec::new())
        .header("Content-Length", "9");
    let mut connection = server.connect();
    connection.send_head(&request).unwrap();
    connection.raw(b"first").unwrap();
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "first");
    visitor.release();
    connection.raw(b"then").unwrap();
    let head = connection.head().unwrap();
    assert_eq!(connection.body(&head).unwrap(), b"then");
}

#[test]
fn one_hundred_continue_is_sent_when_the_application_reads() {
    ours_only!("mod_wsgi's daemon mode always sends it");
    let server = Config::serving("program.wsgi", "").start();
    let request = Request::post(&program(ECHO), Vec::new())
        .header("Content-Length", "4")
        .header("Expect", "100-continue");
    let mut connection = server.connect();
    connection.send_head(&request).unwrap();
    assert_eq!(connection.head().unwrap().status, 100);
    connection.raw(b"body").unwrap();
    let head = connection.head().unwrap();
    assert_eq!((head.status, connection.body(&head).unwrap()), (200, b"body".to_vec()));

    let refusing = program(
        "
        def run(environ, start_response):
            start_response('403 Forbidden', [])
            return [b'no']
        ",
    );
    let request = Request::post(&refusing, Vec::new())
        .header("Content-Length", "1000000")
        .header("Expect", "100-continue");
    let mut connection = server.connect();
    connection.send_head(&request).unwrap();
    assert_eq!(connection.head().unwrap().status, 403);
}

#[test]
fn a_half_closed_connection_still_gets_its_response() {
    let server = Config::serving("program.wsgi", "").start();
    let mut connection = server.connect();
    connection.send(&Request::post(&program(ECHO), "body")).unwrap();
    connection.half_close().unwrap();
    let head = connection.head().unwrap();
    assert_eq!(connection.body(&head).unwrap(), b"body");
}

#[test]
fn a_body_over_the_limit_is_a_413() {
    let server = Config::serving("program.wsgi", "")
        .line("LimitRequestBody 1000")
        .expect_log("AH")
        .expect_errors()
        .start();
    let request = Request::post(&program(ECHO), noise(1000));
    assert_eq!(server.request(&request).status(), 200);
    let request = Request::post(&program(ECHO), noise(1001));
    assert_eq!(server.request(&request).status(), 413);
}

#[test]
fn malformed_lengths_and_encodings_are_refused() {
    let server = Config::serving("program.wsgi", "")
        .line("WSGIChunkedRequest On")
        .expect_errors()
        .expect_log("AH")
        .start();
    let target = program(ECHO);
    let cases = [
        ("Content-Length: four\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
    ];
    for (header, status) in cases {
        let mut connection = server.connect();
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
        connection.raw(head.as_bytes()).unwrap();
        let found = connection.head().unwrap().status;
        assert!(found == status || (status == 501 && found == 400), "{header:?}: {found}");
    }
    // A chunk size that is none ends the request, not the worker.
    let mut connection = server.connect();
    let head = "Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n";
    connection.raw(format!("POST {target} HTTP/1.1\r\n{head}").as_bytes()).unwrap();
    assert!((400..=500).contains(&connection.head().unwrap().status));
    assert_eq!(server.request(&Request::post(&target, "fine")).expect(200).text(), "fine");
}
