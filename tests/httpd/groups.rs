//! Virtual hosts, groups, scopes and expansion: which process serves what.

use crate::harness::{Config, Request, Server, program};

const WHERE: &str = "
import os
def run(environ, start_response):
    keys = ('mod_wsgi.process_group', 'mod_wsgi.application_group')
    start_response('200 OK', [])
    return [' '.join([environ[key] or '-' for key in keys]).encode()]
";

#[track_caller]
fn fetch(server: &Server, host: &str, path: &str) -> String {
    // The program's own path is "/": what follows the mount goes in front of its query.
    let target = format!("{path}{}", &program(WHERE)[1..]);
    server.request(&Request::get(&target).header("Host", host)).expect(200).text()
}

#[test]
fn virtual_hosts_have_their_own_groups() {
    let server = Config::new()
        .vhost(
            "one.example",
            &[
                "WSGIDaemonProcess one",
                "WSGIProcessGroup one",
                "WSGIApplicationGroup %{GLOBAL}",
                "WSGIScriptAlias / {apps}/program.wsgi",
            ],
        )
        .vhost(
            "two.example",
            &[
                "WSGIDaemonProcess two",
                "WSGIScriptAlias /a {apps}/program.wsgi process-group=two application-group=alpha",
                "WSGIScriptAlias /b {apps}/program.wsgi process-group=two application-group=%{SERVER}",
            ],
        )
        .start();
    assert_eq!(fetch(&server, "one.example", "/"), "one -");
    assert_eq!(fetch(&server, "two.example", "/a"), "two alpha");
    assert!(fetch(&server, "two.example", "/b").starts_with("two two.example"));
}

#[test]
fn a_group_of_another_virtual_host_is_refused() {
    let server = Config::new()
        .vhost("one.example", &["WSGIDaemonProcess one"])
        .vhost("two.example", &["WSGIScriptAlias / {apps}/hello.wsgi process-group=one"])
        .expect_errors()
        .start();
    let response = server.request(&Request::get("/").header("Host", "two.example"));
    assert_eq!(response.status(), 500);
}

#[test]
fn scopes_override_one_another() {
    let server = Config::new()
        .daemon("outer", "")
        .daemon("inner", "")
        .daemon("option", "")
        .line("WSGIProcessGroup outer\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/plain", "program.wsgi")
        .mount("/inner", "program.wsgi")
        .line("WSGIScriptAlias /option {apps}/program.wsgi process-group=option")
        .line("<Location /inner>\nWSGIProcessGroup inner\n</Location>")
        .line("<Location /option>\nWSGIProcessGroup inner\n</Location>")
        .start();
    assert_eq!(fetch(&server, "localhost", "/plain"), "outer -");
    assert_eq!(fetch(&server, "localhost", "/inner"), "inner -");
    assert_eq!(fetch(&server, "localhost", "/option"), "option -");
}

#[test]
fn the_scripts_directory_section_chooses_the_group() {
    let server = Config::new()
        .daemon("app", "")
        .mount("/", "program.wsgi")
        .line("<Directory {apps}>\nWSGIProcessGroup app\nWSGIApplicationGroup main\n</Directory>")
        .start();
    assert_eq!(fetch(&server, "localhost", "/"), "app main");
}

#[test]
fn groups_expand_variables_of_the_request() {
    let server = Config::new()
        .daemon("blue", "")
        .line("SetEnv COLOUR blue\nSetEnv WHERE %{GLOBAL}")
        .line("WSGIProcessGroup %{ENV:COLOUR}\nWSGIApplicationGroup %{ENV:WHERE}")
        .mount("/", "program.wsgi")
        .start();
    assert_eq!(fetch(&server, "localhost", "/"), "blue -");
}

#[test]
fn the_callable_has_the_configured_name() {
    let text = "
def named(name):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [name + environ['mod_wsgi.callable_object'].encode()]
    return application

application, first, second = named(b'0 '), named(b'1 '), named(b'2 ')
";
    let server = Config::new()
        .daemon("app", "")
        .file("callables.wsgi", text)
        .line("WSGIProcessGroup app")
        .mount("/none", "callables.wsgi")
        .mount("/first", "callables.wsgi")
        .line("WSGIScriptAlias /second {apps}/callables.wsgi callable-object=second")
        .line("<Location /first>\nWSGICallableObject first\n</Location>")
        .start();
    assert_eq!(server.text("/none"), "0 application");
    assert_eq!(server.text("/first"), "1 first");
    assert_eq!(server.text("/second"), "2 second");
}

#[test]
fn two_applications_of_one_group_do_not_share_their_modules() {
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIScriptAlias /one {apps}/program.wsgi process-group=app application-group=one")
        .line("WSGIScriptAlias /two {apps}/program.wsgi process-group=app application-group=two")
        .start();
    let source = "
import gate as shared
def run(environ, start_response):
    shared.visits = getattr(shared, 'visits', 0) + 1
    start_response('200 OK', [])
    return [b'%d' % shared.visits]
";
    let target = |mount: &str| format!("{mount}{}", &program(source)[1..]);
    assert_eq!(server.text(&target("/one")), "1");
    assert_eq!(server.text(&target("/one")), "2");
    assert_eq!(server.text(&target("/two")), "1");
}

#[test]
fn old_and_new_access_control_reach_the_application() {
    let server = Config::new()
        .module("access_compat")
        .module("authz_host")
        .daemon("app", "")
        .line("WSGIProcessGroup app")
        .mount("/old", "old/hello.wsgi")
        .mount("/shut", "shut/hello.wsgi")
        .mount("/new", "hello.wsgi")
        .line("<Directory {apps}/old>\nOrder deny,allow\nAllow from all\nRequire all granted\n</Directory>")
        .line("<Directory {apps}/shut>\nOrder allow,deny\nDeny from all\n</Directory>")
        .expect_log("AH01797")
        .start();
    for name in ["old", "shut"] {
        std::fs::create_dir(server.app(name)).unwrap();
        std::fs::copy(server.app("hello.wsgi"), server.app(name).join("hello.wsgi")).unwrap();
    }
    assert_eq!(server.get("/old").status(), 200);
    assert_eq!(server.get("/new").status(), 200);
    assert_eq!(server.get("/shut").status(), 403);
}
