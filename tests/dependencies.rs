//! What the sources keep to, and no compiler checks: who imports whom, that each error code is
//! explained, and that links in the documents lead somewhere.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What needs no httpd stays free of it: these modules are tested without one.
const FREE_OF_HTTPD: [&str; 5] = ["config", "route", "environ", "directives", "proxies"];

/// What stands before the digits of a code in the sources.
const BEFORE_CODES: [&str; 4] = ["MWR", "u16 = ", "failure(\"", "refuse("];

const SOURCES: [&str; 2] = ["rs", "py"];

#[test]
fn the_pure_modules_never_import_the_httpd_layer() {
    let source = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    for name in FREE_OF_HTTPD {
        files.push(source.join(format!("{name}.rs")));
        collect(&source.join(name), &SOURCES, &mut files);
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
        collect(&Path::new(ROOT).join(folder), &SOURCES, &mut files);
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

#[test]
fn links_in_documents_lead_somewhere() {
    let root = Path::new(ROOT);
    let mut pages = Vec::new();
    for folder in ["docs", "packaging", "apache-conf", "python", "tests", "fuzz", "bench"] {
        collect(&root.join(folder), &["md"], &mut pages);
    }
    let top = ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"];
    pages.extend(top.map(|name| root.join(name).with_extension("md")));
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        // What is code may look like a link.
        let prose = text.lines().flat_map(|line| line.split('`').step_by(2).chain(["\n"]));
        for target in
            prose.collect::<String>().split("](").skip(1).filter_map(|rest| rest.split(')').next())
        {
            if !target.starts_with("http") && !leads_somewhere(&page, target) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// True if a link on a page names a file or folder, and a heading in it.
fn leads_somewhere(page: &Path, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let mut file = page.to_owned();
    if !path.is_empty() {
        file = page.parent().unwrap().join(path);
    }
    if anchor.is_empty() {
        return file.exists();
    }
    if file.is_dir() {
        file.push("README.md");
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut anchors = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let name = heading_anchor(line);
        // The second heading of a name is its number 1.
        let before = anchors.iter().filter(|(known, _)| *known == name).count();
        let unique = if before == 0 { name.clone() } else { format!("{name}-{before}") };
        anchors.push((name, unique));
    }
    anchors.iter().any(|(_, unique)| unique == anchor)
}

/// The name by which a heading is linked to.
fn heading_anchor(line: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text: String = line.trim_start_matches('#').trim().chars().filter(kept).collect();
    text.to_lowercase().replace(' ', "-")
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

/// Files below a folder whose names end in one of these ways.
fn collect(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, extensions, files);
        } else if extensions.iter().any(|&wanted| path.extension().is_some_and(|it| it == wanted)) {
            files.push(path);
        }
    }
}
