//! `wsgi-httpd`: serves an application with a private httpd. See [`wsgi_ctl::runner`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    wsgi_ctl::runner::run(std::env::args_os().skip(1))
}
