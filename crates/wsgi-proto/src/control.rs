//! httpd parent ↔ supervisor.
//!
//! The parent sends a configuration as [`ToSupervisor::Begin`], one
//! [`ToSupervisor::Group`] for each process group, and [`ToSupervisor::Commit`].
//! Nothing of it takes effect before the last.

use std::path::PathBuf;

use crate::record::{fields, records};

fields! {
    /// A new configuration follows. Comes with one descriptor if any group may ask for httpd's
    /// scoreboard: where its processes do.
    pub struct Begin {
        /// [`VERSION`](crate::VERSION) of the parent's module.
        version: u32,
        /// Counts configurations since httpd started.
        generation: u32,
        /// Version of this software.
        module_version: String,
        /// Version of httpd, e.g. `2.4.71`.
        apache_version: String,
        /// Name of httpd's MPM.
        mpm_name: String,
        /// Most children of the MPM.
        mpm_processes: u32,
        /// Threads of each child.
        mpm_threads: u32,
        /// Directory that holds the worker, `boot.py` first of all.
        worker_directory: PathBuf,
        /// uid of httpd's children: only they may use the mailbox.
        child_uid: u32,
        /// Milliseconds after which a request may be slow, wherever that is least; 0 if
        /// none ever is.
        slow_requests: u32,
        /// Socket of a collector of telemetry, if there is one.
        telemetry: Option<PathBuf>,
        /// Seconds between two reports to it.
        telemetry_interval: f64,
        /// Path of the socket for wsgictl; empty for none.
        admin_socket: PathBuf,
    }

    /// A script that the group's first process of an application group loads.
    pub struct Preload {
        /// Name of the application group; empty for `%{GLOBAL}`.
        application_group: String,
        /// Absolute path of the script.
        script: PathBuf,
    }

    /// Settings of one application group's interpreters, where they differ from those of the
    /// process group.
    pub struct Interpreter {
        /// Name of the application group; empty for `%{GLOBAL}`.
        application_group: String,
        /// Directories for `site.addsitedir`, all of them.
        python_path: Vec<PathBuf>,
        /// Argument of `sys.setswitchinterval`; 0 for Python's default.
        switch_interval: f64,
        /// WSGIRestrictStdin.
        restrict_stdin: bool,
        /// WSGIRestrictStdout.
        restrict_stdout: bool,
        /// WSGIRestrictSignal.
        restrict_signal: bool,
    }

    /// A user and its groups, resolved in the parent.
    pub struct Identity {
        /// Login name.
        name: String,
        /// User id; never 0.
        uid: u32,
        /// Group id; never 0.
        gid: u32,
        /// Supplementary groups.
        groups: Vec<u32>,
        /// Home directory.
        home: PathBuf,
    }

    /// A process group. Comes with one descriptor: its virtual host's error log.
    pub struct Group {
        /// Name; empty for the implicit group.
        name: String,
        /// Where it is defined, `file:line`, for messages.
        origin: String,
        /// Whom the processes run as; none to stay who httpd is.
        identity: Option<Identity>,
        /// Processes kept for the group's first pool.
        processes: u32,
        /// Most processes of a pool; at least `processes`.
        processes_max: u32,
        /// `wsgi.multiprocess`.
        multiprocess: bool,
        /// Worker threads of a process.
        threads: u32,
        /// File mode creation mask; none to inherit.
        umask: Option<u32>,
        /// New root directory.
        chroot: Option<PathBuf>,
        /// Working directory; none for the user's home or httpd's.
        home: Option<PathBuf>,
        /// `LANG`.
        lang: Option<String>,
        /// `LC_ALL`.
        locale: Option<String>,
        /// What `ps` shows, `%{GROUP}` expanded already.
        display_name: Option<String>,
        /// The interpreter.
        python: PathBuf,
        /// True if `python` is not told apart by a `pyvenv.cfg` and `PYTHONHOME`
        /// must be set to this prefix.
        python_home: Option<PathBuf>,
        /// Directories for `site.addsitedir`.
        python_path: Vec<PathBuf>,
        /// `PYTHON_EGG_CACHE`.
        python_eggs: Option<PathBuf>,
        /// Interpreter flags, e.g. `-O`, `-B`, `-Wdefault`.
        python_flags: Vec<String>,
        /// Whether the worker in Python alone serves it in any case.
        pure_worker: bool,
        /// `PYTHONHASHSEED`; none for Python's own random seed.
        hash_seed: Option<u32>,
        /// Stack of a worker thread in bytes; 0 for the system's default.
        stack_size: u64,
        /// `setpriority`'s argument.
        cpu_priority: i32,
        /// `RLIMIT_DATA` in bytes; 0 for none.
        memory_limit: u64,
        /// `RLIMIT_AS` in bytes; 0 for none.
        virtual_memory_limit: u64,
        /// `RLIMIT_CPU` in seconds; 0 for none.
        cpu_time_limit: u32,
        /// Resident memory in bytes at which a process is replaced; 0 for none.
        resident_memory_limit: u64,
        /// Requests after which a process is replaced; 0 for none.
        maximum_requests: u64,
        /// Per cent of them by which a process' own limit is at most lower.
        maximum_requests_jitter: u32,
        /// Age in seconds at which a process is replaced; 0 for none.
        restart_interval: u32,
        /// Seconds without a request after which a process ends; 0 for none.
        inactivity_timeout: u32,
        /// The same for processes beyond those that the group always has; 0 for
        /// none.
        idle_timeout: u32,
        /// Processes of all pools of the group at which those of idle pools end to
        /// make room for others; 0 for none.
        processes_cap: u32,
        /// Seconds from a process' start until its scripts must be loaded; 0 for
        /// none.
        startup_timeout: u32,
        /// Seconds that Python may not answer; 0 for ever.
        deadlock_timeout: u32,
        /// Seconds that a request may take, before they are scaled by the number of
        /// threads; 0 for none.
        request_timeout: u32,
        /// Seconds that a request has to end after it was interrupted; 0 to not
        /// interrupt it.
        interrupt_timeout: u32,
        /// Seconds that requests have to end in a process that is replaced.
        graceful_timeout: u32,
        /// The same after SIGUSR1; 0 for `graceful_timeout`.
        eviction_timeout: u32,
        /// Seconds that a stopping process has before it is killed.
        shutdown_timeout: u32,
        /// Seconds that an exchange with httpd may stall.
        socket_timeout: u32,
        /// `SO_SNDBUF` of the channels in bytes; 0 for the default.
        send_buffer_size: u32,
        /// `SO_RCVBUF` of the channels in bytes; 0 for the default.
        receive_buffer_size: u32,
        /// Argument of `sys.setswitchinterval`; 0 for Python's default.
        switch_interval: f64,
        /// WSGIRestrictStdin.
        restrict_stdin: bool,
        /// WSGIRestrictStdout.
        restrict_stdout: bool,
        /// WSGIRestrictSignal.
        restrict_signal: bool,
        /// Whether `mod_wsgi.server_metrics()` may ask for httpd's scoreboard.
        server_metrics: bool,
        /// Application groups with settings of their own in place of the ones above.
        interpreters: Vec<Interpreter>,
        /// Level of the virtual host's log for this module, syslog's numbers.
        log_level: u8,
        /// Scripts to load ahead of requests; the first one's application group
        /// is the group's first pool.
        preload: Vec<Preload>,
    }

    /// The configuration is complete: run it.
    pub struct Commit {
        /// Repeated from [`Begin`].
        generation: u32,
    }

    /// The last child of a generation has ended.
    pub struct GenerationEnded {
        /// Which generation.
        generation: u32,
    }

    /// The configuration was thrown away. httpd reads the next one, which may be without this
    /// module.
    pub struct Cleared {}

    /// httpd is stopping: stop every daemon, then exit.
    pub struct Stop {}

    /// The supervisor runs the configuration, or refuses it.
    pub struct Committed {
        /// [`VERSION`](crate::VERSION) of the supervisor.
        version: u32,
        /// Repeated from [`Commit`].
        generation: u32,
    }
}

records! {
    /// What httpd's parent says.
    pub enum ToSupervisor {
        /// See [`Begin`].
        Begin(Begin) = 1,
        /// See [`Group`].
        Group(Group) = 2,
        /// See [`Commit`].
        Commit(Commit) = 3,
        /// See [`GenerationEnded`].
        GenerationEnded(GenerationEnded) = 4,
        /// See [`Stop`].
        Stop(Stop) = 5,
        /// See [`Cleared`].
        Cleared(Cleared) = 6,
    }
}

records! {
    /// What the supervisor says.
    pub enum ToParent {
        /// See [`Committed`].
        Committed(Committed) = 65,
    }
}
