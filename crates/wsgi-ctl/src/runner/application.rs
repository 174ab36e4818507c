//! What is to be served: a file, an object in a module, or a Django project.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::account::Account;
use super::directory::Directory;
use crate::arguments::Given;

/// Python's part, with `@names@` that are replaced.
const LOAD_FILE: &str = include_str!("load_file.py");
const LOAD_MODULE: &str = include_str!("load_module.py");
const RELOAD: &str = include_str!("reload.py");
const DJANGO: &str = include_str!("django.py");

/// An application as the configuration needs it.
#[derive(Debug)]
pub(super) struct Application {
    /// As it was asked for.
    pub(super) shown: String,
    /// The WSGI script.
    pub(super) script: PathBuf,
    /// Name of the application in it.
    pub(super) callable: String,
    /// Where it runs.
    pub(super) home: PathBuf,
    /// URLs that httpd serves itself, with their directories or files.
    pub(super) statics: Vec<(String, PathBuf)>,
}

/// Where the application comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Module { name: String, object: String },
    Django(PathBuf),
}

impl Application {
    /// Makes a script for what the operand names, unless it is one.
    ///
    /// # Errors
    /// There is no such application, or whoever runs it can't read it.
    pub(super) fn find(
        given: &Given,
        account: Option<&Account>,
        interpreter: &Path,
        directory: &Directory,
    ) -> Result<Self, String> {
        let shown = given.operands.first().cloned().unwrap_or_default();
        let source = Source::of(&shown)?;
        let present = std::env::current_dir()
            .map_err(|error| format!("the present directory can't be found: {error}"))?;
        let home = match (given.value("--working-directory"), &source) {
            (Some(path), _) => absolute(path)?,
            (None, Source::File(file) | Source::Django(file)) => parent(file),
            (None, Source::Module { .. }) => present,
        };
        Account::require(account, &home)?;
        let callable = given.value("--callable").unwrap_or("application").to_owned();
        let reload = given.has("--reload");
        let mut made = Self { shown, script: PathBuf::new(), callable, home, statics: Vec::new() };
        let text = match source {
            Source::File(file) => {
                Account::require(account, &file)?;
                made.script = file;
                if !reload {
                    return Ok(made);
                }
                let path = made.script.to_string_lossy();
                LOAD_FILE.replace("@path@", &python(&path)?)
            }
            Source::Module { name, object } => made.load_module(&name, &object)?,
            Source::Django(manage) => {
                Account::require(account, &manage)?;
                let project = Django::ask(account, interpreter, &manage)?;
                made.statics.extend(project.statics);
                let (name, object) = project
                    .application
                    .rsplit_once('.')
                    .ok_or("the project's settings have no WSGI_APPLICATION")?;
                let text = made.load_module(name, object)?;
                let settings = python(&project.settings)?;
                format!(
                    "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', {settings})\n{text}"
                )
            }
        };
        let text = if reload { format!("{text}\n{RELOAD}") } else { text };
        let head =
            format!("# -*- coding: utf-8 -*-\n# Loads {}; made by wsgi-httpd.\n", made.shown);
        made.script = directory.write("application.wsgi", &format!("{head}{text}"))?;
        Ok(made)
    }

    fn load_module(&mut self, name: &str, object: &str) -> Result<String, String> {
        "application".clone_into(&mut self.callable);
        Ok(LOAD_MODULE.replace("@module@", &python(name)?).replace("@object@", &python(object)?))
    }
}

impl Source {
    fn of(operand: &str) -> Result<Self, String> {
        let path = Path::new(operand);
        if path.is_file() {
            let file = absolute(operand)?;
            let django = file.file_name().is_some_and(|name| name == "manage.py");
            return Ok(if django { Self::Django(file) } else { Self::File(file) });
        }
        let (name, object) = operand.split_once(':').unwrap_or((operand, "application"));
        let is_name = |text: &str| {
            text.split('.').all(|part| {
                part.starts_with(|first: char| first.is_alphabetic() || first == '_')
                    && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            })
        };
        if is_name(name) && is_name(object) {
            return Ok(Self::Module { name: name.to_owned(), object: object.to_owned() });
        }
        Err(format!("there is no file {operand}, and it is no name of a module"))
    }
}

/// What a Django project's settings say.
struct Django {
    settings: String,
    application: String,
    statics: Option<(String, PathBuf)>,
}

impl Django {
    /// Has `manage.py` set the project up, as whoever will run it.
    fn ask(account: Option<&Account>, interpreter: &Path, manage: &Path) -> Result<Self, String> {
        let output = Account::command(account, interpreter)
            .args(["-c", DJANGO])
            .arg(manage)
            .current_dir(parent(manage))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} can't be run: {error}", interpreter.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let answers: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("=")).collect();
        match answers[..] {
            [settings, application, url, root] if output.status.success() => Ok(Self {
                settings: settings.to_owned(),
                application: application.to_owned(),
                statics: (url.starts_with('/') && Path::new(root).is_dir())
                    .then(|| (url.to_owned(), PathBuf::from(root))),
            }),
            _ => {
                let (what, why) = (manage.display(), String::from_utf8_lossy(&output.stderr));
                Err(format!(
                    "{what} does not tell its settings (python: {}):\n{why}",
                    interpreter.display()
                ))
            }
        }
    }
}

/// An absolute path, symbolic links kept.
pub(super) fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{path}: {error}"))
}

fn parent(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

/// A literal of Python 2 and 3.
fn python(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err(format!("{text:?} has a control character"));
    }
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn operands_are_files_modules_or_projects() {
        let module = |name: &str, object: &str| Source::Module {
            name: name.to_owned(),
            object: object.to_owned(),
        };
        assert_eq!(Source::of("site.wsgi").unwrap(), module("site.wsgi", "application"));
        assert_eq!(Source::of("shop:make.app").unwrap(), module("shop", "make.app"));
        for wrong in ["", "a b", "shop:", "../app.py", "1x"] {
            assert!(Source::of(wrong).is_err(), "{wrong}");
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, django) in [("app.py", false), ("manage.py", true)] {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            let source = Source::of(file.to_str().unwrap()).unwrap();
            assert_eq!(source == Source::Django(file), django);
        }
    }

    #[test]
    fn python_reads_what_was_meant() {
        assert_eq!(python(r"/it's\here").unwrap(), r"'/it\'s\\here'");
        assert!(python("a\nb").is_err());
    }
}
