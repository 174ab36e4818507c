//! Who would serve a URL, and which directives say so: for `wsgictl explain`.
//!
//! The URL is mapped by httpd and all its modules as a request would be; nobody is
//! asked whether the client is let in, and no script runs.
//!
//! *Runs in:* an httpd that only checks its configuration.

use std::ffi::{CString, OsStr};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use wsgi_proto::control::Group;
use wsgi_sys::user;

use crate::access::ownership::objection;
use crate::apache::configuration::{Node, of_request};
use crate::apache::mpm;
use crate::apache::pool::Pool;
use crate::apache::probe::{self, Sought};
use crate::apache::request::{FileType, Request};
use crate::apache::server::Server;
use crate::config::{Alias, DirectoryConfig, Globals, Overrides, Pattern, Place, ServerId};
use crate::route::{Handler, Refusal, Route, route};

use super::target::{RequestFacts, recognised, refused};

/// Where directives stand that have made settings. The settings themselves don't know
/// it, as httpd merges them for requests.
static ORIGINS: Mutex<Vec<Origin>> = Mutex::new(Vec::new());

/// RewriteRules of directories that are followed: httpd's LimitInternalRecursion.
const MOST_REWRITES: usize = 10;

struct Origin {
    /// Address of the settings, which stay where httpd has them.
    settings: usize,
    directive: &'static str,
    /// What follows its name.
    text: String,
    place: Place,
}

/// Notes a directive. *Runs in:* an httpd that explains.
pub(crate) fn note(settings: &DirectoryConfig, directive: &'static str, text: &str, place: &Place) {
    let (text, place) = (text.to_owned(), place.clone());
    let origin = Origin { settings: address(settings), directive, text, place };
    ORIGINS.lock().unwrap_or_else(PoisonError::into_inner).push(origin);
}

fn address(settings: &DirectoryConfig) -> usize {
    std::ptr::from_ref(settings).addr()
}

/// The directive at its place that holds for a request: the last one of its section.
fn origin(
    node: &Node<DirectoryConfig>,
    directive: &str,
    is_it: impl Fn(&str) -> bool + Copy,
) -> Option<String> {
    let origins = ORIGINS.lock().unwrap_or_else(PoisonError::into_inner);
    let origins = &origins;
    node.nearest(move |settings| {
        let of_these = |origin: &&Origin| {
            origin.settings == address(settings)
                && origin.directive == directive
                && is_it(&origin.text)
        };
        let found = origins.iter().rev().find(of_these);
        found.map(|origin| format!("{directive} at {}", origin.place))
    })
}

/// The explanation of one URL, for a request that comes in at an address; empty for the
/// one that is likely.
pub(crate) fn explain(
    pool: Pool<'static>,
    base: Server<'static>,
    globals: &Globals,
    groups: &[Group],
    address: &str,
    url: &str,
) -> String {
    let mut answer = Answer::default();
    answer.say("url", url);
    let sought = sought(address, url);
    if let Ok(Sought { address, port, .. }) = &sought {
        answer.say("address", &format!("{} port {port}", address.to_string_lossy()));
    }
    match sought.and_then(|sought| mapped(&mut answer, pool, base, sought)) {
        Err(why) => answer.say("error", why),
        Ok((request, status)) => {
            let server = request.server();
            answer.say("server", server.hostname());
            match server.place().as_str() {
                "" => answer.say("server_by", "main server"),
                place => answer.say("server_by", &format!("<VirtualHost> at {place}")),
            }
            if status > 0 {
                answer.say("served_by", "httpd");
                answer.say("status", &status.to_string());
                if let Some(location) = request.headers_out().find(c"Location") {
                    answer.text("location", location.to_bytes());
                }
            } else if let Some(node) = of_request::<DirectoryConfig>(request) {
                node.with(|directory| {
                    application(&mut answer, request, globals, groups, node, directory);
                });
            }
        }
    }
    answer.0
}

/// What a URL asks for.
fn sought(address: &str, url: &str) -> Result<Sought, &'static str> {
    let what = "a URL such as http://host/path is meant";
    let (scheme, rest) = url.split_once("://").ok_or(what)?;
    let (https, default) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return Err(what),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let digits = host.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let name = digits.map_or(host, |(name, _)| name);
    if name.is_empty() {
        return Err(what);
    }
    let port = digits.map_or(Ok(default), |(_, port)| port.parse()).map_err(|_| what)?;
    let listens = probe::listens(port).ok_or("httpd does not listen at this port")?;
    let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = match (address, literal) {
        ("", Ok(literal)) => literal,
        ("", Err(_)) if listens.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ("", Err(_)) => listens,
        (address, _) => address.parse().map_err(|_| "the address is none")?,
    };
    let text = |text: &str| CString::new(text).map_err(|_| "it has a NUL");
    let (address, host, uri) = (text(&address.to_string())?, text(host)?, text(&path)?);
    Ok(Sought { address, port, https, host, uri })
}

