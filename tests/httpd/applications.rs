//! Applications as people write them: validated, Flask, Django.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Config, Request, Server, settings};
use crate::skip;

#[test]
fn the_standard_librarys_validator_is_content() {
    let server = Config::serving("validated.wsgi", "").start();
    for target in ["/", "/a/b?c=d", "/%20"] {
        assert_eq!(server.text(target), "valid:");
    }
    for body in ["body\nin two lines", "one line", "\n"] {
        let response = server.request(&Request::post("/", body)).expect(200);
        assert_eq!(response.text(), format!("valid:{body}"));
    }
}

/// The virtual environment with the frameworks, which `make test` builds, where httpd's user can
/// read it: one below a private home is copied (it works wherever it lies).
pub(super) fn venv() -> Option<PathBuf> {
    let venv = std::env::var_os("VENV")
        .map_or_else(|| settings().repository.join("build/venv"), PathBuf::from);
    if !venv.join("bin/python").exists() {
        return None;
    }
    if settings().can_be_reached(&venv) {
        return Some(venv);
    }
    static COPIED: OnceLock<PathBuf> = OnceLock::new();
    let copied = COPIED.get_or_init(|| {
        let copy = Path::new(COPIES).join("venv");
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir_all(COPIES).unwrap();
        let status = Command::new("cp").arg("-a").arg(&venv).arg(&copy).status().unwrap();
        assert!(status.success(), "copying {}", venv.display());
        copy
    });
    Some(copied.clone())
}

/// Where everybody can read what lies in a private home.
const COPIES: &str = "/var/tmp/mod_wsgi-test-pythons";

fn framework(script: &str) -> Option<Server> {
    let venv = venv()?;
    let options = format!("python-home={}", venv.display());
    let config = Config::new()
        .daemon("app", &options)
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/site", script);
    Some(config.expect_errors().start())
}

fn multipart(name: &str, size: usize) -> Request {
    let mut body = format!(
        "--limit\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n{name}\r\n\
         --limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(vec![b'x'; size]);
    body.extend(b"\r\n--limit--\r\n");
    Request::post("/site/form", body).header("Content-Type", "multipart/form-data; boundary=limit")
}

#[track_caller]
fn serves_a_site(server: &Server, name: &str, script: &str) {
    let index = server.request(&Request::get("/site/").header("Host", "www.example.org"));
    assert_eq!(index.expect(200).text(), format!("{name} at http://www.example.org/site/"));
    let response = server.request(&multipart("somebody", 300_000)).expect(200);
    assert_eq!(response.text(), "somebody:300000");
    assert_eq!(server.text("/site/stream").lines().count(), 1000);
    assert_eq!(
        server.get("/site/file").expect(200).body,
        std::fs::read(server.app(script)).unwrap()
    );
    assert_eq!(server.get("/site/none").status(), 404);
}

#[test]
fn flask_serves_its_site() {
    let Some(server) = framework("flask_site.wsgi") else { skip!("no virtual environment") };
    serves_a_site(&server, "flask", "flask_site.wsgi");
    assert_eq!(server.get("/site/fail").status(), 500);
    server.log().wait_for("a failing view");
}

#[test]
fn django_serves_its_site() {
    let Some(server) = framework("django_site.wsgi") else { skip!("no virtual environment") };
    serves_a_site(&server, "django", "django_site.wsgi");
}
