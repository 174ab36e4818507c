//! What the standard library thinks of the server.

use crate::harness::{Config, Request};

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
