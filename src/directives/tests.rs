use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::{Captures, MapHead, Pattern, Regex, ServerId, Spooling, VirtualHost};

/// Takes every expression but "(".
struct Compiler;

#[derive(Debug)]
struct Never;

impl RegexCompiler for Compiler {
    fn compile(&self, pattern: &str) -> Result<Box<dyn Regex>, String> {
        if pattern == "(" { Err("missing )".to_owned()) } else { Ok(Box::new(Never)) }
    }
}

impl Regex for Never {
    fn captures(&self, _: &[u8]) -> Option<Captures> {
        None
    }
}

/// A configuration that is being read.
#[derive(Default)]
struct Config {
    globals: Globals,
    server: ServerConfig,
    directory: DirectoryConfig,
    place: Place,
}

impl Config {
    fn at_root() -> Self {
        let place = Place {
            file: "httpd.conf".to_owned(),
            server_root: "/etc/httpd".into(),
            ..Place::default()
        };
        Self { place, ..Self::default() }
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        self.place.line += 1;
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        let directive = DIRECTIVES.iter().find(|directive| directive.name() == name);
        let directive = directive.unwrap_or_else(|| panic!("no directive {name}"));
        let Self { globals, server, directory, place } = self;
        directive.apply(&mut Scope::new(globals, server, directory, place, &Compiler), rest)
    }

    fn read(mut self, text: &str) -> Self {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        self
    }

    fn notices(&self) -> Vec<&str> {
        self.globals.notices.iter().map(|notice| notice.text.as_str()).collect()
    }

    fn in_virtual_host(mut self, id: usize, server_name: &str) -> Self {
        let server_name = server_name.to_owned();
        self.place.virtual_host = Some(VirtualHost { id: ServerId(id), server_name, port: 80 });
        self
    }
}

fn error(line: &str) -> String {
    Config::at_root().line(line).expect_err(line)
}

#[test]
fn names_are_unique_and_complete() {
    let names: BTreeSet<_> = DIRECTIVES.iter().map(Directive::name).collect();
    assert_eq!(names.len(), DIRECTIVES.len());
    // Every directive of mod_wsgi 6.1, those that 6.0 removed, and our own.
    const OURS: &[&str] = &["WSGILogNotes", "WSGISpoolRequestBody"];
    assert_eq!(DIRECTIVES.len(), 54 + OURS.len());
    for directive in &DIRECTIVES {
        let options = (directive.options)();
        let names: BTreeSet<_> = options.iter().map(|option| option.name).collect();
        assert_eq!(names.len(), options.len(), "{}", directive.name());
    }
}

#[test]
fn spooling_has_a_limit() {
    for (line, expected) in [
        ("WSGISpoolRequestBody off", Spooling::Off),
        ("WSGISpoolRequestBody On", Spooling::On(1024 * 1024 * 1024)),
        ("WSGISpoolRequestBody chunked 5000", Spooling::Chunked(5000)),
    ] {
        let config = Config::at_root().read(line);
        assert_eq!(config.directory.spooling(), expected, "{line}");
    }
    assert!(error("WSGISpoolRequestBody Some").contains("On"));
    assert!(error("WSGISpoolRequestBody On much").contains("much"));
}

