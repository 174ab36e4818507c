//! Supervisor ↔ daemon process.
//!
//! The daemon finds its end of the seqpacket pair at the descriptor named by
//! its last argument. It says [`ToSupervisor::Hello`], receives
//! [`ToDaemon::Start`] and one [`ToDaemon::Channel`] for each worker thread,
//! loads its scripts, and says [`ToSupervisor::Ready`].

use std::path::PathBuf;

use crate::record::{fields, records};

fields! {
    /// The worker introduces itself.
    pub struct Hello {
        /// [`VERSION`](crate::VERSION) of the worker.
        version: u32,
        /// `native` or `pure`.
        worker: String,
        /// `sys.version`'s first word, e.g. `3.11.7`.
        python_version: String,
        /// `sys.executable`.
        executable: String,
    }

    /// Everything that the daemon needs to know. Comes with the descriptor of the process' lanes
    /// if the worker said `native`.
    pub struct Start {
        /// Name of the process group; empty for the implicit one.
        process_group: String,
        /// Name of the application group; empty for `%{GLOBAL}`.
        application_group: String,
        /// Worker threads.
        threads: u32,
        /// Most processes that the pool may have.
        processes: u32,
        /// `wsgi.multiprocess`.
        multiprocess: bool,
        /// `wsgi.run_once`.
        run_once: bool,
        /// Scripts to load before the process is ready.
        preload: Vec<PathBuf>,
        /// First entry of `sys.path`, and the working directory, if set.
        home: Option<PathBuf>,
        /// Directories for `site.addsitedir`, then moved to the front.
        python_path: Vec<PathBuf>,
        /// What `ps` shall show, if set.
        display_name: Option<String>,
        /// Locale for `setlocale`, if set.
        locale: Option<String>,
        /// Stack of each worker thread in bytes; 0 for the system's default.
        stack_size: u64,
        /// Argument of `sys.setswitchinterval`; 0 for Python's default.
        switch_interval: f64,
        /// `sys.stdin` raises when it is read.
        restrict_stdin: bool,
        /// `sys.stdout` raises when it is written.
        restrict_stdout: bool,
        /// `signal.signal` is a logged no-op.
        restrict_signal: bool,
        /// Least severe level that is logged: syslog's numbers, 3 for error, 6 for
        /// info, 7 for debug.
        log_level: u8,
        /// Version of this software, for `mod_wsgi.version`.
        version: String,
        /// Version of httpd, for `apache.version`, e.g. `2.4.71`.
        apache_version: String,
        /// Name of httpd's MPM, for `apache.mpm_name`.
        mpm_name: String,
        /// `apache.maximum_processes`.
        mpm_processes: u32,
        /// `apache.threads_per_process`.
        mpm_threads: u32,
    }

    /// Gives a worker thread its channel, the first or a new one after
    /// [`ChannelLost`]. Comes with one descriptor.
    pub struct Channel {
        /// The worker thread, from 0.
        thread: u32,
        /// Which channel of this thread it is.
        epoch: u32,
    }

    /// Finish: let requests that run end, call exit handlers, exit with status 0.
    /// No request comes after it.
    pub struct Stop {
        /// One of the reasons in `docs/protocol.md`, e.g. `maximum_requests`.
        reason: String,
    }

    /// Asks whether Python still answers. The worker says [`Alive`] from a thread
    /// that needs the GIL to do so.
    pub struct Probe {}

    /// A request runs longer than it may: its Python stack goes to the log, and,
    /// if asked, `mod_wsgi.RequestTimeout` is raised in it.
    pub struct Interrupt {
        /// The worker thread, from 0.
        thread: u32,
        /// Milliseconds that the request has run at least: one that began later
        /// is not meant.
        age: u32,
        /// Raise the exception.
        raise: bool,
    }

    /// A request is slow: where is it? Answered by [`Traced`], from a thread that
    /// needs the GIL to do so.
    pub struct Trace {
        /// The worker thread, from 0.
        thread: u32,
        /// Milliseconds that the request has run at least: one that began later
        /// is not meant.
        age: u32,
    }

    /// The process can take requests.
    pub struct Ready {
        /// False if a script in `preload` failed to load; its traceback was logged.
        loaded: bool,
    }

    /// A worker thread waits on its new channel.
    pub struct ChannelReady {
        /// The worker thread, from 0.
        thread: u32,
        /// Repeated from [`Channel`].
        epoch: u32,
    }

    /// A worker thread's channel ended or failed; it waits for another.
    pub struct ChannelLost {
        /// The worker thread, from 0.
        thread: u32,
        /// Repeated from [`Channel`].
        epoch: u32,
    }

    /// A message outside any request.
    pub struct Log {
        /// Syslog's number: 3 for error, 6 for info.
        level: u8,
        /// UTF-8 text of one or more lines.
        text: String,
    }

    /// The process wants to be replaced, and goes on serving until it is told to
    /// stop.
    pub struct Recycle {
        /// One of the reasons in `docs/protocol.md`, e.g. `maximum_requests`.
        reason: String,
    }

    /// The process has loaded a script for a request, which its successors shall
    /// load before they are ready.
    pub struct Loaded {
        /// Absolute path of the script.
        script: PathBuf,
    }

    /// Answers [`Probe`].
    pub struct Alive {}

    /// Answers [`Trace`].
    pub struct Traced {
        /// Repeated from the question.
        thread: u32,
        /// UTF-8 text of the Python stack, the innermost call last; empty if the
        /// request has ended.
        stack: String,
    }
}

records! {
    /// What the supervisor says.
    pub enum ToDaemon {
        /// See [`Start`].
        Start(Start) = 1,
        /// See [`Channel`].
        Channel(Channel) = 2,
        /// See [`Stop`].
        Stop(Stop) = 3,
        /// See [`Probe`].
        Probe(Probe) = 4,
        /// See [`Interrupt`].
        Interrupt(Interrupt) = 5,
        /// See [`Trace`].
        Trace(Trace) = 6,
    }
}

records! {
    /// What the worker says.
    pub enum ToSupervisor {
        /// See [`Hello`].
        Hello(Hello) = 65,
        /// See [`Ready`].
        Ready(Ready) = 66,
        /// See [`ChannelReady`].
        ChannelReady(ChannelReady) = 67,
        /// See [`ChannelLost`].
        ChannelLost(ChannelLost) = 68,
        /// See [`Log`].
        Log(Log) = 69,
        /// See [`Recycle`].
        Recycle(Recycle) = 70,
        /// See [`Loaded`].
        Loaded(Loaded) = 71,
        /// See [`Alive`].
        Alive(Alive) = 72,
        /// See [`Traced`].
        Traced(Traced) = 73,
    }
}
