//! `wsgi-configcheck` on a configuration, which is not run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Config, Server, settings};

/// What the command said.
pub(crate) struct Check {
    pub(crate) status: i32,
    /// Standard output and standard error.
    pub(crate) output: String,
    /// The folder of the configuration.
    pub(crate) root: PathBuf,
    _folder: TempDir,
}

impl Check {
    pub(super) fn of(config: &Config) -> Self {
        let (folder, _) = Server::prepare(config);
        let root = folder.path().to_owned();
        let output = Command::new(settings().repository.join("apache-conf/wsgi-configcheck"))
            .arg("-d")
            .arg(&root)
            .arg("-f")
            .arg(root.join("httpd.conf"))
            .env("HTTPD", &settings().httpd)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Self {
            status: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&text).into_owned(),
            root,
            _folder: folder,
        }
    }

    /// The line of the report with these words.
    #[track_caller]
    pub(crate) fn line(&self, words: &str) -> &str {
        let found = self.output.lines().find(|line| line.contains(words));
        found.unwrap_or_else(|| panic!("no {words:?} in:\n{}", self.output))
    }
}
