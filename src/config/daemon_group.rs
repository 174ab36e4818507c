//! A process group, as WSGIDaemonProcess defines it or as the empty one is made.

mod options;

use std::path::PathBuf;
use std::time::Duration;

use wsgi_sys::user::User;

use super::place::{Place, ServerId};

pub use options::OPTIONS;

/// The virtual host that a process group belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Which one.
    pub id: ServerId,
    /// Its ServerName; final only after [`Globals::finish`](super::Globals::finish).
    pub server_name: String,
}

/// A process group. Durations and sizes of zero switch the limit off.
#[derive(Clone, Debug)]
pub struct DaemonGroup {
    /// Name; empty for the implicit group.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// The virtual host that it is defined in; none in the main server.
    pub owner: Option<Owner>,
    /// Whom it runs as; none for Apache's User.
    pub user: Option<User>,
    /// Its primary group id; none for Apache's Group.
    pub group: Option<u32>,
    /// Supplementary group ids; none for those of the user.
    pub supplementary_groups: Option<Vec<u32>>,
    /// Processes of each application group.
    pub processes: u32,
    /// Whether `processes=` was given, which makes `wsgi.multiprocess` True.
    pub processes_explicit: bool,
    /// Most processes of an application group, if it may grow.
    pub processes_max: Option<u32>,
    /// Processes of all application groups together; none for the default.
    pub processes_cap: Option<u32>,
    /// Threads of a process that serve requests; 0 for a process that serves none.
    pub threads: u32,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// New root directory.
    pub chroot: Option<PathBuf>,
    /// Working directory.
    pub home: Option<PathBuf>,
    /// `LANG`.
    pub lang: Option<String>,
    /// `LC_ALL`.
    pub locale: Option<String>,
    /// What `ps` shows, variables not yet expanded.
    pub display_name: Option<String>,
    /// The interpreter.
    pub python: Option<PathBuf>,
    /// Virtual environment or prefix of the interpreter.
    pub python_home: Option<PathBuf>,
    /// Whether the worker in Python alone serves it in any case.
    pub pure_worker: bool,
    /// Directories for `site.addsitedir`.
    pub python_path: Vec<PathBuf>,
    /// `PYTHON_EGG_CACHE`.
    pub python_eggs: Option<PathBuf>,
    /// Argument of `sys.setswitchinterval`, in seconds.
    pub switch_interval: Option<f64>,
    /// Stack of a worker thread, in bytes.
    pub stack_size: u64,
    /// Requests after which a process is replaced.
    pub maximum_requests: u64,
    /// Per cent by which a process' own limit is at most lower; none for the default.
    pub maximum_requests_jitter: Option<u32>,
    /// Resident memory at which a process is replaced, in bytes.
    pub resident_memory_limit: u64,
    /// Idle time after which processes beyond those that are always there end.
    pub idle_timeout: Duration,
    /// Age at which a process is replaced.
    pub restart_interval: Duration,
    /// Idle time after which a process ends.
    pub inactivity_timeout: Duration,
    /// Time that loading the script may take.
    pub startup_timeout: Duration,
    /// Time that a thread may wait for the GIL.
    pub deadlock_timeout: Duration,
    /// Time that a request may take.
    pub request_timeout: Duration,
    /// Time that an interrupted request has to end.
    pub interrupt_timeout: Duration,
    /// Time that requests have to end before a process is replaced.
    pub graceful_timeout: Duration,
    /// The same on an administrator's signal; zero for `graceful_timeout`.
    pub eviction_timeout: Duration,
    /// Time that a stopping process has before it is killed.
    pub shutdown_timeout: Duration,
    /// `RLIMIT_CPU`, whole seconds.
    pub cpu_time_limit: Duration,
    /// `setpriority`'s argument.
    pub cpu_priority: i32,
    /// `RLIMIT_DATA`, in bytes.
    pub memory_limit: u64,
    /// `RLIMIT_AS`, in bytes.
    pub virtual_memory_limit: u64,
    /// Time that a request waits for a process to become ready.
    pub connect_timeout: Duration,
    /// Time that an exchange with a daemon may stall; none for Apache's Timeout.
    pub socket_timeout: Option<Duration>,
    /// Time that a request waits for a free thread.
    pub queue_timeout: Duration,
    /// Requests that may wait for a free thread of an application; 0 for any number.
    pub queue_depth: u32,
    /// `SO_SNDBUF` of the channels, in bytes.
    pub send_buffer_size: u32,
    /// `SO_RCVBUF` of the channels, in bytes.
    pub receive_buffer_size: u32,
    /// Longest response header field, in bytes; 0 for the most that there is.
    pub header_buffer_size: u32,
    /// What is read ahead of a slow client, in bytes.
    pub response_buffer_size: u64,
    /// Time that a write to the client may stall; zero for Apache's Timeout.
    pub response_socket_timeout: Duration,
    /// Wait for more output before a flush.
    pub response_flush_delay: Duration,
    /// User id that scripts must belong to.
    pub script_user: Option<u32>,
    /// Group id that scripts must belong to.
    pub script_group: Option<u32>,
    /// Whether scripts may ask for the server's metrics.
    pub server_metrics: bool,
}

