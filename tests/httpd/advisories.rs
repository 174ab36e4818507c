//! Mistakes that other gateways published as advisories, each asked of this module. More of them
//! are in `security.rs`, `start_response.rs`, `proxies.rs`, `privileges.rs` and `disconnect.rs`.

use std::thread;

use crate::harness::{Config, Request, Server, program};
use crate::ours_only;

const ECHO: &str = "
def application(environ, start_response):
    keys = ('REQUEST_METHOD', 'REQUEST_URI', 'SCRIPT_NAME', 'PATH_INFO', 'REMOTE_USER')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return ['|'.join(environ.get(key, '-') for key in keys).encode('latin-1')]
";

fn echo(lines: &str) -> Config {
    Config::serving("echo.wsgi", "").file("echo.wsgi", ECHO).line(lines)
}

/// CVE-2014-0242: a header value was read after its memory had been given to another request.
#[test]
fn header_values_never_show_up_in_another_response() {
    let server = Config::serving("own.wsgi", "threads=8")
        .file(
            "own.wsgi",
            "
def application(environ, start_response):
    own = environ['QUERY_STRING']
    start_response('200 ' + own, [('Content-Type', 'text/' + own), ('X-Own', own * 20)])
    return [own.encode()]
",
        )
        .start();
    thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0..40 {
                    let own = format!("c{client}n{number}");
                    let request = Request::get(&format!("/?{own}"));
                    let response = connection.exchange(&request).unwrap();
                    assert_eq!(response.header("Content-Type").unwrap(), format!("text/{own}"));
                    assert_eq!(response.header("X-Own").unwrap(), own.repeat(20));
                    assert_eq!(response.head.reason, own);
                    assert_eq!(response.text(), own);
                }
            });
        }
    });
}

/// CVE-2024-38473 to 38475: rules were checked for one spelling of a URL, and another one ran.
#[test]
fn no_spelling_of_a_url_gets_around_the_rules_for_it() {
    let server = echo("<Location /admin>\nRequire all denied\n</Location>")
        .expect_errors()
        .expect_log("AH0")
        .expect_log("AH10244")
        .start();
    for target in [
        "/admin",
        "/admin/",
        "//admin",
        "/%61dmin",
        "/./admin/x",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/.%2e/admin",
        "/;/../admin",
        "/admin%3fx",
        "/admin?x",
        "/admin/%2e",
    ] {
        let response = server.get(target);
        let status = response.status();
        // What is another name to httpd is another one to the application.
        let other = status == 200 && !response.text().contains("/admin|");
        assert!(status == 403 || other, "{target}: {status} {}", response.text());
    }
}

/// CVE-2024-38476: a response of an application reached handlers that the client may not reach.
#[test]
fn an_internal_redirect_obeys_the_rules_of_its_target() {
    ours_only!("mod_wsgi's embedded mode passes it on");
    let server = Config::serving("redirect.wsgi", "")
        .file(
            "redirect.wsgi",
            "
def application(environ, start_response):
    start_response('200 OK', [('Location', environ['QUERY_STRING'])])
    return [b'own body']
",
        )
        .file("open/page.txt", "page")
        .file("closed/page.txt", "secret")
        .line("Alias /open {apps}/open\nAlias /closed {apps}/closed")
        .line("<Directory {apps}/closed>\nRequire all denied\n</Directory>")
        .expect_log("AH01630")
        .expect_log("AH10244")
        .start();
    assert_eq!(server.text("/?/open/page.txt"), "page");
    let response = server.get("/?/closed/page.txt");
    assert_eq!(response.status(), 403);
    assert!(!response.text().contains("secret"));
    assert_eq!(server.get("/?/../../etc/passwd").status(), 400);
}

