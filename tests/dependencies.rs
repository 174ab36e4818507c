//! What needs no httpd stays free of it: these modules are tested without one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const FREE_OF_HTTPD: [&str; 4] = ["config", "route", "environ", "directives"];

#[test]
fn the_pure_modules_never_import_the_httpd_layer() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
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

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
