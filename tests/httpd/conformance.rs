//! The pairs of request and answer in `tests/conformance`, each asked of the module under test.
//!
//! An answer is mod_wsgi's, and this module's too unless the pair has one of its own, with the
//! key of the difference that explains it (`tests/conformance/README.md`).

mod answer;
mod differences;
mod scene;

use std::path::PathBuf;
use std::{env, fs};

use crate::harness::settings;
use scene::Scene;

/// One test for each file of pairs.
macro_rules! scenes {
    ($($name:ident)*) => {
        const SCENES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                passes(stringify!($name));
            }
        )*
    };
}

scenes! {
    access
    environ
    errors
    files
    input
    merging
    modules
    proxies
    python
    quiet
    responses
    scripts
    site_express
    site_freeipa
    site_front
    site_graphite
    site_guarded
    site_identity
    site_keystone
    site_mercurial
    site_panel
    site_trac
    site_users
}

#[track_caller]
fn passes(name: &str) {
    let mut scene = Scene::read(&folder().join(format!("{name}.pairs")));
    let report = scene.run(settings().reference);
    if env::var_os("RECORD").is_some() {
        scene.write(&report);
        return;
    }
    println!("{name}: {} pairs{}", scene.pairs.len(), report.differing(&scene));
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}

fn folder() -> PathBuf {
    settings().repository.join("tests/conformance")
}

#[test]
fn every_file_of_pairs_is_a_test() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".pairs").map(str::to_owned))
        .collect();
    files.sort_unstable();
    let mut known = SCENES.to_vec();
    known.sort_unstable();
    assert_eq!(files, known);
}

#[test]
fn every_difference_is_listed_and_explained() {
    let scenes = SCENES.iter().map(|name| Scene::read(&folder().join(format!("{name}.pairs"))));
    let differences = differences::read(&folder().join("differences"));
    let page = settings().repository.join("docs/compatibility.md");
    differences::check(&differences, &scenes.collect::<Vec<_>>(), &page);
}
