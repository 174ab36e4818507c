//! How a daemon's program is started.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use wsgi_proto::control::Group;
use wsgi_sys::process::{self, Drop, Launch, LaunchError, Step};
use wsgi_sys::{lanes, socket};

use super::Loop;
use super::link::Link;
use super::worker::Worker;
use crate::state::{DaemonId, Event};

/// Buffer of a control socket in bytes.
const LINK_BUFFER: u32 = 512 * 1024;
/// What is added to the nice value of a process that starts while others serve.
const POLITE: i32 = 5;
/// Seconds of CPU time that a process may use while its successor starts.
const REPLACEMENT: u64 = 10;
/// Open descriptors that are not channels or children.
const SPARE_DESCRIPTORS: u64 = 256;

impl Loop {
    pub(super) fn launch(&mut self, id: DaemonId, group: &Group, first_slot: u32, polite: bool) {
        let event = match self.start(id, group, first_slot, polite) {
            Ok(pid) => Event::Launched { daemon: id, pid },
            Err(why) => Event::LaunchFailed { daemon: id, why },
        };
        self.events.push_back(event);
    }

    fn start(
        &mut self,
        id: DaemonId,
        group: &Group,
        first_slot: u32,
        polite: bool,
    ) -> Result<i32, String> {
        self.raise_limit(group.threads);
        let (here, there) = self.link_pair().map_err(|error| {
            format!("its control socket could not be made: {error}; see ulimit -n")
        })?;
        let lanes = lanes::create(group.threads)
            .map_err(|error| format!("its lanes could not be made: {error}; see ulimit -n"))?;
        let window = self.setting.window.as_ref().filter(|_| group.server_metrics);
        let mut launch = self.order(group);
        launch.arguments.extend(window.map(|_| "4".into()));
        let polite = polite && nix::unistd::geteuid().is_root();
        if polite {
            launch.priority = Some((group.cpu_priority + POLITE).min(19));
        }
        let log = self.logs.descriptor(&group.name);
        let stdin = io::stdin();
        let mut descriptors = vec![stdin.as_fd(), log, log, there.as_fd()];
        descriptors.extend(window.map(AsFd::as_fd));
        let process = process::launch(&launch, &descriptors)
            .map_err(|error| format!("{error}; {}", advice(&error, group, &launch)))?;
        let worker = Worker {
            pid: process.pid,
            start_time: process::start_time(process.pid).unwrap_or(0),
            pidfd: Some(process.pidfd),
            link: Some(Link::new(here, group.threads)),
            own: true,
            polite,
            kills: self.kills,
            group: group.name.clone(),
            process: None,
            slots: first_slot..first_slot.saturating_add(group.threads),
            buffers: (group.send_buffer_size, group.receive_buffer_size),
            socket_timeout: match group.socket_timeout {
                0 => Duration::MAX,
                seconds => Duration::from_secs(seconds.into()),
            },
            lanes: Some(Rc::new(lanes)),
        };
        self.workers.insert(id, worker);
        Ok(process.pid)
    }

