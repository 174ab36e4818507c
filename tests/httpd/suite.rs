//! The WSGI suite: what the specification promises, on every Python here, in one httpd.

use crate::harness::{Config, Request, Server, settings};
use crate::pythons::{Python, pythons, with_libraries};
use crate::{ours_only, skip};

fn serve(pythons: &[Python], options: &str) -> Server {
    let mut config = with_libraries(Config::new(), pythons).expect_errors();
    for python in pythons {
        config = config.line(&python.group(options)).line(&format!(
            "WSGIScriptAlias /{name} {{apps}}/suite.wsgi process-group={name}",
            name = python.name
        ));
    }
    config.start()
}

#[test]
fn each_python_keeps_the_promises_of_wsgi() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let server = serve(&pythons, "threads=2");
    for Python { name, .. } in &pythons {
        keeps_promises(&server, name);
    }
}

#[test]
fn the_worker_in_python_alone_keeps_them_where_the_native_one_would() {
    ours_only!("mod_wsgi is linked with one Python");
    let mut pythons = pythons();
    pythons.retain(|python| {
        ["3.9.", "3.10.", "3.12."].iter().any(|version| python.name.starts_with(version))
    });
    if pythons.is_empty() {
        skip!("no Python 3.9, 3.10 or 3.12 of pyenv's");
    }
    let server = serve(&pythons, "threads=2 worker=pure");
    for Python { name, .. } in &pythons {
        keeps_promises(&server, name);
    }
}

#[track_caller]
fn keeps_promises(server: &Server, name: &str) {
    responses(server, name);
    failures(server, name);
    requests(server, name);
    for text in ["error of ", "line one of ", "printed by "] {
        server.log().wait_for(&format!("{text}{name}"));
    }
}

#[track_caller]
fn responses(server: &Server, name: &str) {
    let get = |case: &str| server.get(&format!("/{name}/{case}"));
    let response = get("headers");
    assert_eq!((response.status(), &*response.head.reason), (299, "Fine Indeed"), "{name}");
    assert_eq!(response.head.all("X-A"), ["1", "3"], "{name}");
    assert_eq!(response.head.all("X-B"), ["2"], "{name}");
    let written = format!("a{}cd", "b".repeat(70_000));
    assert_eq!(get("write").expect(200).text(), written, "{name}");
    let head = server.request(&Request::new("HEAD", &format!("/{name}/write"))).expect(200);
    assert_eq!(head.body, b"", "{name}");
    assert_eq!(get("stream").expect(200).text(), "0\n1\n2\n", "{name}");
    let file = get("file").expect(200);
    let source = std::fs::read(settings().apps.join("suite.wsgi")).unwrap();
    assert_eq!(file.body, source[3..], "{name}");
    assert_eq!(file.header("Content-Length"), Some(&*file.body.len().to_string()), "{name}");
    assert_eq!(get("memory").expect(200).text(), "memory", "{name}");
    let before: u32 = get("count_closed").expect(200).text().parse().unwrap();
    assert_eq!(get("closing").expect(200).text(), "closing", "{name}");
    assert_eq!(get("count_closed").expect(200).text(), (before + 1).to_string(), "{name}");
}

#[track_caller]
fn failures(server: &Server, name: &str) {
    let get = |case: &str| server.get(&format!("/{name}/{case}"));
    assert_eq!(get("replaced").expect(503).text(), "sorry", "{name}");
    assert_eq!(get("silent").status(), 500, "{name}");
    assert_eq!(get("text").status(), 500, "{name}");
    assert_eq!(get("no_such_case").status(), 500, "{name}");
    let mut connection = server.connect();
    connection.send(&Request::get(&format!("/{name}/late"))).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(connection.body(&head).unwrap_err().received, b"begin", "{name}");
    server.log().wait_for(&format!("ValueError: late in {name}"));
}

#[track_caller]
fn requests(server: &Server, name: &str) {
    let text = |request: Request| server.request(&request).expect(200).text();
    let target = format!("/{name}/environ/a%20b?c=%20");
    let found = text(Request::post(&target, "12345").header("X", "y"));
    let expected = format!(
        "SCRIPT_NAME=/{name} PATH_INFO=/environ/a b QUERY_STRING=c=%20 HTTP_X=y CONTENT_LENGTH=5"
    );
    assert_eq!(found, expected, "{name}");
    let body = format!("first\nsecond\nthird\n{}\nlast", "x".repeat(200_000));
    for body in [body.as_str(), "", "\n", "x"] {
        let request = Request::post(&format!("/{name}/echo"), body);
        assert_eq!(text(request), body, "{name}");
    }
    assert_eq!(text(Request::get(&format!("/{name}/errors"))), "", "{name}");
}
