//! The example in apache-conf/karrigell, with a stand-in that has Karrigell's hazards.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::{Config, Request, Server, settings};
use crate::karrigell::five_at_once;
use crate::pythons::{Python, python_2, with_libraries};
use crate::{ours_only, skip};

const ADAPTER: &str = include_str!("../../apache-conf/karrigell/modwsgi.py");
const ADAPTER_4: &str = include_str!("../../apache-conf/karrigell/modwsgi4.py");

/// Karrigell's folder with the adapter, line ends as an editor on Windows leaves them.
fn karrigell(python: &Python) -> Config {
    let adapter = ADAPTER.trim_end().replace('\n', "\r\n");
    let scratch = std::env::temp_dir().join("mod_wsgi-test-karrigell2");
    with_libraries(Config::new(), std::slice::from_ref(python))
        .file("karrigell2/apache/modwsgi.py", &adapter)
        .environment("SCRATCH", &scratch.display().to_string())
        .expect_errors()
}

fn example() -> PathBuf {
    settings().repository.join("apache-conf/karrigell/karrigell.conf")
}

fn serve(python: &Python) -> Server {
    karrigell(python)
        .line(&format!(
            "Define KARRIGELL {{apps}}/karrigell2\nDefine KARRIGELL_PYTHON {}\nInclude {}",
            python.program.display(),
            example().display()
        ))
        .start()
}

/// The lines that mod_wsgi's documentation has for Karrigell, with this group.
fn as_documented(python: &Python, group: &str) -> Server {
    karrigell(python)
        .module("access_compat")
        .line(&format!("WSGIPythonHome {}", python.home().display()))
        .line(group)
        .line(
            "WSGIScriptAlias / {apps}/karrigell2/apache/modwsgi.py\n\
             <Directory {apps}/karrigell2/apache>\nWSGIProcessGroup karrigell\n\
             Order deny,allow\nAllow from all\n</Directory>",
        )
        .start()
}

macro_rules! python_2 {
    () => {{
        ours_only!("mod_wsgi is linked with one Python");
        match python_2() {
            Some(python) => python,
            None => skip!("no Python 2.7 of pyenv's"),
        }
    }};
}

#[test]
fn five_pages_at_once_do_not_mix() {
    let server = serve(&python_2!());
    five_at_once(&server, "/shared/");
}

/// `KARRIGELL=seconds` makes it longer.
#[test]
fn pages_under_load_do_not_mix() {
    let server = serve(&python_2!());
    let seconds = std::env::var("KARRIGELL").ok().and_then(|text| text.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    std::thread::scope(|scope| {
        for client in 0..5 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                let mut round = 0;
                while Instant::now() < deadline {
                    round += 1;
                    let name = format!("c{client}r{}", round % 7);
                    let request = Request::get(&format!("/quick/{name}"));
                    let page = connection.exchange(&request).unwrap().expect(200).text();
                    assert_eq!(page, format!("{name} {name}\n").repeat(20));
                }
                println!("{round} pages");
            });
        }
    });
}

#[test]
fn a_page_finds_what_karrigell_expects() {
    let server = serve(&python_2!());
    let request =
        Request::get("/facts/x%20y?a=b").header("User-Agent", "t/1").header("X-Test", "é");
    let response = server.request(&request).expect(200);
    assert_eq!(response.text(), "'/facts/x%20y?a=b' str\n127.0.0.1 t/1 GET\né 127.0.0.1\n");
    assert_eq!(response.head.all("Set-Cookie"), ["a=1", "b=2"]);
    let form = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nme\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    let form = format!("{form}{}\r\n--b--\r\n", "x".repeat(200_000));
    let request =
        Request::post("/form/x", form).header("Content-Type", "multipart/form-data; boundary=b");
    assert_eq!(server.request(&request).expect(200).text(), "me 200000\n");
    assert_eq!(server.get("/redirected/x").expect(302).header("Location"), Some("/elsewhere"));
    assert_eq!(server.get("/missing/x").expect(404).text(), "No such page");
}

