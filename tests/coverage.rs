//! Which tests cover a directive or an option: `docs/coverage.md`, made of the sources of the tests.
//!
//! A test counts for a name if it writes the name into a configuration, itself or by what it uses
//! of its file. Each directive and option of `docs/directives.md` has at least one.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// They give lines that are merely to be accepted: enough for what has no effect.
const ACCEPTING: [&str; 3] = [
    "configuration::every_directive_that_needs_no_more_than_being_accepted_is",
    "configuration::what_has_no_effect_says_so_once",
    "conformance::quiet",
];

/// How many tests a row shows.
const SHOWN: usize = 4;

/// A directive, or one of its options.
struct Name {
    directive: String,
    option: Option<String>,
    without_effect: bool,
}

struct Test {
    name: String,
    source: String,
}

#[test]
fn every_directive_and_option_has_a_test() {
    let tests = tests();
    let rows: Vec<_> = names(&read("docs/directives.md"))
        .iter()
        .map(|name| (name.label(), name.covering(&tests)))
        .collect();
    let missing: Vec<_> =
        rows.iter().filter(|(_, covering)| covering.is_empty()).map(|(label, _)| label).collect();
    assert!(missing.is_empty(), "no test covers {missing:#?}");
    let path = Path::new(ROOT).join("docs/coverage.md");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, page(&rows)).unwrap();
    }
    // More tests are no reason to write it anew; a row must be true.
    let page = fs::read_to_string(&path).unwrap_or_default();
    for (label, covering) in &rows {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {label} | ")));
        let shown = row.map(|row| row.split('`').skip(1).step_by(2).collect::<Vec<_>>());
        let is_true = |shown: &Vec<&str>| shown.iter().all(|test| covering.contains(test));
        assert!(
            shown.as_ref().is_some_and(|shown| !shown.is_empty() && is_true(shown)),
            "docs/coverage.md is behind at {label}: run UPDATE=1 cargo test --test coverage"
        );
    }
}

fn page(rows: &[(String, Vec<&str>)]) -> String {
    let mut page = String::from(
        "# Coverage\n\n<!-- Made of the tests by tests/coverage.rs; \
         `UPDATE=1 cargo test --test coverage` writes it. -->\n\n\
         Tests that use a directive or an option, in `tests/httpd` and, as `conformance`, in\n\
         `tests/conformance`. Where there are many, some are shown.\n\n\
         | directive, option | tests |\n|---|---|\n",
    );
    for (label, covering) in rows {
        let shown: Vec<_> = covering.iter().take(SHOWN).map(|test| format!("`{test}`")).collect();
        writeln!(page, "| {label} | {} |", shown.join(", ")).unwrap();
    }
    page
}

/// The headings of the manual, and the rows of its tables of options.
fn names(manual: &str) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    let mut directive = String::new();
    for line in manual.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            directive = heading.trim_matches(['\\', '<', '>']).to_owned();
            names.push(Name { directive: directive.clone(), option: None, without_effect: false });
        } else if let Some((option, _)) =
            line.strip_prefix("| `").and_then(|row| row.split_once('='))
            && !directive.is_empty()
        {
            let without_effect = line.contains("Has no effect");
            let option = Some(option.to_owned());
            names.push(Name { directive: directive.clone(), option, without_effect });
        } else if line.contains("Has no effect")
            || line.starts_with("Read and ignored")
            || line.contains("is read and ignored")
        {
            let heading = names.iter_mut().rev().find(|name| name.option.is_none());
            heading.into_iter().for_each(|name| name.without_effect = true);
        }
    }
    names
}

impl Name {
    fn label(&self) -> String {
        match &self.option {
            Some(option) => format!("{} {option}=", self.directive),
            None => self.directive.clone(),
        }
    }

    /// Names of the tests that cover it.
    fn covering<'t>(&self, tests: &'t [Test]) -> Vec<&'t str> {
        tests
            .iter()
            .filter(|test| self.without_effect || !ACCEPTING.contains(&test.name.as_str()))
            .filter(|test| self.stands_in(&test.source))
            .map(|test| test.name.as_str())
            .collect()
    }

    fn stands_in(&self, source: &str) -> bool {
        match &self.option {
            // Options of groups stand in strings of their own, others on their directive's line.
            Some(option) if self.directive == "WSGIDaemonProcess" => {
                has_word(source, &format!("{option}="))
            }
            Some(option) => source.lines().any(|line| {
                has_word(line, &self.directive) && has_word(line, &format!("{option}="))
            }),
            None if self.directive == "WSGIDaemonProcess" => source.contains(".daemon("),
            None => has_word(source, &self.directive),
        }
    }
}

/// The word, with nothing before and after it that would make it another one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let after = &text[at + word.len()..];
        let ends = word.ends_with('=') || !after.starts_with(is_part);
        !text[..at].ends_with(is_part) && ends
    })
}

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for (module, source) in files("tests/httpd", "rs") {
        let items = items(&source);
        for item in items.iter().filter(|item| item.contains("#[test]\n")) {
            let Some(name) = function(item) else { continue };
            let used = items.iter().filter(|other| {
                !other.contains("#[test]\n") && defined(other).is_some_and(|it| has_word(item, it))
            });
            let text: Vec<&str> = used.chain([item]).map(String::as_str).collect();
            // Lines of a configuration are often written as one string.
            let source = text.join("\n").replace("\\n", "\n");
            tests.push(Test { name: format!("{module}::{name}"), source });
        }
    }
    for (scene, mut source) in files("tests/conformance", "pairs") {
        let sites: Vec<_> = source.lines().filter_map(|line| line.strip_prefix("site ")).collect();
        let sites = sites.iter().map(|site| read(&format!("tests/conformance/sites/{site}.conf")));
        source = sites.chain([source.clone()]).collect();
        tests.push(Test { name: format!("conformance::{scene}"), source });
    }
    tests.sort_by(|one, other| one.name.cmp(&other.name));
    tests
}

/// A source in its items. Programs in strings begin no item: they are not Rust.
fn items(source: &str) -> Vec<String> {
    const BEGINNINGS: [&str; 9] =
        ["#[", "///", "fn ", "pub", "const ", "static ", "struct ", "impl", "macro_rules"];
    let mut items = vec![String::new()];
    for line in source.lines() {
        let begins = BEGINNINGS.iter().any(|beginning| line.starts_with(beginning));
        if begins && items.last().is_some_and(|item| defined(item).is_some()) {
            items.push(String::new());
        }
        if let Some(item) = items.last_mut() {
            item.push_str(line);
            item.push('\n');
        }
    }
    items
}

/// The name of the function that an item of a source defines.
fn function(item: &str) -> Option<&str> {
    item.split("fn ").nth(1)?.split('(').next()
}

/// The name of the function or constant.
fn defined(item: &str) -> Option<&str> {
    let constant = || item.split("const ").nth(1)?.split(':').next();
    function(item).or_else(constant)
}

/// Files of a folder with this suffix: stem and text.
fn files(folder: &str, suffix: &str) -> Vec<(String, String)> {
    fs::read_dir(Path::new(ROOT).join(folder))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == suffix))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            (stem, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}
