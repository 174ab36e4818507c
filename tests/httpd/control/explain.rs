//! `wsgictl explain`: which directives would serve a URL.

use std::fs;

use super::{done, refused, run};
use crate::harness::{Config, Request, Server, settings, wait_for};
use crate::ours_only;
use crate::venv::Venv;

const SCRIPT: &str = "def application(environ, start_response):
    start_response('200 OK', [])
    names = ['process_group', 'application_group', 'callable_object']
    facts = [environ['mod_wsgi.' + name] for name in names]
    facts += [environ['SCRIPT_FILENAME'], environ['PATH_INFO']]
    return ['|'.join(facts).encode()]
deep = below = indexed = application
";

/// Options of the group with another interpreter, if there is one.
fn third() -> String {
    Venv::find().map_or_else(String::new, |venv| format!("python-home={}", venv.home.display()))
}

/// Four virtual hosts; the last one has an address of its own.
fn sites() -> Config {
    let second = if settings().user.is_some() { "threads=5 user=daemon" } else { "threads=5" };
    let config = Venv::find().map_or_else(Config::new, |venv| venv.configure(Config::new()));
    ["a.wsgi", "a2.wsgi", "plain/a.wsgi", "sub/a.wsgi", "index/a.wsgi", "page.tmpl", "page.txt"]
        .into_iter()
        .fold(config, |config, name| config.file(name, SCRIPT))
        .file("sub/.htaccess", "# A comment\nWSGICallableObject below\nSetEnv GROUP one\n")
        .file("nice/.htaccess", "RewriteEngine On\nRewriteRule ^old/(.*) /files/sub/a.wsgi/$1\n")
        .module("rewrite")
        .module("proxy")
        .module("proxy_http")
        .daemon("one", "processes=2 threads=3")
        .daemon("two", second)
        .daemon("three", &third())
        .line("WSGIProcessGroup one\nWSGIApplicationGroup %{GLOBAL}\nListen 127.0.0.2:{port}")
        .vhost(
            "a.example",
            &[
                "ServerAlias also.example",
                "WSGIScriptAlias /two {apps}/a2.wsgi process-group=two application-group=opt",
                "WSGIScriptAlias / {apps}/a.wsgi",
                "<Location /deep>\nWSGIProcessGroup one\nWSGICallableObject deep",
                "WSGIProcessGroup  two\n</Location>",
                "Alias /static {root}/htdocs\nRedirect /old /new",
            ],
        )
        .vhost(
            "b.example",
            &[
                "WSGIScriptAliasMatch ^/v[0-9]+/(\\w+) {apps}/$1.wsgi\nWSGIProcessGroup three",
                "<LocationMatch ^/v9>\nWSGIApplicationGroup nine\n</LocationMatch>",
                "<Location /v5>\nWSGIRestrictProcess one\n</Location>",
                "ProxyPass /far/ http://127.0.0.1:1/",
            ],
        )
        .vhost(
            "c.example",
            &[
                "WSGIHandlerScript templates {apps}/handler.py process-group=two",
                "Alias /files {apps}",
                "<Directory {apps}>\nOptions +ExecCGI +FollowSymLinks\nAllowOverride FileInfo",
                "AddHandler templates .tmpl\nAddHandler wsgi-script .wsgi",
                "</Directory>\n<Directory {apps}/plain>\nOptions -ExecCGI\n</Directory>",
                "<Directory {apps}/sub>\nWSGIProcessGroup %{ENV:GROUP}\nSetEnv GROUP two\n</Directory>",
                "<Directory {apps}/index>\nRequire all denied\nDirectoryIndex a.wsgi",
                "<Files a.wsgi>\nWSGICallableObject indexed\n</Files>\n</Directory>",
            ],
        )
        .line(
            "<VirtualHost 127.0.0.2:{port}>\nServerName d.example\n\
             WSGIScriptAlias /d {apps}/a.wsgi\nWSGIProcessGroup %{ENV:GROUP}\n\
             WSGIApplicationGroup %{RESOURCE}\nSetEnv GROUP two\n\
             <Location /d/private>\nRequire all denied\nSetEnv GROUP three\n</Location>\n\
             RewriteEngine On\nRewriteCond %{HTTPS} off\n\
             RewriteRule ^/d/safe https://d.example/d/safe [R]\n</VirtualHost>",
        )
}

/// What is expected of each URL: the port left out, and the text of a line of httpd.conf in
/// place of its number.
const EXPECTED: &str = include_str!("explained.txt");

/// A server whose supervisor listens, which it does a little after httpd.
fn started(config: Config) -> Server {
    let server = config.start();
    wait_for("the supervisor", || run(&server, &["status"]).status.success().then_some(()));
    server
}

/// A URL with the server's port.
fn with_port(server: &Server, url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    format!("{scheme}://{host}:{}/{path}", server.address().port())
}

