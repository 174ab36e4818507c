//! Bodies of responses: when they go out, how they end, what framing they get.

use crate::harness::{Config, Connection, Gate, Request, program};
use crate::ours_only;

fn gated(gate: &Gate, source: &str) -> Request {
    Request::get(&format!("{}&{}", program(source), gate.query()))
}

#[test]
fn a_generator_is_streamed_as_it_produces() {
    let server = Config::serving("program.wsgi", "").start();
    let gate = Gate::open();
    let mut connection = server.connect();
    let request = gated(
        &gate,
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            gate.wait(environ)
            yield b''
            yield b'second'
        ",
    );
    connection.send(&request).unwrap();
    let visitor = gate.visitor();
    assert_eq!(connection.head().unwrap().status, 200);
    assert_eq!(connection.chunk().unwrap().unwrap(), b"first");
    visitor.release();
    assert_eq!(connection.chunk().unwrap().unwrap(), b"second");
    assert_eq!(connection.chunk().unwrap(), None);
}

#[test]
fn write_sends_at_once_and_comes_before_the_iterable() {
    let server = Config::serving("program.wsgi", "").start();
    let gate = Gate::open();
    let mut connection = server.connect();
    let request = gated(
        &gate,
        "
        def run(environ, start_response):
            write = start_response('200 OK', [('Content-Length', '15')])
            write(b'first')
            gate.wait(environ)
            write(b'then ')
            return [b'last!']
        ",
    );
    connection.send(&request).unwrap();
    let visitor = gate.visitor();
    let head = connection.head().unwrap();
    assert_eq!(head.header("Content-Length"), Some("15"));
    visitor.release();
    assert_eq!(connection.body(&head).unwrap(), b"firstthen last!");
}

#[test]
fn the_application_runs_before_its_headers_are_due() {
    let server = Config::serving("program.wsgi", "").start();
    // start_response inside a generator is called at the first next(); headers wait for data.
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [('X-First', '1')])
            yield b''
            start_response('201 Created', [('X-Second', '1')], (None, None, None))
            yield b'body'
        ",
    );
    let response = server.get(&target);
    assert_eq!(response.text(), "body");
    assert!([200, 201].contains(&response.status()));
}

#[test]
fn close_is_called_once_after_the_last_item() {
    let server = Config::serving("program.wsgi", "").start();
    let gate = Gate::open();
    let request = gated(
        &gate,
        "
        def run(environ, start_response):
            door = gate.Gate(environ)
            start_response('200 OK', [])
            return Body([b'a', b'b'], lambda: door.wait('closed'))
        ",
    );
    let mut connection = server.connect();
    connection.send(&request).unwrap();
    let head = connection.head().unwrap();
    let visitor = gate.visitor();
    assert_eq!(visitor.name, "closed");
    // A second close() would need this gate once more; the next request shows that it did not.
    visitor.release();
    assert_eq!(connection.body(&head).unwrap(), b"ab");
    assert_eq!(connection.exchange(&Request::get(&program(ONE))).unwrap().text(), "one");
    assert!(gate.try_visitor().is_none());
}

/// The shortest application of all.
const ONE: &str = "
def run(environ, start_response):
    start_response('200 OK', [])
    return [b'one']
";

#[test]
fn close_is_called_when_the_iteration_fails() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let gate = Gate::open();
    for items in ["iter(lambda: 1 // 0, None)", "['text']", "[b'a', None]"] {
        let source = format!(
            "
            def run(environ, start_response):
                door = gate.Gate(environ)
                start_response('200 OK', [])
                return Body({items}, lambda: door.wait('closed'))
            "
        );
        let mut connection = server.connect();
        connection.send(&gated(&gate, &source)).unwrap();
        let visitor = gate.visitor();
        assert_eq!(visitor.name, "closed", "{items}");
        visitor.release();
    }
    assert_eq!(server.text(&program(ONE)), "one");
}

#[test]
fn an_exception_in_close_is_logged_and_harms_nothing() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let log = server.log();
    let target = program(
        "
        def run(environ, start_response):
            def fail():
                raise ValueError('close went wrong')
            start_response('200 OK', [('Content-Length', '1')])
            return Body([b'a'], fail)
        ",
    );
    assert_eq!(server.text(&target), "a");
    log.wait_for("close went wrong");
    assert_eq!(server.text(&program(ONE)), "one");
}

/// The response must end with the connection, before its framing says so.
#[track_caller]
fn breaks_off(connection: &mut Connection, sent: &[u8]) {
    // What came before the end may still have been on its way through httpd.
    if let Ok(head) = connection.head() {
        let received = connection.body(&head).unwrap_err().received;
        assert!(sent.starts_with(&received), "{received:?}");
    }
    assert!(connection.closed());
}

#[test]
fn a_broken_off_response_never_looks_complete() {
    ours_only!("mod_wsgi's daemon mode ends the chunks as if all were well");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let log = server.log();
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            raise ValueError('in the middle')
        ",
    );
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    breaks_off(&mut connection, b"first");
    log.wait_for("in the middle");
}

#[test]
fn a_body_shorter_than_announced_closes_the_connection() {
    ours_only!("mod_wsgi leaves the client waiting");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [('Content-Length', '10')])
            return [b'short']
        ",
    );
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    breaks_off(&mut connection, b"short");
}

#[test]
fn a_body_longer_than_announced_is_cut() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    for result in ["[b'exactlyMORE']", "[b'exact', b'lyMORE', b'MORE']", "[b'exactly', b'MORE']"] {
        let source = format!(
            "
            def run(environ, start_response):
                start_response('200 OK', [('Content-Length', '7')])
                return {result}
            "
        );
        let mut connection = server.connect();
        let response = connection.exchange(&Request::get(&program(&source))).unwrap();
        assert_eq!(response.text(), "exactly", "{result}");
        let next = connection.exchange(&Request::get(&program(ONE))).unwrap();
        assert_eq!(next.text(), "one", "{result}");
    }
}

