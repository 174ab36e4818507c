//! Configurations of mod_wsgi's users beyond the usual alias. Those of well-known applications are
//! in `tests/conformance/sites`; here are the ones that need more than plain HTTP.

use std::fs;
use std::process::Command;

use super::access::{certificate, free_port};
use super::venv::Venv;
use crate::harness::{Config, Mpm, Request, Server, settings};
use crate::skip;

const HANDLER: &str = "
def handle_request(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    names = ('SCRIPT_FILENAME', 'SCRIPT_NAME', 'PATH_INFO', 'mod_wsgi.handler_script',
             'mod_wsgi.request_handler', 'mod_wsgi.process_group', 'mod_wsgi.callable_object')
    body = environ['wsgi.input'].read().decode()
    return ['|'.join([environ[name] for name in names] + [body]).encode()]
application = None
";

#[test]
fn a_handler_script_serves_files_of_its_handler() {
    let server = Config::new()
        .daemon("app", "")
        .daemon("second", "")
        .file("handler.py", HANDLER)
        .file("page.tmpl", "a template")
        .file("page.other", "another")
        .line(
            "WSGIHandlerScript templates {apps}/handler.py process-group=app \
             application-group=%{GLOBAL}\nAlias /files {apps}\n\
             <Directory {apps}>\nAddHandler templates .tmpl\nWSGICallableObject ignored\n\
             WSGIHandlerScript other {apps}/handler.py process-group=second\n</Directory>\n\
             <Location /files/set>\nSetHandler other\n</Location>",
        )
        .expect_log("AH00128")
        .start();
    let apps = server.app("page.tmpl").parent().unwrap().display().to_string();
    let text = server.request(&Request::post("/files/page.tmpl/rest", "posted")).expect(200).text();
    let expected =
        format!("{apps}/page.tmpl|/files/page.tmpl|/rest|{apps}/handler.py|templates|app|");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.ends_with("|posted"), "{text}");
    // No ExecCGI and no file is needed.
    let text = server.text("/files/set");
    assert!(text.contains("|other|second|"), "{text}");
    assert_eq!(server.text("/files/page.other"), "another");
}

#[test]
fn a_handler_script_without_its_function_is_a_500() {
    let server = Config::new()
        .daemon("app", "")
        .file("handler.py", "application = None\n")
        .file("page.tmpl", "a template")
        .line("WSGIProcessGroup app\nWSGIHandlerScript templates {apps}/handler.py\nAlias /files {apps}")
        .line("<Directory {apps}>\nAddHandler templates .tmpl\n</Directory>")
        .expect_errors()
        .start();
    let response = server.get("/files/page.tmpl");
    assert_eq!(response.status(), 500);
    assert!(!response.text().contains("a template"));
    server.log().wait_for("handle_request");
}

#[test]
fn a_handler_script_may_see_the_authorization_header() {
    let server = Config::new()
        .file(
            "handler.py",
            "
def handle_request(environ, start_response):
    start_response('200 OK', [])
    return [environ.get('HTTP_AUTHORIZATION', '-').encode()]
",
        )
        .file("page.open", "")
        .file("page.closed", "")
        .line("WSGIHandlerScript open {apps}/handler.py pass-authorization=On")
        .line("WSGIHandlerScript closed {apps}/handler.py\nAlias /files {apps}")
        .line("<Directory {apps}>\nAddHandler open .open\nAddHandler closed .closed\n</Directory>")
        .start();
    for (file, expected) in [("page.open", "Basic eDp5"), ("page.closed", "-")] {
        let request = Request::get(&format!("/files/{file}")).header("Authorization", "Basic eDp5");
        assert_eq!(server.request(&request).expect(200).text(), expected);
    }
}

