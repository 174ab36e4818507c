//! Which application a request is for, and whether it may have it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wsgi_sys::clock;

use crate::access::ownership::objection;
use crate::apache::Status;
use crate::apache::configuration::of_server;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::{FileType, Request};
use crate::child::{Application, Child};
use crate::config::QUESTIONS;
use crate::config::expand::{Facts, Kind, Name};
use crate::config::{
    Alias, DirectoryConfig, HandlerScript, LogNotes, MapHead, Overrides, Script, ServerConfig,
    ServerId, Spooling,
};
use crate::proxies::Trust;
use crate::route::{FileKind, Gates, Handler, Refusal, Route, gate, route};
use crate::site::{Limits, Settings};

use super::ask::{Question, ask};
use crate::access::answer::Answer;

/// Name of the handler that runs a file as a WSGI script.
const HANDLER: &CStr = c"wsgi-script";

/// Media type that does the same (AddType, ForceType).
const MEDIA_TYPE: &[u8] = b"application/x-httpd-wsgi";

/// The hook that maps URLs of a WSGIScriptAlias to files.
pub(crate) fn translate_name(request: Request<'_>) -> Status {
    let Some(config) = of_server::<ServerConfig>(request.server()) else {
        return Status::DECLINED;
    };
    let Some(mapped) = config.translate(request.uri()) else {
        return Status::DECLINED;
    };
    let [file, rest] = &mapped.filename;
    request.set_filename(request.pool().join([file, rest]));
    request.set_handler(HANDLER);
    request.attach::<Arc<Alias>>(mapped.alias);
    Status::OK
}

/// The hook that has httpd go through the directories of a script. Where an alias names the script
/// itself, what follows in the URL is no file: httpd, not knowing that, would look for it in the
/// script and then look at each directory on the way, five system calls for each request. The
/// script itself is looked for once in a second.
pub(crate) fn map_to_storage(child: Option<&Child>, request: Request<'_>) -> Status {
    let Some(alias) = request.attached::<Arc<Alias>>() else { return Status::DECLINED };
    let whole = request.filename();
    let Some((script, path_info)) = alias.split(whole) else { return Status::DECLINED };
    let pool = request.pool();
    request.set_filename(pool.string(script));
    let now = request.start_time();
    if let Some(found) = child.and_then(|child| child.scripts.find(script, now)) {
        request.set_found(found);
    } else if request.find_file() == FileType::File {
        if let Some(child) = child {
            child.scripts.keep(script, now, request.found());
        }
    } else {
        request.set_filename(pool.string(whole));
        return Status::DECLINED;
    }
    let status = request.walk_directories();
    request.set_path_info(pool.string(path_info));
    status
}

/// Whether a request is for this module, but for handlers of WSGIHandlerScript.
pub(super) fn is_ours(request: Request<'_>) -> bool {
    [HANDLER.to_bytes(), MEDIA_TYPE].contains(&request.handler())
}

/// What is to be done with a request.
#[allow(clippy::large_enum_variant)] // made and taken apart once for a request
pub(super) enum Verdict<'a> {
    /// It is for this application.
    Serve(Target<'a>),
    /// It is for an application but refused, which was logged.
    Refuse(Status),
    /// It is not for this module.
    Decline,
}

/// The application that a request is for.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) route: Route<'a>,
    /// Absolute path of the script.
    pub(super) script: &'a [u8],
    /// Absolute path of the handler script; empty unless there is one.
    pub(super) handler_script: &'a [u8],
    pub(super) limits: &'a Limits,
    pub(super) head_as_get: bool,
    pub(super) error_override: bool,
    /// WSGIEnableSendfile.
    pub(super) sendfile: bool,
    /// Settings of the directory; none for questions to scripts.
    directory: Option<&'a DirectoryConfig>,
    /// Microseconds since the epoch: from here on the request waits for a slot.
    pub(super) queue_start: u64,
}

