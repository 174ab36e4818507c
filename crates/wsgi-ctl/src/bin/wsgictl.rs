//! `wsgictl`: asks and steers the daemon processes of a running httpd. See
//! [`wsgi_ctl::control`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    wsgi_ctl::control::run(std::env::args_os().skip(1))
}
