//! What start_response accepts, what it refuses, and what reaches the client of it.

use crate::harness::{Config, Request, Server, program};
use crate::ours_only;

/// A request whose application calls `start_response` with these arguments.
fn call(arguments: &str) -> String {
    program(&format!(
        "def run(environ, start_response):\n    start_response({arguments})\n    return [b'unharmed']\n"
    ))
}

#[track_caller]
fn refuse_each(server: &Server, calls: &[&str]) {
    for arguments in calls {
        let log = server.log().cursor();
        let response = server.get(&call(arguments));
        assert_eq!(response.status(), 500, "start_response({arguments})");
        assert!(!response.text().contains("unharmed"), "start_response({arguments})");
        log.wait_for("Error");
    }
    assert_eq!(server.text(&call("'200 OK', []")), "unharmed");
}

#[test]
fn what_wsgi_forbids_is_a_500_with_a_traceback() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    refuse_each(
        &server,
        &[
            "b'200 OK', []",
            "None, []",
            "200, []",
            "'', []",
            "'99 x', []",
            "'1000 x', []",
            "'200OK', []",
            "'200 a\\tb', []",
            "'200 a\\r\\nX: y', []",
            "'200 \\u20ac', []",
            "'200 OK', ()",
            "'200 OK', None",
            "'200 OK', {}",
            "'200 OK', ['ab']",
            "'200 OK', [('a', 'b', 'c')]",
            "'200 OK', [['a', 'b']]",
            "'200 OK', [(b'A', 'b')]",
            "'200 OK', [('A', b'b')]",
            "'200 OK', [('A', 1)]",
            "'200 OK', [('A', None)]",
            "'200 OK', [('', 'b')]",
            "'200 OK', [('A B', 'c')]",
            "'200 OK', [('A\\r\\nB', 'c')]",
            "'200 OK', [('A', 'b\\rc')]",
            "'200 OK', [('A', 'b\\nc')]",
            "'200 OK', [('A', 'b\\r\\nSet-Cookie: evil=1')]",
            "'200 OK', [('A', '\\u20ac')]",
            "'200 OK', [('\\u20ac', 'b')]",
            "'200 OK', [], 'no tuple'",
        ],
    );
}

#[test]
fn nul_bytes_colons_in_names_and_lengths_that_are_no_numbers_are_refused() {
    ours_only!("mod_wsgi lets them pass");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    refuse_each(
        &server,
        &[
            "'200 a\\0b', []",
            "'200 OK', [('A\\0', 'c')]",
            "'200 OK', [('A', 'b\\0c')]",
            "'200 OK', [('A:B', 'c')]",
            "'200 OK', [('A:', 'c')]",
            "'200 OK', [('Content-Length', 'four')]",
            "'200 OK', [('Content-Length', '')]",
            "'200 OK', [('Content-Length', '-1')]",
            "'200 OK', [('Content-Length', '+4')]",
            "'200 OK', [('Content-Length', '0x4')]",
            "'200 OK', [('Content-Length', '4 4')]",
            "'200 OK', [('Content-Length', '4, 4')]",
            "'200 OK', [('Content-Length', '99999999999999999999999')]",
        ],
    );
}

#[test]
fn no_response_can_be_split() {
    // httpd has a check of its own (AH02430); what it stops is no failure of ours.
    let server = Config::serving("program.wsgi", "").expect_errors().expect_log("AH02430").start();
    let attempts = [
        "'200 OK\\r\\nSet-Cookie: evil=1', []",
        "'200 OK\\nSet-Cookie: evil=1', []",
        "'200 OK', [('X', 'a\\r\\nSet-Cookie: evil=1')]",
        "'200 OK', [('X', 'a\\nSet-Cookie: evil=1')]",
        "'200 OK', [('X', 'a\\r\\n\\r\\n<script>')]",
        "'200 OK', [('X: y\\r\\nSet-Cookie', 'evil=1')]",
        "'200 OK', [('Set-Cookie: evil=1\\r\\nX', 'y')]",
        "'200 OK', [('X', 'a\\x0bSet-Cookie: evil=1')]",
        "'200 OK', [('X', 'a\\x85Set-Cookie: evil=1')]",
    ];
    for arguments in attempts {
        let response = server.get(&call(arguments));
        assert_eq!(response.header("Set-Cookie"), None, "start_response({arguments})");
        assert!(!response.text().contains("<script>"), "start_response({arguments})");
    }
}

