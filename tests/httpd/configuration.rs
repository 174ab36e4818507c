//! Configurations that httpd must refuse, and those that it must take.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::harness::{Config, settings};
use crate::{ours_only, skip};

/// Fails to start with this line, and says these words about it.
#[track_caller]
fn refused(line: &str, words: &[&str]) {
    let failure = Config::new().line(line).fail();
    for word in words {
        assert!(failure.output.contains(word), "{line}: no {word:?} in {}", failure.output);
    }
}

#[test]
fn mistakes_in_directives_stop_httpd_with_the_directives_name() {
    let lines = [
        "WSGIDaemonProcess",
        "WSGIDaemonProcess app colour=green",
        "WSGIDaemonProcess app processes=0",
        "WSGIDaemonProcess app threads=-1",
        "WSGIDaemonProcess app\nWSGIDaemonProcess app",
        "WSGIScriptAlias /only-a-url",
        "WSGIScriptAlias / {apps}/hello.wsgi colour=green",
        "WSGIPassAuthorization Maybe",
        "WSGIScriptAlias / {apps}/hello.wsgi process-group=later application-group=x",
    ];
    for line in lines {
        refused(line, &["WSGI"]);
    }
    refused("WSGIScriptAliasMatch ^/(unclosed {apps}/hello.wsgi", &["egular expression"]);
    refused("WSGIDaemonProcess app user=no-such-user", &["no-such-user"]);
    refused("WSGIDaemonProcess app group=no-such-group", &["no-such-group"]);
}

#[test]
fn mistakes_that_mod_wsgi_lets_pass_stop_httpd() {
    ours_only!("mod_wsgi reads numbers leniently and looks for Python later");
    refused("WSGIDaemonProcess app threads=many", &["WSGIDaemonProcess", "threads", "many"]);
    refused("WSGIDaemonProcess app threads=", &["WSGIDaemonProcess", "threads"]);
    refused(
        "WSGIDaemonProcess app python-home=/no/such/venv",
        &["WSGIDaemonProcess", "/no/such/venv"],
    );
    refused("WSGIDaemonProcess app python=/no/such/python", &["/no/such/python"]);
    refused("WSGIPythonHome /no/such/home\nWSGIDaemonProcess app", &["/no/such/home"]);
}

#[test]
fn the_message_names_the_option_and_the_cause() {
    ours_only!("our own words");
    refused("WSGIDaemonProcess app thread=5", &["WSGIDaemonProcess", "thread"]);
    refused("WSGIDaemonProcess app\nWSGIDaemonProcess app", &["app"]);
    refused("WSGIDaemonProcess app user=no-such-user", &["no-such-user"]);
}

#[test]
fn a_daemon_of_root_is_refused() {
    if settings().user.is_none() {
        skip!("only root may choose the user of a daemon");
    }
    refused("WSGIDaemonProcess app user=root", &["root"]);
    refused("WSGIDaemonProcess app user=#0", &["root"]);
}

#[test]
fn every_directive_that_needs_no_more_than_being_accepted_is() {
    let server = Config::new()
        .daemon(
            "app",
            "processes=1 threads=2 umask=0027 lang=C.UTF-8 locale=C.UTF-8 \
             display-name=%{GROUP} stack-size=524288 listen-backlog=50 queue-timeout=45 \
             socket-timeout=2147483647 connect-timeout=15 shutdown-timeout=5 graceful-timeout=15 \
             deadlock-timeout=60 inactivity-timeout=0 request-timeout=60 maximum-requests=10000 \
             restart-interval=0 startup-timeout=15 eviction-timeout=0 send-buffer-size=0 \
             receive-buffer-size=0 header-buffer-size=0 response-buffer-size=0 cpu-priority=1 \
             response-socket-timeout=0 server-metrics=On python-eggs={root}/scratch",
        )
        .line("WSGISocketRotation On\nWSGIAcceptMutex default\nWSGIPythonOptimize 1")
        .line("WSGIDontWriteBytecode On\nWSGIRestrictStdin On\nWSGIRestrictStdout Off")
        .line("WSGIRestrictSignal On\nWSGICaseSensitivity On\nWSGIVerboseDebugging On")
        .line("WSGIProcessGroup app\nWSGIScriptReloading On\nWSGIPassApacheRequest Off")
        .line("WSGIErrorOverride Off\nWSGIMapHEADToGET Auto\nWSGIEnableSendfile On")
        .line("WSGIIgnoreActivity Off\nWSGIDestroyInterpreter On\nWSGISwitchInterval 0.005")
        .line("<IfModule mod_wsgi.c>\nWSGIPythonHashSeed 0\n</IfModule>")
        .line("<IfModule wsgi_module>\nWSGIPythonWarnings default\n</IfModule>")
        .mount("/", "hello.wsgi")
        .start();
    assert_eq!(server.text("/"), "Hello, World!\n");
}

