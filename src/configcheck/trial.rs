//! What a daemon process of a group would meet, found out by a process that is started as one.
//!
//! The group's interpreter runs `_configcheck.py` under the group's user: versions, folders,
//! locale and scripts are seen with the rights that count.

use std::ffi::OsString;
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use wsgi_proto::control::Group;
use wsgi_sys::process::{self, Drop, Launch};

use super::Verdict;

/// How long an interpreter may take to start and look around.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process to be tried.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Name of the process group; empty for the implicit one.
    pub(crate) group: String,
    user: String,
    launch: Launch,
    in_chroot: bool,
}

impl Trial {
    /// What is to be tried for a group that runs these scripts. `directory` holds the worker.
    pub(crate) fn new(group: &Group, scripts: &[String], directory: &Path) -> Self {
        let mut arguments = vec![directory.join("mod_wsgi/_configcheck.py").into_os_string()];
        let mut tell = |name: &str, value: &OsString| {
            let mut argument = OsString::from(name);
            argument.push("=");
            argument.push(value);
            arguments.push(argument);
        };
        tell("worker", &directory.as_os_str().to_owned());
        tell("interpreter", &group.python.as_os_str().to_owned());
        if let Some(home) = &group.home {
            tell("home", &home.as_os_str().to_owned());
        }
        for path in &group.python_path {
            tell("path", &path.as_os_str().to_owned());
        }
        if let Some(locale) = &group.locale {
            tell("locale", &locale.into());
        }
        for script in scripts {
            tell("script", &script.into());
        }
        let environment = std::env::vars_os();
        let set = [("LANG", &group.lang), ("LC_ALL", &group.locale)];
        let set = set.into_iter().filter_map(|(name, value)| {
            value.as_ref().map(|value| (OsString::from(name), OsString::from(value)))
        });
        let identity = group.identity.as_ref();
        let home = identity.map(|who| (OsString::from("HOME"), who.home.clone().into_os_string()));
        let own: Vec<_> = set.chain(home).collect();
        let inherited = environment.filter(|(name, _)| !own.iter().any(|(known, _)| known == name));
        let environment = inherited.chain(own.iter().cloned()).collect();
        Self {
            group: group.name.clone(),
            user: identity.map_or_else(|| "httpd's own".to_owned(), |who| who.name.clone()),
            in_chroot: group.chroot.is_some(),
            launch: Launch {
                program: group.python.clone(),
                arguments,
                environment,
                identity: identity.map(|who| Drop {
                    uid: who.uid,
                    gid: who.gid,
                    groups: who.groups.clone(),
                }),
                directory: Some(PathBuf::from("/")),
                ..Launch::default()
            },
        }
    }

    /// Runs it: what is said, with a verdict where there is one.
    pub(super) fn run(&self) -> Vec<(Option<Verdict>, String)> {
        let mut said = vec![(None, format!("runs as user '{}'", self.user))];
        if self.in_chroot {
            said.push((None, "has a chroot: what is inside of it is not looked at".to_owned()));
            return said;
        }
        match self.listen() {
            Ok(text) => said.extend(text.lines().map(|line| match line.split_once(": ") {
                Some(("warning", text)) => (Some(Verdict::Warning), text.to_owned()),
                Some(("error", text)) => (Some(Verdict::Error), text.to_owned()),
                _ => (None, line.to_owned()),
            })),
            Err(why) => said.push((
                Some(Verdict::Error),
                format!("{} can't be tried: {why}", self.launch.program.display()),
            )),
        }
        said
    }

    /// Everything that the process writes.
    fn listen(&self) -> Result<String, String> {
        let words = |error: std::io::Error| error.to_string();
        let (mut ours, theirs) = UnixStream::pair().map_err(words)?;
        ours.shutdown(Shutdown::Write).map_err(words)?;
        ours.set_read_timeout(Some(PATIENCE)).map_err(words)?;
        let null = std::fs::File::open("/dev/null").map_err(words)?;
        let descriptors = [null.as_fd(), theirs.as_fd(), theirs.as_fd()];
        let started = process::launch(&self.launch, &descriptors).map_err(|e| e.to_string())?;
        drop(theirs);
        let mut bytes = Vec::new();
        let read = ours.read_to_end(&mut bytes);
        if read.is_err() {
            // It ends by itself in every other case.
            let _ = process::signal(started.pidfd.as_fd(), libc::SIGKILL);
        }
        let deadline = Instant::now() + PATIENCE;
        while matches!(process::reap(started.pid), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        match read {
            Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => Err(format!("no answer within {} s: {error}", PATIENCE.as_secs())),
        }
    }
}