/// The output as [`EXPECTED`] has it, without what depends on the machine.
fn readable(server: &Server, output: &str) -> String {
    let root = server.root().display().to_string();
    let (configuration, port) = (format!("{root}/httpd.conf"), server.address().port());
    let lines = fs::read_to_string(&configuration).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let mut text = String::new();
    for line in output.lines() {
        let (name, value) = line.split_at_checked(21).unwrap_or((line, ""));
        if line.starts_with("http") {
            text.push_str(&line.replacen(&format!(":{port}"), "", 1));
            text.push('\n');
            continue;
        }
        let name = name.trim();
        if ["address", "interpreter", "user", "processes", "threads"].contains(&name) {
            continue;
        }
        let number = value.rsplit_once(&format!(" at {configuration}:"));
        let value = number.map_or(value, |(_, number)| lines[number.parse::<usize>().unwrap() - 1]);
        match name {
            "by" => text.insert_str(text.len() - 1, &format!(" < {value}")),
            name => text.push_str(&format!("  {name} {value}\n")),
        }
    }
    let home = third();
    let text = text.replace(&format!("{root}/apps"), "{apps}").replace(&root, "{root}");
    let text = if home.is_empty() { text } else { text.replace(&home, "{home}") };
    text.replace(" user=daemon", "").replace(&format!(":{port}"), ":{port}")
}

#[test]
fn urls_of_four_virtual_hosts_are_explained() {
    ours_only!("it has no such command");
    let server = started(sites());
    let urls: Vec<String> = EXPECTED
        .lines()
        .filter(|line| line.starts_with("http"))
        .map(|url| with_port(&server, url))
        .collect();
    assert_eq!(urls.len(), 22);
    let mut words = vec!["explain"];
    words.extend(urls.iter().map(String::as_str));
    let found = readable(&server, &done(&server, &words));
    for (found, expected) in found.lines().zip(EXPECTED.lines()) {
        let expected =
            if third().is_empty() { expected.replace(" {home}", " ") } else { expected.to_owned() };
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), EXPECTED.lines().count());
}

/// What the application is told has to be what was explained.
#[test]
fn an_explanation_is_what_happens() {
    ours_only!("it has no such command");
    let server = started(sites());
    for url in [
        "http://a.example/",
        "http://other.example/deep/1",
        "http://a.example/two/z",
        "http://b.example/v9/a2/p",
        "http://c.example/files/sub/a.wsgi",
        "http://c.example/files/nice/old/x",
    ] {
        let explanation = done(&server, &["explain", &with_port(&server, url)]);
        let value = |name: &str| {
            let line =
                explanation.lines().find_map(|line| line.strip_prefix(&format!("  {name} ")));
            line.unwrap_or_default().trim().replace("%{GLOBAL}", "")
        };
        let names = ["process group", "application group", "callable", "script", "path info"];
        let (host, path) = url["http://".len()..].split_once('/').unwrap();
        let request = Request::get(&format!("/{path}")).header("Host", host);
        let answer = server.connect().exchange(&request).unwrap().expect(200).text();
        assert_eq!(answer, names.map(value).join("|"), "{url}");
    }
}

#[test]
fn scripts_read_objects_of_an_explanation() {
    ours_only!("it has no such command");
    let server = started(sites());
    let port = server.address().port();
    let url = format!("http://nobody.example:{port}/d/x");
    let json = done(&server, &["explain", "--json", "--address", "127.0.0.2", &url]);
    let user = settings().user.map_or_else(String::new, |_| "\"user\": \"daemon\", ".to_owned());
    for member in [
        &format!(
            "{{\"url\": \"{url}\", \"address\": \"127.0.0.2 port {port}\", \"server\": \"d.example\", "
        ),
        "\"path_info\": \"/x\"",
        "\"process_group\": \"two\", \"process_group_by\": \"WSGIProcessGroup at ",
        &user,
        "\"processes\": \"1\", \"threads\": \"5\"}\n",
    ] {
        assert!(json.contains(member), "{member} in {json}");
    }
    assert_eq!(json.lines().count(), 1);
}

#[test]
fn what_can_not_be_explained_is_said() {
    ours_only!("it has no such command");
    let server = started(sites());
    let good = with_port(&server, "http://a.example/");
    for (words, why) in [
        (&["explain", "http://a.example:1/"][..], "httpd does not listen at this port"),
        (&["explain", "a.example/x"], "a URL such as http://host/path is meant"),
        (&["explain", "http://a.example:99999/"], "a URL such as http://host/path is meant"),
        (&["explain", "http://a\n.example/"], "'http://a\\n.example/' is not a URL"),
        (&["explain", "--address", "nowhere", &good], "'nowhere' is not an IP address"),
    ] {
        let said = refused(&server, words);
        assert!(said.contains(why), "{words:?}: {said}");
    }
    // One of several does not keep the others from being explained.
    let output = run(&server, &["explain", "no URL", &good]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("a URL such as") && text.contains("WSGIProcessGroup at "), "{text}");
}

/// What a directory's owner may have httpd's modules do is done with the rights of
/// httpd's children, whoever asks.
#[test]
fn directories_are_not_read_by_root() {
    ours_only!("it has no such command");
    if settings().user.is_none() {
        return;
    }
    let server = started(sites().private("sub/.htaccess"));
    let url = with_port(&server, "http://c.example/files/sub/a.wsgi");
    let output = run(&server, &["explain", &url]);
    let said = String::from_utf8(output.stderr).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("status             403"), "{text}{said}");
    assert!(said.contains("unable to check htaccess file"), "{said}");
}
