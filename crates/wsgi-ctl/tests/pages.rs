//! Manual pages, completion and documentation name every command and option.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use wsgi_ctl::arguments::{Command, Program};
use wsgi_ctl::control::options::PROGRAM as CONTROL;
use wsgi_ctl::runner::options::PROGRAM as RUNNER;

fn repository(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names(program: &Program) -> Vec<&'static str> {
    let options = |command: &Command| command.options.iter();
    let mut names: Vec<_> =
        program.commands.iter().flat_map(options).map(|choice| choice.name).collect();
    names.extend(["--help", "--version"]);
    names.extend(program.commands.iter().map(|command| command.name));
    names.sort_unstable();
    names.dedup();
    names
}

/// Words of letters, digits and dashes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
}

/// Those that begin with two dashes.
fn options_in(text: &str) -> impl Iterator<Item = &str> {
    words(text).filter(|word| word.starts_with("--") && word.len() > 2)
}

fn check(program: &Program, page: &str) {
    let manual = repository(page).replace("\\-", "-");
    let completion = repository(&format!("apache-conf/completion/{}.bash", program.name));
    let known = names(program);
    for (what, text) in [("manual page", &manual), ("completion", &completion)] {
        for name in &known {
            assert!(words(text).any(|word| word == *name), "{name} is not in the {what}");
        }
    }
    for option in options_in(&manual) {
        assert!(known.contains(&option), "the manual page has {option}, the program has not");
    }
}

#[test]
fn the_pages_of_wsgi_httpd_are_complete() {
    check(&RUNNER, "docs/man/wsgi-httpd.1");
}

#[test]
fn the_pages_of_wsgictl_are_complete() {
    check(&CONTROL, "docs/man/wsgictl.1");
}

#[test]
fn the_table_of_counterparts_is_right() {
    let page = repository("docs/runner.md");
    let known = names(&RUNNER);
    let table = page.split("| there | here |").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let mut count = 0;
    for (there, here) in rows {
        for option in options_in(here) {
            assert!(known.contains(&option), "{there}: {option}");
        }
        if here.starts_with("the same") {
            for option in options_in(there) {
                assert!(known.contains(&option), "{option} is not the same here");
            }
        }
        count += 1;
    }
    assert!(count > 25);
    for (former, here) in RUNNER.elsewhere {
        assert!(!known.contains(former), "{former}");
        for option in options_in(here) {
            assert!(known.contains(&option), "{former}: {option}");
        }
    }
}
