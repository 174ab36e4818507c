//! Lines of this module in `.htaccess` files, which httpd reads only when requests come.
//!
//! Looked at are the files below each DocumentRoot where AllowOverride lets them act.

mod overrides;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Report, Verdict};
use crate::apache::statements::Statement;
use crate::config::{DirectoryConfig, Entry, Globals, Place, Regex, RegexCompiler, ServerConfig};
use crate::directives::{Context, DIRECTIVES, Directive, Scope};
use overrides::{Overrides, Sections};

/// Most directories that are looked into below a DocumentRoot, and how deep.
const MOST: usize = 10_000;
const DEPTH: usize = 20;

/// Adds what becomes of each line.
pub(super) fn add_to(report: &mut Report, statements: &[Statement]) {
    let sections = Sections::of(statements);
    for root in sections.roots() {
        let mut walk = Walk { report, sections: &sections, left: MOST };
        walk.enter(&root, DEPTH);
        if walk.left == 0 {
            let text = format!("more than {MOST} directories; the rest is not looked at");
            report.say(&root.display().to_string(), Verdict::Warning, &text);
        }
    }
}

struct Walk<'w> {
    report: &'w mut Report,
    sections: &'w Sections,
    left: usize,
}

impl Walk<'_> {
    fn enter(&mut self, directory: &Path, depth: usize) {
        if self.left == 0 || depth == 0 {
            return;
        }
        self.left -= 1;
        let allowed = self.sections.allowed(directory);
        if allowed.is_any() {
            for name in self.sections.file_names() {
                let file = directory.join(name);
                if let Ok(text) = fs::read_to_string(&file) {
                    self.read(&file, &text, &allowed);
                }
            }
        }
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        // Links lead out of the tree, or round in circles.
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        folders.sort_unstable();
        for folder in folders {
            self.enter(&folder, depth - 1);
        }
    }

    fn read(&mut self, file: &Path, text: &str, allowed: &Overrides) {
        for (line, name, rest) in &lines(text) {
            let known = DIRECTIVES.iter().find(|known| known.name().eq_ignore_ascii_case(name));
            let Some(directive) = known else { continue };
            let place = Place {
                file: file.display().to_string(),
                line: *line,
                in_directory: true,
                in_htaccess: true,
                ..Place::default()
            };
            let subject = format!("{place}: {}", directive.name());
            match judge(directive, rest, &place, allowed) {
                Ok(globals) => self.report.tell(&globals),
                Err(why) => {
                    let text = format!("{why}; requests get 500");
                    self.report.say(&subject, Verdict::Error, &text);
                }
            }
        }
    }
}

/// What a line leaves.
fn judge(
    directive: &'static Directive,
    text: &str,
    place: &Place,
    allowed: &Overrides,
) -> Result<Globals, String> {
    let needed = match directive.context {
        Context::FileInfo => "FileInfo",
        Context::AuthConfig => "AuthConfig",
        Context::Global | Context::Server | Context::Directory => {
            return Err("can't stand in such a file".to_owned());
        }
    };
    if !allowed.allow(needed, directive.name()) {
        return Err(format!("needs 'AllowOverride {needed}' here"));
    }
    let (mut globals, mut server) = (Globals::default(), ServerConfig::default());
    let mut section = DirectoryConfig::default();
    let mut scope = Scope::new(&mut globals, &mut server, &mut section, place, &NoPatterns);
    directive.apply(&mut scope, text)?;
    let text = text.to_owned();
    globals.entries.push(Entry { place: place.clone(), directive: directive.name(), text });
    Ok(globals)
}

/// What may stand in such a file has no patterns.
struct NoPatterns;

impl RegexCompiler for NoPatterns {
    fn compile(&self, _pattern: &str) -> Result<Box<dyn Regex>, String> {
        Err("has no patterns".to_owned())
    }
}

/// Number, name and rest of each line, those continued by a backslash put together.
fn lines(text: &str) -> Vec<(u32, String, String)> {
    let mut found = Vec::new();
    let (mut whole, mut begin) = (String::new(), 1);
    for (number, line) in (1..).zip(text.lines()) {
        if whole.is_empty() {
            begin = number;
        }
        match line.strip_suffix('\\') {
            Some(line) => whole.push_str(line),
            None => {
                whole.push_str(line);
                let line = std::mem::take(&mut whole);
                let (name, rest) =
                    line.trim().split_once(char::is_whitespace).unwrap_or((&line, ""));
                found.push((begin, name.trim().to_owned(), rest.trim().to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_one() {
        let text = "# WSGIx\nWSGIPassAuthorization \\\n  On\n\n  WSGIMapHEADToGET Off";
        let lines = lines(text);
        let told: Vec<_> = lines.iter().map(|(n, name, rest)| (*n, &**name, &**rest)).collect();
        assert_eq!(told[1], (2, "WSGIPassAuthorization", "On"));
        assert_eq!(told[3], (5, "WSGIMapHEADToGET", "Off"));
    }
}