#[test]
fn configurations_of_well_known_products_load() {
    let config = Config::at_root().read(
        r#"
        WSGISocketPrefix /run/httpd/wsgi
        WSGILazyInitialization On
        WSGIScriptReloading Off
        WSGIDaemonProcess ipa processes=2 threads=1 maximum-requests=500 display-name=%{GROUP} socket-timeout=2147483647 lang=C.UTF-8 locale=C.UTF-8
        WSGIImportScript /usr/share/ipa/wsgi.py process-group=ipa application-group=ipa
        WSGIDaemonProcess graphite processes=5 threads=5 display-name='%{GROUP}' inactivity-timeout=120
        WSGIImportScript /opt/graphite/conf/graphite.wsgi process-group=graphite application-group=%{GLOBAL}
        WSGIDaemonProcess www.example-site.org python-home=/v python-path=/p:/v/lib/python3/site-packages python-eggs=/tmp/eggs
        WSGIScriptAlias / /usr/bin/keystone-wsgi-public
        WSGIScriptAliasMatch ^(/v3/OS-FEDERATION/auth)$ /var/www/keystone/main/$1
        WSGIScriptAliasMatch "(?i)^/.+/(autodiscover|mail)" /usr/lib/automx/automx_wsgi.py
        WSGIScriptAliasMatch ^(.*) $1
        WSGIProcessGroup %{ENV:site}
        WSGIApplicationGroup %{GLOBAL}
        WSGIPassAuthorization on
        WSGIChunkedRequest ON
        WSGIMapHEADToGET auto
        WSGIRestrictEmbedded On
        WSGIPythonHome /usr/local/venv
        WSGIPythonOptimize 1
        WSGIPythonHashSeed random
        WSGIAcceptMutex default
        WSGIHandlerScript wsgi-handler /srv/handler.wsgi process-group=ipa application-group=%{GLOBAL}
        WSGIAuthUserScript /srv/auth.wsgi application-group=%{GLOBAL}
        "#,
    );
    let group = config.globals.group("ipa").unwrap();
    assert_eq!((group.processes, group.threads, group.maximum_requests), (2, 1, 500));
    assert_eq!(group.socket_timeout.unwrap().as_secs(), 2_147_483_647);
    assert!(group.multiprocess());
    let group = config.globals.group("graphite").unwrap();
    assert_eq!(group.display_name.as_deref(), Some("%{GROUP}"));
    let group = config.globals.group("www.example-site.org").unwrap();
    assert_eq!(group.python_path.len(), 2);
    assert!(!group.multiprocess());
    assert_eq!(config.server.aliases.len(), 4);
    assert_eq!(config.server.aliases[3].target, "$1");
    assert!(matches!(config.server.aliases[3].pattern, Pattern::Regex(_)));
    assert_eq!(config.globals.imports.len(), 2);
    assert_eq!(config.directory.map_head_to_get(), MapHead::Auto);
    assert!(!config.directory.script_reloading());
    assert!(config.directory.handler_script("wsgi-handler").is_some());
    assert_eq!(
        config.notices(),
        [
            "WSGISocketPrefix has no effect: there are no socket files",
            "WSGILazyInitialization has no effect: httpd's own processes hold no Python",
            "WSGIAcceptMutex has no effect: processes do not compete for connections",
        ]
    );
}

#[test]
fn mistakes_name_the_directive_the_value_and_the_cause() {
    for (line, expected) in [
        (
            "WSGIDaemonProcess x threads=many",
            "MWR1006: WSGIDaemonProcess: option 'threads': 'many' is not a number",
        ),
        (
            "WSGIDaemonProcess x proceses=2",
            "MWR1005: WSGIDaemonProcess: there is no option 'proceses'; did you mean 'processes'?",
        ),
        (
            "WSGIDaemonProcess x request-timeout=-5",
            "MWR1007: WSGIDaemonProcess: option 'request-timeout': '-5' must not be negative",
        ),
        (
            "WSGIDaemonProcess x processes=0",
            "MWR1007: WSGIDaemonProcess: option 'processes': '0' is not between 1 and 4096",
        ),
        (
            "WSGIDaemonProcess x send-buffer-size=100",
            "MWR1007: WSGIDaemonProcess: option 'send-buffer-size': '100' is neither 0 nor between \
             512 and 2147483647",
        ),
        (
            "WSGIDaemonProcess x umask=0888",
            "MWR1006: WSGIDaemonProcess: option 'umask': '0888' is not an octal number between 0 \
             and 777",
        ),
        (
            "WSGIDaemonProcess x threads = 5",
            "MWR1004: WSGIDaemonProcess: 'threads' is not an option; options are written \
             name=value, without blanks around '='",
        ),
        (
            "WSGIDaemonProcess",
            "MWR1002: WSGIDaemonProcess: requires 1 argument: name [option=value …]",
        ),
        ("WSGIDaemonProcess ''", "MWR1009: WSGIDaemonProcess: the name is empty"),
        (
            "WSGIScriptAlias /",
            "MWR1002: WSGIScriptAlias: requires 2 arguments: URL-path file|directory [option=value …]",
        ),
        (
            "WSGIScriptAlias / /x process-group=",
            "MWR1009: WSGIScriptAlias: option 'process-group': the name is empty",
        ),
        (
            "WSGIScriptAliasMatch ( /x",
            "MWR1015: WSGIScriptAliasMatch: regular expression '(': missing )",
        ),
        (
            "WSGIHandlerScript x /x callable-object=y",
            "MWR1005: WSGIHandlerScript: there is no option 'callable-object'",
        ),
        (
            "WSGIImportScript /x process-group=y",
            "MWR1016: WSGIImportScript: option 'application-group' must be given",
        ),
        ("WSGIScriptReloading yes", "MWR1008: WSGIScriptReloading: 'yes' must be one of: Off | On"),
        (
            "WSGIProcessGroup a b",
            "MWR1002: WSGIProcessGroup: requires 1 argument: name|%{GLOBAL}|%{SERVER}|%{HOST}|%{ENV:variable}",
        ),
        ("WSGIProcessGroup 'a", "MWR1001: WSGIProcessGroup: the quote in 'a has no end"),
        (
            "WSGITrustedProxies 10.0.0.0/40",
            "MWR1018: WSGITrustedProxies: '10.0.0.0/40' is not an IP address or network",
        ),
        (
            "WSGITelemetryService udp:localhost:1",
            "MWR1017: WSGITelemetryService: 'udp:localhost:1' is not of the form unix:/path; there \
             is no other kind of target",
        ),
        (
            "WSGITelemetryService unix:/x interval=0.1",
            "MWR1007: WSGITelemetryService: option 'interval': '0.1' is less than 0.5 seconds",
        ),
        ("WSGISwitchInterval 0", "MWR1007: WSGISwitchInterval: '0' is not above 0"),
        (
            "<WSGIInterpreterOptions process-group=x",
            "MWR1002: <WSGIInterpreterOptions: the line does not end with '>'",
        ),
    ] {
        assert_eq!(error(line), expected);
    }
}

