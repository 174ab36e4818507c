//! The one table of directives.

use super::{
    Directive, access, daemon_process, mapping, metrics, placement, python, removed, request,
    sockets,
};

const THEMES: &[&[Directive]] = &[
    mapping::DIRECTIVES,
    placement::DIRECTIVES,
    daemon_process::DIRECTIVES,
    python::DIRECTIVES,
    sockets::DIRECTIVES,
    request::DIRECTIVES,
    access::DIRECTIVES,
    metrics::DIRECTIVES,
    removed::DIRECTIVES,
];

/// How many directives there are.
pub const COUNT: usize = {
    let (mut theme, mut count) = (0, 0);
    while theme < THEMES.len() {
        count += THEMES[theme].len();
        theme += 1;
    }
    count
};

/// All directives.
pub static DIRECTIVES: [Directive; COUNT] = TABLE;

/// The same as a constant, for tables that are made of it at compile time.
pub const TABLE: [Directive; COUNT] = {
    let mut table = [mapping::DIRECTIVES[0]; COUNT];
    let (mut theme, mut row) = (0, 0);
    while theme < THEMES.len() {
        let mut index = 0;
        while index < THEMES[theme].len() {
            table[row] = THEMES[theme][index];
            index += 1;
            row += 1;
        }
        theme += 1;
    }
    table
};
