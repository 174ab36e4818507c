//! `wsgi-configcheck`: the report on a configuration.

use crate::harness::{Check, Config, settings};
use crate::{ours_only, skip};

fn check(config: Config) -> Check {
    config.check()
}

#[test]
fn each_line_is_told_with_its_place() {
    ours_only!("a command of this module");
    let check = check(
        Config::new()
            .line("WSGIDaemonProcess app threads=3 listen-backlog=5\nWSGISocketRotation On")
            .line("WSGIPythonHashSeed random\nWSGIProcessGroup app")
            .mount("/", "hello.wsgi"),
    );
    assert_eq!(check.status, 0, "{}", check.output);
    let conf = check.root.join("httpd.conf").display().to_string();
    for (directive, said) in [
        ("WSGIDaemonProcess", "without effect here: option 'listen-backlog'"),
        ("WSGISocketRotation", "without effect here: there are no socket files"),
        ("WSGIPythonHashSeed", "different: the seed is random"),
        ("WSGIProcessGroup", "supported"),
        ("WSGIScriptAlias", "supported"),
    ] {
        let line = check.line(&format!("{directive}: "));
        assert!(line.starts_with(&format!("{conf}:")), "{line}");
        assert!(line.contains(said), "{line}");
    }
    assert!(check.output.contains("process group 'app': runs as user"), "{}", check.output);
    assert!(check.line("hello.wsgi").starts_with("process group 'app': script"));
}

#[test]
fn what_a_daemon_would_not_find_is_an_error() {
    ours_only!("a command of this module");
    let check = check(
        Config::new()
            .line("WSGIDaemonProcess app home=/no/such/home python-path=/no/such/path locale=xx_YY")
            .line("WSGIProcessGroup app\nWSGIScriptAlias /absent {apps}/absent.wsgi")
            .mount("/broken", "broken.wsgi")
            .file("broken.wsgi", "application = (\n"),
    );
    assert_eq!(check.status, 1, "{}", check.output);
    for (said, kind) in [
        ("home /no/such/home: No such file", "error"),
        ("/no/such/path: No such file", "error"),
        ("absent.wsgi: No such file", "error"),
        ("broken.wsgi does not compile", "error"),
        ("locale 'xx_YY' is not installed", "warning"),
    ] {
        let line = check.line(said);
        assert!(line.starts_with(&format!("process group 'app': {kind}: ")), "{line}");
    }
    assert!(check.output.contains("1 warnings, 4 errors"), "{}", check.output);
}

#[test]
fn files_are_looked_at_with_the_rights_of_the_groups_user() {
    ours_only!("a command of this module");
    if settings().user.is_none() {
        skip!("only root may choose the user of a daemon");
    }
    let check = check(
        Config::new()
            .daemon("app", "")
            .line("WSGIProcessGroup app")
            .mount("/", "secret.wsgi")
            .file("secret.wsgi", "application = None\n")
            .private("secret.wsgi"),
    );
    assert_eq!(check.status, 1, "{}", check.output);
    assert!(check.line("secret.wsgi: ").contains("error: script"), "{}", check.output);
    assert!(check.output.contains("Permission denied"), "{}", check.output);
}

#[test]
fn a_missing_interpreter_is_an_error_and_the_lines_are_told_all_the_same() {
    ours_only!("a command of this module");
    let check =
        check(Config::new().daemon("app", "python-home=/no/such/venv").mount("/", "hello.wsgi"));
    assert_eq!(check.status, 1, "{}", check.output);
    assert!(check.line("/no/such/venv").contains("error: MWR1022"), "{}", check.output);
    assert!(check.line("WSGIScriptAlias").ends_with("supported"), "{}", check.output);
}

