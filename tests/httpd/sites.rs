//! Configurations of mod_wsgi's users beyond the usual alias.

use crate::harness::{Config, Request};

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