    /// Gives all threads of a process its own priority. Only root can raise one.
    pub(super) fn hurry(&mut self, id: DaemonId, priority: i32) {
        let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.polite) else { return };
        worker.polite = false;
        // It is a child that was not reaped: nobody else has its number.
        let threads = std::fs::read_dir(format!("/proc/{}/task", worker.pid));
        for thread in threads.into_iter().flatten().flatten() {
            if let Some(Ok(thread)) = thread.file_name().to_str().map(str::parse) {
                // A thread that has just ended needs no priority.
                let _ = process::set_priority(thread, priority);
            }
        }
    }

    fn link_pair(&self) -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
        let (here, there) = socket::seqpacket_pair()?;
        for end in [&here, &there] {
            socket::buffer_sizes(end.as_fd(), LINK_BUFFER, LINK_BUFFER)?;
        }
        Ok((here, there))
    }

    fn order(&self, group: &Group) -> Launch {
        let mut arguments: Vec<OsString> = group.python_flags.iter().map(OsString::from).collect();
        arguments.push(self.setting.worker_directory.join("boot.py").into_os_string());
        arguments.push("3".into());
        let limit = |bytes: u64| (bytes > 0).then_some(bytes);
        Launch {
            program: group.python.clone(),
            arguments,
            environment: environment(group),
            new_session: false,
            chroot: group.chroot.clone(),
            identity: group.identity.as_ref().map(|identity| Drop {
                uid: identity.uid,
                gid: identity.gid,
                groups: identity.groups.clone(),
            }),
            directory: Some(self.directory(group)),
            umask: group.umask,
            priority: (group.cpu_priority != 0).then_some(group.cpu_priority),
            memory_limit: limit(group.memory_limit),
            virtual_memory_limit: limit(group.virtual_memory_limit),
            // At the soft limit it asks for a successor. The hard limit is for one that
            // does not stop when told to.
            cpu_time_limit: (group.cpu_time_limit > 0).then(|| {
                let soft = u64::from(group.cpu_time_limit);
                let grace = u64::from(group.graceful_timeout) + u64::from(group.shutdown_timeout);
                (soft, soft + REPLACEMENT + grace)
            }),
            // A daemon goes on when its supervisor is killed, until the next one
            // has taken over.
            parent_death_signal: None,
        }
    }

    /// The home of a user of its own; Apache's user often has none that exists.
    fn directory(&self, group: &Group) -> PathBuf {
        let own = group.identity.as_ref().filter(|who| Some(who.uid) != self.setting.child_uid);
        let home = group.home.as_ref().or_else(|| own.map(|identity| &identity.home));
        home.cloned().unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Raises the limit of open descriptors, but only when it is needed, as the
    /// daemons inherit it and old Pythons close each possible one at each start
    /// of a program.
    fn raise_limit(&self, threads: u32) {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let used = self.channels.len() + 2 * self.children.len() + 3 * self.workers.len();
        let needed = u64::try_from(used).unwrap_or(0) + 3 * u64::from(threads) + SPARE_DESCRIPTORS;
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && needed > soft
            && soft < hard
        {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, needed.saturating_mul(2).min(hard), hard);
        }
    }
}

/// httpd's own environment, and what the group adds.
fn environment(group: &Group) -> Vec<(OsString, OsString)> {
    let mut added: Vec<(&str, OsString)> = Vec::new();
    if let Some(identity) = &group.identity {
        added.push(("HOME", identity.home.clone().into_os_string()));
        added.push(("USER", identity.name.clone().into()));
        added.push(("LOGNAME", identity.name.clone().into()));
    }
    added.extend(group.lang.iter().map(|lang| ("LANG", lang.into())));
    added.extend(group.locale.iter().map(|locale| ("LC_ALL", locale.into())));
    added.extend(group.python_home.iter().map(|home| ("PYTHONHOME", home.into())));
    added.extend(group.python_eggs.iter().map(|eggs| ("PYTHON_EGG_CACHE", eggs.into())));
    added.extend(group.pure_worker.then(|| ("MOD_WSGI_WORKER", "pure".into())));
    added.extend(group.hash_seed.map(|seed| ("PYTHONHASHSEED", seed.to_string().into())));
    let inherited =
        std::env::vars_os().filter(|(name, _)| !added.iter().any(|(replaced, _)| name == replaced));
    let mut environment: Vec<_> = inherited.collect();
    environment.extend(added.into_iter().map(|(name, value)| (name.into(), value)));
    environment
}

/// What an administrator can do about it.
fn advice(error: &LaunchError, group: &Group, launch: &Launch) -> String {
    let program = launch.program.display();
    let user = group.identity.as_ref().map_or("httpd's user", |identity| identity.name.as_str());
    match error.step {
        Step::Fork => "the machine is short of processes or memory; see ulimit -u".to_owned(),
        Step::Session | Step::Descriptors => "restart httpd".to_owned(),
        Step::Chroot => {
            let root = launch.chroot.clone().unwrap_or_default();
            format!("check the directory {} of the option chroot=", root.display())
        }
        Step::Groups | Step::Gid | Step::Uid | Step::Verify => {
            format!("httpd must be started as root to use the user {user}")
        }
        Step::Directory => {
            let directory = launch.directory.clone().unwrap_or_default();
            format!(
                "the directory {} must exist and be searchable for the user {user}; \
                 see the option home=",
                directory.display()
            )
        }
        Step::Limit => "check the options that set limits".to_owned(),
        Step::Priority => "check the option cpu-priority=".to_owned(),
        Step::Exec => format!(
            "{program} must be an interpreter that the user {user} may execute; \
             see the options python= and python-home="
        ),
    }
}
