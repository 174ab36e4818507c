//! Who is let in, and whose scripts are run.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use crate::harness::{Config, Gate, Request, Response, Server, settings, wait_for};
use crate::{ours_only, skip};

/// A server whose `/` is a folder of files with `page.html`, and a script beside it.
fn guarded(script: &str, lines: &str) -> Config {
    let modules = ["auth_basic", "authn_core", "authz_user", "authz_host"];
    let config = modules.into_iter().fold(Config::new(), Config::module);
    let lines = lines.replace("SCRIPT", "{apps}/guard.py");
    config
        .file("guard.py", script)
        .file("page.html", "page")
        .line("Alias /files {apps}")
        .line(&format!("<Location /files>\n{lines}\n</Location>"))
        .expect_errors()
        .expect_log("AH0")
}

fn page(server: &Server, user: Option<&str>) -> Response {
    let mut request = Request::get("/files/page.html");
    if let Some(user) = user {
        request = request.header("Authorization", &format!("Basic {}", base64(user)));
    }
    server.request(&request)
}

/// Fails unless the status is this one. mod_wsgi has other statuses for what goes wrong.
#[track_caller]
fn is(found: u16, status: u16, what: &str) {
    let found = if settings().reference && status == 500 && found >= 400 { 500 } else { found };
    assert_eq!(found, status, "{what}");
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in text.as_bytes().chunks(3) {
        let bytes = [group[0], *group.get(1).unwrap_or(&0), *group.get(2).unwrap_or(&0)];
        let word = bytes.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for position in 0..4 {
            let digit = char::from(DIGITS[word >> (18 - 6 * position) & 63]);
            encoded.push(if position <= group.len() { digit } else { '=' });
        }
    }
    encoded
}

#[test]
fn an_access_script_decides_who_is_let_in() {
    // what the function returns → status
    for (result, status) in [
        ("True", 200),
        ("False", 403),
        ("None", 200),
        ("1", 500),
        ("'yes'", 500),
        ("[]", 500),
        ("1 // 0", 500),
        ("exit()", 500),
        ("host == '127.0.0.1'", 200),
        ("environ['REQUEST_URI'] == '/files/page.html'", 200),
    ] {
        let script = format!(
            "from sys import exit\ndef allow_access(environ, host):\n    return {result}\n"
        );
        let server = guarded(&script, "WSGIAccessScript SCRIPT").start();
        let response = page(&server, None);
        is(response.status(), status, result);
        assert_eq!(response.text() == "page", status == 200, "{result}");
    }
}

#[test]
fn an_access_script_comes_before_other_rules_and_does_not_replace_them() {
    let script = "def allow_access(environ, host):\n    return True\n";
    let server = guarded(script, "WSGIAccessScript SCRIPT\nRequire all denied").start();
    assert_eq!(page(&server, None).status(), 403);
}