impl<'a> Target<'a> {
    /// Looks at a request as httpd has mapped it. `facts` are those of the request.
    pub(super) fn of(
        settings: &'a Settings,
        child: &Child,
        request: Request<'a>,
        directory: &'a DirectoryConfig,
        facts: &'a RequestFacts<'a>,
    ) -> Verdict<'a> {
        let alias = request.attached::<Arc<Alias>>();
        let Some((how, script)) = recognised(request, directory, alias) else {
            return Verdict::Decline;
        };
        if let Some(refusal) = refused(request, directory, how) {
            return refuse(request, &refusal);
        }
        let dispatched = match &directory.dispatch_script {
            Some(script) => match dispatch(settings, child, request, script) {
                Some(dispatched) => Some(facts.dispatched.get_or_init(|| dispatched)),
                None => return Verdict::Refuse(Status::INTERNAL_SERVER_ERROR),
            },
            None => None,
        };
        let own = script.map(|script| &script.overrides);
        let overrides = [dispatched, own.or_else(|| alias.map(|alias| &alias.overrides))];
        let server = ServerId(request.server().id());
        let route = match route(&settings.globals, server, overrides, directory, facts) {
            Ok(route) => route,
            Err(refusal) => return refuse(request, &refusal),
        };
        let executed =
            script.map_or_else(|| Path::new(OsStr::from_bytes(request.filename())), |s| &s.path);
        if let Some(objection) = route.group.and_then(|group| objection(group, executed)) {
            request.log(Level::Error, objection);
            return Verdict::Refuse(Status::http(403));
        }
        let path = |script: &'a Arc<HandlerScript>| script.path.as_os_str().as_bytes();
        Verdict::Serve(Self {
            script: request.filename(),
            handler_script: script.map_or(&[], path),
            limits: settings.limits(&route.process_group),
            head_as_get: match directory.map_head_to_get() {
                _ if !request.is_head() => false,
                MapHead::On => true,
                MapHead::Off => false,
                MapHead::Auto => request.has_content_filters(),
            },
            error_override: directory.error_override(),
            sendfile: directory.enable_sendfile(),
            directory: Some(directory),
            queue_start: clock::microseconds(),
            route,
        })
    }

    /// Where a question to `script` goes: as if `mod_wsgi._question` were a handler
    /// script for it.
    pub(super) fn for_question(
        settings: &'a Settings,
        script: &'a Script,
        facts: &'a RequestFacts<'a>,
    ) -> Self {
        let name = &script.application_group;
        let group = name.expand(Kind::ProcessGroup, true, facts);
        Self {
            route: Route {
                group: None,
                process_group: Cow::Borrowed(QUESTIONS),
                application_group: group.unwrap_or(Cow::Borrowed(name.text())),
                callable_object: Cow::Borrowed("application"),
                script_reloading: false,
                pass_authorization: false,
            },
            script: script.path.as_os_str().as_bytes(),
            handler_script: settings.question_script.as_os_str().as_bytes(),
            limits: settings.limits(QUESTIONS),
            sendfile: false,
            head_as_get: false,
            error_override: false,
            directory: None,
            queue_start: clock::microseconds(),
        }
    }

    /// Bytes that the body may have that is read before a slot is reserved; none if it
    /// is read while the application runs.
    pub(super) fn spool_limit(&self, request: Request<'_>) -> Option<u64> {
        match self.directory?.spooling() {
            Spooling::Off => None,
            Spooling::On(limit) => Some(limit),
            Spooling::Chunked(limit) => is_chunked(request).then_some(limit),
        }
    }

    /// The request waits for a slot from now on.
    pub(super) fn begin_queue(&mut self) {
        self.queue_start = clock::microseconds();
    }

    /// Whose word on the client is taken.
    pub(super) fn trust(&self) -> Trust<'a> {
        self.directory.map_or_else(Trust::default, |directory| Trust {
            headers: directory.trusted_proxy_headers.as_deref().map_or(&[], Vec::as_slice),
            proxies: directory.trusted_proxies.as_deref().map(Vec::as_slice),
        })
    }

    /// WSGISlowRequests; none if the request is never slow.
    pub(super) fn slow(&self) -> Option<Duration> {
        self.directory.and_then(DirectoryConfig::slow_requests)
    }

    /// WSGIIgnoreActivity.
    pub(super) fn ignores_activity(&self) -> bool {
        self.directory.is_some_and(DirectoryConfig::ignore_activity)
    }

    /// WSGILogNotes.
    pub(super) fn log_notes(&self) -> LogNotes {
        self.directory.map_or(LogNotes::Off, DirectoryConfig::log_notes)
    }

    /// How the supervisor and the pools call it.
    pub(super) fn application(&self) -> Application<'_> {
        let script = if self.handler_script.is_empty() { self.script } else { self.handler_script };
        Application {
            process_group: &self.route.process_group,
            application_group: &self.route.application_group,
            script,
            callable_object: &self.route.callable_object,
        }
    }

    /// A line for the log about this application.
    pub(super) fn text(&self, code: &str, what: &str) -> String {
        format!(
            "{code}: process group '{}' (application group '{}', script {}): {what}",
            self.route.process_group,
            self.route.application_group,
            String::from_utf8_lossy(self.script),
        )
    }

    /// The same for an exchange that broke down.
    pub(super) fn failure(&self, code: &str, problem: &dyn fmt::Display) -> String {
        self.text(code, &problem.to_string())
    }
}

/// Whether a body has no announced length.
fn is_chunked(request: Request<'_>) -> bool {
    request.headers_in().find(c"Transfer-Encoding").is_some()
}

