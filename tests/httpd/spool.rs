//! Bodies that are read before the application is called (WSGISpoolRequestBody).

use crate::harness::{Config, Request, Server};
use crate::ours_only;

const COUNTER: &str = "
import hashlib
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    answer = '%s %d %s' % (environ.get('CONTENT_LENGTH'), len(body), hashlib.md5(body).hexdigest())
    start_response('200 OK', [])
    return [answer.encode()]
";

fn config(spooling: &str) -> Config {
    Config::serving("counter.wsgi", "threads=1")
        .file("counter.wsgi", COUNTER)
        .line(&format!("WSGISpoolRequestBody {spooling}"))
        .line(
            "<Location /limited>\nLimitRequestBody 1000\n</Location>\n\
             <Location /off>\nWSGISpoolRequestBody Off\nWSGIChunkedRequest On\n</Location>",
        )
}

#[track_caller]
fn counts(server: &Server, target: &str, size: usize) {
    let body: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let plain = server.request(&Request::post(target, body.clone())).expect(200).text();
    assert!(plain.starts_with(&format!("{size} {size} ")), "{plain}");
    let chunked = server.request(&Request::post(target, body).chunked()).expect(200).text();
    assert_eq!(chunked, plain, "the body in chunks is another one");
}

#[test]
fn a_body_in_chunks_gets_a_length() {
    ours_only!("mod_wsgi does not know the directive");
    for spooling in ["Chunked", "On"] {
        let server = config(spooling).start();
        // In memory, at its limit, and in a file.
        for size in [0, 9, 256 * 1024, 2_000_000] {
            counts(&server, "/", size);
        }
        let off = server.request(&Request::post("/off", "nine bytes").chunked()).expect(200);
        assert!(off.text().starts_with("None 10 "), "{}", off.text());
    }
}

#[test]
fn a_slow_upload_holds_no_thread() {
    ours_only!("mod_wsgi does not know the directive");
    let server = config("On").start();
    for size in [1000, 600_000] {
        let mut slow = server.connect();
        let request = Request::post("/", Vec::new()).header("Content-Length", &size.to_string());
        slow.send_head(&request).unwrap();
        slow.raw(&vec![b'x'; size / 2]).unwrap();
        // The only thread of the application is free.
        counts(&server, "/", 10);
        slow.raw(&vec![b'x'; size / 2]).unwrap();
        let head = slow.head().unwrap();
        let answer = String::from_utf8(slow.body(&head).unwrap()).unwrap();
        assert!(answer.starts_with(&format!("{size} {size} ")), "{answer}");
    }
}

#[test]
fn spooled_bodies_have_a_limit() {
    ours_only!("mod_wsgi does not know the directive");
    let server = config("Chunked 300000").expect_log("MWR1205").expect_log("AH").start();
    counts(&server, "/", 300_000);
    let answer = server.request(&Request::post("/", vec![b'x'; 300_001]).chunked());
    assert_eq!(answer.status(), 413);
    server.log().wait_for("exceeds the 300000 bytes of WSGISpoolRequestBody");
    let answer = server.request(&Request::post("/limited", vec![b'x'; 5000]).chunked());
    assert_eq!(answer.status(), 413);
}

#[test]
fn a_body_that_cannot_be_kept_is_refused() {
    ours_only!("mod_wsgi does not know the directive");
    let server = config("On").environment("TMPDIR", "{root}/nowhere").expect_log("MWR1205").start();
    counts(&server, "/", 1000);
    let answer = server.request(&Request::post("/", vec![b'x'; 600_000]));
    assert_eq!(answer.status(), 500);
    server.log().wait_for("can't be kept in");
}

#[test]
fn a_client_that_leaves_while_it_uploads_does_not_reach_the_application() {
    ours_only!("mod_wsgi does not know the directive");
    let server = config("On").expect_log("AH").start();
    let mut connection = server.connect();
    let request = Request::post("/", Vec::new()).header("Content-Length", "1000");
    connection.send_head(&request).unwrap();
    connection.raw(b"half").unwrap();
    connection.reset();
    counts(&server, "/", 10);
}