#[test]
fn an_access_script_that_cannot_be_asked_lets_nobody_in() {
    ours_only!("it ends httpd's child when it exits");
    for (script, message) in [
        ("this is no python", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("nothing = None", "allow_access"),
        ("import os\ndef allow_access(environ, host):\n    os._exit(0)\n", "MWR1300"),
    ] {
        let server = guarded(script, "WSGIAccessScript SCRIPT").start();
        is(page(&server, None).status(), 500, script);
        server.log().wait_for(message);
    }
    let server = guarded("", "WSGIAccessScript SCRIPT.missing").start();
    is(page(&server, None).status(), 500, "a missing script");
}

#[test]
fn an_access_script_that_hangs_lets_nobody_in() {
    ours_only!("mod_wsgi waits for ever");
    let script = "import os, sys
sys.path.insert(0, os.path.dirname(__file__))
import gate
def allow_access(environ, host):
    gate.wait(environ)
    return True
";
    let server = guarded(script, "WSGIAccessScript SCRIPT").line("Timeout 2").start();
    let gate = Gate::open();
    let target = format!("/files/page.html?{}", gate.query());
    assert_eq!(server.get(&target).status(), 500);
    server.log().wait_for("MWR1300");
    gate.visitor().release();
}

#[test]
fn an_access_script_that_changes_is_loaded_again() {
    ours_only!("mod_wsgi answers a broken script with 403");
    let script = |result| format!("def allow_access(environ, host):\n    return {result}\n");
    let server = guarded(&script("True"), "WSGIAccessScript SCRIPT").start();
    assert_eq!(page(&server, None).status(), 200);
    fs::write(server.app("guard.py"), script("False")).unwrap();
    wait_for("the new script", || (page(&server, None).status() == 403).then_some(()));
    fs::write(server.app("guard.py"), "this is no python").unwrap();
    wait_for("the broken script", || (page(&server, None).status() == 500).then_some(()));
}

#[test]
fn an_access_script_sees_the_environ_of_cgi() {
    ours_only!("mod_wsgi shows it the Proxy header");
    let script = "
def allow_access(environ, host):
    expected = {
        'REQUEST_METHOD': 'POST', 'SCRIPT_NAME': '/files/page.html', 'QUERY_STRING': 'a=1',
        'REMOTE_ADDR': '127.0.0.1', 'HTTP_X_A': 'b',
        'mod_wsgi.process_group': '', 'mod_wsgi.application_group': '', 'CONTENT_LENGTH': '70000',
    }
    for name, value in expected.items():
        assert environ.get(name) == value, (name, environ.get(name))
    for name in ('wsgi.input', 'HTTP_AUTHORIZATION', 'HTTP_PROXY', 'wsgi.multithread'):
        assert name not in environ, name
    print('said', file=environ['wsgi.errors'])
    environ['wsgi.errors'].write('written')
    return True
";
    let server = guarded(script, "WSGIAccessScript SCRIPT").start();
    let request = Request::post("/files/page.html?a=1", vec![b'x'; 70_000])
        .header("X-A", "b")
        .header("Proxy", "p")
        .header("Authorization", "Basic eDp5");
    let status = server.request(&request).status();
    assert!([200, 405].contains(&status), "{status}");
    server.log().wait_for("said");
    server.log().wait_for("written");
}

#[test]
fn an_access_script_holds_for_applications_and_for_restrict_embedded() {
    let server = Config::serving("hello.wsgi", "threads=1")
        .file("guard.py", "def allow_access(environ, host):\n    return environ['QUERY_STRING'] == 'yes'\n")
        .line("<Location />\nWSGIAccessScript {apps}/guard.py application-group=%{SERVER}\n</Location>")
        .line("WSGIRestrictEmbedded On")
        .expect_errors()
        .start();
    assert_eq!(server.get("/?yes").status(), 200);
    assert_eq!(server.get("/?no").status(), 403);
}

const BASIC: &str = "AuthType Basic\nAuthName realm\nAuthBasicProvider wsgi\n\
                     WSGIAuthUserScript SCRIPT\nRequire valid-user";

const USERS: &str = "
def check_password(environ, user, password):
    assert 'HTTP_AUTHORIZATION' not in environ
    if user == 'renamed':
        return 'other'
    if user == 'raises':
        raise KeyError(password)
    answers = {'empty': '', 'number': 7, 'list': ['x'], 'bytes': b'as-bytes', 'unknown': None}
    if user in answers:
        return answers[user]
    return password == 'Secret-W\\xf6rd'
";

#[test]
fn passwords_are_checked_by_the_user_script() {
    let server = guarded(USERS, BASIC)
        .file(
            "who.wsgi",
            "
def application(environ, start_response):
    start_response('200 OK', [])
    return [(environ.get('REMOTE_USER', '-') + environ.get('AUTH_TYPE', '-')).encode()]
",
        )
        .line(&format!(
            "<Location /who>\n{}\n</Location>",
            BASIC.replace("SCRIPT", "{apps}/guard.py")
        ))
        .mount("/who", "who.wsgi")
        .start();
    // user and password (latin-1 by way of the escape below) → status
    for (user, status) in [
        ("unknown:x", 401),
        ("anyone:wrong", 401),
        ("renamed:Never-Shown", 200),
        ("empty:x", 500),
        ("number:x", 500),
        ("list:x", 500),
        ("raises:Never-Shown", 500),
    ] {
        assert_eq!(page(&server, Some(user)).status(), status, "{user}");
    }
    assert_eq!(page(&server, None).status(), 401);
    let who = |authorization: &str| {
        let request = Request::get("/who").header("Authorization", authorization);
        server.request(&request).expect(200).text()
    };
    assert_eq!(who(&format!("Basic {}", base64("renamed:x"))), "otherBasic");
    // "anyone:Secret-W\xf6rd"
    assert_eq!(who("Basic YW55b25lOlNlY3JldC1X9nJk"), "anyoneBasic");
    server.log().wait_for("KeyError");
    ours_only!("mod_wsgi logs what an exception quotes");
    assert!(!server.log().text().contains("Never-Shown"), "a password is in the log");
}

#[test]
fn an_unknown_user_is_left_to_the_next_provider() {
    let lines = BASIC.replace("Provider wsgi", "Provider wsgi file\nAuthUserFile {apps}/users");
    let server = guarded(USERS, &lines)
        .module("authn_file")
        .file(
            "users",
            "unknown:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nanyone:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
        )
        .start();
    assert_eq!(page(&server, Some("unknown:password")).status(), 200);
    assert_eq!(page(&server, Some("anyone:password")).status(), 401);
}

#[test]
fn a_provider_without_its_script_lets_nobody_in() {
    ours_only!("the codes are ours");
    let server = guarded("", &BASIC.replace("WSGIAuthUserScript SCRIPT", "")).start();
    assert_eq!(page(&server, Some("a:b")).status(), 500);
    server.log().wait_for("MWR1304");
    let lines = format!("{}\nRequire wsgi-group staff", BASIC.replace("Require valid-user", ""));
    let server = guarded(USERS, &lines).start();
    assert_eq!(page(&server, Some("renamed:b")).status(), 500);
    server.log().wait_for("MWR1305");
}

#[test]
fn digests_are_checked_by_the_user_script() {
    let script = "
from hashlib import md5
def get_realm_hash(environ, user, realm):
    if user == 'nobody':
        return None
    return md5(('%s:%s:secret' % (user, realm)).encode()).hexdigest()
";
    let lines = "AuthType Digest\nAuthName realm\nAuthDigestProvider wsgi\n\
                 WSGIAuthUserScript SCRIPT\nRequire valid-user";
    let server = guarded(script, lines).module("auth_digest").start();
    assert_eq!(page(&server, None).status(), 401);
    for (user, status) in [("someone:secret", 200), ("someone:wrong", 401), ("nobody:secret", 401)]
    {
        let challenge = page(&server, None).header("WWW-Authenticate").unwrap().to_owned();
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        let (name, password) = user.split_once(':').unwrap();
        let first = md5(&format!("{name}:realm:{password}"));
        let second = md5("GET:/files/page.html");
        let digest = md5(&format!("{first}:{nonce}:00000001:c:auth:{second}"));
        let header = format!(
            "Digest username=\"{name}\", realm=\"realm\", nonce=\"{nonce}\", \
             uri=\"/files/page.html\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\", \
             response=\"{digest}\""
        );
        let request = Request::get("/files/page.html").header("Authorization", &header);
        assert_eq!(server.request(&request).status(), status, "{user}");
    }
}

fn md5(text: &str) -> String {
    let mut child =
        Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    String::from_utf8_lossy(&output)[..32].to_owned()
}

#[test]
fn groups_are_told_by_the_group_script() {
    let script = "
def check_password(environ, user, password):
    return True
def groups_for_user(environ, user):
    if user == 'list':
        return ['staff', b'with blank']
    if user == 'generator':
        return (name for name in ('x', 'staff'))
    return {'none': [], 'other': ['stafff', 'sta'], 'wrong': None, 'number': 7, 'mixed': ['staff', 1]}[user]
";
    let lines = |require| {
        format!(
            "{}\nWSGIAuthGroupScript SCRIPT\n{require}",
            BASIC.replace("Require valid-user", ""),
        )
    };
    let server = guarded(script, &lines("Require wsgi-group admin staff")).start();
    for (user, status) in [
        ("list", 200),
        ("generator", 200),
        ("none", 401),
        ("other", 401),
        ("wrong", 500),
        ("number", 500),
        ("mixed", 500),
        ("raises", 500),
    ] {
        is(page(&server, Some(&format!("{user}:x"))).status(), status, user);
    }
    let server = guarded(script, &lines("Require wsgi-group \"with blank\"")).start();
    assert_eq!(page(&server, Some("list:x")).status(), 200);
    assert_eq!(page(&server, Some("other:x")).status(), 401);
    ours_only!("mod_wsgi takes a failure for a stranger, which <RequireNone> lets in");
    // What cannot be asked does not count as "not a member".
    let require = "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire wsgi-group staff\n</RequireNone>\n</RequireAll>";
    let server = guarded(script, &lines(require)).start();
    assert_eq!(page(&server, Some("none:x")).status(), 200);
    assert_ne!(page(&server, Some("raises:x")).status(), 200);
}

const WHERE: &str = "
def application(environ, start_response):
    start_response('200 OK', [])
    names = ('process_group', 'application_group', 'callable_object')
    return ['|'.join(environ['mod_wsgi.' + name] for name in names).encode()]
other = application
";

#[test]
fn a_dispatch_script_chooses_groups_and_callable() {
    let script = "
def process_group(environ):
    assert environ['mod_wsgi.process_group'] == '' and 'wsgi.input' not in environ
    return {'g': 'second', 'none': None, 'bytes': b'second', 'var': '%{ENV:chosen}', 'bad': 7,
            'unknown': 'nobody'}.get(environ['QUERY_STRING'])
def application_group(environ):
    if environ['QUERY_STRING'] == 'raises':
        raise ValueError('on purpose')
    return 'chosen' if environ['QUERY_STRING'] == 'a' else None
def callable_object(environ):
    return 'other' if environ['QUERY_STRING'] == 'c' else None
";
    let server = Config::serving("where.wsgi", "")
        .file("where.wsgi", WHERE)
        .file("dispatch.py", script)
        .daemon("second", "")
        .line("WSGIApplicationGroup %{GLOBAL}\nSetEnv chosen second")
        .line("<Location />\nWSGIDispatchScript {apps}/dispatch.py\n</Location>")
        .expect_errors()
        .start();
    for (query, expected) in [
        ("none", "app||application"),
        ("g", "second||application"),
        ("bytes", "second||application"),
        ("var", "second||application"),
        ("a", "app|chosen|application"),
        ("c", "app||other"),
    ] {
        assert_eq!(server.text(&format!("/?{query}")), expected);
    }
    for query in ["bad", "raises", "unknown"] {
        assert_eq!(server.get(&format!("/?{query}")).status(), 500, "{query}");
    }
}

#[test]
fn a_dispatch_script_may_lack_functions_but_must_load() {
    ours_only!("mod_wsgi passes over a script that does not load");
    for (script, status) in [("", 200), ("nonsense here", 500)] {
        let server = Config::serving("hello.wsgi", "")
            .file("dispatch.py", script)
            .line("<Location />\nWSGIDispatchScript {apps}/dispatch.py\n</Location>")
            .expect_errors()
            .start();
        assert_eq!(server.get("/").status(), status, "{script}");
    }
}

/// Makes script and directory those of this user and group, with these modes.
fn give(server: &Server, owner: (u32, u32), modes: (u32, u32)) {
    let script = server.app("own/hello.wsgi");
    let folder = script.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::copy(server.app("hello.wsgi"), &script).unwrap();
    for (path, mode) in [(folder, modes.0), (&script, modes.1)] {
        chown(path, Some(owner.0), Some(owner.1)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn only_scripts_of_script_user_are_run() {
    if settings().user.is_none() {
        skip!("only root may give files away");
    }
    let server = Config::serving("own/hello.wsgi", "script-user=games").expect_errors().start();
    let games = 5;
    // owner, modes of directory and script → status
    for (owner, modes, status) in [
        ((games, 0), (0o755, 0o644), 200),
        ((0, 0), (0o755, 0o644), 403),
        ((games, 0), (0o755, 0o664), 403),
        ((games, 0), (0o755, 0o646), 403),
        ((games, 0), (0o775, 0o644), 403),
        ((games, 0), (0o757, 0o644), 403),
        ((games, 0), (0o755, 0o644), 200),
    ] {
        give(&server, owner, modes);
        assert_eq!(server.get("/").status(), status, "{owner:?} {modes:?}");
    }
}

#[test]
fn only_scripts_of_script_group_are_run() {
    if settings().user.is_none() {
        skip!("only root may give files away");
    }
    let server = Config::serving("own/hello.wsgi", "script-group=daemon").expect_errors().start();
    for (owner, modes, status) in [
        ((0, 1), (0o775, 0o664), 200),
        ((0, 2), (0o755, 0o644), 403),
        ((0, 1), (0o755, 0o646), 403),
        ((0, 1), (0o757, 0o644), 403),
    ] {
        give(&server, owner, modes);
        assert_eq!(server.get("/").status(), status, "{owner:?} {modes:?}");
    }
}

#[test]
fn an_access_script_is_asked_while_all_threads_of_applications_are_busy() {
    let gate = Gate::open();
    let script = "def allow_access(environ, host):\n    return True\n";
    let server = guarded(script, "WSGIAccessScript SCRIPT")
        .daemon("app", "threads=1")
        .line("WSGIScriptAlias /app {apps}/busy.wsgi process-group=app")
        .file(
            "busy.wsgi",
            "
import sys
sys.path.insert(0, __file__.rpartition('/')[0])
import gate
def application(environ, start_response):
    gate.wait(environ)
    start_response('200 OK', [])
    return []
",
        )
        .start();
    let mut busy = server.connect();
    busy.send(&Request::get(&format!("/app?{}", gate.query()))).unwrap();
    let visitor = gate.visitor();
    assert_eq!(page(&server, None).status(), 200);
    visitor.release();
    assert_eq!(busy.head().unwrap().status, 200);
}

#[test]
fn an_access_script_learns_of_tls() {
    let script = "
def allow_access(environ, host):
    assert environ['mod_ssl.is_https']()
    assert environ['mod_ssl.var_lookup']('SSL_PROTOCOL').startswith('TLS')
    assert environ['mod_ssl.var_lookup']('SSL_CLIENT_S_DN') is None
    return True
";
    let Some(certificate) = certificate() else { skip!("openssl makes no certificate") };
    let tls = free_port();
    let server = guarded(script, "WSGIAccessScript SCRIPT")
        .module("ssl")
        .file("tls.pem", &certificate)
        .line(&format!(
            "Listen 127.0.0.1:{tls}\n<VirtualHost 127.0.0.1:{tls}>\nServerName localhost\nSSLEngine On\n\
             SSLCertificateFile {{apps}}/tls.pem\n</VirtualHost>"
        ))
        .start();
    let url = format!("https://127.0.0.1:{tls}/files/page.html");
    let output = Command::new("curl").args(["-sk", "--max-time", "10", &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "page", "{}", server.log().text());
    assert_eq!(page(&server, None).status(), 500, "without TLS the script fails");
}

/// Certificate and key, made for the occasion.
pub(super) fn certificate() -> Option<String> {
    let arguments =
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout - -out -";
    let output = Command::new("openssl").args(arguments.split(' ')).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
