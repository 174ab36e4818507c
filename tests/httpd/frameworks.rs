//! Sites of seven frameworks in the README's first configuration, and extension modules.

use std::collections::HashSet;

use crate::harness::{Config, Request, Server};
use crate::skip;
use crate::venv::Venv;

/// Each has a site of the same pages in `tests/apps/NAME_site.wsgi`.
const FRAMEWORKS: [&str; 7] =
    ["bottle", "cherrypy", "django", "falcon", "flask", "pyramid", "webpy"];

const README: &str = include_str!("../../README.md");

/// The lines below the README's "First configuration", for this site.
fn first_configuration(name: &str, venv: &Venv) -> String {
    let (_, section) = README.split_once("## First configuration").unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("    WSGI"));
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    // The tests' httpd has loaded the module.
    let lines: Vec<_> = lines.filter(|line| !line.contains("LoadModule")).collect();
    let text = lines.join("\n");
    for part in ["/srv/site/venv", "Alias / /srv/site/app.wsgi", "Process site", "=site "] {
        assert!(text.contains(part), "the README has no {part:?}:\n{text}");
    }
    text.replace("/srv/site/venv", &venv.home.display().to_string())
        .replace("Alias / /srv/site/app.wsgi", &format!("Alias /{name} {{apps}}/{name}_site.wsgi"))
        .replace("/srv/site", "{apps}")
        .replace("Process site", &format!("Process {name}"))
        .replace("=site ", &format!("={name} "))
}

#[test]
fn each_framework_serves_its_site_in_the_first_configuration() {
    let Some(venv) = Venv::find() else { skip!("no virtual environment") };
    let mut config = venv.configure(Config::new());
    for name in FRAMEWORKS {
        config = config.line(&first_configuration(name, &venv));
    }
    let server = config.expect_errors().start();
    for name in FRAMEWORKS {
        serves_its_site(&server, name);
    }
    server.log().wait_for("ValueError: a failing view");
}

#[track_caller]
fn serves_its_site(server: &Server, name: &str) {
    let request = |target: &str| {
        let target = format!("/{name}{target}");
        server.request(&Request::get(&target).header("Host", "www.example.org"))
    };
    let index = request("/").expect(200).text();
    let title = index.replace("web.py", "webpy");
    assert_eq!(title, format!("{name} at http://www.example.org/{name}/"));
    let response = server.request(&form(&format!("/{name}/form"), 300_000)).expect(200);
    assert_eq!(response.text(), "somebody:300000", "{name}");
    assert_eq!(request("/stream").expect(200).text().lines().count(), 1000, "{name}");
    let script = std::fs::read(server.app(&format!("{name}_site.wsgi"))).unwrap();
    assert_eq!(request("/file").expect(200).body, script, "{name}");
    assert_eq!(request("/none").status(), 404, "{name}");
    assert_eq!(request("/fail").status(), 500, "{name}");
}

fn form(target: &str, size: usize) -> Request {
    let mut body = b"--limit\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nsomebody\r\n\
         --limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n"
        .to_vec();
    body.extend(vec![b'x'; size]);
    body.extend(b"\r\n--limit--\r\n");
    Request::post(target, body).header("Content-Type", "multipart/form-data; boundary=limit")
}

#[test]
fn extension_modules_work_in_two_application_groups_at_once() {
    let Some(venv) = Venv::find() else { skip!("no virtual environment") };
    let server = venv
        .configure(Config::new())
        .daemon("app", &format!("threads=4 python-home={}", venv.home.display()))
        .line("WSGIProcessGroup app")
        .mount("/one", "extensions.wsgi")
        .mount("/two", "extensions.wsgi")
        .start();
    let processes: HashSet<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let (server, target) = (&server, if number % 2 == 0 { "/one" } else { "/two" });
                scope.spawn(move || {
                    let response = server.get(target).expect(200);
                    assert_eq!(response.text(), "45 secret {\"x\":1,\"y\":2} text");
                    response.header("X-Process").unwrap().to_owned()
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(processes.len(), 2, "{processes:?}");
}
