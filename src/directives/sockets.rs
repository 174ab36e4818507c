//! Sockets and locks, of which there are none.

use super::{Arguments, Context, Directive, name};
use crate::config::choice::flag;

const NO_SOCKETS: &str = "there are no socket files";

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGISocketPrefix",
        Context::Global,
        Arguments::words(1, 1, "path"),
        "none",
        "Path of the socket files that mod_wsgi made.",
        |_, line| name(line.word(0)).map(drop),
    )
    .without_effect(NO_SOCKETS),
    Directive::new(
        c"WSGISocketRotation",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "Whether mod_wsgi named its sockets anew at a restart.",
        |_, line| flag(line.word(0)).map(drop),
    )
    .without_effect(NO_SOCKETS),
    Directive::new(
        c"WSGIAcceptMutex",
        Context::Global,
        Arguments::words(1, 1, "type"),
        "none",
        "Lock with which processes of mod_wsgi took turns.",
        |_, line| name(line.word(0)).map(drop),
    )
    .without_effect("processes do not compete for connections"),
];
