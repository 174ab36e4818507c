//! The list of differences, and the table of it in `docs/compatibility.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use super::scene::Scene;

/// A difference that stays.
#[derive(Default)]
pub(super) struct Difference {
    key: String,
    mod_wsgi: String,
    here: String,
    reason: String,
}

/// Reads `KEY`, then indented `mod_wsgi:`, `here:` and `reason:`.
pub(super) fn read(path: &Path) -> Vec<Difference> {
    let mut list: Vec<Difference> = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let text = line.trim();
        if text.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            list.push(Difference { key: text.to_owned(), ..Difference::default() });
            continue;
        }
        let last = list.last_mut().expect("a key before what it explains");
        match text.split_once(": ") {
            Some(("mod_wsgi", text)) => last.mod_wsgi = text.to_owned(),
            Some(("here", text)) => last.here = text.to_owned(),
            Some(("reason", text)) => last.reason = text.to_owned(),
            _ => panic!("{}: {line:?} is not understood", path.display()),
        }
    }
    list
}

const BEGIN: &str = "<!-- Made of tests/conformance; `UPDATE=1 make conformance` writes it. -->\n";
const END: &str = "<!-- End of the table. -->\n";

/// Each key of a pair is listed, each one listed has a pair, and the page shows them all.
pub(super) fn check(list: &[Difference], scenes: &[Scene], page: &Path) {
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in scenes.iter().flat_map(|scene| &scene.pairs) {
        if let Some((key, _)) = &pair.here {
            *used.entry(key).or_default() += 1;
        }
    }
    let pairs: usize = scenes.iter().map(|scene| scene.pairs.len()).sum();
    let differing: usize = used.values().sum();
    let mut table = format!(
        "{pairs} pairs, of which {differing} differ:\n\n| mod_wsgi 6.1.1 | here | reason | pairs |\n\
         |---|---|---|--:|\n"
    );
    for Difference { key, mod_wsgi, here, reason } in list {
        for text in [mod_wsgi, here, reason] {
            assert!(!text.is_empty(), "{key}: mod_wsgi, here and reason must be told");
        }
        let count = used.remove(key.as_str());
        let count = count.unwrap_or_else(|| panic!("{key} is listed, and no pair shows it"));
        let _ = writeln!(table, "| {mod_wsgi} | {here} | {reason} | {count} |");
    }
    assert!(used.is_empty(), "not in tests/conformance/differences: {used:?}");
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let written = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if env::var_os("UPDATE").is_some() {
        fs::write(page, &written).unwrap();
    } else {
        assert!(text == written, "docs/compatibility.md is behind: run UPDATE=1 make conformance");
    }
}