#[test]
fn head_and_statuses_without_a_body_send_none() {
    let server = Config::serving("program.wsgi", "").start();
    let mut connection = server.connect();
    let target = |status: &str| {
        program(&format!(
            "
            def run(environ, start_response):
                start_response('{status}', [('X-Method', environ['REQUEST_METHOD'])])
                return [b'body']
            "
        ))
    };
    let head = connection.exchange(&Request::new("HEAD", &target("200 OK"))).unwrap();
    assert_eq!((head.status(), head.header("X-Method")), (200, Some("HEAD")));
    for status in ["204 No Content", "304 Not Modified"] {
        let response = connection.exchange(&Request::get(&target(status))).unwrap();
        assert_eq!(response.status(), status[..3].parse::<u16>().unwrap());
        assert!(response.header("Transfer-Encoding").is_none(), "{status}");
    }
    // Stray bytes of a body would be taken for the start of this response.
    assert_eq!(connection.exchange(&Request::get(&target("200 OK"))).unwrap().text(), "body");
}

#[test]
fn head_keeps_the_length_that_the_application_announces() {
    let server = Config::serving("hello.wsgi", "").start();
    let mut connection = server.connect();
    let head = connection.exchange(&Request::new("HEAD", "/")).unwrap();
    assert_eq!(head.header("Content-Length"), Some("14"));
    assert_eq!(connection.exchange(&Request::get("/")).unwrap().text(), "Hello, World!\n");
}

#[test]
fn an_empty_body_is_a_whole_response() {
    let server = Config::serving("program.wsgi", "").start();
    let mut connection = server.connect();
    for result in ["[]", "[b'']", "[b'', b'']", "iter(())"] {
        let source = format!(
            "
            def run(environ, start_response):
                start_response('200 OK', [])
                return {result}
            "
        );
        let response = connection.exchange(&Request::get(&program(&source))).unwrap();
        assert_eq!((response.status(), response.text().as_str()), (200, ""), "{result}");
    }
}

#[test]
fn chunked_responses_are_plain_for_http_1_0() {
    let server = Config::serving("program.wsgi", "").start();
    let mut connection = server.connect();
    let target = program(ONE);
    connection.raw(format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.header("Transfer-Encoding"), None);
    assert_eq!(connection.body(&head).unwrap(), b"one");
}

#[test]
fn file_wrapper_sends_the_rest_of_a_file() {
    let server = Config::serving("program.wsgi", "")
        .expect_errors()
        .file("data.bin", &"0123456789".repeat(20_000))
        .start();
    let path = server.app("data.bin").display().to_string();
    let target = |seek: usize, headers: &str| {
        program(&format!(
            "
            def run(environ, start_response):
                file = open({path:?}, 'rb')
                file.seek({seek})
                start_response('200 OK', [{headers}])
                return environ['wsgi.file_wrapper'](file)
            "
        ))
    };
    let whole = server.get(&target(0, "")).expect(200);
    assert_eq!((whole.body.len(), &whole.body[..10]), (200_000, &b"0123456789"[..]));
    let rest = server.get(&target(199_995, "")).expect(200);
    assert_eq!(rest.text(), "56789");
    let cut = server.get(&target(5, "('Content-Length', '3')")).expect(200);
    assert_eq!(cut.text(), "567");
}

#[test]
fn file_wrapper_reads_what_is_no_file() {
    let server = Config::serving("program.wsgi", "").start();
    let target = program(
        "
        import io
        def run(environ, start_response):
            start_response('200 OK', [])
            return environ['wsgi.file_wrapper'](io.BytesIO(b'x' * 20000), 1000)
        ",
    );
    assert_eq!(server.get(&target).expect(200).body, vec![b'x'; 20_000]);
}

#[test]
fn a_slow_client_does_not_hold_the_thread() {
    ours_only!("mod_wsgi's thread waits for the client");
    let options = "threads=1 response-buffer-size=67108864";
    let server = Config::serving("program.wsgi", options).start();
    // More than the sockets of both sides can hold.
    let target = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            for number in range(640):
                yield bytes([number % 251]) * 65536
        ",
    );
    let mut slow = server.connect();
    slow.send(&Request::get(&target)).unwrap();
    let head = slow.head().unwrap();
    assert_eq!(server.text(&program(ONE)), "one");
    let body = slow.body(&head).unwrap();
    assert_eq!(body.len(), 640 * 65536);
    let right = |(number, piece): (usize, &[u8])| {
        piece.iter().all(|byte| usize::from(*byte) == number % 251)
    };
    assert!(body.chunks(65536).enumerate().all(right));
}

#[test]
fn a_slow_client_of_a_file_does_not_hold_the_thread() {
    ours_only!("mod_wsgi's thread waits for the client");
    let server = Config::serving("program.wsgi", "threads=1").start();
    let path = server.scratch("big");
    std::fs::write(&path, vec![b'f'; 40 << 20]).unwrap();
    let target = program(&format!(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return environ['wsgi.file_wrapper'](open('{}', 'rb'))
        ",
        path.display()
    ));
    let mut slow = server.connect();
    slow.send(&Request::get(&target)).unwrap();
    let head = slow.head().unwrap();
    assert_eq!(server.text(&program(ONE)), "one");
    assert_eq!(slow.body(&head).unwrap().len(), 40 << 20);
}