#[test]
fn what_has_no_effect_says_so_once() {
    ours_only!("mod_wsgi has sockets, locks and interpreters of its own");
    let directives = [
        "WSGISocketPrefix run/other",
        "WSGISocketRotation Off",
        "WSGIAcceptMutex default",
        "WSGIVerboseDebugging On",
        "WSGIPassApacheRequest On",
        "WSGIPerInterpreterGIL On",
        "WSGIDestroyInterpreter Off",
        "WSGILazyInitialization On",
        "WSGIPy3kWarningFlag Off",
        "WSGINewRelicConfigFile newrelic.ini",
        "WSGINewRelicEnvironment production",
    ];
    let options = [
        "listen-backlog=5",
        "socket-user={user}",
        "newrelic-config-file=newrelic.ini",
        "newrelic-environment=production",
    ];
    let server = Config::new()
        .daemon("app", &options.join(" "))
        .line(&directives.join("\n"))
        .line(
            "<Location />\nWSGIUserAuthoritative On\nWSGIGroupAuthoritative On\n</Location>\n\
             WSGIProcessGroup app",
        )
        .mount("/", "hello.wsgi")
        .start();
    assert_eq!(server.text("/"), "Hello, World!\n");
    let names = directives.iter().map(|line| line.split(' ').next().unwrap());
    let options = options.iter().map(|option| option.split('=').next().unwrap());
    let more = ["WSGIUserAuthoritative", "WSGIGroupAuthoritative"];
    for name in names.chain(options).chain(more) {
        let lines = server.log().lines_with("has no effect");
        let own: Vec<_> = lines
            .iter()
            .filter(|line| {
                line.contains(&format!("{name} ")) || line.contains(&format!("'{name}'"))
            })
            .collect();
        // The harness has a WSGISocketPrefix of its own.
        let expected = if name == "WSGISocketPrefix" { 2 } else { 1 };
        assert_eq!(own.len(), expected, "{name}: {lines:?}");
        assert!(own.iter().all(|line| line.contains("[wsgi:info]")), "{own:?}");
    }
}

#[test]
fn directives_that_mod_wsgi_6_removed_still_load() {
    ours_only!("mod_wsgi 6 refuses them");
    let server = Config::new()
        .daemon("app", "")
        .line("WSGILazyInitialization On\nWSGIPy3kWarningFlag Off\nWSGIProcessGroup app")
        .mount("/", "hello.wsgi")
        .start();
    assert_eq!(server.text("/"), "Hello, World!\n");
}

#[test]
fn the_shipped_configurations_load() {
    ours_only!("they are written for this module");
    let Some(venv) = crate::venv::Venv::find() else { skip!("no virtual environment") };
    let shipped = settings().repository.join("apache-conf");
    let names =
        ["wsgi.conf", "examples/django.conf", "examples/flask.conf", "examples/groups.conf"];
    for name in names {
        let text = std::fs::read_to_string(shipped.join(name)).unwrap();
        let server = venv
            .configure(Config::new())
            .line(&format!("Define SITE {{apps}}\nDefine VENV {}", venv.home.display()))
            .mount("/test", "hello.wsgi")
            .line(&text)
            .start();
        assert_eq!(server.text("/test"), "Hello, World!\n", "{name}");
    }
}

#[test]
fn httpd_stops_when_it_is_told_to_though_an_interpreter_is_gone() {
    ours_only!("mod_wsgi knows no python=");
    let Some(venv) = super::venv::Venv::find() else { skip!("no virtual environment") };
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let python = folder.path().join("python");
    symlink(venv.home.join("bin/python"), &python).unwrap();
    let config = Config::serving("hello.wsgi", &format!("python={}", python.display()));
    let mut server = venv.configure(config).start();
    assert_eq!(server.text("/"), "Hello, World!\n");
    std::fs::remove_file(&python).unwrap();
    let tell = |order: &str| {
        let configuration = server.root().join("httpd.conf");
        let mut httpd = Command::new(&settings().httpd);
        httpd.args(["-k", order, "-d"]).arg(server.root()).arg("-f").arg(configuration);
        httpd.output().unwrap()
    };
    let refused = tell("graceful");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("MWR1022"), "{refused:?}");
    let processes = server.processes();
    assert!(tell("stop").status.success());
    server.wait_for_end(&processes);
}
