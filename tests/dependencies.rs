//! What the sources keep to, and no compiler checks: who imports whom, and that each error code
//! is explained.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What needs no httpd stays free of it: these modules are tested without one.
const FREE_OF_HTTPD: [&str; 5] = ["config", "route", "environ", "directives", "proxies"];

/// What stands before the digits of a code in the sources.
const BEFORE_CODES: [&str; 4] = ["MWR", "u16 = ", "failure(\"", "refuse("];

#[test]
fn the_pure_modules_never_import_the_httpd_layer() {
    let source = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    for name in FREE_OF_HTTPD {
        files.push(source.join(format!("{name}.rs")));
        collect(&source.join(name), &mut files);
    }
    let mut offences = Vec::new();
    for file in files.iter().filter(|file| file.exists()) {
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("crate::apache") || code.contains("super::apache") {
                offences.push(format!("{}:{}: {line}", file.display(), number + 1));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn the_list_of_errors_has_every_code_once() {
    let mut files = Vec::new();
    for folder in ["src", "crates", "python"] {
        collect(&Path::new(ROOT).join(folder), &mut files);
    }
    let mut used = BTreeSet::new();
    for file in files.iter().filter(|file| !is_test(file)) {
        used.extend(codes(&fs::read_to_string(file).unwrap()));
    }
    let page = fs::read_to_string(Path::new(ROOT).join("docs/errors.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| MWR")?.get(..4));
    let mut listed: Vec<String> = rows.map(str::to_owned).collect();
    let missing: Vec<_> = used.iter().filter(|code| !listed.contains(code)).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    listed.retain(|code| !used.remove(code));
    assert!(listed.is_empty(), "twice or unused in docs/errors.md: {listed:?}");
}

/// The codes in a source: four digits after one of [`BEFORE_CODES`].
fn codes(source: &str) -> impl Iterator<Item = String> {
    BEFORE_CODES.iter().flat_map(move |before| {
        source.split(before).skip(1).filter_map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            (digits == 4).then(|| rest[..digits].to_owned())
        })
    })
}

fn is_test(file: &Path) -> bool {
    let file = file.strip_prefix(ROOT).unwrap();
    file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// Sources below a folder.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            files.push(path);
        }
    }
}
