//! Where AllowOverride permits which directives in `.htaccess` files.

use std::path::{Path, PathBuf};

use crate::apache::statements::Statement;
use crate::config::options::Line;

/// What may stand in the files of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    all: bool,
    /// Groups of AllowOverride in lower case.
    groups: Vec<String>,
    /// Directives of AllowOverrideList in lower case.
    directives: Vec<String>,
}

impl Overrides {
    /// Whether the files are read at all.
    pub(super) fn is_any(&self) -> bool {
        self.all || !self.groups.is_empty() || !self.directives.is_empty()
    }

    pub(super) fn allow(&self, group: &str, directive: &str) -> bool {
        let has = |list: &[String], name: &str| list.iter().any(|it| it.eq_ignore_ascii_case(name));
        self.all || has(&self.groups, group) || has(&self.directives, directive)
    }

    /// Takes one statement of a `<Directory>` section.
    fn take(&mut self, statement: &Statement) {
        let line = Line::words(&statement.text).unwrap_or_default();
        let words = line.words.iter().map(|word| word.to_ascii_lowercase());
        if statement.name.eq_ignore_ascii_case("AllowOverride") {
            (self.all, self.groups) = (false, Vec::new());
            for word in words {
                match word.split('=').next().unwrap_or_default() {
                    "all" => self.all = true,
                    "none" | "nonfatal" => {}
                    group => self.groups.push(group.to_owned()),
                }
            }
        } else if statement.name.eq_ignore_ascii_case("AllowOverrideList") {
            self.directives = words.filter(|word| word != "none").collect();
        }
    }
}

/// What a configuration says of directories.
#[derive(Debug, Default)]
pub(super) struct Sections {
    roots: Vec<PathBuf>,
    file_names: Vec<String>,
    /// Path, and what is in it, the shortest path first, as httpd applies them.
    directories: Vec<(String, Vec<Statement>)>,
}

impl Sections {
    pub(super) fn of(statements: &[Statement]) -> Self {
        let mut sections = Self::default();
        sections.read(statements);
        if sections.file_names.is_empty() {
            sections.file_names.push(".htaccess".to_owned());
        }
        sections.directories.sort_by_key(|(path, _)| path.matches('/').count());
        sections.roots.sort_unstable();
        sections.roots.dedup();
        // What lies below another is walked with it.
        let all = sections.roots.clone();
        let inner = |root: &PathBuf| all.iter().any(|it| it != root && root.starts_with(it));
        sections.roots.retain(|root| !inner(root));
        sections
    }

    fn read(&mut self, statements: &[Statement]) {
        for statement in statements {
            let is = |name: &str| statement.name.eq_ignore_ascii_case(name);
            let line = Line::words(statement.text.trim_end_matches('>')).unwrap_or_default();
            let first = line.word(0);
            if is("DocumentRoot") && first.starts_with('/') {
                self.roots.push(PathBuf::from(first));
            } else if is("AccessFileName") {
                self.file_names = line.words.iter().map(|word| (*word).to_string()).collect();
            } else if is("<Directory") && first.starts_with('/') {
                let path = first.trim_end_matches('/').to_owned();
                self.directories.push((path, statement.inner.clone()));
            } else {
                self.read(&statement.inner);
            }
        }
    }

    /// Each DocumentRoot that does not lie below another.
    pub(super) fn roots(&self) -> Vec<PathBuf> {
        self.roots.clone()
    }

    /// AccessFileName.
    pub(super) fn file_names(&self) -> &[String] {
        &self.file_names
    }

    /// What the sections for a directory and those above it come to.
    pub(super) fn allowed(&self, directory: &Path) -> Overrides {
        let mut allowed = Overrides::default();
        let path = directory.to_string_lossy();
        for (section, inner) in &self.directories {
            if covers(section, &path) {
                inner.iter().for_each(|statement| allowed.take(statement));
            }
        }
        allowed
    }
}

/// Whether a section's path, with `*` and `?` in its names, is a directory's or one above it.
fn covers(section: &str, path: &str) -> bool {
    let mut names = path.split('/');
    section
        .split('/')
        .all(|pattern| names.next().is_some_and(|name| fits(pattern.as_bytes(), name.as_bytes())))
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        (Some((b'?', rest)), Some((_, name))) => fits(rest, name),
        (Some((one, rest)), Some((other, name))) => one == other && fits(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(name: &str, text: &str, inner: Vec<Statement>) -> Statement {
        Statement { name: name.into(), text: text.into(), inner }
    }

    fn directory(path: &str, name: &str, text: &str) -> Statement {
        statement("<Directory", &format!("\"{path}\">"), vec![statement(name, text, Vec::new())])
    }

    #[test]
    fn sections_of_longer_paths_come_later() {
        let host = vec![
            statement("DocumentRoot", "/srv/www/a", Vec::new()),
            directory("/srv/www/a/closed", "AllowOverride", "None"),
        ];
        let sections = Sections::of(&[
            statement("DocumentRoot", "/srv/www", Vec::new()),
            directory("/home/*/public", "AllowOverride", "AuthConfig Options=Indexes"),
            directory("/srv/www", "allowoverride", "FileInfo"),
            directory("/", "AllowOverride", "None"),
            directory("/srv/www/list", "AllowOverrideList", "WSGIPassAuthorization"),
            statement("<VirtualHost", "*:80>", host),
        ]);
        assert_eq!(sections.roots(), [PathBuf::from("/srv/www")]);
        let allowed = |path: &str| sections.allowed(Path::new(path));
        assert!(!allowed("/srv").is_any() && !allowed("/srv/www/a/closed/x").is_any());
        assert!(allowed("/srv/www/a").allow("FileInfo", "x"));
        assert!(!allowed("/srv/www/a").allow("AuthConfig", "x"));
        assert!(allowed("/home/jo/public/x").allow("AuthConfig", "x"));
        assert!(!allowed("/home/jo/private").is_any());
        assert!(allowed("/srv/www/list").allow("AuthConfig", "wsgipassauthorization"));
    }
}
