//! The httpd of this system: its program, its modules, and our module.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Given;

/// Where distributions put the program.
const PROGRAMS: &[&str] =
    &["/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/local/apache2/bin/httpd", "/usr/bin/httpd"];
/// Where they put modules.
const MODULES: &[&str] = &[
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
];
/// Where they were when this program was built.
const BUILT_FOR: Option<&str> = option_env!("MOD_WSGI_MODULES");

/// What there is to serve with.
#[derive(Debug)]
pub(super) struct Httpd {
    /// The program.
    pub(super) program: PathBuf,
    /// Directory of its modules.
    pub(super) modules: PathBuf,
    /// What `httpd -l` lists.
    built_in: String,
    /// `mod_wsgi.so`.
    pub(super) module: PathBuf,
}

impl Httpd {
    /// Looks where the options say, then where systems have it.
    ///
    /// # Errors
    /// What is missing, and how to name it.
    pub(super) fn find(given: &Given) -> Result<Self, String> {
        let program = named(given.value("--httpd"))?
            .or_else(|| std::env::var_os("HTTPD").map(PathBuf::from))
            .or_else(|| first_file(PROGRAMS))
            .ok_or("no httpd found: install it, or name it by --httpd")?;
        let listed = Command::new(&program).arg("-l").output();
        let listed = listed.map_err(|error| format!("{} -l: {error}", program.display()))?;
        let modules = named(given.value("--modules"))?
            .or_else(|| {
                let places = BUILT_FOR.iter().chain(MODULES).map(Path::new);
                places.into_iter().find(|p| p.join("mod_authz_core.so").is_file()).map(Into::into)
            })
            .ok_or("the directory of httpd's modules was not found: name it by --modules")?;
        let module = match named(given.value("--module"))? {
            Some(module) => module,
            None => beside_this_program()
                .or_else(|| Some(modules.join("mod_wsgi.so")).filter(|file| file.is_file()))
                .ok_or_else(|| {
                    let place = modules.display();
                    format!("there is no mod_wsgi.so in {place}: name it by --module")
                })?,
        };
        if !module.with_file_name("mod_wsgi").join("wsgi-supervisor").is_file() {
            let module = module.display();
            return Err(format!(
                "{module} lacks its companions in the directory mod_wsgi beside it"
            ));
        }
        Ok(Self {
            program,
            modules,
            built_in: String::from_utf8_lossy(&listed.stdout).into_owned(),
            module,
        })
    }

    /// Whether a module is part of the program.
    fn has_built_in(&self, name: &str) -> bool {
        let file = match name.strip_prefix("mpm_") {
            Some(mpm) => format!("{mpm}.c"),
            None => format!("mod_{name}.c"),
        };
        self.built_in.lines().any(|line| line.trim() == file)
    }

    /// Whether a module can be had.
    pub(super) fn has(&self, name: &str) -> bool {
        self.has_built_in(name) || self.file(name).is_file()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.modules.join(format!("mod_{name}.so"))
    }

    /// The file to load for a module; none if it is part of the program.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn to_load(&self, name: &str) -> Result<Option<PathBuf>, String> {
        match self.file(name) {
            _ if self.has_built_in(name) => Ok(None),
            file if file.is_file() => Ok(Some(file)),
            file => Err(format!("httpd has no module {name} ({} is missing)", file.display())),
        }
    }
}

/// A file or directory that an option names.
fn named(value: Option<&str>) -> Result<Option<PathBuf>, String> {
    let Some(text) = value else { return Ok(None) };
    match std::path::absolute(text) {
        Ok(path) if path.exists() => Ok(Some(path)),
        _ => Err(format!("there is no {text}")),
    }
}

fn first_file(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// The module above `bin/`, where `make` builds both.
fn beside_this_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let module = program.parent()?.parent()?.join("mod_wsgi.so");
    module.is_file().then_some(module)
}