#[test]
fn a_page_answers_in_each_way_that_karrigell_has() {
    let server = serve(&python_2!());
    let known = Request::get("/who/x").header("Authorization", "Basic bWU6cA==");
    assert_eq!(server.request(&known).expect(200).text(), "Basic bWU6cA==\n");
    let unchanged = server.get("/unchanged/x").expect(304);
    assert_eq!((unchanged.head.reason.as_str(), &*unchanged.body), ("Not Modified", &b""[..]));
    let missing = server.get("/translated/x").expect(404);
    assert!(missing.text().contains("Error code 404"), "{}", missing.text());
    server.log().wait_for("code 404, message");
    let printed = server.get("/cgi/x").expect(200);
    assert_eq!(printed.text(), "printed: by CGI\n");
    assert_eq!(printed.header("Content-Type"), Some("text/plain"));
    assert_eq!(printed.head.all("Set-Cookie"), ["a=1", "b=2"]);
    let source = std::fs::read(server.app("karrigell2/KarrigellRequestHandler.py")).unwrap();
    assert_eq!(server.get("/file/x").expect(200).body, source);
    let head = server.request(&Request::new("HEAD", "/file/x")).expect(200);
    assert_eq!(head.header("Content-Length"), Some(&*source.len().to_string()));
    assert_eq!(server.text("/quick/n"), "n n\n".repeat(20));
}

#[test]
fn a_response_without_a_status_is_a_500_and_the_process_lives_on() {
    let server = serve(&python_2!());
    assert_eq!(server.get("/none/x").status(), 500);
    server.log().wait_for("before it gave a status");
    assert_eq!(server.get("/broken/x").status(), 500);
    server.log().wait_for("ValueError: status line");
    assert_eq!(server.text("/quick/n"), "n n\n".repeat(20));
}

#[test]
fn a_process_that_is_not_safe_says_so() {
    let python = python_2!();
    let unsafe_page = |server: &Server, why: &str| {
        let response = server.get("/quick/n").expect(500);
        assert_eq!(response.header("Content-Length"), Some(&*response.body.len().to_string()));
        let page = response.text();
        assert!(page.starts_with("CONFIGURATION ERROR\n") && page.contains(why), "{page}");
    };
    let server = as_documented(&python, "WSGIDaemonProcess karrigell threads=5");
    unsafe_page(&server, "has more than one thread");
    let server = as_documented(&python, "WSGIDaemonProcess karrigell processes=5");
    unsafe_page(&server, "has more than one thread");
    let server = karrigell(&python)
        .line(&format!("WSGIPythonHome {}", python.home().display()))
        .line("WSGIScriptAlias / {apps}/karrigell2/apache/modwsgi.py")
        .start();
    unsafe_page(&server, "belongs to no process group");
}

#[test]
fn the_documented_lines_work_as_they_stand() {
    let server = as_documented(&python_2!(), "WSGIDaemonProcess karrigell processes=5 threads=1");
    assert_eq!(server.text("/quick/n"), "n n\n".repeat(20));
}

#[test]
fn karrigell_4_serves_on_python_3() {
    let server = Config::new()
        .file("karrigell4/modwsgi4.py", ADAPTER_4)
        .line("WSGIDaemonProcess karrigell processes=2 threads=1")
        .line("WSGIProcessGroup karrigell")
        .mount("/", "karrigell4/modwsgi4.py")
        .expect_errors()
        .start();
    assert_eq!(server.text("/page.py/index?a=1"), "www /page.py/index [('a', '1')]");
    let request = Request::post("/page.py/index", "b=2&c=3");
    assert_eq!(
        server.request(&request).expect(200).text(),
        "www /page.py/index [('b', '2'), ('c', '3')]"
    );
    assert!(server.get("/missing").expect(404).text().contains("File not found"));
    let zipped = Request::get("/page.py/index").header("Accept-Encoding", "gzip");
    let zipped = server.request(&zipped).expect(200);
    assert_eq!(zipped.header("Content-Encoding"), Some("gzip"));
    assert_eq!(zipped.body[..2], [0x1f, 0x8b]);
    assert_eq!(server.request(&Request::new("HEAD", "/page")).expect(200).body, b"");
    assert_eq!(server.request(&Request::new("PUT", "/page")).status(), 501);
}