#[test]
fn trac_sees_the_user_whom_httpd_authenticated() {
    let server = Config::serving("who.wsgi", "")
        .module("auth_basic")
        .module("authn_core")
        .module("authn_file")
        .module("authz_user")
        .file("users", "trac:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
        .file(
            "who.wsgi",
            "
def application(environ, start_response):
    start_response('200 OK', [])
    names = ('REMOTE_USER', 'AUTH_TYPE', 'trac.env_path', 'HTTP_AUTHORIZATION')
    return ['|'.join(environ.get(name, '-') for name in names).encode()]
",
        )
        .line("SetEnv trac.env_path /srv/trac")
        .line(
            "<Location /login>\nAuthType Basic\nAuthName trac\nAuthUserFile {apps}/users\n\
             Require valid-user\n</Location>",
        )
        .start();
    assert_eq!(server.text("/"), "-|-|/srv/trac|-");
    assert_eq!(server.get("/login").status(), 401);
    let login = Request::get("/login").header("Authorization", "Basic dHJhYzpwYXNzd29yZA==");
    assert_eq!(server.request(&login).expect(200).text(), "trac|Basic|/srv/trac|-");
}

#[test]
fn per_user_groups_come_from_variables() {
    let server = Config::new()
        .module("setenvif")
        .daemon("alice", "")
        .daemon("bob", "")
        .line("SetEnvIf Request_URI ^/alice owner=alice\nSetEnvIf Request_URI ^/bob owner=bob")
        .line("WSGIProcessGroup %{ENV:owner}\nWSGIRestrictProcess alice bob")
        .line("WSGIApplicationGroup %{GLOBAL}")
        .mount("/", "where.wsgi")
        .file(
            "where.wsgi",
            "
def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['mod_wsgi.process_group'].encode()]
",
        )
        .expect_errors()
        .start();
    assert_eq!(server.text("/alice"), "alice");
    assert_eq!(server.text("/bob"), "bob");
    assert_eq!(server.get("/nobody").status(), 500);
}

const EVENTS: &str = "
import mod_wsgi
seen = []

@mod_wsgi.subscribe_events
def replace(name, **event):
    if name == 'request_started':
        event['request_data']['mark'] = 'kept'
        inner = event['application_object']
        def wrapped(environ, start_response):
            environ['wrapped'] = 'yes'
            return inner(environ, start_response)
        return {'application_object': wrapped}

@mod_wsgi.subscribe_events
def note(name, **event):
    seen.append((name, event))

@mod_wsgi.subscribe_events
def broken(name, **event):
    raise ValueError('broken callback')

def application(environ, start_response):
    if environ['PATH_INFO'] == '/raise':
        raise LookupError('on purpose')
    if environ['PATH_INFO'] == '/report':
        lines = []
        for name, event in seen:
            mark = event['request_data'].get('mark')
            line = [name, str(event.get('response_status')), str(event.get('status')), str(mark)]
            if name == 'request_exception':
                line.append(event['exception_info'][0].__name__)
            if name == 'request_finished':
                line += [str(event['input_length']), str(event['output_length'])]
            lines.append(' '.join(line))
        start_response('200 OK', [])
        return ['\\n'.join(lines).encode()]
    environ['wsgi.input'].read()
    start_response('201 Created', [])
    return [environ['wrapped'].encode()]
";

#[test]
fn subscribers_hear_of_each_request_and_may_wrap_the_application() {
    let server =
        Config::serving("events.wsgi", "").file("events.wsgi", EVENTS).expect_errors().start();
    assert_eq!(server.request(&Request::post("/", "posted")).expect(201).text(), "yes");
    assert_eq!(server.get("/raise").status(), 500);
    let report = server.text("/report");
    let expected = [
        "request_started None None kept",
        "response_started 201 Created None kept",
        "request_finished None 201 kept 6 3",
        "request_started None None kept",
        "request_exception None None kept LookupError",
        "request_finished None 500 kept 0 0",
        "request_started None None kept",
    ];
    assert_eq!(report.lines().collect::<Vec<_>>(), expected);
    server.log().wait_for("broken callback");
}

