//! What an application finds in its environ.

use std::collections::HashMap;

use crate::harness::{Config, Mpm, Request, Response, Server, settings};
use crate::ours_only;

/// The environ as `environ.wsgi` prints it: key → (type, repr of the value).
struct Environ(HashMap<String, (String, String)>);

impl Environ {
    fn of(response: &Response) -> Self {
        let parse = |line: &str| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            Some((parts.next()?, (parts.next()?, parts.next()?)))
        };
        Self(response.text().lines().filter_map(parse).collect())
    }

    fn fetch(server: &Server, target: &str) -> Self {
        Self::of(&server.get(target).expect(200))
    }

    /// The repr of a value, or "" if the key is absent.
    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |(_, value)| value.as_str())
    }

    fn kind(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |(kind, _)| kind.as_str())
    }

    /// A string's content (no escapes are expected in it).
    #[track_caller]
    fn string(&self, key: &str) -> &str {
        assert_eq!(self.kind(key), "str", "{key}");
        self.get(key).trim_matches('\'')
    }

    #[track_caller]
    fn is(&self, key: &str, value: &str) {
        assert_eq!(self.get(key), value, "{key}");
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

#[test]
fn every_key_of_the_contract_is_there_with_its_type() {
    let server = Config::new()
        .daemon("app", "processes=2 threads=3")
        .line("WSGIProcessGroup app")
        .line("ServerAdmin admin@example.org\nUseCanonicalName Off\nSetEnv site.colour green")
        .mount("/mount", "environ.wsgi")
        .start();
    let request = Request::post("/mount/some/path?a=1&b=%20", "body")
        .header("Host", "www.example.org:8080")
        .header("Content-Type", "text/x-test")
        .header("X-Custom", "one")
        .header("X-Custom", "two")
        .header("X_Underscore", "dropped")
        .header("Proxy", "http://evil.example")
        .header("Authorization", "Basic dXNlcjpwYXNz");
    let environ = Environ::of(&server.request(&request).expect(200));
    let root = server.root().display().to_string();

    environ.is("REQUEST_METHOD", "'POST'");
    environ.is("SCRIPT_NAME", "'/mount'");
    environ.is("PATH_INFO", "'/some/path'");
    environ.is("QUERY_STRING", "'a=1&b=%20'");
    environ.is("REQUEST_URI", "'/mount/some/path?a=1&b=%20'");
    environ.is("SCRIPT_FILENAME", &format!("'{root}/apps/environ.wsgi'"));
    environ.is("DOCUMENT_ROOT", &format!("'{root}/htdocs'"));
    environ.is("CONTEXT_PREFIX", "''");
    environ.is("CONTEXT_DOCUMENT_ROOT", &format!("'{root}/htdocs'"));
    environ.is("REQUEST_SCHEME", "'http'");
    environ.is("SERVER_NAME", "'www.example.org'");
    environ.is("SERVER_PORT", "'8080'");
    environ.is("SERVER_ADDR", "'127.0.0.1'");
    environ.is("SERVER_ADMIN", "'admin@example.org'");
    environ.is("SERVER_PROTOCOL", "'HTTP/1.1'");
    assert!(environ.string("SERVER_SOFTWARE").starts_with("Apache"));
    environ.is("REMOTE_ADDR", "'127.0.0.1'");
    assert!(environ.string("REMOTE_PORT").parse::<u16>().is_ok());
    environ.is("CONTENT_TYPE", "'text/x-test'");
    environ.is("CONTENT_LENGTH", "'4'");
    environ.is("HTTP_HOST", "'www.example.org:8080'");
    environ.is("HTTP_X_CUSTOM", "'one, two'");
    environ.is("site.colour", "'green'");

    environ.is("wsgi.version", "(1, 0)");
    environ.is("wsgi.url_scheme", "'http'");
    environ.is("wsgi.multithread", "True");
    environ.is("wsgi.multiprocess", "True");
    environ.is("wsgi.run_once", "False");
    environ.is("wsgi.input_terminated", "True");
    for key in ["wsgi.input", "wsgi.errors", "wsgi.file_wrapper"] {
        assert!(environ.has(key), "{key}");
    }

    environ.is("mod_wsgi.process_group", "'app'");
    let application_group = environ.string("mod_wsgi.application_group");
    assert!(application_group.starts_with("localhost"), "{application_group}");
    assert!(application_group.ends_with("|/mount"), "{application_group}");
    environ.is("mod_wsgi.callable_object", "'application'");
    environ.is("mod_wsgi.request_handler", "'wsgi-script'");
    environ.is("mod_wsgi.handler_script", "''");
    environ.is("mod_wsgi.script_name", "'/mount'");
    environ.is("mod_wsgi.path_info", "'/some/path'");
    assert_eq!(environ.string("mod_wsgi.listener_port"), server.address().port().to_string());
    environ.is("mod_wsgi.listener_host", "'127.0.0.1'");
    assert!(environ.string("mod_wsgi.server_pid").parse::<u32>().is_ok());
    assert!(!environ.string("mod_wsgi.request_id").is_empty());
    assert_eq!(environ.kind("mod_wsgi.thread_id"), "int");
    for key in ["mod_wsgi.version", "apache.version"] {
        assert_eq!(environ.kind(key), "tuple", "{key}");
        assert_eq!(environ.get(key).split(',').count(), 3, "{key}");
    }
    for phase in ["request_start", "queue_start", "daemon_start", "application_start"] {
        let key = format!("mod_wsgi.{phase}");
        assert_eq!(environ.kind(&key), "float", "{key}");
        assert!(environ.get(&key).parse::<f64>().unwrap() > 1.0e9, "{key}");
    }

    let absent = [
        "GATEWAY_INTERFACE",
        "PATH_TRANSLATED",
        "SERVER_SIGNATURE",
        "REMOTE_HOST",
        "REMOTE_IDENT",
        "PATH",
        "LD_LIBRARY_PATH",
        "HTTPS",
        "HTTP_PROXY",
        "HTTP_X_UNDERSCORE",
        "HTTP_AUTHORIZATION",
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
        "REMOTE_USER",
    ];
    for key in absent {
        assert!(!environ.has(key), "{key} is {}", environ.get(key));
    }
}

#[test]
fn the_clients_port_names_no_application_group() {
    ours_only!("mod_wsgi takes the port of the Host header");
    let server = Config::serving("environ.wsgi", "").start();
    let group = |host: &str| {
        let response = server.request(&Request::get("/").header("Host", host)).expect(200);
        Environ::of(&response).string("mod_wsgi.application_group").to_owned()
    };
    assert_eq!(group("www.example.org:1"), group("www.example.org:2"));
}

#[test]
fn authorization_is_passed_on_request_only() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app")
        .mount("/closed", "environ.wsgi")
        .line("WSGIScriptAlias /option {apps}/environ.wsgi pass-authorization=On")
        .mount("/open", "environ.wsgi")
        .line("<Location /open>\nWSGIPassAuthorization On\n</Location>")
        .start();
    let fetch = |target: &str| {
        let request = Request::get(target).header("Authorization", "Basic dXNlcjpwYXNz");
        Environ::of(&server.request(&request).expect(200))
    };
    assert!(!fetch("/closed").has("HTTP_AUTHORIZATION"));
    fetch("/option").is("HTTP_AUTHORIZATION", "'Basic dXNlcjpwYXNz'");
    fetch("/open").is("HTTP_AUTHORIZATION", "'Basic dXNlcjpwYXNz'");
}

