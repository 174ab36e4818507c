//! What the environment says about the suite: which module, MPM and Python, whose httpd.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mpm {
    Event,
    Worker,
    Prefork,
}

impl Mpm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork => "prefork",
        }
    }
}

/// Read once from the environment; `tests/README.md` lists the variables.
pub(crate) struct Settings {
    /// mod_wsgi.so with its companions beside it (`MODULE`).
    pub(crate) module: PathBuf,
    pub(crate) mpm: Mpm,
    /// A prefix or a virtual environment for `WSGIPythonHome` (`PYTHON`).
    pub(crate) python_home: Option<String>,
    /// The module under test is another one, to check the tests themselves (`REFERENCE=1`).
    pub(crate) reference: bool,
    /// Keep the server's folder after the test (`KEEP=1`).
    pub(crate) keep: bool,
    pub(crate) httpd: PathBuf,
    pub(crate) httpd_modules: PathBuf,
    /// Modules that are part of the httpd binary.
    pub(crate) built_in: String,
    /// Who httpd's children run as; `None` if the suite does not run as root.
    pub(crate) user: Option<&'static str>,
    /// The folder of the applications, as in the repository.
    pub(crate) apps: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
}

pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(Settings::read)
}

impl Settings {
    fn read() -> Self {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let module = env::var_os("MODULE")
            .map_or_else(|| repository.join("build/module/mod_wsgi.so"), PathBuf::from);
        assert!(module.is_file(), "no module at {}: run make, or set MODULE", module.display());
        let mpm = match env::var("MPM").as_deref() {
            Ok("worker") => Mpm::Worker,
            Ok("prefork") => Mpm::Prefork,
            Ok("event") | Err(_) => Mpm::Event,
            Ok(other) => panic!("MPM={other}: event, worker or prefork is meant"),
        };
        let httpd = env::var_os("HTTPD").map_or_else(
            || first(&["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd"]),
            PathBuf::from,
        );
        let built_in = output(Command::new(&httpd).arg("-l"));
        Self {
            module: fs::canonicalize(module).unwrap(),
            mpm,
            python_home: env::var("PYTHON").ok().filter(|v| !v.is_empty()).map(python_home),
            reference: flag("REFERENCE"),
            keep: flag("KEEP"),
            httpd,
            httpd_modules: PathBuf::from(output(Command::new("apxs").args(["-q", "LIBEXECDIR"]))),
            built_in,
            user: (output(Command::new("id").arg("-u")) == "0").then(web_user),
            apps: repository.join("tests/apps"),
            repository,
        }
    }
}

impl Settings {
    /// True if httpd's user can get at the file: everybody may pass the folders above it.
    pub(crate) fn can_be_reached(&self, path: &Path) -> bool {
        let open = |path: &Path| {
            fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
        };
        self.user.is_none() || path.ancestors().skip(1).all(open)
    }
}

fn flag(name: &str) -> bool {
    env::var(name).is_ok_and(|value| !value.is_empty() && value != "0")
}

fn first(paths: &[&str]) -> PathBuf {
    let found = paths.iter().map(Path::new).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no httpd in {paths:?}: install apache2 or set HTTPD")).into()
}

fn python_home(python: String) -> String {
    if Path::new(&python).is_dir() {
        return python;
    }
    output(Command::new(python).args(["-c", "import sys; print(sys.prefix)"]))
}

fn web_user() -> &'static str {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = |user: &&str| accounts.lines().any(|line| line.starts_with(&format!("{user}:")));
    ["www-data", "apache", "nobody"].into_iter().find(known).unwrap_or("nobody")
}

/// The trimmed output of a command that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