#[test]
fn accounts_are_looked_up_when_they_are_read() {
    for (option, code) in [
        ("user=no-such-user", "MWR1011"),
        ("user=root", "MWR1013"),
        ("user=#0", "MWR1013"),
        ("group=no-such-group", "MWR1012"),
        ("group=root", "MWR1013"),
        ("supplementary-groups=root,no-such-group", "MWR1012"),
        ("script-user=no-such-user", "MWR1011"),
    ] {
        let message = error(&format!("WSGIDaemonProcess x {option}"));
        assert!(message.starts_with(code), "{option}: {message}");
    }
    let config = Config::at_root().read("WSGIDaemonProcess x user=daemon group=daemon");
    assert_eq!(config.globals.group("x").unwrap().user.as_ref().unwrap().name, "daemon");
    let message = error("WSGIDaemonProcess x script-user=daemon script-group=daemon");
    assert!(message.starts_with("MWR1014"), "{message}");
}

#[test]
fn a_group_is_defined_once() {
    let mut config = Config::at_root().read("WSGIDaemonProcess x");
    let message = config.line("WSGIDaemonProcess x").unwrap_err();
    assert!(message.starts_with(
        "MWR1010: WSGIDaemonProcess: name 'x' duplicates the definition at httpd.conf:1;"
    ));
}

#[test]
fn server_wide_directives_are_refused_in_virtual_hosts() {
    for directive in &DIRECTIVES {
        let mut config = Config::at_root().in_virtual_host(1, "a");
        let message = config.line(directive.name()).err().unwrap_or_default();
        let refused = message.starts_with("MWR1003");
        assert_eq!(refused, directive.context == Context::Global, "{}", directive.name());
    }
}

#[test]
fn numbers_with_a_unit_are_read_as_mod_wsgi_did() {
    let config = Config::at_root().read("WSGIDaemonProcess x request-timeout=60s listen-backlog=5");
    assert_eq!(config.globals.group("x").unwrap().request_timeout.as_secs(), 60);
    assert_eq!(
        config.notices(),
        [
            "WSGIDaemonProcess: option 'request-timeout': '60s' is read as 60",
            "WSGIDaemonProcess: option 'listen-backlog' has no effect: processes have no listening \
             socket; requests wait in httpd, in order",
        ]
    );
}

#[test]
fn aliases_with_fixed_groups_are_loaded_at_start() {
    let config = Config::at_root().read(
        "
        WSGIScriptAlias /a a.wsgi process-group=x application-group=%{GLOBAL}
        WSGIScriptAlias /b /b.wsgi process-group=%{GLOBAL} application-group=b
        WSGIScriptAlias /c /c.wsgi process-group=x
        WSGIScriptAlias /d /d.wsgi process-group=x application-group=%{RESOURCE}
        WSGIScriptAlias /e /e.wsgi process-group=%{ENV:x} application-group=e
        WSGIScriptAliasMatch /(f) /$1.wsgi process-group=x application-group=f
        WSGIScriptAlias /g/ /g/ process-group=x application-group=g
        ",
    );
    let imports: Vec<_> = config
        .globals
        .imports
        .iter()
        .map(|i| (i.script.as_path(), i.process_group.as_str(), i.application_group.as_str()))
        .collect();
    assert_eq!(
        imports,
        [(Path::new("/etc/httpd/a.wsgi"), "x", ""), (Path::new("/b.wsgi"), "", "b")]
    );
}

