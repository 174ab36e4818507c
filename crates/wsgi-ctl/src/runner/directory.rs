//! The directory of a private httpd: configuration, runtime files, perhaps logs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory; removed at the end if it was made for one run.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    passing: bool,
}

impl Directory {
    /// The directory named, or one that lasts as long as httpd serves.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn for_serving(named: Option<&str>) -> Result<Self, String> {
        if let Some(path) = named {
            return Self::to_keep(path);
        }
        let pattern = std::env::temp_dir().join("wsgi-httpd.XXXXXX");
        let path = nix::unistd::mkdtemp(&pattern)
            .map_err(|error| format!("{} can't be made: {error}", pattern.display()))?;
        Self { path, passing: true }.furnish()
    }

    /// The directory named, made if it is not there.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn to_keep(path: &str) -> Result<Self, String> {
        let failed = |error| format!("{path} can't be made: {error}");
        fs::create_dir_all(path).map_err(failed)?;
        Self { path: fs::canonicalize(path).map_err(failed)?, passing: false }.furnish()
    }

    /// httpd's children, other users if root starts it, pass through to the files.
    fn furnish(self) -> Result<Self, String> {
        if self.passing && nix::unistd::geteuid().is_root() {
            self.open("")?;
        }
        for name in ["htdocs", "run"] {
            let path = self.path.join(name);
            if !path.is_dir() {
                fs::create_dir(&path).map_err(|error| failed(&path, &error))?;
            }
            self.open(name)?;
        }
        Ok(self)
    }

    fn open(&self, name: &str) -> Result<(), String> {
        let path = self.path.join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o755))
            .map_err(|error| failed(&path, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that everybody may read.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        self.write_as(name, text, 0o644)
    }

    /// The same for a program.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write_program(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        self.write_as(name, text, 0o755)
    }

    fn write_as(&self, name: &str, text: &str, mode: u32) -> Result<PathBuf, String> {
        let path = self.path.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .map_err(|error| failed(&path, &error))?;
        Ok(path)
    }

    /// Copies a directory into this one.
    ///
    /// # Errors
    /// What can't be copied.
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<PathBuf, String> {
        let target = self.path.join(name);
        copy_tree(from, &target).map_err(|error| failed(&target, &error))?;
        Ok(target)
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_tree(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{} can't be written: {error}", path.display())
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.passing {
            // What can't be removed is left where systems clean up.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