/// Has httpd map the request, and those that RewriteRules in directories make of it.
fn mapped(
    answer: &mut Answer,
    pool: Pool<'static>,
    base: Server<'static>,
    mut sought: Sought,
) -> Result<(Request<'static>, i32), &'static str> {
    for _ in 0..MOST_REWRITES {
        let (request, status) = probe::probe(pool, base, &sought)
            .ok_or("this httpd is older than 2.4.49 and can't tell")?;
        let rewritten = match request.handler() {
            b"redirect-handler" => request.filename().strip_prefix(b"redirect:"),
            _ => None,
        };
        let Some(uri) = rewritten.and_then(|uri| CString::new(uri).ok()) else {
            return Ok((request, status.0));
        };
        answer.text("rewritten_to", uri.to_bytes());
        sought.uri = uri;
    }
    Err("it is rewritten for ever")
}

/// What this module would do with the request.
fn application(
    answer: &mut Answer,
    request: Request<'_>,
    globals: &Globals,
    groups: &[Group],
    node: &Node<DirectoryConfig>,
    directory: &DirectoryConfig,
) {
    let alias = request.attached::<Arc<Alias>>();
    let Some((how, script)) = recognised(request, directory, alias) else {
        answer.say("served_by", "httpd");
        answer.text("file", request.filename());
        answer.text("handler", request.handler());
        if request.handler().is_empty() && request.file_type() == FileType::Missing {
            answer.say("status", "404");
        }
        return;
    };
    answer.say("served_by", "mod_wsgi");
    let any = |_: &str| true;
    let handler = String::from_utf8_lossy(request.handler());
    let overrides: Option<(&Overrides, String)> = match (script, alias) {
        (Some(script), _) => {
            let named = |text: &str| {
                let mut words = text.split_ascii_whitespace();
                words.next().is_some_and(|word| word.trim_matches(['"', '\'']) == handler)
            };
            let directive = "WSGIHandlerScript";
            let by = origin(node, directive, named).unwrap_or_else(|| directive.to_owned());
            Some((&script.overrides, by))
        }
        (None, Some(alias)) => {
            let directive = match alias.pattern {
                Pattern::Path(_) => "WSGIScriptAlias",
                Pattern::Regex(_) => "WSGIScriptAliasMatch",
            };
            Some((&alias.overrides, format!("{directive} at {}", alias.place)))
        }
        (None, None) => None,
    };
    let executed =
        script.map_or_else(|| Path::new(OsStr::from_bytes(request.filename())), |s| &s.path);
    answer.text("script", executed.as_os_str().as_bytes());
    match &overrides {
        Some((_, by)) => answer.say("script_by", by),
        None => answer.say("script_by", &format!("handler or media type {handler}")),
    }
    if how == Handler::HandlerScript {
        answer.text("file", request.filename());
    }
    answer.text("path_info", request.path_info());
    if let Some(refusal) = refused(request, directory, how) {
        return answer.refuse(&refusal);
    }
    if let Some(script) = &directory.dispatch_script {
        answer.text("dispatch_script", script.path.as_os_str().as_bytes());
        let by = origin(node, "WSGIDispatchScript", any).unwrap_or_default();
        answer.say("dispatch_script_by", &format!("{by}; it may choose otherwise than this"));
    }
    let facts = RequestFacts::new(request);
    let options = [None, overrides.as_ref().map(|(overrides, _)| *overrides)];
    let server = ServerId(request.server().id());
    let route = match route(globals, server, options, directory, &facts) {
        Ok(route) => route,
        Err(refusal) => return answer.refuse(&refusal),
    };
    if let Some(objection) = route.group.and_then(|group| objection(group, executed)) {
        answer.say("refused", &objection);
        return answer.say("status", "403");
    }
    let by = |directive: &str, option: fn(&Overrides) -> bool| match &overrides {
        Some((overrides, by)) if option(overrides) => by.clone(),
        _ => origin(node, directive, any).unwrap_or_else(|| "default".to_owned()),
    };
    answer.say("process_group", shown(&route.process_group));
    answer.say("process_group_by", &by("WSGIProcessGroup", |o| o.process_group.is_some()));
    answer.say("application_group", shown(&route.application_group));
    answer.say(
        "application_group_by",
        &by("WSGIApplicationGroup", |o| o.application_group.is_some()),
    );
    answer.say("callable", &route.callable_object);
    answer.say("callable_by", &by("WSGICallableObject", |o| o.callable_object.is_some()));
    daemons(answer, &route, groups);
}

/// A group as administrators write it.
fn shown(group: &str) -> &str {
    if group.is_empty() { "%{GLOBAL}" } else { group }
}

/// The processes that would run it.
fn daemons(answer: &mut Answer, route: &Route<'_>, groups: &[Group]) {
    let Some(group) = groups.iter().find(|group| group.name == route.process_group) else { return };
    if !group.name.is_empty() {
        answer.say("daemons_by", &format!("WSGIDaemonProcess at {}", group.origin));
    }
    answer.text("interpreter", group.python.as_os_str().as_bytes());
    match &group.identity {
        Some(identity) => answer.say("user", &identity.name),
        None => {
            let uid = mpm::user_id();
            let found = user::user_by_id(uid).ok().flatten();
            answer.say("user", &found.map_or_else(|| format!("#{uid}"), |user| user.name));
        }
    }
    answer.say("processes", &group.processes.to_string());
    answer.say("threads", &group.threads.to_string());
}

/// Lines of a name and a value, marked as ours among what other modules may print.
#[derive(Default)]
struct Answer(String);

impl Answer {
    fn say(&mut self, name: &str, value: &str) {
        let value = value.replace(char::is_control, "\u{fffd}");
        let _ = writeln!(self.0, "{} {name} {value}", probe::NAME);
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.say("refused", &refusal.to_string());
        self.say("status", &refusal.status.to_string());
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.say(name, &String::from_utf8_lossy(value));
    }
}
