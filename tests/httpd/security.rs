//! What clients, tenants and applications must not be able to do. What applications may put
//! into a response is in `start_response.rs`, what proxies may say in `proxies.rs`.

use std::fs;

use crate::harness::{Config, Request, Server};
use crate::ours_only;

/// Prints the values of the environ's keys that are named in the query string.
const SHOW: &str = "
def application(environ, start_response):
    keys = environ['QUERY_STRING'].split(',')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    values = (environ.get(key, '-') for key in keys)
    return ['|'.join(v if isinstance(v, str) else repr(v) for v in values).encode('latin-1')]
";

fn show(lines: &str) -> Config {
    Config::serving("show.wsgi", "").file("show.wsgi", SHOW).line(lines)
}

/// The value of a key for a request without a body.
fn value(server: &Server, request: &Request) -> String {
    server.request(request).expect(200).text()
}

#[test]
fn setenv_never_wins_over_what_the_server_computes() {
    let computed = [
        "REMOTE_ADDR",
        "REMOTE_PORT",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_ADDR",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
        "REQUEST_METHOD",
        "REQUEST_URI",
        "REQUEST_SCHEME",
        "QUERY_STRING",
        "SCRIPT_NAME",
        "PATH_INFO",
        "SCRIPT_FILENAME",
        "DOCUMENT_ROOT",
        "wsgi.url_scheme",
        "wsgi.multithread",
        "wsgi.multiprocess",
        "wsgi.run_once",
        "wsgi.version",
        "wsgi.input",
        "wsgi.errors",
        "wsgi.file_wrapper",
        "mod_wsgi.version",
        "mod_wsgi.process_group",
        "mod_wsgi.application_group",
        "mod_wsgi.callable_object",
        "mod_wsgi.handler_script",
        "mod_wsgi.request_id",
        "mod_wsgi.server_pid",
        "mod_wsgi.thread_id",
        "mod_wsgi.request_start",
        "apache.version",
    ];
    let lines: Vec<_> = computed.iter().map(|name| format!("SetEnv {name} forged")).collect();
    let server = show(&lines.join("\n")).start();
    let text = server.text(&format!("/?{}", computed.join(",")));
    for (name, value) in computed.iter().zip(text.split('|')) {
        assert_ne!(value, "forged", "{name}");
    }
}

#[test]
fn header_names_with_underscores_or_dots_pass_for_no_other() {
    let server = show("").start();
    let request = Request::get("/?HTTP_X_USER,HTTP_X_FORWARDED_FOR,HTTP_HOST")
        .header("X_User", "forged")
        .header("X.User", "forged")
        .header("X_Forwarded_For", "forged")
        .header("Host", "real");
    assert_eq!(value(&server, &request), "-|-|real");
    let request = Request::get("/?HTTP_X_USER").header("X-User", "real").header("X_User", "forged");
    assert_eq!(value(&server, &request), "real");
}

#[test]
fn httpoxy_finds_no_proxy() {
    let server = show("").start();
    for name in ["Proxy", "proxy", "PROXY"] {
        let request = Request::get("/?HTTP_PROXY,http_proxy").header(name, "http://evil/");
        assert_eq!(value(&server, &request), "-|-", "{name}");
    }
}

#[test]
fn a_client_names_no_key_of_the_server() {
    let server = show("").start();
    // Every name gets HTTP_ before it, but these two.
    let request = Request::get("/?REMOTE_USER,wsgi.url_scheme,mod_wsgi.process_group,HTTPS")
        .header("REMOTE-USER", "forged")
        .header("REMOTE_USER", "forged")
        .header("wsgi.url_scheme", "https")
        .header("mod_wsgi.process_group", "forged")
        .header("HTTPS", "on");
    assert_eq!(value(&server, &request), "-|http|app|-");
}

#[test]
fn authorization_reaches_no_environ_unasked() {
    let server = show("").start();
    let keys = "/?HTTP_AUTHORIZATION,REDIRECT_HTTP_AUTHORIZATION,AUTHORIZATION";
    let request = Request::get(keys).header("Authorization", "Basic eDp5");
    assert_eq!(value(&server, &request), "-|-|-");
    assert!(!server.log().text().contains("eDp5"));
}

#[test]
fn encoded_slashes_and_nul_are_refused_by_httpd() {
    let server = show("").expect_log("AH0").expect_log("AH10244").start();
    assert_eq!(server.get("/a%2fb?PATH_INFO").status(), 404);
    for target in ["/a%00b", "/%00", "/a%0", "/%zz"] {
        let status = server.get(target).status();
        assert!([400, 404].contains(&status), "{target}: {status}");
    }
}