#[test]
fn statuses_and_headers_reach_the_client() {
    let server = Config::serving("program.wsgi", "").start();
    let response = server.get(&call(
        "'299 Quite Fine', [('Content-Type', 'text/plain'), ('X-One', 'caf\\xe9'), \
         ('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2'), \
         ('WWW-Authenticate', 'Basic'), ('WWW-Authenticate', 'Digest')]",
    ));
    assert_eq!((response.status(), response.head.reason.as_str()), (299, "Quite Fine"));
    assert_eq!(response.header("Content-Type"), Some("text/plain"));
    assert_eq!(response.header("X-One"), Some("caf\u{e9}"));
    assert_eq!(response.head.all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(response.head.all("WWW-Authenticate"), ["Basic", "Digest"]);
    assert_eq!(response.text(), "unharmed");

    for status in [201, 206, 301, 400, 404, 410, 418, 499, 500, 503, 599] {
        let response = server.get(&call(&format!("'{status} Reason', []")));
        assert_eq!((response.status(), response.text().as_str()), (status, "unharmed"));
    }
}

#[test]
fn a_status_without_a_reason_is_accepted() {
    let server = Config::serving("program.wsgi", "").start();
    assert_eq!(server.get(&call("'200', []")).expect(200).text(), "unharmed");
    assert_eq!(server.get(&call("'404 ', []")).expect(404).text(), "unharmed");
}

#[test]
fn repeated_headers_stay_as_they_are() {
    ours_only!("mod_wsgi's daemon mode merges them");
    let server = Config::serving("program.wsgi", "").start();
    let response = server.get(&call(
        "'200 OK', [('Content-Type', 'Text/Plain; Charset=X'), ('Link', '</a>'), \
         ('Link', '</b>'), ('Last-Modified', 'whatever')]",
    ));
    assert_eq!(response.header("Content-Type"), Some("Text/Plain; Charset=X"));
    assert_eq!(response.head.all("Link"), ["</a>", "</b>"]);
    assert_eq!(response.header("Last-Modified"), Some("whatever"));
}

#[test]
fn hop_by_hop_headers_of_the_application_cannot_break_the_framing() {
    ours_only!("mod_wsgi passes Transfer-Encoding on");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let headers = [
        "('Connection', 'keep-alive')",
        "('Keep-Alive', 'timeout=1000')",
        "('Transfer-Encoding', 'chunked')",
        "('Transfer-Encoding', 'gzip')",
        "('Upgrade', 'websocket'), ('Connection', 'upgrade')",
        "('Trailer', 'X-Late')",
        "('TE', 'trailers')",
    ];
    for header in headers {
        let mut connection = server.connect();
        let first =
            connection.exchange(&Request::get(&call(&format!("'200 OK', [{header}]")))).unwrap();
        match first.status() {
            200 => assert_eq!(first.text(), "unharmed", "{header}"),
            status => assert_eq!(status, 500, "{header}"),
        }
        if first.header("Connection").is_none_or(|value| !value.contains("close")) {
            let next = Request::get(&call("'200 OK', []"));
            assert_eq!(connection.exchange(&next).unwrap().text(), "unharmed", "{header}");
        }
    }
}

#[test]
fn a_second_call_without_exc_info_after_output_is_an_error() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let target = program(
        "
        def run(environ, start_response):
            write = start_response('200 OK', [('Content-Length', '6')])
            write(b'first')
            try:
                start_response('500 Late', [])
            except Exception as error:
                write(b'!')
            return []
        ",
    );
    assert_eq!(server.text(&target), "first!");
}

#[test]
fn exc_info_replaces_a_response_that_has_not_started() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let target = program(
        "
        import sys
        def run(environ, start_response):
            start_response('200 OK', [('X-Old', '1')])
            try:
                raise ValueError('early')
            except ValueError:
                start_response('503 Sorry', [('X-New', '1')], sys.exc_info())
            return [b'replaced']
        ",
    );
    let response = server.get(&target).expect(503);
    assert_eq!((response.header("X-Old"), response.header("X-New")), (None, Some("1")));
    assert_eq!(response.text(), "replaced");
}

#[test]
fn exc_info_after_output_raises_it_again() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let log = server.log();
    let target = program(
        "
        import sys
        def run(environ, start_response):
            write = start_response('200 OK', [('Content-Length', '5')])
            write(b'first')
            try:
                raise ValueError('too late for a page')
            except ValueError as error:
                try:
                    start_response('500 Late', [], sys.exc_info())
                except ValueError as again:
                    print('raised again:', again is error)
            return []
        ",
    );
    assert_eq!(server.text(&target), "first");
    log.wait_for("raised again: True");
}

#[test]
fn a_response_without_start_response_is_a_500() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let results = ["[b'body']", "[]", "None", "b'bytes'", "'text'", "42"];
    for result in results {
        let source = format!("def run(environ, start_response):\n    return {result}\n");
        assert_eq!(server.get(&program(&source)).status(), 500, "{result}");
    }
    for result in ["['text']", "[None]", "[1]", "None", "42", "'text'"] {
        let source = format!(
            "def run(environ, start_response):\n    \
             start_response('200 OK', [])\n    return {result}\n"
        );
        assert_eq!(server.get(&program(&source)).status(), 500, "{result} after start_response");
    }
}

#[test]
fn headers_at_their_limits_pass() {
    let server = Config::serving("program.wsgi", "").start();
    let response = server.get(&call("'200 OK', [('X-Long', 'v' * 8000)]")).expect(200);
    assert_eq!(response.header("X-Long").map(str::len), Some(8000));
    let response =
        server.get(&call("'200 OK', [('X-%d' % n, 'v') for n in range(200)]")).expect(200);
    let count = response.head.headers.iter().filter(|(name, _)| name.starts_with("X-")).count();
    assert_eq!(count, 200);
}

#[test]
fn a_401_without_the_authorization_header_is_explained_once() {
    ours_only!("mod_wsgi does not say why nobody may log in");
    let server = Config::serving("program.wsgi", "").expect_log("MWR1206").one_process().start();
    let target = program(
        "
        def run(environ, start_response):
            status = '200 OK' if 'HTTP_AUTHORIZATION' in environ else '401 Unauthorized'
            start_response(status, [('WWW-Authenticate', 'Bearer')])
            return []
        ",
    );
    assert_eq!(server.get(&target).status(), 401);
    let request = Request::get(&target).header("Authorization", "Bearer token");
    for _ in 0..3 {
        assert_eq!(server.request(&request).status(), 401);
    }
    server.log().wait_for("WSGIPassAuthorization On passes it on");
    assert_eq!(server.log().lines_with("MWR1206").len(), 1);
}
