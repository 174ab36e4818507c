//! The virtual environment with the frameworks, which `make test` builds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Config, settings};
use crate::pythons::{COPIES, library_path, pythons};

/// A virtual environment that httpd's user can use.
pub(super) struct Venv {
    pub(super) home: PathBuf,
    /// Its interpreter is a copy, which has to be told where its libraries are.
    is_copied: bool,
}

impl Venv {
    /// None if `make test` was not there before.
    pub(super) fn find() -> Option<Self> {
        let home = std::env::var_os("VENV")
            .map_or_else(|| settings().repository.join("build/venv"), PathBuf::from);
        if !home.join("bin/python").exists() {
            return None;
        }
        static FOUND: OnceLock<(PathBuf, bool)> = OnceLock::new();
        let (home, is_copied) = FOUND.get_or_init(|| reachable(&home));
        Some(Self { home: home.clone(), is_copied: *is_copied })
    }

    pub(super) fn configure(&self, config: Config) -> Config {
        match self.libraries() {
            Some(path) => config.environment("LD_LIBRARY_PATH", &path),
            None => config,
        }
    }

    /// What LD_LIBRARY_PATH has to be, if its interpreter does not find its library alone.
    pub(super) fn libraries(&self) -> Option<String> {
        self.is_copied.then(|| library_path(&pythons()))
    }
}

/// One below a private home is copied, and so is its interpreter (both work wherever they lie).
fn reachable(venv: &Path) -> (PathBuf, bool) {
    let python = fs::canonicalize(venv.join("bin/python")).unwrap();
    let is_private = !settings().can_be_reached(&python);
    if !is_private && settings().can_be_reached(venv) {
        return (venv.to_owned(), false);
    }
    let copy = Path::new(COPIES).join(format!("venv{}", venv.display()).replace('/', "-"));
    fs::create_dir_all(COPIES).unwrap();
    let made = |venv: &Path| fs::metadata(venv.join("ready")).and_then(|made| made.modified()).ok();
    if made(&copy).is_none() || made(&copy) != made(venv) {
        let _ = fs::remove_dir_all(&copy);
        let status = Command::new("cp").arg("-a").arg(venv).arg(&copy).status().unwrap();
        assert!(status.success(), "copying {}", venv.display());
    }
    if is_private {
        rebase(&copy, &python);
    }
    (copy, is_private)
}

/// Gives the environment the copy of its interpreter.
fn rebase(venv: &Path, python: &Path) {
    let pythons = pythons();
    let prefix = python.ancestors().nth(2).unwrap();
    let copied =
        pythons.iter().find(|copied| prefix.ends_with(&copied.name)).unwrap_or_else(|| {
            panic!("{} is private, and none of pyenv's: set VENV", python.display())
        });
    let link = venv.join("bin/python");
    fs::remove_file(&link).unwrap();
    symlink(&copied.program, &link).unwrap();
    let folder = copied.program.parent().unwrap();
    let text = format!("home = {}\ninclude-system-site-packages = false\n", folder.display());
    fs::write(venv.join("pyvenv.cfg"), text).unwrap();
}
