//! Whom httpd's children and the application run as, and what they may read.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wsgi_sys::user;

use crate::arguments::Given;

/// Names that distributions give to httpd's user.
const USUAL: &[&str] = &["www-data", "apache", "nobody"];

/// Another user than the one that started this program, which is root.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) name: String,
    uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account that the options name, or the usual one; none if this is not root.
    ///
    /// # Errors
    /// There is no such user or group.
    pub(super) fn find(given: &Given) -> Result<Option<Self>, String> {
        let named = given.value("--user");
        if !nix::unistd::geteuid().is_root() {
            return match named.or(given.value("--group")) {
                Some(_) => Err("only root can have others run the application".to_owned()),
                None => Ok(None),
            };
        }
        let find = |name: &str| {
            user::user(name).map_err(|error| format!("user {name} can't be looked up: {error}"))
        };
        let found = match named {
            Some(name) => find(name)?.ok_or_else(|| format!("there is no user {name}"))?,
            None => USUAL
                .iter()
                .find_map(|name| find(name).ok().flatten())
                .ok_or("httpd does not serve as root: name a user by --user")?,
        };
        let gid = match given.value("--group") {
            None => found.gid,
            Some(name) => user::group(name)
                .map_err(|error| format!("group {name} can't be looked up: {error}"))?
                .ok_or_else(|| format!("there is no group {name}"))?,
        };
        Ok(Some(Self { name: found.name, uid: found.uid, gid }))
    }

    /// A program that runs as this account.
    pub(super) fn command(account: Option<&Self>, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    /// Whether the account may read a file or enter a directory.
    pub(super) fn may_read(account: Option<&Self>, path: &Path) -> bool {
        let right = if path.is_dir() { "-x" } else { "-r" };
        let mut command = Self::command(account, "test");
        command.arg(right).arg(path).stdin(Stdio::null());
        // The present directory may be closed to the account.
        command.current_dir("/");
        command.status().is_ok_and(|status| status.success())
    }

    /// # Errors
    /// The account can't read the file: which folder above it is closed.
    pub(super) fn require(account: Option<&Self>, path: &Path) -> Result<(), String> {
        if Self::may_read(account, path) {
            return Ok(());
        }
        let above: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        let closed = above.into_iter().rev().find(|folder| !Self::may_read(account, folder));
        let closed = closed.unwrap_or_else(|| path.to_owned());
        let who = account.map_or("this user", |account| &account.name);
        let (path, closed) = (path.display(), closed.display());
        Err(format!(
            "{who}, who runs the application, can't read {path}: {closed} is closed to them"
        ))
    }
}
