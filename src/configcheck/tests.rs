use super::*;
use crate::config::{Entry, ServerId, VirtualHost};
use crate::directives::DIRECTIVES;

fn entry(directive: &'static str, text: &str, host: usize) -> Entry {
    let virtual_host =
        (host > 0).then(|| VirtualHost { id: ServerId(host), ..VirtualHost::default() });
    let place = Place { line: 1, virtual_host, ..Place::default() };
    Entry { place, directive, text: text.to_owned() }
}

fn globals(entries: &[(&'static str, &str, usize)]) -> Globals {
    let entries = entries.iter().map(|(name, text, host)| entry(name, text, *host));
    let mut globals = Globals::default();
    globals.entries.extend(entries);
    globals
}

#[test]
fn scripts_belong_to_the_group_that_is_named_nearest() {
    let globals = globals(&[
        ("WSGIProcessGroup", "main", 0),
        ("WSGIProcessGroup", "host", 1),
        ("WSGIScriptAlias", "/ /a.wsgi", 1),
        ("WSGIScriptAlias", "/b /b.wsgi process-group=own", 1),
        ("WSGIScriptAlias", "/ /c.wsgi", 2),
        ("WSGIImportScript", "/d.wsgi process-group=%{GLOBAL} application-group=x", 2),
        ("WSGIAccessScript", "/e.py", 2),
    ]);
    for (group, script) in [
        ("host", "/a.wsgi"),
        ("own", "/b.wsgi"),
        ("main", "/c.wsgi"),
        ("", "/d.wsgi"),
        (QUESTIONS, "/e.py"),
    ] {
        assert_eq!(scripts(&globals, group), [script], "{group}");
    }
}

#[test]
fn a_section_that_sets_the_group_leaves_scripts_open() {
    let mut globals = globals(&[("WSGIProcessGroup", "x", 0), ("WSGIScriptAlias", "/ /a.wsgi", 0)]);
    globals.entries[0].place.in_directory = true;
    assert!(scripts(&globals, "x").is_empty());
    assert!(scripts(&globals, "").is_empty());
}

#[test]
fn every_directive_that_differs_is_one_of_ours() {
    let known: Vec<_> = DIRECTIVES.iter().map(crate::directives::Directive::name).collect();
    let source = include_str!("changes.rs");
    let named = source.split('"').filter(|text| text.starts_with("WSGI") && !text.contains(' '));
    for name in named {
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn verdicts_are_counted() {
    let mut report = Report::of_lines(&globals(&[
        ("WSGIPythonHashSeed", "random", 0),
        ("WSGIPythonHashSeed", "5", 0),
    ]));
    report.say("process group 'x'", Verdict::Error, "no home");
    assert_eq!(report.counts, [1, 1, 0, 0, 1]);
    assert_eq!(report.lines[2], "process group 'x': error: no home");
}