/// How a request came to be served by a script, if it is, and by which handler script.
pub(super) fn recognised<'d>(
    request: Request<'_>,
    directory: &'d DirectoryConfig,
    alias: Option<&Arc<Alias>>,
) -> Option<(Handler, Option<&'d Arc<HandlerScript>>)> {
    let name = std::str::from_utf8(request.handler()).ok();
    let script = name.and_then(|name| directory.handler_script(name));
    match (script, alias) {
        (Some(_), _) => Some((Handler::HandlerScript, script)),
        (None, _) if !is_ours(request) => None,
        (None, Some(_)) => Some((Handler::Alias, None)),
        (None, None) => Some((Handler::Script, None)),
    }
}

fn refuse(request: Request<'_>, refusal: &Refusal) -> Verdict<'static> {
    request.log(Level::Error, refusal);
    Verdict::Refuse(Status::http(refusal.status))
}

pub(super) fn refused(
    request: Request<'_>,
    directory: &DirectoryConfig,
    handler: Handler,
) -> Option<Refusal> {
    let header = |name| request.headers_in().find(name).map(CStr::to_bytes);
    gate(&Gates {
        handler,
        exec_cgi: handler != Handler::Script || request.may_execute(),
        filename: request.filename(),
        file: match request.file_type() {
            FileType::Missing => FileKind::Missing,
            FileType::Directory => FileKind::Directory,
            FileType::File | FileType::Other => FileKind::File,
        },
        path_info: request.path_info(),
        reject_path_info: request.rejects_path_info(),
        transfer_encoding: header(c"Transfer-Encoding"),
        content_length: header(c"Content-Length"),
        chunked_request: directory.chunked_request() || directory.spooling() != Spooling::Off,
        limit_request_body: request.body_limit(),
    })
}

/// What a WSGIDispatchScript chooses for a request; none if it failed, which was logged.
fn dispatch(
    settings: &Settings,
    child: &Child,
    request: Request<'_>,
    script: &Script,
) -> Option<Overrides> {
    const FUNCTIONS: [&str; 3] = ["process_group?", "application_group?", "callable_object?"];
    let question = Question { script, functions: &FUNCTIONS, environment: true, arguments: &[] };
    let answers = ask(settings, child, request, &question)
        .map_err(|why| request.log(Level::Error, why))
        .ok()?;
    let mut overrides = Overrides::default();
    for (function, answer) in FUNCTIONS.iter().zip(answers) {
        let text = match &answer {
            Answer::Missing | Answer::None => continue,
            Answer::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        };
        let Some(text) = text else {
            let (path, name) = (script.path.display(), function.trim_end_matches('?'));
            let text = format!(
                "MWR1308: {name}() of script {path} returned {answer}; it has to return None or a name"
            );
            request.log(Level::Error, text);
            return None;
        };
        let (setting, kind) = match *function {
            "process_group?" => (&mut overrides.process_group, Kind::ProcessGroup),
            "application_group?" => (&mut overrides.application_group, Kind::ApplicationGroup),
            _ => (&mut overrides.callable_object, Kind::CallableObject),
        };
        *setting = Some(Name::parse(text, kind));
    }
    Some(overrides)
}

/// What names of groups may be made of.
#[derive(Debug)]
pub(super) struct RequestFacts<'r> {
    request: Request<'r>,
    script_name: OnceCell<Cow<'r, [u8]>>,
    /// What a dispatch script chose.
    dispatched: OnceCell<Overrides>,
}

impl<'r> RequestFacts<'r> {
    pub(super) fn new(request: Request<'r>) -> Self {
        Self { request, script_name: OnceCell::new(), dispatched: OnceCell::new() }
    }
}

impl Facts for RequestFacts<'_> {
    fn env(&self, name: &str) -> Option<Cow<'_, str>> {
        let key = self.request.pool().string(name.as_bytes());
        let known = self
            .request
            .notes()
            .find(key)
            .or_else(|| self.request.subprocess_env().find(key))
            .map(CStr::to_string_lossy);
        known.or_else(|| std::env::var(name).ok().map(Cow::Owned))
    }

    fn server_name(&self) -> &str {
        self.request.server().hostname()
    }

    fn server_port(&self) -> u16 {
        match self.request.server().port() {
            0 => self.request.local_port(),
            port => port,
        }
    }

    fn host(&self) -> Option<&str> {
        std::str::from_utf8(self.request.hostname()).ok().filter(|host| !host.is_empty())
    }

    fn script_name(&self) -> &[u8] {
        self.script_name.get_or_init(|| {
            crate::environ::script_name(self.request.uri(), self.request.path_info())
        })
    }
}