#[test]
fn script_name_and_path_info_follow_the_mount() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/app", "environ.wsgi")
        .mount("/scripts/", "")
        .line("WSGIScriptAliasMatch ^/v[0-9]+/(\\w+)\\.d {apps}/$1.wsgi")
        .mount("/", "environ.wsgi")
        .start();
    // target → SCRIPT_NAME, PATH_INFO, as reprs
    let table = [
        ("/app", "/app", ""),
        ("/app/", "/app", "/"),
        ("/app/x", "/app", "/x"),
        ("/app/x/", "/app", "/x/"),
        ("/app//x///y", "/app", "/x/y"),
        ("//app//x", "/app", "/x"),
        ("/app/a%20b", "/app", "/a b"),
        ("/app/%c3%a9", "/app", "/\u{e9}"),
        ("/app/a%0ab", "/app", "/a\\nb"),
        ("/application", "", "/application"),
        ("/", "", "/"),
        ("//x///y", "", "/x/y"),
        ("/app/x/../y", "/app", "/y"),
        ("/scripts/environ.wsgi", "/scripts/environ.wsgi", ""),
        ("/scripts/environ.wsgi/p/q", "/scripts/environ.wsgi", "/p/q"),
        ("/v2/environ.d/rest", "/v2/environ.d", "/rest"),
    ];
    for (target, script_name, path_info) in table {
        let environ = Environ::fetch(&server, target);
        let found = (environ.get("SCRIPT_NAME"), environ.get("PATH_INFO"));
        let (script_name, path_info) = (format!("'{script_name}'"), format!("'{path_info}'"));
        assert_eq!(found, (script_name.as_str(), path_info.as_str()), "{target}");
        environ.is("REQUEST_URI", &format!("'{target}'"));
    }
}

#[test]
fn the_empty_process_group_is_one_and_shaped_like_the_mpm() {
    let server = Config::new().mount("/", "environ.wsgi").start();
    let environ = Environ::fetch(&server, "/");
    environ.is("mod_wsgi.process_group", "''");
    environ.is("wsgi.multiprocess", "True");
    let threaded = settings().mpm != Mpm::Prefork;
    environ.is("wsgi.multithread", if threaded { "True" } else { "False" });
}

#[test]
fn multithread_and_multiprocess_follow_the_groups_options() {
    let server = Config::new()
        .daemon("plain", "")
        .daemon("one", "processes=1 threads=1")
        .daemon("five", "threads=5")
        .daemon("once", "threads=1 maximum-requests=1")
        .line("WSGIScriptAlias /plain {apps}/environ.wsgi process-group=plain")
        .line("WSGIScriptAlias /one {apps}/environ.wsgi process-group=one")
        .line("WSGIScriptAlias /five {apps}/environ.wsgi process-group=five")
        .line("WSGIScriptAlias /once {apps}/environ.wsgi process-group=once")
        .start();
    // group → multithread, multiprocess (true once processes= is given at all), run_once
    let table = [
        ("plain", "True", "False", "False"),
        ("one", "False", "True", "False"),
        ("five", "True", "False", "False"),
        ("once", "False", "False", "True"),
    ];
    for (group, multithread, multiprocess, run_once) in table {
        let environ = Environ::fetch(&server, &format!("/{group}"));
        environ.is("wsgi.multithread", multithread);
        environ.is("wsgi.multiprocess", multiprocess);
        environ.is("wsgi.run_once", run_once);
    }
}

#[test]
fn variables_of_setenv_stay_out_of_the_process_environment() {
    let server = Config::serving("process_environment.wsgi", "")
        .environment("FROM_HTTPD", "1")
        .line("SetEnv FROM_SETENV value")
        .start();
    assert_eq!(server.text("/"), "FROM_HTTPD,value");
}