#[test]
fn scripts_of_the_implicit_group_and_of_access_are_tried() {
    ours_only!("a command of this module");
    let check = check(
        Config::new()
            .mount("/", "hello.wsgi")
            .line("<Location />\nWSGIAccessScript {apps}/gate.py\n</Location>"),
    );
    assert_eq!(check.status, 0, "{}", check.output);
    assert!(check.line("hello.wsgi").starts_with("implicit process group: script"));
    assert!(check.line("gate.py").starts_with("process group 'wsgi-access': script"));
    assert!(check.line("WSGIAccessScript").contains("different"));
}

#[test]
fn what_httpd_refuses_can_not_be_checked() {
    ours_only!("a command of this module");
    let check = check(Config::new().line("WSGIDaemonProcess app colour=green"));
    assert_eq!(check.status, 2, "{}", check.output);
}

#[test]
fn scripts_of_a_match_are_those_that_fit_its_target() {
    ours_only!("a command of this module");
    let check = check(
        Config::new()
            .daemon("app", "")
            .line("WSGIProcessGroup app")
            .line("WSGIScriptAliasMatch ^/of/([a-z]+) {apps}/of-$1.wsgi")
            .line("WSGIScriptAliasMatch ^/main/(.*) {apps}/main.wsgi/$1")
            .line("WSGIScriptAliasMatch ^/plain {apps}/plain.wsgi")
            .line("WSGIScriptAliasMatch ^/none/(.*) {apps}/none-$1.wsgi")
            .file("of-one.wsgi", "application = None\n")
            .file("of-two.wsgi", "application = (\n")
            .file("main.wsgi", "application = None\n")
            .file("plain.wsgi", "application = )\n"),
    );
    assert_eq!(check.status, 1, "{}", check.output);
    for said in [
        "script {apps}/of-one.wsgi",
        "error: script {apps}/of-two.wsgi does not compile",
        "script {apps}/main.wsgi",
        "error: script {apps}/plain.wsgi does not compile",
        "warning: nothing in {apps} fits {apps}/none-$1.wsgi",
    ] {
        let apps = check.root.join("apps").display().to_string();
        let line = check.line(&said.replace("{apps}", &apps));
        assert!(line.starts_with("process group 'app': "), "{line}");
    }
}

#[test]
fn htaccess_files_are_read_where_they_may_act() {
    ours_only!("a command of this module");
    let htdocs = |folder: &str| format!("../htdocs/{folder}/.htaccess");
    let check = check(
        Config::new()
            .file(
                &htdocs("files"),
                "<Files x>\nWSGIPassAuthorization \\\nOn\n</Files>\nWSGIProcessGroup app\n\
                 WSGIAccessScript /x\nWSGIScriptReloading Maybe\nRequire all granted\n",
            )
            .file(&htdocs("files/deeper"), "WSGIScriptReloading On\n")
            .file(&htdocs("closed"), "WSGIProcessGroup app\n")
            .file(&htdocs("list"), "WSGIAccessScript /x\nWSGIMapHEADToGET On\n")
            .line("<Directory {root}/htdocs/files>\nAllowOverride FileInfo\n</Directory>")
            .line(
                "<Directory {root}/htdocs/list>\nAllowOverrideList WSGIAccessScript\n</Directory>",
            ),
    );
    assert_eq!(check.status, 1, "{}", check.output);
    for (place, said) in [
        ("files/.htaccess:2: WSGIPassAuthorization", "supported"),
        ("files/.htaccess:5: WSGIProcessGroup", "error: can't stand in such a file"),
        ("files/.htaccess:6: WSGIAccessScript", "error: needs 'AllowOverride AuthConfig' here"),
        ("files/.htaccess:7: WSGIScriptReloading", "error: MWR1008"),
        ("deeper/.htaccess:1: WSGIScriptReloading", "different: a changed script"),
        ("list/.htaccess:1: WSGIAccessScript", "different: the script runs in"),
        ("list/.htaccess:2: WSGIMapHEADToGET", "error: needs 'AllowOverride FileInfo' here"),
    ] {
        let line = check.line(place);
        assert!(line.contains(&format!(": {said}")), "{line}");
    }
    assert!(!check.output.contains("closed/.htaccess"), "{}", check.output);
}