/// CVE-2025-65082: variables of the configuration took the place of what the server had found out.
#[test]
fn a_variable_does_not_replace_the_user_whom_httpd_authenticated() {
    let server = echo("SetEnv REMOTE_USER forged\nSetEnv AUTH_TYPE forged")
        .module("auth_basic")
        .module("authn_core")
        .module("authn_file")
        .module("authz_user")
        .file("users", "trac:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
        .line(
            "<Location /login>\nAuthType Basic\nAuthName realm\nAuthUserFile {apps}/users\n\
             Require valid-user\n</Location>",
        )
        .start();
    let login = Request::get("/login").header("Authorization", "Basic dHJhYzpwYXNzd29yZA==");
    assert!(server.request(&login).expect(200).text().ends_with("|trac"));
}

/// CVE-2021-36160, and request targets that gunicorn and waitress stumbled over.
#[test]
fn odd_request_targets_are_refused_or_told_as_they_are() {
    let server = echo("").expect_errors().expect_log("AH").start();
    for (target, statuses) in [
        ("*", &[200, 400, 404][..]),
        ("", &[400]),
        ("no-slash", &[400]),
        ("http://h", &[200]),
        ("http://h?q", &[200, 400]),
        ("http:///x", &[200, 400]),
        ("//", &[200]),
        ("/?", &[200]),
        ("/#fragment", &[200, 400]),
        ("/\u{1}", &[400]),
        ("/%2f", &[404]),
        ("/%", &[400]),
        ("/%c0%ae", &[200]),
        ("/\\..\\x", &[200, 400]),
    ] {
        for method in ["GET", "OPTIONS"] {
            let mut connection = server.connect();
            let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            connection.raw(request.as_bytes()).unwrap();
            let status = connection.head().unwrap().status;
            assert!(statuses.contains(&status), "{method} {target:?}: {status}");
        }
    }
    assert!(server.text("/%c0%ae").contains("|/\u{fffd}\u{fffd}|"));
}

/// CVE-2024-49768: behind a request that had failed, its body ran as the next one.
#[test]
fn the_body_of_a_refused_request_is_no_request() {
    let server = echo("").expect_errors().expect_log("AH").start();
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    for head in [
        format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x{}", hidden.len()),
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked".to_owned(),
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked".to_owned(),
        format!("POST / HTTP/1.1\r\nHost: h h\r\nContent-Length: {}", hidden.len()),
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked".to_owned(),
    ] {
        let mut connection = server.connect();
        connection.raw(format!("{head}\r\n\r\n{hidden}").as_bytes()).unwrap();
        let first = connection.head().unwrap();
        assert!(first.status >= 400, "{head}: {}", first.status);
        let body = connection.body(&first).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&body).contains("/hidden"));
        // Nothing follows, or another refusal.
        if let Ok(second) = connection.head() {
            assert!(second.status >= 400, "{head}: then {}", second.status);
        }
    }
}

/// CVE-2020-11984, CVE-2014-3583, CVE-2010-3872: headers of a response without bounds.
#[test]
fn response_headers_beyond_all_bounds_are_an_error_and_harm_nobody() {
    ours_only!("the limits are our own");
    let server = Config::serving("program.wsgi", "").expect_errors().start();
    for fields in [
        "[('X-Long', 'v' * (2 << 20))]",
        "[('X' * 70000, 'v')]",
        "[('X-%d' % n, 'v') for n in range(100000)]",
        "[('X-%d' % n, 'v' * 1000000) for n in range(40)]",
    ] {
        let source = format!(
            "
def run(environ, start_response):
    start_response('200 OK', {fields})
    return [b'body']
"
        );
        let status = server.get(&program(&source)).status();
        assert!([500, 502].contains(&status), "{fields}: {status}");
    }
    assert_eq!(hello(&server), "hello");
}

fn hello(server: &Server) -> String {
    let source = "
def run(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";
    server.text(&program(source))
}

/// CVE-2013-2119 and its followers: files of a predictable name where everybody may write.
#[test]
fn nothing_is_left_in_folders_that_others_can_write_to() {
    ours_only!("mod_wsgi has socket files");
    let server = Config::serving("program.wsgi", "").start();
    assert_eq!(hello(&server), "hello");
    let here: Vec<_> = std::fs::read_dir(server.root().join("run"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        // DefaultRuntimeDir is root's, and what comes there is asked who it is.
        .filter(|name| name.contains("wsgi") && name != "wsgictl.sock")
        .collect();
    assert!(here.is_empty(), "{here:?}");
    for process in server.processes() {
        let open: Vec<_> = process
            .descriptors()
            .into_iter()
            .filter(|target| {
                ["/tmp/wsgi", "/dev/shm", "/var/tmp"].iter().any(|p| target.starts_with(p))
            })
            .collect();
        assert!(open.is_empty(), "{}: {open:?}", process.name());
    }
}

/// Hashes of strings can't be foreseen, so that keys can't be chosen to collide.
#[test]
fn hashes_differ_from_process_to_process() {
    ours_only!("the seed is random here");
    let hash = "
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(hash('mod_wsgi')).encode()]
";
    let mut seen = Vec::new();
    for _ in 0..2 {
        let server = Config::serving("program.wsgi", "").line("WSGIPythonHashSeed random").start();
        seen.push(server.text(&program(hash)));
    }
    assert_ne!(seen[0], seen[1]);
}

/// A client makes no processes by the names and ports that it thinks up.
#[test]
fn hosts_and_ports_of_clients_make_no_new_applications() {
    ours_only!("the name of an application group depends on the configuration alone");
    let server = Config::serving("environ.wsgi", "").start();
    let group = |host: &str| {
        let text = server.request(&Request::get("/").header("Host", host)).expect(200).text();
        let line = text.lines().find(|line| line.starts_with("mod_wsgi.application_group"));
        line.unwrap().to_owned()
    };
    let first = group("localhost");
    let processes = server.processes().len();
    for number in 1..40 {
        assert_eq!(group(&format!("host-{number}.example.org:{number}")), first);
    }
    assert_eq!(server.processes().len(), processes);
}
