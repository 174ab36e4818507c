//! Applications written inside the test that needs them.

use std::fmt::Write as _;

/// The URL at which `program.wsgi`, mounted at `/`, runs this Python source. It defines
/// `run(environ, start_response)`; its indentation may be the test's own.
pub(crate) fn program(source: &str) -> String {
    let mut target = String::from("/?program=");
    for byte in source.bytes() {
        if byte.is_ascii_alphanumeric() {
            target.push(char::from(byte));
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
    target
}