impl DaemonGroup {
    /// A group with the default of every option.
    #[must_use]
    pub fn new(name: &str, place: Place) -> Self {
        let owner = place
            .virtual_host
            .as_ref()
            .map(|host| Owner { id: host.id, server_name: host.server_name.clone() });
        Self {
            name: name.to_owned(),
            place,
            owner,
            user: None,
            group: None,
            supplementary_groups: None,
            processes: 1,
            processes_explicit: false,
            processes_max: None,
            processes_cap: None,
            threads: 15,
            umask: None,
            chroot: None,
            home: None,
            lang: None,
            locale: None,
            display_name: None,
            python: None,
            python_home: None,
            pure_worker: false,
            python_path: Vec::new(),
            python_eggs: None,
            switch_interval: None,
            stack_size: 0,
            maximum_requests: 0,
            maximum_requests_jitter: None,
            resident_memory_limit: 0,
            idle_timeout: Duration::from_secs(600),
            restart_interval: Duration::ZERO,
            inactivity_timeout: Duration::ZERO,
            startup_timeout: Duration::ZERO,
            deadlock_timeout: Duration::from_secs(300),
            request_timeout: Duration::ZERO,
            interrupt_timeout: Duration::ZERO,
            graceful_timeout: Duration::from_secs(15),
            eviction_timeout: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(5),
            cpu_time_limit: Duration::ZERO,
            cpu_priority: 0,
            memory_limit: 0,
            virtual_memory_limit: 0,
            connect_timeout: Duration::from_secs(15),
            socket_timeout: None,
            queue_timeout: Duration::ZERO,
            queue_depth: 0,
            send_buffer_size: 0,
            receive_buffer_size: 0,
            header_buffer_size: 0,
            response_buffer_size: 8 * 1024 * 1024,
            response_socket_timeout: Duration::ZERO,
            response_flush_delay: Duration::ZERO,
            script_user: None,
            script_group: None,
            server_metrics: false,
        }
    }

    /// The empty group, where mod_wsgi ran applications inside of httpd: shaped
    /// like the MPM that it replaces, and grown when requests wait.
    #[must_use]
    pub fn implicit(mpm: &Mpm<'_>, cores: u32) -> Self {
        let cores = cores.max(1);
        let (threads, most) = match mpm.threaded {
            true => (15, cores.min(4)),
            false => (1, mpm.max_workers.min(cores.saturating_mul(2)).min(16)),
        };
        let file = format!("the defaults for MPM {}", mpm.name);
        let mut group = Self::new("", Place { file, ..Place::default() });
        group.threads = threads;
        group.processes_explicit = true;
        group.processes_max = Some(most.max(1));
        group
    }

    /// Most processes of an application group.
    #[must_use]
    pub fn most_processes(&self) -> u32 {
        self.processes_max.unwrap_or(0).max(self.processes)
    }

    /// Processes of all application groups together at which idle ones make room.
    #[must_use]
    pub fn cap(&self) -> u32 {
        self.processes_cap.unwrap_or_else(|| self.most_processes().saturating_mul(4).max(16))
    }

    /// `wsgi.multiprocess`.
    #[must_use]
    pub fn multiprocess(&self) -> bool {
        self.processes_explicit || self.processes > 1
    }

    /// Whether requests for a server may be served by the group: one of the main
    /// server is for all, a virtual host's for those of the same ServerName.
    #[must_use]
    pub fn usable_from(&self, id: ServerId, server_name: &str) -> bool {
        self.owner.as_ref().is_none_or(|owner| {
            owner.id == id
                || (!owner.server_name.is_empty()
                    && owner.server_name.eq_ignore_ascii_case(server_name))
        })
    }
}

/// httpd's multi-processing module.
#[derive(Clone, Copy, Debug)]
pub struct Mpm<'a> {
    /// Its name, e.g. `event`.
    pub name: &'a str,
    /// Whether a child serves several requests at a time.
    pub threaded: bool,
    /// MaxRequestWorkers: most requests that are served at a time.
    pub max_workers: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_implicit_group_is_shaped_like_the_mpm() {
        let shape = |name, threaded, max_workers, cores| {
            let group = DaemonGroup::implicit(&Mpm { name, threaded, max_workers }, cores);
            assert!(group.multiprocess());
            (group.processes, group.processes_max, group.threads)
        };
        assert_eq!(shape("prefork", false, 256, 2), (1, Some(4), 1));
        assert_eq!(shape("prefork", false, 3, 8), (1, Some(3), 1));
        assert_eq!(shape("prefork", false, 256, 64), (1, Some(16), 1));
        assert_eq!(shape("event", true, 400, 2), (1, Some(2), 15));
        assert_eq!(shape("worker", true, 400, 64), (1, Some(4), 15));
        assert_eq!(shape("prefork", false, 0, 0), (1, Some(1), 1));
    }

    #[test]
    fn a_group_is_used_from_its_own_sites() {
        let mut group = DaemonGroup::new("g", Place::default());
        assert!(group.usable_from(ServerId::MAIN, "") && group.usable_from(ServerId(1), "a"));
        group.owner = Some(Owner { id: ServerId(1), server_name: "a".to_owned() });
        assert!(group.usable_from(ServerId(1), "a"));
        assert!(group.usable_from(ServerId(2), "A"));
        assert!(group.usable_from(ServerId::MAIN, "a"));
        assert!(!group.usable_from(ServerId(2), "b"));
        group.owner = Some(Owner { id: ServerId(1), server_name: String::new() });
        assert!(group.usable_from(ServerId(1), ""));
        assert!(!group.usable_from(ServerId(2), ""));
    }
}
