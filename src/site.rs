//! The configuration as it runs: what the parent made of all directives, shared
//! with the children by fork.
//!
//! *Runs in:* httpd's parent (made in post_config, once a pass) and its children
//! (read only).

mod check;
mod members;

use std::collections::BTreeMap;
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
use crate::apache::retained::standard_error;
use crate::apache::server::Server;
use crate::apache::{Status, hooks};
use crate::config::{Globals, QUESTIONS, ServerId};
use crate::parent::{self, Member, Supervisor};
use crate::window::Window;

pub(crate) use check::{check_config, explain};
use members::{implicit_member, members};

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
    /// header-buffer-size: bytes of a header field of a response.
    pub(crate) header: usize,
    /// response-socket-timeout: for a client that does not read.
    pub(crate) client: Option<Duration>,
    /// response-flush-delay: for more of a response.
    pub(crate) flush_delay: Duration,
}

/// What requests need of the configuration, in any thread of a child.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) globals: Globals,
    /// The worker's script that asks others.
    pub(crate) question_script: PathBuf,
    limits: BTreeMap<String, Limits>,
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
            header: usize::MAX,
            client: None,
            flush_delay: Duration::ZERO,
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
    former: Former,
    supervisor: Supervisor,
    /// If any group may ask for httpd's scoreboard.
    window: Option<Window>,
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

    /// Where a child is asked for the scoreboard, if that is allowed to anybody.
    pub(crate) fn window(&self) -> Option<BorrowedFd<'static>> {
        self.window?.children()
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
        let window = self.window.and_then(Window::daemons);
        self.supervisor.configure(&self.directory, log, &self.begin, window, &self.members)?;
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

/// A supervisor of another release, which the children of an old generation needed.
#[derive(Debug)]
struct Former(Supervisor);

impl OtherChild for Former {
    fn ended(&self) {
        self.0.forget_former();
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
        } else {
            self.supervisor.cleared();
        }
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
    check::tell_interpreters(&members, server);
    if !globals.restrict_embedded {
        members.extend(implicit_member(&globals, server, &mpm));
    }
    if globals.group(QUESTIONS).is_none() {
        members.extend(implicit_member(&globals, server, &mpm).map(|(mut member, limits)| {
            QUESTIONS.clone_into(&mut member.group.name);
            member.group.preload.clear();
            member.group.server_metrics = false;
            (member, limits)
        }));
    }
    let metrics = members.iter().any(|(member, _)| member.group.server_metrics);
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
        former: Former(Supervisor::of(process_pool)),
        supervisor: Supervisor::of(process_pool),
        window: metrics.then(|| Window::open(process_pool, server)).flatten(),
    };
    let site: &'static Site = pconf.own(site);
    pconf.keep(SITE, site);
    pconf.on_clear(site);
    let outcome = site.run();
    if site.supervisor.former() > 0 {
        other_child::register(pconf, site.supervisor.former(), &site.former);
    }
    match outcome {
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