#[test]
fn encoded_slashes_stay_in_the_request_uri_where_they_are_allowed() {
    let server = show("AllowEncodedSlashes NoDecode").start();
    assert_eq!(
        server.text("/a%2fb%3f?PATH_INFO,REQUEST_URI"),
        "/a%2fb?|/a%2fb%3f?PATH_INFO,REQUEST_URI"
    );
}

#[test]
fn paths_cannot_leave_the_folder_of_scripts() {
    let server = Config::new()
        .line("WSGIScriptAlias /scripts/ {apps}/inner/")
        .expect_errors()
        .expect_log("AH0")
        .start();
    fs::create_dir(server.app("inner")).unwrap();
    for target in [
        "/scripts/../hello.wsgi",
        "/scripts/%2e%2e/hello.wsgi",
        "/scripts/..%2fhello.wsgi",
        "/scripts/.%2e/hello.wsgi",
        "/scripts//..//hello.wsgi",
        "/scripts/%5c..%5chello.wsgi",
    ] {
        let response = server.get(target);
        assert!([400, 403, 404].contains(&response.status()), "{target}: {}", response.status());
    }
}

#[test]
fn htaccess_reaches_no_group_and_no_script_of_the_server() {
    let server = Config::new()
        .daemon("app", "")
        .daemon("tenant", "")
        .line("WSGIProcessGroup tenant\nAlias /files {apps}")
        .line("<Directory {apps}>\nAllowOverride FileInfo AuthConfig\n</Directory>")
        .file("page.html", "page")
        .expect_log("AH0")
        .expect_log("[core:alert]")
        .start();
    assert_eq!(server.get("/files/page.html").status(), 200);
    for line in [
        "WSGIProcessGroup app",
        "WSGIApplicationGroup %{GLOBAL}",
        "WSGIRestrictProcess app",
        "WSGIHandlerScript h /tmp/h.py process-group=app",
        "WSGIDispatchScript /tmp/d.py",
        "WSGIScriptAlias / /tmp/a.wsgi",
        "WSGIDaemonProcess mine user=root",
        "WSGIPythonPath /tmp",
        "WSGIRestrictEmbedded Off",
    ] {
        fs::write(server.app(".htaccess"), line).unwrap();
        assert_eq!(server.get("/files/page.html").status(), 500, "{line}");
    }
    for line in ["WSGIPassAuthorization On", "WSGICallableObject other", "WSGIScriptReloading Off"]
    {
        fs::write(server.app(".htaccess"), line).unwrap();
        assert_eq!(server.get("/files/page.html").status(), 200, "{line}");
    }
}

#[test]
fn htaccess_variables_reach_no_group_that_is_not_permitted() {
    let server = Config::new()
        .daemon("app", "")
        .daemon("tenant", "")
        .line("Alias /files {apps}\nWSGIProcessGroup %{ENV:group}\nSetEnv group tenant")
        .line(
            "<Directory {apps}>\nAllowOverride FileInfo\nOptions +ExecCGI\n\
             AddHandler wsgi-script .wsgi\nWSGIRestrictProcess tenant\n</Directory>",
        )
        .file("show.wsgi", SHOW)
        .expect_errors()
        .start();
    assert_eq!(server.text("/files/show.wsgi?mod_wsgi.process_group"), "tenant");
    fs::write(server.app(".htaccess"), "SetEnv group app").unwrap();
    assert_eq!(server.get("/files/show.wsgi").status(), 500);
    fs::write(server.app(".htaccess"), "SetEnv group %{GLOBAL}").unwrap();
    assert_eq!(server.get("/files/show.wsgi").status(), 500);
}

#[test]
fn path_info_leads_past_no_setting_of_directories_files_or_links() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app")
        .line("WSGIScriptAlias /denied {apps}/denied.wsgi\nWSGIScriptAlias /link {apps}/link.wsgi")
        .line("WSGIScriptAlias /show {apps}/show.wsgi\nWSGIScriptAlias /none {apps}/none.wsgi")
        .line("<Files denied.wsgi>\nRequire all denied\n</Files>")
        .line("<Directory {apps}>\nOptions -FollowSymLinks\nSetEnv walked yes\n</Directory>")
        .file("denied.wsgi", SHOW)
        .file("show.wsgi", SHOW)
        .expect_errors()
        .expect_log("AH0")
        .start();
    std::os::unix::fs::symlink(server.app("show.wsgi"), server.app("link.wsgi")).unwrap();
    for rest in ["", "/", "/a//b"] {
        assert_eq!(server.get(&format!("/denied{rest}?PATH_INFO")).status(), 403);
        assert_eq!(server.get(&format!("/link{rest}?PATH_INFO")).status(), 403);
        assert_eq!(server.get(&format!("/none{rest}?PATH_INFO")).status(), 404);
        assert_eq!(server.text(&format!("/show{rest}?walked")), "yes");
        assert_eq!(server.text(&format!("/show{rest}?PATH_INFO")), rest.replace("//", "/"));
    }
}