#[test]
fn imports_need_a_group_that_may_be_used() {
    let mut config = Config::at_root().read(
        "
        WSGIImportScript /a process-group=later application-group=a
        WSGIImportScript /b process-group=none application-group=a
        WSGIDaemonProcess later
        ",
    );
    config = config.in_virtual_host(1, "").read("WSGIDaemonProcess one");
    config = config.in_virtual_host(2, "").read(
        "
        WSGIImportScript /c process-group=one application-group=a
        WSGIScriptAlias / /d process-group=later application-group=a
        ",
    );
    let names = |same: bool| {
        move |id: ServerId| match id {
            ServerId::MAIN => Some("main".to_owned()),
            ServerId(2) if !same => Some("two".to_owned()),
            _ => Some("one".to_owned()),
        }
    };
    let errors = config.globals.finish(&names(false)).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with(
        "MWR1020: WSGIImportScript at httpd.conf:2: WSGI process group 'none' is not configured"
    ));
    assert!(errors[1].starts_with(
        "MWR1021: WSGIImportScript at httpd.conf:5: WSGI process group 'one' belongs to another"
    ));
    assert_eq!(config.globals.finish(&names(true)).unwrap_err().len(), 1);
    assert_eq!(config.globals.group("one").unwrap().owner.as_ref().unwrap().server_name, "one");
}

#[test]
fn interpreter_sections_hold_their_settings() {
    let mut config = Config::at_root().read(
        "
        WSGIRestrictStdout On
        <WSGIInterpreterOptions process-group=x>
        WSGIRestrictStdout Off
        WSGIPythonPath /a:/b
        ",
    );
    let nested = config.line("<WSGIInterpreterOptions >").unwrap_err();
    assert!(nested.starts_with("MWR1019"), "{nested}");
    config.globals.leave_interpreter_options();
    let config = config.read("WSGIRestrictStdin On");
    let settings = |group| {
        crate::config::InterpreterSettings::select(&config.globals.interpreters, group, None)
    };
    let x = settings("x");
    assert!(x.restrict_stdin && !x.restrict_stdout);
    assert_eq!(x.python_path, [Path::new("/a"), Path::new("/b")]);
    assert!(settings("y").restrict_stdout && settings("y").python_path.is_empty());
}

#[test]
fn proxies_add_up_within_a_section() {
    let config = Config::at_root().read(
        "
        WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto
        WSGITrustedProxyHeaders X-Forwarded-Host X-Other
        WSGITrustedProxies 10.0.0.0/8 ::1
        WSGITrustedProxies 192.0.2.1
        ",
    );
    let headers = config.directory.trusted_proxy_headers.as_ref().unwrap();
    assert_eq!(**headers, ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]);
    assert_eq!(config.directory.trusted_proxies.as_ref().unwrap().len(), 3);
    assert_eq!(
        config.notices(),
        ["WSGITrustedProxyHeaders ignores 'X-Other': its meaning is not known"]
    );
}

#[test]
fn the_remaining_directives_set_what_they_say() {
    let config = Config::at_root().read(
        "
        WSGIRestrictProcess a %{GLOBAL}
        WSGIPassApacheRequest Off
        WSGIDestroyInterpreter On
        WSGITelemetryService unix:/run/t.sock interval=2.5
        WSGITelemetryOptions +CaptureUserAgent
        WSGISlowRequests 0.5
        WSGILogNotes CPU
        WSGIPythonWarnings error
        WSGIPythonWarnings ignore
        WSGIPythonHashSeed 7
        WSGICaseSensitivity Off
        WSGICallableObject app
        WSGIDispatchScript d.wsgi application-group=%{SERVER}
        ",
    );
    let Config { globals, directory, .. } = &config;
    assert_eq!(**directory.restrict_process.as_ref().unwrap(), ["a", ""]);
    assert!((globals.telemetry.as_ref().unwrap().interval - 2.5).abs() < f64::EPSILON);
    assert!(globals.capture_user_agent && globals.case_insensitive);
    assert_eq!(globals.slow_requests.unwrap().as_millis(), 500);
    assert_eq!(directory.slow_requests().unwrap().as_millis(), 500);
    assert_eq!(directory.log_notes(), crate::config::LogNotes::Cpu);
    assert_eq!(globals.python.warnings, ["error", "ignore"]);
    assert_eq!(globals.python.hash_seed, Some(7));
    assert_eq!(directory.callable_object.as_ref().unwrap().text(), "app");
    let script = directory.dispatch_script.as_ref().unwrap();
    assert_eq!(script.path, Path::new("/etc/httpd/d.wsgi"));
    // That of WSGITelemetryOptions.
    let notices = config.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices.iter().all(|notice| notice.contains("has no effect")), "{notices:?}");
}
