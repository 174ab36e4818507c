//! The directives: one table, from which httpd's command table and the manual are made.
//!
//! *Runs in:* parent, and httpd child for `.htaccess` files. Nothing here knows
//! httpd: a directive takes the raw text of its line and fills plain values.

mod access;
mod daemon_process;
mod mapping;
mod metrics;
mod placement;
mod python;
#[cfg(test)]
mod reference;
mod removed;
mod request;
mod sockets;
pub mod table;

use std::ffi::CStr;

use crate::config::choice::{Choice, OptionDoc, Reading};
use crate::config::options::Line;
use crate::config::problem::{self, Problem};
use crate::config::{DirectoryConfig, Globals, Notice, Place, RegexCompiler, ServerConfig};

pub use table::DIRECTIVES;

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The main server only: `RSRC_CONF`; [`Directive::apply`] refuses virtual hosts.
    Global,
    /// The main server and virtual hosts: `RSRC_CONF`.
    Server,
    /// There and in sections, not in `.htaccess`: `ACCESS_CONF | RSRC_CONF`.
    Directory,
    /// There and in `.htaccess` with `AllowOverride FileInfo`: `OR_FILEINFO`.
    FileInfo,
    /// Sections, and `.htaccess` with `AllowOverride AuthConfig`: `OR_AUTHCFG`.
    AuthConfig,
}

/// How a directive's line is taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// Fewest words.
    pub min: usize,
    /// Most words.
    pub max: usize,
    /// How it is written, without the directive's name.
    pub usage: &'static str,
    /// Whether options of the form name=value follow the words.
    pub options: bool,
    /// Whether it opens a section, whose line ends with `>`.
    pub container: bool,
}

impl Arguments {
    const fn words(min: usize, max: usize, usage: &'static str) -> Self {
        Self { min, max, usage, options: false, container: false }
    }

    const fn options(words: usize, usage: &'static str) -> Self {
        Self { min: words, max: words, usage, options: true, container: false }
    }
}

/// Takes a directive's words and options.
pub type Parse = fn(&mut Scope<'_>, &Line) -> Result<(), Problem>;

/// A directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name; a section's begins with `<`.
    pub name: &'static CStr,
    /// Where it may stand.
    pub context: Context,
    /// What it takes.
    pub arguments: Arguments,
    /// What holds without it.
    pub default: &'static str,
    /// What it does here.
    pub summary: &'static str,
    /// Why it has no effect, if it has none: said in one line at start.
    pub note: Option<&'static str>,
    /// Its options, for the manual.
    pub options: fn() -> Vec<&'static OptionDoc>,
    /// Takes the words and options.
    pub parse: Parse,
}

impl Directive {
    const fn new(
        name: &'static CStr,
        context: Context,
        arguments: Arguments,
        default: &'static str,
        summary: &'static str,
        parse: Parse,
    ) -> Self {
        Self { name, context, arguments, default, summary, note: None, options: Vec::new, parse }
    }

    const fn with_options(mut self, options: fn() -> Vec<&'static OptionDoc>) -> Self {
        self.options = options;
        self
    }

    const fn without_effect(mut self, why: &'static str) -> Self {
        self.note = Some(why);
        self
    }

    /// The name as text.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or("WSGI")
    }

    /// Applies a line to the configuration. `text` is what follows the
    /// directive's name, as httpd passes it to a RAW_ARGS command.
    ///
    /// # Errors
    /// The message for the administrator, without file and line: httpd adds them.
    pub fn apply(&self, scope: &mut Scope<'_>, text: &str) -> Result<(), String> {
        scope.directive = self.name();
        self.read(scope, text).map_err(|problem| problem.of_directive(self.name()))
    }

    fn read(&self, scope: &mut Scope<'_>, text: &str) -> Result<(), Problem> {
        if self.context == Context::Global && scope.place.virtual_host.is_some() {
            return Err(Problem::new(
                problem::IN_VIRTUAL_HOST,
                "cannot occur within <VirtualHost> section; it is for the whole server",
            ));
        }
        let text = match self.arguments.container {
            true => text.trim_end().strip_suffix('>').ok_or_else(|| {
                Problem::new(problem::ARGUMENTS, "the line does not end with '>'")
            })?,
            false => text,
        };
        let Arguments { min, max, usage, options, .. } = self.arguments;
        let line = if options { Line::parse(text, max)? } else { Line::words(text)? };
        if !(min..=max).contains(&line.words.len()) {
            let least = match (min, max) {
                (min, max) if min == max => format!("{min}"),
                (min, usize::MAX) => format!("at least {min}"),
                (min, max) => format!("{min} to {max}"),
            };
            let plural = if least == "1" || least == "at least 1" { "" } else { "s" };
            return Err(Problem::new(
                problem::ARGUMENTS,
                format!("requires {least} argument{plural}: {usage}"),
            ));
        }
        (self.parse)(scope, &line)?;
        if let Some(why) = self.note {
            scope.note(&format!("has no effect: {why}"));
        }
        Ok(())
    }
}

impl Problem {
    /// `MWR1006: WSGIDaemonProcess: …`, as httpd shows it.
    fn of_directive(self, name: &str) -> String {
        self.of(name).to_string()
    }
}

/// What a directive may change, and where it stands.
pub struct Scope<'a> {
    /// Settings of the whole server. In a `.htaccess` file: any value, dropped
    /// after use.
    pub globals: &'a mut Globals,
    /// Settings of the server or virtual host. The same in a `.htaccess` file.
    pub server: &'a mut ServerConfig,
    /// Settings of the section, or of the server's own level.
    pub directory: &'a mut DirectoryConfig,
    /// Where the directive stands.
    pub place: &'a Place,
    /// Compiles regular expressions.
    pub regex: &'a dyn RegexCompiler,
    directive: &'static str,
}

impl<'a> Scope<'a> {
    /// A scope for one directive or several in the same place.
    pub fn new(
        globals: &'a mut Globals,
        server: &'a mut ServerConfig,
        directory: &'a mut DirectoryConfig,
        place: &'a Place,
        regex: &'a dyn RegexCompiler,
    ) -> Self {
        Self { globals, server, directory, place, regex, directive: "WSGI" }
    }

    /// Leaves a line for the log.
    fn note(&mut self, text: &str) {
        let text = format!("{} {text}", self.directive);
        self.globals.notices.push(Notice { place: self.place.clone(), text });
    }

    fn reading(&mut self) -> Reading<'_> {
        Reading::new(self.directive, self.place, self.globals)
    }

    /// Applies a line's options to a target.
    fn options<T>(
        &mut self,
        choices: &[Choice<T>],
        target: &mut T,
        line: &Line,
    ) -> Result<(), Problem> {
        crate::config::choice::apply(choices, target, &line.options, &mut self.reading())
    }
}

/// The manual's part of options.
fn docs<T>(choices: &'static [Choice<T>]) -> Vec<&'static OptionDoc> {
    choices.iter().map(|choice| &choice.doc).collect()
}

/// A word that must not be empty.
fn name(text: &str) -> Result<&str, Problem> {
    match text {
        "" => Err(Problem::new(problem::EMPTY, "the name is empty")),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests;