/// What curl gets over TLS, with these further arguments.
fn over_tls(port: u16, arguments: &[&str]) -> String {
    let url = format!("https://www.example.org:{port}/path?q");
    let output = Command::new("curl")
        .args(["-sk", "--max-time", "20", "--resolve"])
        .arg(format!("www.example.org:{port}:127.0.0.1"))
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_site_with_and_without_tls_is_one_application() {
    let Some(certificate) = certificate() else { skip!("openssl makes no certificate") };
    let tls = free_port();
    let conf = settings().repository.join("tests/conformance/sites/tls.conf");
    let server = Config::new()
        .module("ssl")
        .module("http2")
        .file("tls.pem", &certificate)
        .file(
            "show.wsgi",
            "
import os
def application(environ, start_response):
    keys = ('wsgi.url_scheme', 'HTTPS', 'SSL_PROTOCOL', 'SSL_TLS_SNI', 'mod_wsgi.process_group',
            'SERVER_PROTOCOL', 'PATH_INFO', 'REQUEST_METHOD')
    shown = ['%s=%s' % (key, environ.get(key)) for key in keys]
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return ['\\n'.join(shown + [str(os.getpid()), str(len(body))]).encode()]
",
        )
        .line(&format!("Define SITE {{apps}}\nDefine PORT {{port}}\nDefine TLS_PORT {tls}"))
        .line(&fs::read_to_string(conf).unwrap())
        .expect_log("[ssl:warn]")
        // Under prefork there is no HTTP/2, and httpd says so.
        .expect_log("AH10034")
        .start();
    let pid = |text: &str| text.lines().nth(8).unwrap().to_owned();
    let request = Request::get("/path").header("Host", "www.example.org");
    let plain = server.request(&request).expect(200).text();
    assert!(plain.contains("wsgi.url_scheme=http\nHTTPS=None\nSSL_PROTOCOL=None"), "{plain}");
    let newer = match settings().mpm {
        Mpm::Prefork => "HTTP/1.1",
        Mpm::Event | Mpm::Worker => "HTTP/2.0",
    };
    for (version, protocol) in [("--http1.1", "HTTP/1.1"), ("--http2", newer)] {
        let text = over_tls(tls, &[version]);
        for line in ["wsgi.url_scheme=https", "HTTPS=None", "SSL_TLS_SNI=www.example.org"] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
        assert!(text.contains("SSL_PROTOCOL=TLSv1"), "{text}");
        assert!(text.contains(&format!("SERVER_PROTOCOL={protocol}")), "{text}");
    }
    let posted = over_tls(tls, &["--http2", "--data", &"x".repeat(100_000)]);
    assert!(posted.ends_with("\n100000"), "{posted}");
    let groups: Vec<_> =
        [&plain, &posted].map(|text| text.contains("group=www.example.org")).into();
    assert_eq!(groups, [true, true]);
    assert!(!pid(&plain).is_empty());
}

/// A server of a configuration of `apache-conf/examples`, which its site lies in `{apps}`.
fn example(name: &str, files: &[(&str, &str)]) -> Option<Server> {
    let venv = Venv::find()?;
    let text = settings().repository.join("apache-conf/examples").join(name);
    let defines = format!("Define SITE {{apps}}\nDefine VENV {}", venv.home.display());
    let config =
        venv.configure(Config::new()).line(&defines).line(&fs::read_to_string(text).unwrap());
    let file = |config: Config, (name, text): &(&str, &str)| config.file(name, text);
    Some(files.iter().fold(config, file).expect_errors().start())
}

#[test]
fn the_example_for_django_serves_its_site() {
    let script = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'none')\n\
                  exec(open(os.path.join(os.path.dirname(os.path.dirname(__file__)), \
                  'django_site.wsgi')).read())\n";
    let files = [("project/wsgi.py", script), ("static/style.css", "body {}")];
    let Some(server) = example("django.conf", &files) else { skip!("no virtual environment") };
    let index = server.request(&Request::get("/").header("Host", "www.example.org"));
    assert_eq!(index.expect(200).text(), "django at http://www.example.org/");
    assert_eq!(server.text("/static/style.css"), "body {}");
    assert_eq!(server.text("/stream").lines().count(), 1000);
    assert_eq!(server.get("/none").status(), 404);
    let name = "(wsgi:django)";
    let shown = |process: &crate::harness::Process| {
        fs::read_to_string(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default()
    };
    assert!(server.processes().iter().any(|process| shown(process).starts_with(name)));
}

#[test]
fn the_example_for_flask_serves_its_site() {
    let script = "import os\nexec(open(os.path.join(os.path.dirname(__file__), \
                  'flask_site.wsgi')).read())\n";
    let files = [("application.wsgi", script)];
    let Some(server) = example("flask.conf", &files) else { skip!("no virtual environment") };
    let index = server.request(&Request::get("/").header("Host", "www.example.org"));
    assert_eq!(index.expect(200).text(), "flask at http://www.example.org/");
    assert_eq!(server.get("/fail").status(), 500);
    server.log().wait_for("a failing view");
}

#[test]
fn the_example_of_several_groups_keeps_them_apart() {
    let script = "
def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['mod_wsgi.process_group'].encode()]
";
    let files = [("shop.wsgi", script), ("wiki.wsgi", script), ("legacy.wsgi", script)];
    let Some(server) = example("groups.conf", &files) else { skip!("no virtual environment") };
    for name in ["shop", "wiki", "legacy"] {
        assert_eq!(server.text(&format!("/{name}")), name);
    }
}
