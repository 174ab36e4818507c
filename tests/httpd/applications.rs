//! Applications as people write them: validated, Flask, Django, many Pythons side by side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Config, Request, Server, settings};
use crate::{ours_only, skip};

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

/// Pythons of pyenv, copied to where httpd's user can read them.
fn pythons() -> Vec<(String, PathBuf)> {
    let Some(home) = std::env::var_os("HOME") else { return Vec::new() };
    let versions = Path::new(&home).join(".pyenv/versions");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(versions).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let minor = (parts.next() == Some(3)).then(|| parts.next()).flatten();
        if minor.is_none_or(|minor| minor < 9) {
            continue;
        }
        let copy = Path::new(COPIES).join(&name);
        if !copy.join("bin/python3").exists() {
            std::fs::create_dir_all(&copy).unwrap();
            let done = Command::new("sh")
                .args(["-c", COPY, "sh"])
                .arg(entry.path())
                .arg(&copy)
                .status()
                .unwrap();
            assert!(done.success(), "copying {name}");
        }
        found.push((name, copy));
    }
    found.sort();
    found
}

/// Leaves out what a server does not need: a tenth of the size remains.
const COPY: &str = "tar -C \"$1\" --exclude='lib/python3*/test' --exclude='*.a' \
                    --exclude='lib/python3*/site-packages' --exclude=__pycache__ -cf - bin lib \
                    | tar -C \"$2\" -xf -";

#[test]
fn every_python_serves_beside_the_others() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let libraries: Vec<_> =
        pythons.iter().map(|(_, home)| home.join("lib").display().to_string()).collect();
    // The copies are not where they were built for: their libraries must be found otherwise.
    let mut config = Config::new().environment("LD_LIBRARY_PATH", &libraries.join(":")).file(
        "version.wsgi",
        "import sys
def application(environ, start_response):
    start_response('200 OK', [])
    return [('%d.%d.%d' % sys.version_info[:3]).encode()]
",
    );
    for (version, home) in &pythons {
        config = config
            .daemon(version, &format!("python={}/bin/python3 threads=2", home.display()))
            .line(&format!(
                "WSGIScriptAlias /{version} {{apps}}/version.wsgi process-group={version}"
            ));
    }
    let server = config.start();
    for (version, _) in &pythons {
        assert_eq!(&server.text(&format!("/{version}")), version);
    }
    eprintln!("served: {:?}", pythons.iter().map(|(version, _)| version).collect::<Vec<_>>());
}
