//! What a failing application and a failing script look like to client and administrator.

use crate::harness::{Config, Request, program, settings, wait_for};

#[test]
fn an_exception_is_a_500_with_its_traceback_in_the_log_of_the_vhost() {
    let server = Config::new()
        .daemon("app", "")
        .vhost("one.example", &["WSGIScriptAlias / {apps}/program.wsgi process-group=app"])
        .vhost("two.example", &["WSGIScriptAlias / {apps}/program.wsgi process-group=app"])
        .expect_errors()
        .start();
    let target = program(
        "
        def run(environ, start_response):
            raise LookupError('nowhere to be found')
        ",
    );
    let response = server.request(&Request::get(&target).header("Host", "two.example"));
    assert_eq!(response.status(), 500);
    assert!(!response.text().contains("nowhere"), "the page tells the client about the exception");
    let log = server.vhost_log("two.example");
    let line = log.wait_for("LookupError: nowhere to be found");
    if !settings().reference {
        assert!(log.text().contains("Traceback (most recent call last)"));
    }
    // The request's log id joins the lines of one request.
    let id = line.split("[id ").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    assert!(id.len() > 5, "no log id in {line:?}");
    assert_eq!(server.vhost_log("one.example").text(), "");
    assert!(!server.log().text().contains("LookupError"));
}

#[test]
fn every_kind_of_exception_leaves_the_worker_alive() {
    let server = Config::serving("program.wsgi", "threads=1").expect_errors().start();
    let pid_of = program(
        "
        import os
        def run(environ, start_response):
            start_response('200 OK', [])
            return [str(os.getpid()).encode()]
        ",
    );
    let before = server.text(&pid_of);
    for exception in [
        "SystemExit(1)",
        "KeyboardInterrupt()",
        "GeneratorExit()",
        "MemoryError()",
        "RecursionError()",
        "StopIteration()",
        "BaseException('\\ud800')",
        "type('Odd', (Exception,), {'__str__': lambda self: 1 // 0})()",
    ] {
        let source = format!("def run(environ, start_response):\n    raise {exception}\n");
        assert_eq!(server.get(&program(&source)).status(), 500, "{exception}");
    }
    assert_eq!(server.text(&pid_of), before, "the process was replaced");
}

#[test]
fn a_script_that_does_not_load_is_a_500_until_it_does() {
    let server = Config::serving("changing.wsgi", "")
        .file("changing.wsgi", "import this is no python\n")
        .expect_errors()
        .start();
    let log = server.log();
    assert_eq!(server.get("/").status(), 500);
    log.wait_for("SyntaxError");
    std::fs::copy(server.app("hello.wsgi"), server.app("changing.wsgi")).unwrap();
    let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
    while server.get("/").status() != 200 {
        assert!(std::time::Instant::now() < deadline, "the mended script is not served");
    }
}

#[test]
fn a_script_without_its_callable_is_a_500() {
    let server = Config::serving("empty.wsgi", "")
        .file("empty.wsgi", "nothing = None\n")
        .expect_errors()
        .start();
    let log = server.log();
    assert_eq!(server.get("/").status(), 500);
    log.wait_for("application");
}

#[test]
fn a_script_that_goes_is_missed_soon_and_one_that_comes_is_found_at_once() {
    let server = Config::serving("coming.wsgi", "").file("coming.wsgi", "").expect_errors().start();
    let script = server.app("coming.wsgi");
    std::fs::remove_file(&script).unwrap();
    for path in ["/", "/with/path/info"] {
        wait_for("404", || (server.get(path).status() == 404).then_some(()));
        std::fs::write(&script, "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'here']\n").unwrap();
        assert_eq!(server.text(path), "here");
        std::fs::remove_file(&script).unwrap();
    }
    wait_for("404", || (server.get("/").status() == 404).then_some(()));
}

#[test]
fn script_locations_have_the_statuses_of_httpd() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app\nAddHandler wsgi-script .wsgi")
        .mount("/missing", "missing.wsgi")
        .mount("/apps/", "")
        .line("Alias /plain {apps}\nAlias /exec {apps}\n<Location /exec>\nOptions +ExecCGI\n</Location>")
        .line("WSGIScriptAlias /outside {root}/outside.wsgi")
        .expect_errors()
        .expect_log("AH01630")
        .start();
    std::fs::write(server.root().join("outside.wsgi"), "").unwrap();
    assert_eq!(server.get("/missing").status(), 404);
    assert_eq!(server.get("/apps/").status(), 403);
    assert_eq!(server.get("/apps/none.wsgi").status(), 404);
    assert_eq!(server.get("/plain/hello.wsgi").status(), 403);
    assert_eq!(server.get("/exec/hello.wsgi").status(), 200);
    assert_eq!(server.get("/outside").status(), 403);
}

#[test]
fn prints_and_wsgi_errors_go_to_the_log_of_the_vhost() {
    let server = Config::new()
        .daemon("app", "")
        .vhost("one.example", &["WSGIScriptAlias / {apps}/program.wsgi process-group=app"])
        .expect_errors()
        .start();
    let target = program(
        "
        import logging, sys
        def run(environ, start_response):
            environ['wsgi.errors'].write('to the errors\\n')
            environ['wsgi.errors'].writelines(['half ', 'and half\\n'])
            print('to stdout')
            print('to stderr', file=sys.stderr)
            logging.warning('to logging')
            environ['wsgi.errors'].write('without an end')
            environ['wsgi.errors'].flush()
            start_response('200 OK', [])
            return []
        ",
    );
    server.request(&Request::get(&target).header("Host", "one.example")).expect(200);
    let log = server.vhost_log("one.example");
    let texts = [
        "to the errors",
        "half and half",
        "to stdout",
        "to stderr",
        "to logging",
        "without an end",
    ];
    for text in texts {
        log.wait_for(text);
    }
}

#[test]
fn what_an_application_logs_cannot_forge_lines() {
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    let target = program(
        "
        def run(environ, start_response):
            environ['wsgi.errors'].write('a\\x1b[2Jb\\x00c\\rd\\n')
            start_response('200 OK', [])
            return []
        ",
    );
    server.get(&target).expect(200);
    let log = server.log();
    log.wait_for("a\\x1b");
    assert!(!log.text().contains(['\u{1b}', '\0', '\r']));
}

#[test]
fn unknown_and_restricted_groups_are_500s_at_request_time() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIScriptAlias /unknown {apps}/hello.wsgi process-group=nobody")
        .line("WSGIScriptAlias /allowed {apps}/hello.wsgi process-group=app")
        .line("WSGIScriptAlias /refused {apps}/hello.wsgi process-group=app")
        .line("<Location /allowed>\nWSGIRestrictProcess app other\n</Location>")
        .line("<Location /refused>\nWSGIRestrictProcess other\n</Location>")
        .expect_errors()
        .start();
    assert_eq!(server.get("/unknown").status(), 500);
    server.log().wait_for("nobody");
    assert_eq!(server.get("/allowed").status(), 200);
    assert_eq!(server.get("/refused").status(), 500);
}

#[test]
fn restrict_embedded_refuses_requests_without_a_group() {
    let server = Config::new()
        .line("WSGIRestrictEmbedded On")
        .mount("/", "hello.wsgi")
        .expect_errors()
        .start();
    assert_eq!(server.get("/").status(), 500);
}
