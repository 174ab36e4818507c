//! From a configured process group to what the supervisor runs.
//!
//! *Runs in:* parent, when the configuration is complete. Whatever would fail in
//! every daemon fails here, where an administrator sees it.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wsgi_proto::control::{self, Group, Identity, Preload};
use wsgi_sys::process;
use wsgi_sys::user::{self, Blocked, User};

use super::daemon_group::DaemonGroup;
use super::globals::Globals;
use super::interpreter::InterpreterSettings;
use super::problem::{self, Problem};

/// maximum-requests-jitter in per cent, where there are several processes that
/// would otherwise end together.
const DEFAULT_JITTER: u32 = 10;

/// What a group inherits from httpd.
#[derive(Clone, Debug, Default)]
pub struct ServerDefaults {
    /// uid of Apache's User.
    pub uid: u32,
    /// gid of Apache's Group.
    pub gid: u32,
    /// Whether httpd was started as root: only then users can be changed.
    pub is_root: bool,
    /// The interpreter chosen when this software was installed.
    pub default_python: PathBuf,
    /// Apache's Timeout of the group's server.
    pub timeout: Duration,
    /// Whether an interpreter that can't be executed is an error. At a restart it is
    /// none: httpd would end, and every other group with it.
    pub must_run: bool,
    /// Level of the virtual host's log for this module, syslog's numbers.
    pub log_level: u8,
}

impl Globals {
    /// The group as the supervisor runs it.
    ///
    /// # Errors
    /// One message for the administrator: the user database, root, or an
    /// interpreter that is missing or out of the user's reach.
    pub fn resolve(&self, group: &DaemonGroup, defaults: &ServerDefaults) -> Result<Group, String> {
        let implicit = group.name.is_empty();
        let subject = match implicit {
            true => "the implicit process group".to_owned(),
            false => format!("WSGIDaemonProcess '{}' at {}", group.name, group.place),
        };
        let described = |problem: Problem| problem.of(&subject).to_string();
        let identity = identity(group, defaults).map_err(described)?;
        let interpreter = Interpreter::find(group, self, defaults);
        if defaults.must_run {
            interpreter.check(group, identity.as_ref()).map_err(described)?;
        }

        let preload = self.preload(&group.name);
        let settings = InterpreterSettings::select(&self.interpreters, &group.name, None);
        let mut python_path = settings.python_path;
        python_path.extend(group.python_path.iter().cloned());
        let switch_interval = group.switch_interval.or(settings.switch_interval).unwrap_or(0.0);
        Ok(Group {
            name: group.name.clone(),
            origin: group.place.to_string(),
            identity,
            processes: group.processes,
            processes_max: group.most_processes(),
            multiprocess: group.multiprocess(),
            threads: group.threads,
            umask: group.umask,
            chroot: group.chroot.clone().filter(|_| defaults.is_root),
            home: group.home.clone(),
            lang: group.lang.clone(),
            locale: group.locale.clone(),
            display_name: group
                .display_name
                .as_ref()
                .map(|name| name.replace("%{GROUP}", &format!("(wsgi:{})", group.name))),
            python: interpreter.path,
            python_home: None,
            python_path,
            python_eggs: group
                .python_eggs
                .clone()
                .or_else(|| self.python.eggs.clone().filter(|_| implicit)),
            python_flags: self.python.flags(settings.free_threading),
            pure_worker: group.pure_worker,
            hash_seed: self.python.hash_seed,
            stack_size: group.stack_size,
            cpu_priority: group.cpu_priority,
            memory_limit: group.memory_limit,
            virtual_memory_limit: group.virtual_memory_limit,
            cpu_time_limit: seconds(group.cpu_time_limit),
            resident_memory_limit: group.resident_memory_limit,
            maximum_requests: group.maximum_requests,
            maximum_requests_jitter: group
                .maximum_requests_jitter
                .unwrap_or(if group.most_processes() > 1 { DEFAULT_JITTER } else { 0 }),
            restart_interval: seconds(group.restart_interval),
            inactivity_timeout: seconds(group.inactivity_timeout),
            idle_timeout: seconds(group.idle_timeout),
            processes_cap: group.cap(),
            startup_timeout: seconds(group.startup_timeout),
            deadlock_timeout: seconds(group.deadlock_timeout),
            request_timeout: seconds(group.request_timeout),
            interrupt_timeout: seconds(group.interrupt_timeout),
            graceful_timeout: seconds(group.graceful_timeout),
            eviction_timeout: seconds(group.eviction_timeout),
            shutdown_timeout: seconds(group.shutdown_timeout),
            socket_timeout: seconds(group.socket_timeout.unwrap_or(defaults.timeout)),
            send_buffer_size: group.send_buffer_size,
            receive_buffer_size: group.receive_buffer_size,
            switch_interval,
            restrict_stdin: settings.restrict_stdin,
            restrict_stdout: settings.restrict_stdout,
            restrict_signal: settings.restrict_signal,
            server_metrics: if implicit { self.server_metrics } else { group.server_metrics },
            interpreters: self.own_interpreters(group),
            log_level: defaults.log_level,
            preload,
        })
    }

