//! The configuration as it runs: what the parent made of all directives, shared
//! with the children by fork.
//!
//! *Runs in:* httpd's parent (made in post_config, once a pass) and its children
//! (read only).

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wsgi_proto::VERSION;
use wsgi_proto::control::Begin;
use wsgi_sys::table::MAX_TICKETS;

use crate::apache::log::{Level, Loggable};
use crate::apache::mpm::{self, Mpm};
use crate::apache::other_child::{self, OtherChild};
use crate::apache::pool::{Cleared, Pool};
use crate::apache::probe;
use crate::apache::retained::standard_error;
use crate::apache::server::Server;
use crate::apache::{Status, hooks};
use crate::config::{self, DaemonGroup, Globals, QUESTIONS, ServerDefaults, ServerId};
use crate::configcheck::{self, Report, Trial, Verdict};
use crate::handler::explain;
use crate::interpreters;
use crate::parent::{self, Member, Supervisor};

/// Key of the settings of the whole server while directives are read.
const GLOBALS: &std::ffi::CStr = c"mod_wsgi globals";

/// Key of the finished [`Site`].
const SITE: &std::ffi::CStr = c"mod_wsgi site";

/// Name of wsgictl's socket in DefaultRuntimeDir.
const ADMIN_SOCKET: &std::ffi::CStr = c"wsgictl.sock";

/// How long a request of a group may wait, and how much it may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// queue-timeout: for a free thread.
    pub(crate) queue: Option<Duration>,
    /// queue-depth: how many requests may wait.
    pub(crate) queue_depth: u32,
    /// connect-timeout: for a free thread if there is no queue-timeout.
    pub(crate) connect: Duration,
    /// socket-timeout: for a sign of life from the worker.
    pub(crate) socket: Duration,
    /// response-buffer-size: bytes of a response that wait for a slow client.
    pub(crate) response_buffer: usize,
}

/// What requests need of the configuration, in any thread of a child.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) globals: Globals,
    /// The worker's script that asks others.
    pub(crate) question_script: PathBuf,
    limits: HashMap<String, Limits>,
}

impl Settings {
    /// Limits of a process group.
    pub(crate) fn limits(&self, process_group: &str) -> &Limits {
        const DEFAULT: &Limits = &Limits {
            queue: None,
            queue_depth: MAX_TICKETS,
            connect: Duration::from_secs(15),
            socket: Duration::from_secs(60),
            response_buffer: 8 * 1024 * 1024,
        };
        self.limits.get(process_group).unwrap_or(DEFAULT)
    }
}

/// A configuration that runs.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) settings: Settings,
    directory: PathBuf,
    begin: Begin,
    members: Vec<Member>,
    server: Server<'static>,
    pconf: Pool<'static>,
    supervisor: Supervisor,
}

/// The settings of the whole server while directives are read.
pub(crate) fn globals(pconf: Pool<'_>) -> &std::cell::RefCell<Globals> {
    pconf.shared(GLOBALS)
}