#[test]
fn bodies_framed_twice_or_wrongly_never_reach_the_application() {
    let server = show("WSGIChunkedRequest On").expect_errors().expect_log("AH0").start();
    for (head, statuses) in [
        ("Content-Length: 5\r\nContent-Length: 6", &[400][..]),
        ("Content-Length: +5", &[400]),
        ("Content-Length: 0x5", &[400]),
        ("Content-Length: 5, 5", &[400]),
        ("Transfer-Encoding: gzip", &[400, 501]),
        ("Transfer-Encoding: xchunked", &[400, 501]),
        ("Transfer-Encoding: chunked, identity", &[400, 501]),
    ] {
        let mut connection = server.connect();
        let request = format!("POST /?QUERY_STRING HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\nabcde");
        connection.raw(request.as_bytes()).unwrap();
        let status = connection.head().unwrap().status;
        assert!(statuses.contains(&status), "{head}: {status}");
    }
}

#[test]
fn a_length_beside_chunks_is_not_believed() {
    ours_only!("mod_wsgi passes Transfer-Encoding on");
    let server = show("WSGIChunkedRequest On").start();
    let mut connection = server.connect();
    let request = "POST /?CONTENT_LENGTH,HTTP_TRANSFER_ENCODING HTTP/1.1\r\nHost: h\r\n\
                   Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    connection.raw(request.as_bytes()).unwrap();
    let head = connection.head().unwrap();
    if head.status == 200 {
        assert_eq!(connection.body(&head).unwrap(), b"-|-");
    } else {
        assert_eq!(head.status, 400);
    }
}

#[test]
fn very_long_and_very_many_headers_are_refused_or_arrive_whole() {
    let server = show("LimitRequestFieldSize 200000\nLimitRequestFields 2000").start();
    let long = "x".repeat(150_000);
    let request = Request::get("/?HTTP_X_LONG").header("X-Long", &long);
    assert_eq!(value(&server, &request), long);
    let mut request = Request::get("/?HTTP_X_1499");
    for number in 0..1500 {
        request = request.header(&format!("X-{number}"), "value");
    }
    assert_eq!(value(&server, &request), "value");
}

#[test]
fn paths_of_any_length_and_odd_methods_do_no_harm() {
    let server = show("LimitRequestLine 20000").start();
    let path = "/a".repeat(1_500);
    assert_eq!(server.text(&format!("{path}?PATH_INFO")), path);
    let request = Request::new("ODD-method", "/?REQUEST_METHOD");
    assert_eq!(value(&server, &request), "ODD-method");
    assert_eq!(server.text("/?REQUEST_METHOD"), "GET");
}

#[test]
fn path_info_is_no_file_and_may_have_names_that_are_too_long_for_one() {
    ours_only!("mod_wsgi has httpd look for it in the file system, and answers 403");
    let server = show("LimitRequestLine 20000").start();
    let path = format!("//{}//x", "a".repeat(10_000));
    assert_eq!(server.text(&format!("{path}?PATH_INFO")), path.replace("//", "/"));
}

#[test]
fn an_internal_redirect_leads_to_no_other_host_and_is_a_get() {
    ours_only!("mod_wsgi's embedded mode passes it on");
    let server = Config::serving("redirect.wsgi", "")
        .file(
            "redirect.wsgi",
            "
def application(environ, start_response):
    if environ['PATH_INFO'] == '/target':
        start_response('200 OK', [])
        return [('%(REQUEST_METHOD)s %(REQUEST_URI)s' % environ).encode()]
    start_response('200 OK', [('Location', environ['QUERY_STRING'])])
    return [b'own body']
",
        )
        .start();
    let response = server.request(&Request::post("/?/target", "body")).expect(200);
    assert!(response.text().starts_with("GET "), "{}", response.text());
    let response = server.get("/?http://other.example/").expect(200);
    assert_eq!(response.text(), "own body");
    assert_eq!(response.header("Location"), Some("http://other.example/"));
}