    /// Settings of the application groups that sections select in this process group.
    fn own_interpreters(&self, group: &DaemonGroup) -> Vec<control::Interpreter> {
        let mut named: Vec<&str> = self
            .interpreters
            .iter()
            .filter(|section| section.selector.may_select(&group.name))
            .filter_map(|section| section.selector.application_group.as_deref())
            .collect();
        named.sort_unstable();
        named.dedup();
        let own = |name: &str| {
            let settings = InterpreterSettings::select(&self.interpreters, &group.name, Some(name));
            let mut python_path = settings.python_path;
            python_path.extend(group.python_path.iter().cloned());
            control::Interpreter {
                application_group: name.to_owned(),
                python_path,
                switch_interval: group.switch_interval.or(settings.switch_interval).unwrap_or(0.0),
                restrict_stdin: settings.restrict_stdin,
                restrict_stdout: settings.restrict_stdout,
                restrict_signal: settings.restrict_signal,
            }
        };
        named.into_iter().map(own).collect()
    }

    fn preload(&self, process_group: &str) -> Vec<Preload> {
        let mut preload: Vec<Preload> = Vec::new();
        for import in self.imports.iter().filter(|import| import.process_group == process_group) {
            let entry = Preload {
                application_group: import.application_group.clone(),
                script: import.script.clone(),
            };
            if !preload.contains(&entry) {
                preload.push(entry);
            }
        }
        preload
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Whom the group runs as; none to stay who httpd is.
fn identity(group: &DaemonGroup, defaults: &ServerDefaults) -> Result<Option<Identity>, Problem> {
    if !defaults.is_root {
        return Ok(None);
    }
    let database = |error: std::io::Error| {
        Problem::new(problem::USER_DATABASE, format!("the user database cannot be read: {error}"))
    };
    let User { name, uid, home, .. } = match &group.user {
        Some(user) => user.clone(),
        None => user::user_by_id(defaults.uid).map_err(database)?.ok_or_else(|| {
            let text =
                format!("Apache's User, uid {}, has no entry in the user database", defaults.uid);
            Problem::new(problem::UNKNOWN_USER, text)
        })?,
    };
    let gid = group.group.unwrap_or(defaults.gid);
    if uid == 0 || gid == 0 {
        return Err(Problem::new(
            problem::ROOT,
            "WSGI process blocked from running as root; set user= and group=, or Apache's User \
             and Group, to other accounts",
        ));
    }
    let groups = match &group.supplementary_groups {
        Some(groups) => groups.clone(),
        None => user::groups_of(&name, gid).map_err(database)?,
    };
    Ok(Some(Identity { name, uid, gid, groups, home }))
}

/// The interpreter of a group, and who named it.
struct Interpreter {
    path: PathBuf,
    source: String,
}

impl Interpreter {
    fn find(group: &DaemonGroup, globals: &Globals, defaults: &ServerDefaults) -> Self {
        let inside = |home: &Path, source: &str| Self {
            path: in_home(home, group.chroot.as_deref()),
            source: format!("{source} {}", home.display()),
        };
        match (&group.python, &group.python_home, &globals.python.home) {
            (Some(path), ..) => Self { path: path.clone(), source: "option 'python'".to_owned() },
            (None, Some(home), _) => inside(home, "option 'python-home'"),
            (None, None, Some(home)) => inside(home, "WSGIPythonHome"),
            (None, None, None) => Self {
                path: defaults.default_python.clone(),
                source: "the interpreter chosen at installation".to_owned(),
            },
        }
    }

    /// Whether there still is what a virtual environment was made from.
    fn check_base(&self) -> Result<(), Problem> {
        let Self { path, source } = self;
        match base_of(path) {
            Some(base) if matches!(base.try_exists(), Ok(false)) => Err(Problem::new(
                problem::NO_INTERPRETER,
                format!(
                    "{source}: the virtual environment of {} was made from the Python in {}, \
                     which is gone; make it anew",
                    path.display(),
                    base.display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether the daemons will be able to execute it.
    fn check(&self, group: &DaemonGroup, identity: Option<&Identity>) -> Result<(), Problem> {
        let Self { path, source } = self;
        if let Some(root) = &group.chroot {
            // Links lead elsewhere inside of the new root: what they lead to is
            // found out by the daemon.
            return match below(root, path).symlink_metadata() {
                Ok(_) => Ok(()),
                Err(error) => Err(missing(path, source, error, " inside of the chroot")),
            };
        }
        let Some(identity) = identity else {
            self.check_base()?;
            return match path.metadata() {
                Ok(_) => Ok(()),
                Err(error) => Err(missing(path, source, error, "")),
            };
        };
        self.check_base()?;
        let user = &identity.name;
        let blocked = |text: String| Problem::new(problem::INTERPRETER_BLOCKED, text);
        let mut groups = identity.groups.clone();
        groups.push(identity.gid);
        let who =
            process::Drop { uid: identity.uid, gid: identity.gid, groups: identity.groups.clone() };
        match user::may_execute(path, identity.uid, &groups) {
            Ok(()) => Ok(()),
            // An access control list may let in whom the mode does not.
            Err(Blocked::Directory(_) | Blocked::File(_)) if process::may_execute(path, &who) => {
                Ok(())
            }
            Err(Blocked::Missing(what)) => {
                Err(missing(path, source, format_args!("{} does not exist", what.display()), ""))
            }
            Err(Blocked::Directory(directory)) => Err(blocked(format!(
                "{source}: user '{user}' may not enter {}, so it cannot run {}; give that \
                 directory the permission 'x' for the user, e.g. by 'chmod o+x'",
                directory.display(),
                path.display()
            ))),
            Err(Blocked::File(file)) => Err(blocked(format!(
                "{source}: user '{user}' may not execute {}; it must be a file with the \
                 permissions 'rx' for the user",
                file.display()
            ))),
        }
    }
}

/// Where the Python lies that a virtual environment was made from.
fn base_of(python: &Path) -> Option<PathBuf> {
    let settings = fs::read_to_string(python.ancestors().nth(2)?.join("pyvenv.cfg")).ok()?;
    settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "home").then(|| PathBuf::from(value.trim()))
    })
}

fn missing(path: &Path, source: &str, why: impl Display, place: &str) -> Problem {
    Problem::new(
        problem::NO_INTERPRETER,
        format!(
            "{source}: there is no Python interpreter {}{place}: {why}; create the virtual \
             environment, or correct the path",
            path.display()
        ),
    )
}

/// `bin/python` of a virtual environment, `bin/python3` of another prefix: there
/// `python` may be another version. If there is neither, the one to complain of.
fn in_home(home: &Path, chroot: Option<&Path>) -> PathBuf {
    let there = |path: &Path| match chroot {
        Some(root) => below(root, path).symlink_metadata().is_ok(),
        None => path.exists(),
    };
    let names = match there(&home.join("pyvenv.cfg")) {
        true => ["bin/python", "bin/python3"],
        false => ["bin/python3", "bin/python"],
    };
    let candidates = names.map(|name| home.join(name));
    let found = candidates.iter().find(|path| there(path));
    found.cloned().unwrap_or_else(|| home.join("bin/python"))
}

/// An absolute path, as it is called from outside of a new root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests;