/// The site of the configuration that a server belongs to.
pub(crate) fn of(server: Server<'static>) -> Option<&'static Site> {
    server.config_pool()?.found::<Site>(SITE)
}

impl Site {
    pub(crate) fn supervisor(&self) -> Supervisor {
        self.supervisor
    }

    pub(crate) fn generation(&self) -> u32 {
        self.begin.generation
    }

    /// Tries again, now and then, to have a supervisor that could not be started or
    /// configured.
    pub(crate) fn look_after(&self) {
        if !self.supervisor.is_due() || mpm::is_stopping() {
            return;
        }
        match self.run() {
            Ok(()) => self.server.log(Level::Info, "the supervisor of the daemon processes runs"),
            Err(error) => self.server.log(Level::Critical, error),
        }
    }

    /// Has the supervisor run this site, and watches it.
    fn run(&self) -> Result<(), String> {
        let log = error_log(self.server);
        self.supervisor.configure(&self.directory, log, &self.begin, &self.members)?;
        other_child::register(self.pconf, self.supervisor.pid(), self);
        Ok(())
    }
}

/// The supervisor has died: another takes over, with the mailbox and the slot
/// table that the children hold.
impl OtherChild for Site {
    fn ended(&self) {
        self.supervisor.forget();
        if mpm::is_stopping() {
            return;
        }
        let text = "MWR1610: the supervisor of the daemon processes has died; starting another";
        self.server.log(Level::Error, text);
        if let Err(error) = self.run() {
            self.server.log(Level::Critical, error);
        }
    }
}

/// The configuration is thrown away: with httpd itself, or for the next one.
impl Cleared for Site {
    fn cleared(&self) {
        if mpm::is_exiting() {
            let longest = self.members.iter().map(|member| member.group.shutdown_timeout).max();
            // 0 means that daemons may take for ever, which a stopping httpd does not.
            let patience = longest.filter(|seconds| *seconds > 0).unwrap_or(5);
            self.supervisor.stop(Duration::from_secs(patience.into()));
        }
    }
}

/// Checks what only the whole configuration shows.
pub(crate) fn check_config(pconf: Pool<'static>, server: Server<'static>) -> Status {
    // Whatever became of interpreters and users since it was started.
    if mpm::is_called_to_stop() {
        return Status::OK;
    }
    let mut globals = globals(pconf).borrow_mut();
    let result =
        globals.finish(&|id| server_name(server, id)).and_then(|()| members(&globals, server));
    if mpm::is_defined(configcheck::DEFINE) {
        return configcheck(&globals, server, result);
    }
    let result = result.and_then(|members| {
        if mpm::is_first_pass() && !probe::is_explaining() {
            check_interpreters(&members)
        } else {
            Ok(())
        }
    });
    report(server, result)
}

/// Reports on the configuration instead of running it.
fn configcheck(
    globals: &Globals,
    server: Server<'static>,
    members: Result<Vec<(Member, Limits)>, Vec<String>>,
) -> Status {
    let mut report = Report::of_lines(globals);
    let Some(directory) = parent::directory(hooks::module_path()) else {
        return Status::INTERNAL_SERVER_ERROR;
    };
    let mut trials = Vec::new();
    match members {
        Ok(members) => trials.extend(members.into_iter().map(|(member, _)| member.group)),
        Err(errors) => {
            errors.iter().for_each(|text| report.say("configuration", Verdict::Error, text));
        }
    }
    // Nobody wants these if no script is theirs.
    for name in ["", QUESTIONS] {
        if globals.group(name).is_none() && !configcheck::scripts(globals, name).is_empty() {
            match member(globals, &implicit_group(&mpm::mpm()), server) {
                Ok((Member { mut group, .. }, _)) => {
                    name.clone_into(&mut group.name);
                    trials.push(group);
                }
                Err(error) => report.say("implicit process group", Verdict::Error, &error),
            }
        }
    }
    for group in trials {
        let scripts = configcheck::scripts(globals, &group.name);
        report.add(&Trial::new(&group, &scripts, &directory));
    }
    if report.print() { Status::INTERNAL_SERVER_ERROR } else { Status::OK }
}

/// At httpd's start, and for `httpd -t`. A restart must not end an httpd that serves
/// because of one group: there the log tells it ([`tell_interpreters`]).
fn check_interpreters(members: &[(Member, Limits)]) -> Result<(), Vec<String>> {
    let answers = interpreters::ask(members.iter().map(|(member, _)| &member.group));
    let problems = members.iter().zip(answers).filter_map(|((member, _), answer)| {
        let problem = answer?.err()?;
        Some(problem.of(subject(member)).to_string())
    });
    let problems: Vec<_> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Logs what each group's interpreter is.
fn tell_interpreters(members: &[(Member, Limits)], server: Server<'static>) {
    let answers = interpreters::ask(members.iter().map(|(member, _)| &member.group));
    for ((member, _), answer) in members.iter().zip(answers) {
        let subject = subject(member);
        match answer {
            Some(Ok(python)) => server.log(Level::Info, format_args!("{subject}: {python}")),
            Some(Err(problem)) => server.log(Level::Error, problem.of(subject)),
            None => server.log(
                Level::Info,
                format_args!("{subject}: its interpreter did not answer the question who it is"),
            ),
        }
    }
}

fn subject(member: &Member) -> String {
    format!("WSGIDaemonProcess '{}' at {}", member.group.name, member.group.origin)
}

/// Prints, for `httpd -t -D WSGI_EXPLAIN`, who would serve the URLs that the environment
/// names, each as if it had come in at the address in front of it, if there is one.
pub(crate) fn explain(pconf: Pool<'static>, server: Server<'static>) {
    let urls = std::env::var(probe::NAME).unwrap_or_default();
    if !probe::is_explaining() || urls.is_empty() {
        return;
    }
    let globals = globals(pconf).borrow();
    let mut members = members(&globals, server).unwrap_or_default();
    if globals.group("").is_none() {
        members.extend(implicit_member(&globals, server, &mpm::mpm()));
    }
    let groups: Vec<_> = members.into_iter().map(|(member, _)| member.group).collect();
    if !probe::begin(pconf, server) {
        return server.log(Level::Error, "MWR1614: the rights of User and Group can't be taken on");
    }
    for line in urls.lines() {
        let (address, url) = line.split_once(' ').unwrap_or(("", line));
        print!("{}", explain::explain(pconf, server, &globals, &groups, address, url));
    }
}

/// Makes a site of what the directives left, and runs it unless this pass only
/// checks the configuration.
pub(crate) fn post_config(pconf: Pool<'static>, server: Server<'static>) -> Status {
    if mpm::is_first_pass() {
        return Status::OK;
    }
    report(server, make(pconf, server))
}

fn report(server: Server<'static>, result: Result<(), Vec<String>>) -> Status {
    match result {
        Ok(()) => Status::OK,
        Err(errors) => {
            for error in errors {
                server.log(Level::Critical, error);
            }
            Status::INTERNAL_SERVER_ERROR
        }
    }
}

fn make(pconf: Pool<'static>, server: Server<'static>) -> Result<(), Vec<String>> {
    let globals = globals(pconf).take();
    let missing = |what: &str| vec![format!("MWR1611: {what} is unknown")];
    let process_pool = server.process_pool().ok_or_else(|| missing("httpd's pool"))?;
    let directory = parent::directory(hooks::module_path())
        .ok_or_else(|| missing("the directory of mod_wsgi.so"))?;
    let mpm = mpm::mpm();
    let mut members = members(&globals, server)?;
    tell_interpreters(&members, server);
    if !globals.restrict_embedded {
        members.extend(implicit_member(&globals, server, &mpm));
    }
    if globals.group(QUESTIONS).is_none() {
        members.extend(implicit_member(&globals, server, &mpm).map(|(mut member, limits)| {
            QUESTIONS.clone_into(&mut member.group.name);
            member.group.preload.clear();
            (member, limits)
        }));
    }
    for notice in &globals.notices {
        server.log(Level::Info, format_args!("{}: {}", notice.place, notice.text));
    }
    let version = env!("CARGO_PKG_VERSION");
    let component = format!("mod_wsgi/{version}");
    hooks::add_version_component(pconf, pconf.string(component.as_bytes()));
    let limits = members.iter().map(|(member, limits)| (member.group.name.clone(), *limits));
    let slow = globals.slow_requests.map(|least| u32::try_from(least.as_millis()));
    let slow_requests = slow.map_or(0, |least| least.unwrap_or(u32::MAX).max(1));
    let (telemetry, telemetry_interval) = match &globals.telemetry {
        Some(telemetry) => (Some(telemetry.socket.clone()), telemetry.interval),
        None => (None, 0.0),
    };
    let site = Site {
        settings: Settings {
            limits: limits.collect(),
            question_script: directory.join("mod_wsgi/_question.py"),
            globals,
        },
        begin: Begin {
            slow_requests,
            telemetry,
            telemetry_interval,
            ..begin(pconf, &directory, &mpm, version)
        },
        directory,
        members: members.into_iter().map(|(member, _)| member).collect(),
        server,
        pconf,
        supervisor: Supervisor::of(process_pool),
    };
    let site: &'static Site = pconf.own(site);
    pconf.keep(SITE, site);
    pconf.on_clear(site);
    match site.run() {
        // Only a start must not seem to have succeeded. Later httpd has other things to
        // serve, and the supervisor is tried again.
        Err(error) if site.generation() > 0 => {
            server.log(Level::Critical, error);
            Ok(())
        }
        outcome => outcome.map_err(|error| vec![error]),
    }
}

fn begin(pconf: Pool<'_>, directory: &Path, mpm: &Mpm, version: &str) -> Begin {
    Begin {
        version: VERSION,
        generation: mpm::generation(),
        module_version: version.to_owned(),
        apache_version: mpm::httpd_version(),
        mpm_name: mpm.name.clone(),
        mpm_processes: mpm.max_children,
        mpm_threads: mpm.threads,
        worker_directory: directory.to_owned(),
        child_uid: mpm::child_identity().0,
        admin_socket: mpm::runtime_file(pconf, ADMIN_SOCKET).unwrap_or_default(),
        ..Begin::default()
    }
}

/// The process groups of WSGIDaemonProcess as the supervisor runs them.
fn members(
    globals: &Globals,
    server: Server<'static>,
) -> Result<Vec<(Member, Limits)>, Vec<String>> {
    let mut members = Vec::new();
    let mut errors = Vec::new();
    for group in globals.groups() {
        match member(globals, group, server) {
            Ok(member) => members.push(member),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(members) } else { Err(errors) }
}

/// The group of the empty name.
fn implicit_member(
    globals: &Globals,
    server: Server<'static>,
    mpm: &Mpm,
) -> Option<(Member, Limits)> {
    // Nobody may use it: then an error is no reason not to start.
    member(globals, &implicit_group(mpm), server)
        .map_err(|error| server.log(Level::Info, error))
        .ok()
}

fn implicit_group(mpm: &Mpm) -> DaemonGroup {
    let workers = mpm.max_children.saturating_mul(if mpm.threaded { mpm.threads } else { 1 });
    let shape = config::Mpm { name: &mpm.name, threaded: mpm.threaded, max_workers: workers };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DaemonGroup::implicit(&shape, u32::try_from(cores).unwrap_or(1))
}

fn member(
    globals: &Globals,
    group: &DaemonGroup,
    base: Server<'static>,
) -> Result<(Member, Limits), String> {
    let owner = group.owner.as_ref().map(|owner| owner.id);
    let host = servers(base).find(|server| Some(ServerId(server.id())) == owner).unwrap_or(base);
    let (uid, gid) = mpm::child_identity();
    let timeout = Duration::from_micros(host.timeout());
    let defaults = ServerDefaults {
        uid,
        gid,
        is_root: mpm::is_root(),
        default_python: env!("MOD_WSGI_PYTHON").into(),
        timeout,
        // The implicit group is left out if it can't run.
        must_run: mpm::is_first_pass() || group.name.is_empty(),
        log_level: u8::try_from(Loggable::level(&host).clamp(0, 7)).unwrap_or(4),
    };
    let resolved = globals.resolve(group, &defaults)?;
    let limits = Limits {
        queue: Some(group.queue_timeout).filter(|timeout| !timeout.is_zero()),
        queue_depth: if group.queue_depth == 0 { MAX_TICKETS } else { group.queue_depth },
        connect: group.connect_timeout,
        socket: group.socket_timeout.unwrap_or(timeout),
        response_buffer: usize::try_from(group.response_buffer_size).unwrap_or(usize::MAX),
    };
    Ok((Member { group: resolved, log: error_log(host) }, limits))
}

/// The error log of a server, else the base server's, else stderr.
fn error_log(server: Server<'static>) -> BorrowedFd<'static> {
    server
        .error_log()
        .or_else(|| Server::base().and_then(Server::error_log))
        .unwrap_or_else(standard_error)
}

fn servers(base: Server<'static>) -> impl Iterator<Item = Server<'static>> {
    std::iter::successors(Some(base), |server| server.next())
}

fn server_name(base: Server<'static>, id: ServerId) -> Option<String> {
    servers(base).find(|server| server.id() == id.0).map(|server| server.hostname().to_owned())
}
