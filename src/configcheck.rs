//! `httpd -t -D WSGI_CONFIGCHECK`: what becomes of each WSGI line of a configuration, and whether
//! daemon processes could run as it says.
//!
//! httpd reads the configuration, so that its own rules hold: includes, variables, macros. The
//! report goes to standard output. `wsgi-configcheck` is the command around it.
//!
//! *Runs in:* httpd's parent, when it was started to check a configuration.

mod changes;
mod htaccess;
mod trial;

use std::fmt;
use std::io::Write;

use crate::apache::statements::Statement;
use crate::config::options::Line;
use crate::config::{Globals, Place, QUESTIONS};

pub(crate) use trial::Trial;

/// What `-D` has to define.
pub(crate) const DEFINE: &std::ffi::CStr = c"WSGI_CONFIGCHECK";

/// What is said of a line or a process group, in the order of weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As with mod_wsgi.
    Supported,
    /// Does its job in another way.
    Different,
    /// Read, and nothing follows from it.
    WithoutEffect,
    /// Works, but hardly as it was meant.
    Warning,
    /// Would fail.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Supported => "supported",
            Self::Different => "different",
            Self::WithoutEffect => "without effect here",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    counts: [usize; 5],
}

impl Report {
    /// What becomes of each line of the configuration.
    pub(crate) fn of_lines(globals: &Globals) -> Self {
        let mut report = Self::default();
        report.tell(globals);
        report
    }

    /// Adds what becomes of lines in `.htaccess` files.
    pub(crate) fn add_htaccess(&mut self, statements: &[Statement]) {
        htaccess::add_to(self, statements);
    }

    fn tell(&mut self, globals: &Globals) {
        for entry in &globals.entries {
            let notices = globals.notices.iter().filter(|notice| notice.place == entry.place);
            let mut said = Vec::new();
            for notice in notices {
                let text = notice.text.strip_prefix(entry.directive).unwrap_or(&notice.text);
                let text = text.trim_start_matches([':', ' ']);
                // Other notes tell how a value was read; such a line does its job.
                said.push(match text.split_once("has no effect: ") {
                    Some((option, why)) => (Verdict::WithoutEffect, format!("{option}{why}")),
                    None => (Verdict::Different, text.to_owned()),
                });
            }
            if said.is_empty()
                && let Some(how) = changes::of(entry)
            {
                said.push((Verdict::Different, how.to_owned()));
            }
            if said.is_empty() {
                said.push((Verdict::Supported, String::new()));
            }
            for (verdict, text) in said {
                self.say(&format!("{}: {}", entry.place, entry.directive), verdict, &text);
            }
        }
    }

    /// Adds a line about `subject`.
    pub(crate) fn say(&mut self, subject: &str, verdict: Verdict, text: &str) {
        let separator = if text.is_empty() { "" } else { ": " };
        self.lines.push(format!("{subject}: {verdict}{separator}{text}"));
        if let Some(count) = self.counts.get_mut(verdict as usize) {
            *count += 1;
        }
    }

    /// Adds what the processes of a group found when they tried.
    pub(crate) fn add(&mut self, trial: &Trial) {
        let name = match trial.group.as_str() {
            "" => "implicit process group".to_owned(),
            name => format!("process group '{name}'"),
        };
        for (verdict, text) in trial.run() {
            match verdict {
                Some(verdict) => self.say(&name, verdict, &text),
                None => self.lines.push(format!("{name}: {text}")),
            }
        }
    }

    /// Writes the report, and says whether anything in it is an error.
    pub(crate) fn print(&self) -> bool {
        let mut output = std::io::stdout().lock();
        let [supported, different, without_effect, warnings, errors] = self.counts;
        let sum = format!(
            "{supported} supported, {different} different, {without_effect} without effect; \
             {warnings} warnings, {errors} errors"
        );
        // Nobody may be reading any more; the exit status still tells.
        let _ = writeln!(output, "{}\n{sum}", self.lines.join("\n")).and_then(|()| output.flush());
        errors > 0
    }
}

/// Scripts that a process group is sure to run, in the order of the configuration.
///
/// Which group runs a script may depend on sections and on requests; where it does, the script is
/// left out.
pub(crate) fn scripts(globals: &Globals, group: &str) -> Vec<String> {
    let sections = globals
        .entries
        .iter()
        .any(|entry| entry.directive == "WSGIProcessGroup" && entry.place.in_directory);
    let mut found = Vec::new();
    for entry in &globals.entries {
        let (words, asked) = match entry.directive {
            "WSGIScriptAlias" | "WSGIScriptAliasMatch" | "WSGIHandlerScript" => (2, false),
            "WSGIImportScript" => (1, false),
            "WSGIAccessScript"
            | "WSGIAuthUserScript"
            | "WSGIAuthGroupScript"
            | "WSGIDispatchScript" => (1, true),
            _ => continue,
        };
        let Ok(line) = Line::parse(&entry.text, words) else { continue };
        let option = line.options.iter().find(|option| option.name == "process-group");
        let named = option.map(|option| option.value.clone());
        let named = named.or_else(|| asked.then(|| QUESTIONS.to_owned()));
        let named = named.or_else(|| (!sections).then(|| group_of_server(globals, &entry.place)));
        if named.as_deref() == Some(group)
            || group.is_empty() && named.as_deref() == Some("%{GLOBAL}")
        {
            let path = entry.place.path(line.word(words - 1)).display().to_string();
            if !found.contains(&path) {
                found.push(path);
            }
        }
    }
    found
}

/// WSGIProcessGroup of the virtual host that a line stands in, else of the main server.
fn group_of_server(globals: &Globals, place: &Place) -> String {
    let groups = || globals.entries.iter().rev().filter(|e| e.directive == "WSGIProcessGroup");
    let id = |place: &Place| place.virtual_host.as_ref().map(|host| host.id);
    let own = groups().find(|entry| id(&entry.place) == id(place));
    let entry = own.or_else(|| groups().find(|entry| entry.place.virtual_host.is_none()));
    let line = entry.and_then(|entry| Line::words(&entry.text).ok());
    line.map_or_else(|| "%{GLOBAL}".to_owned(), |line| line.word(0).to_owned())
}

#[cfg(test)]
mod tests;
