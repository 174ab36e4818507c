//! What belongs to the whole server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::daemon_group::DaemonGroup;
use super::interpreter::{InterpreterOptions, PythonSettings, Selector};
use super::place::{Place, ServerId};
use super::problem::{self, Problem};

/// A line for the log that tells the administrator of something without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub place: Place,
    /// The line, without the place.
    pub text: String,
}

/// A line with a directive of this module, kept when the configuration is to be reported on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// The directive.
    pub directive: &'static str,
    /// What follows its name.
    pub text: String,
}

/// A script that is loaded before the first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Absolute path.
    pub script: PathBuf,
    /// Name of the process group; "" for the implicit one.
    pub process_group: String,
    /// Name of the application group; "" for `%{GLOBAL}`.
    pub application_group: String,
    /// The directive that asks for it.
    pub directive: &'static str,
    /// Where that stands.
    pub place: Place,
}

/// WSGITelemetryService and its options.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Socket that datagrams go to.
    pub socket: PathBuf,
    /// Seconds between two of them.
    pub interval: f64,
}

/// What belongs to the whole server. One for each pass over the configuration.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    groups: Vec<DaemonGroup>,
    by_name: BTreeMap<String, usize>,
    /// Scripts to load, in the order of the configuration.
    pub imports: Vec<Import>,
    /// What the server says at its start, at level INFO.
    pub notices: Vec<Notice>,
    /// All lines, if somebody wants a report.
    pub entries: Vec<Entry>,
    /// Settings of all interpreters.
    pub python: PythonSettings,
    /// `<WSGIInterpreterOptions>` sections, and settings outside of them.
    pub interpreters: Vec<InterpreterOptions>,
    section: Option<usize>,
    /// WSGIRestrictEmbedded: the empty process group answers with 500.
    pub restrict_embedded: bool,
    /// WSGICaseSensitivity Off.
    pub case_insensitive: bool,
    /// WSGIServerMetrics
    pub server_metrics: bool,
    /// WSGITelemetryService
    pub telemetry: Option<Telemetry>,
    /// WSGITelemetryOptions CaptureUserAgent
    pub capture_user_agent: bool,
    /// The least WSGISlowRequests of all places, if any is not 0.
    pub slow_requests: Option<Duration>,
}

impl Globals {
    /// The process groups in the order of their definition.
    #[must_use]
    pub fn groups(&self) -> &[DaemonGroup] {
        &self.groups
    }

    /// A process group by its name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&DaemonGroup> {
        self.groups.get(*self.by_name.get(name)?)
    }

    /// Adds a process group.
    ///
    /// # Errors
    /// There is one of this name already.
    pub fn add_group(&mut self, group: DaemonGroup) -> Result<(), Problem> {
        if let Some(former) = self.group(&group.name) {
            return Err(Problem::new(
                problem::DUPLICATE,
                format!(
                    "name '{}' duplicates the definition at {}; a process group is defined once \
                     and may be used from every virtual host of the same ServerName",
                    group.name, former.place
                ),
            ));
        }
        self.by_name.insert(group.name.clone(), self.groups.len());
        self.groups.push(group);
        Ok(())
    }

    /// Begins a `<WSGIInterpreterOptions>` section: until
    /// [`leave_interpreter_options`](Self::leave_interpreter_options), interpreter
    /// settings are for the interpreters that it selects.
    ///
    /// # Errors
    /// Another section is open.
    pub fn enter_interpreter_options(&mut self, selector: Selector) -> Result<(), Problem> {
        if self.section.is_some() {
            return Err(Problem::new(problem::NESTED, "sections of this kind cannot be nested"));
        }
        self.interpreters.push(InterpreterOptions { selector, ..InterpreterOptions::default() });
        self.section = Some(self.interpreters.len() - 1);
        Ok(())
    }

    /// Ends the section, if one is open.
    pub fn leave_interpreter_options(&mut self) {
        self.section = None;
    }

    /// Where an interpreter setting goes: the open section, or what is for all.
    pub fn interpreter_options(&mut self) -> &mut InterpreterOptions {
        let outside = |section: &InterpreterOptions| section.selector == Selector::default();
        let index = match self.section {
            Some(index) if index < self.interpreters.len() => index,
            _ => self.interpreters.iter().position(outside).unwrap_or_else(|| {
                self.interpreters.push(InterpreterOptions::default());
                self.interpreters.len() - 1
            }),
        };
        &mut self.interpreters[index]
    }

    /// Checks what can be checked only when all of the configuration was read.
    /// `server_name` tells the final ServerName of a server.
    ///
    /// # Errors
    /// One message for each script that is to be loaded where it cannot be.
    pub fn finish(
        &mut self,
        server_name: &dyn Fn(ServerId) -> Option<String>,
    ) -> Result<(), Vec<String>> {
        for owner in self.groups.iter_mut().filter_map(|group| group.owner.as_mut()) {
            if let Some(name) = server_name(owner.id) {
                owner.server_name = name;
            }
        }
        let errors: Vec<_> = self
            .imports
            .iter()
            .filter_map(|import| {
                let problem = self.check(import, server_name).err()?;
                let Import { directive, place, .. } = import;
                Some(format!("MWR{}: {directive} at {place}: {}", problem.code, problem.text))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check(
        &self,
        import: &Import,
        server_name: &dyn Fn(ServerId) -> Option<String>,
    ) -> Result<(), Problem> {
        let name = &import.process_group;
        if name.is_empty() {
            return Ok(());
        }
        let Some(group) = self.group(name) else {
            return Err(Problem::new(
                problem::NO_SUCH_GROUP,
                format!(
                    "WSGI process group '{name}' is not configured; define it by WSGIDaemonProcess"
                ),
            ));
        };
        let host = import.place.virtual_host.as_ref();
        let id = host.map_or(ServerId::MAIN, |host| host.id);
        let name_there = server_name(id).or_else(|| Some(host?.server_name.clone()));
        if group.usable_from(id, &name_there.unwrap_or_default()) {
            return Ok(());
        }
        Err(Problem::new(
            problem::FOREIGN_GROUP,
            format!(
                "WSGI process group '{name}' belongs to another virtual host, at {}; give both \
                 the same ServerName, or define the group outside of <VirtualHost>",
                group.place
            ),
        ))
    }
}
