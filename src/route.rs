//! From the facts of a request to the process group that serves it, or to the status that refuses it.
//!
//! *Runs in:* httpd child, all threads. Pure: what is asked of httpd is asked
//! through [`Facts`] and [`Gates`].

use std::borrow::Cow;
use std::fmt;

use wsgi_proto::fields::content_length;

use crate::config::expand::{Facts, Kind, Name};
use crate::config::{DaemonGroup, DirectoryConfig, Globals, Overrides, ServerId};

/// Where a request goes.
#[derive(Debug)]
pub struct Route<'a> {
    /// The process group; none for the implicit one, whose name is empty.
    pub group: Option<&'a DaemonGroup>,
    /// Name of the process group.
    pub process_group: Cow<'a, str>,
    /// Name of the application group; empty for `%{GLOBAL}`.
    pub application_group: Cow<'a, str>,
    /// Name of the application in the script.
    pub callable_object: Cow<'a, str>,
    /// Whether a changed script is noticed.
    pub script_reloading: bool,
    /// Whether the application sees the Authorization header.
    pub pass_authorization: bool,
}

/// A request that is answered without the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Code of the message.
    pub code: u16,
    /// Why, for the log at level error.
    pub text: String,
}

/// `MWR1101: text`.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MWR{}: {}", self.code, self.text)
    }
}

/// The process group is not among those of WSGIRestrictProcess.
pub const RESTRICTED: u16 = 1101;
/// The process group is not defined.
pub const UNKNOWN: u16 = 1102;
/// The process group belongs to a virtual host of another ServerName.
pub const FOREIGN: u16 = 1103;
/// The implicit process group is switched off.
pub const NOT_EMBEDDED: u16 = 1104;
/// Scripts may not be run in this directory.
pub const NO_EXEC: u16 = 1111;
/// The script does not exist.
pub const NOT_FOUND: u16 = 1112;
/// The script is a directory.
pub const DIRECTORY: u16 = 1113;
/// Path info is not accepted.
pub const PATH_INFO: u16 = 1114;
/// The body has an unknown encoding.
pub const ENCODING: u16 = 1115;
/// The body comes in chunks.
pub const CHUNKED: u16 = 1116;
/// The body's length is not a number.
pub const LENGTH: u16 = 1117;
/// The body is too long.
pub const TOO_LARGE: u16 = 1118;

/// Finds the process group for a request.
///
/// `overrides` are the settings that win over directives, the strongest first:
/// what a dispatch script answered, then the options of the alias or handler.
///
/// # Errors
/// The status and the reason if the group cannot be used.
pub fn route<'a>(
    globals: &'a Globals,
    server: ServerId,
    overrides: [Option<&'a Overrides>; 2],
    directory: &'a DirectoryConfig,
    facts: &'a dyn Facts,
) -> Result<Route<'a>, Refusal> {
    let expand = |nearest: Option<&'a Name>, kind: Kind| {
        nearest.map(|name| {
            let expanded = name.expand(kind, !globals.case_insensitive, facts);
            (name, expanded)
        })
    };
    let nearest = |setting: fn(&Overrides) -> Option<&Name>, directive: Option<&'a Name>| {
        overrides.iter().flatten().find_map(|overrides| setting(overrides)).or(directive)
    };

    let name = nearest(|o| o.process_group.as_ref(), directory.process_group.as_ref());
    let process_group = match expand(name, Kind::ProcessGroup) {
        Some((name, expanded)) => expanded.unwrap_or(Cow::Borrowed(name.text())),
        None => Cow::Borrowed(""),
    };
    let group = permitted(globals, server, directory, &process_group, facts)?;

    let name = nearest(|o| o.application_group.as_ref(), directory.application_group.as_ref());
    let name = name.unwrap_or(&Name::Resource);
    let (name, expanded) =
        (name, name.expand(Kind::ApplicationGroup, !globals.case_insensitive, facts));
    let application_group = expanded.unwrap_or(Cow::Borrowed(name.text()));

    let name = nearest(|o| o.callable_object.as_ref(), directory.callable_object.as_ref());
    let callable_object = expand(name, Kind::CallableObject).and_then(|(_, expanded)| expanded);

    Ok(Route {
        group,
        process_group,
        application_group,
        callable_object: callable_object.unwrap_or(Cow::Borrowed("application")),
        script_reloading: directory.script_reloading(),
        pass_authorization: overrides
            .iter()
            .flatten()
            .find_map(|overrides| overrides.pass_authorization)
            .or(directory.pass_authorization)
            .unwrap_or(false),
    })
}

fn permitted<'a>(
    globals: &'a Globals,
    server: ServerId,
    directory: &DirectoryConfig,
    name: &str,
    facts: &dyn Facts,
) -> Result<Option<&'a DaemonGroup>, Refusal> {
    let refuse = |code, text| Err(Refusal { status: 500, code, text });
    if let Some(permitted) = &directory.restrict_process
        && !permitted.iter().any(|permitted| permitted == name)
    {
        return refuse(
            RESTRICTED,
            format!("process group '{name}' is not permitted here; add it to WSGIRestrictProcess"),
        );
    }
    if name.is_empty() {
        return match globals.restrict_embedded {
            false => Ok(None),
            true => refuse(
                NOT_EMBEDDED,
                "WSGIRestrictEmbedded is On and no process group is set for this request; set one \
                 by WSGIProcessGroup"
                    .to_owned(),
            ),
        };
    }
    let Some(group) = globals.group(name) else {
        return refuse(
            UNKNOWN,
            format!("process group '{name}' is not configured; define it by WSGIDaemonProcess"),
        );
    };
    let server_name = facts.server_name();
    if !group.usable_from(server, server_name) {
        return refuse(
            FOREIGN,
            format!(
                "process group '{name}' belongs to a virtual host with another ServerName, at {}; \
                 this one is '{server_name}'",
                group.place
            ),
        );
    }
    Ok(Some(group))
}

/// What a request's file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// How a request came to be served by a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// By an alias: ExecCGI is implied.
    Alias,
    /// As `wsgi-script`, by AddHandler, SetHandler or the MIME type.
    Script,
    /// By a handler of WSGIHandlerScript: the file is the script's business.
    HandlerScript,
}

/// Facts that decide whether a request is served at all.
#[derive(Clone, Debug)]
pub struct Gates<'a> {
    /// How the request came here.
    pub handler: Handler,
    /// Whether `Options ExecCGI` holds.
    pub exec_cgi: bool,
    /// The file's path, for messages.
    pub filename: &'a [u8],
    /// What it is.
    pub file: FileKind,
    /// The rest of the URL.
    pub path_info: &'a [u8],
    /// Whether `AcceptPathInfo Off` holds.
    pub reject_path_info: bool,
    /// Transfer-Encoding.
    pub transfer_encoding: Option<&'a [u8]>,
    /// Content-Length.
    pub content_length: Option<&'a [u8]>,
    /// WSGIChunkedRequest.
    pub chunked_request: bool,
    /// LimitRequestBody in bytes, 0 for none.
    pub limit_request_body: u64,
}

/// Why a request is not served, if it is not.
#[must_use]
pub fn gate(gates: &Gates<'_>) -> Option<Refusal> {
    gate_file(gates).or_else(|| gate_body(gates))
}

fn refusal(status: u16, code: u16, text: impl Into<String>) -> Option<Refusal> {
    Some(Refusal { status, code, text: text.into() })
}

fn gate_file(gates: &Gates<'_>) -> Option<Refusal> {
    let name = || String::from_utf8_lossy(gates.filename);
    match (gates.handler, gates.file) {
        (Handler::Script, _) if !gates.exec_cgi => {
            let text = format!("Options ExecCGI is off in the directory of {}", name());
            refusal(403, NO_EXEC, text)
        }
        (Handler::HandlerScript, _) => None,
        (_, FileKind::Missing) => {
            refusal(404, NOT_FOUND, format!("script {} does not exist", name()))
        }
        (_, FileKind::Directory) => {
            refusal(403, DIRECTORY, format!("{} is a directory, not a script", name()))
        }
        (_, FileKind::File) if gates.reject_path_info && !gates.path_info.is_empty() => {
            let path_info = String::from_utf8_lossy(gates.path_info);
            let text = format!("AcceptPathInfo is Off for {} and '{path_info}' follows it", name());
            refusal(404, PATH_INFO, text)
        }
        (_, FileKind::File) => None,
    }
}

fn gate_body(gates: &Gates<'_>) -> Option<Refusal> {
    if let Some(encoding) = gates.transfer_encoding {
        return if !encoding.eq_ignore_ascii_case(b"chunked") {
            let encoding = String::from_utf8_lossy(encoding);
            refusal(501, ENCODING, format!("Transfer-Encoding '{encoding}' is not supported"))
        } else if !gates.chunked_request {
            refusal(
                411,
                CHUNKED,
                "a body in chunks is not accepted while WSGIChunkedRequest is Off",
            )
        } else {
            None
        };
    }
    let length = gates.content_length?;
    let shown = || String::from_utf8_lossy(length);
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return refusal(400, LENGTH, format!("Content-Length '{}' is not a number", shown()));
    }
    let limit = gates.limit_request_body;
    match content_length(length).and_then(|length| u64::try_from(length).ok()) {
        None => refusal(400, LENGTH, format!("Content-Length '{}' is too large a number", shown())),
        Some(bytes) if limit > 0 && bytes > limit => refusal(
            413,
            TOO_LARGE,
            format!("Content-Length {bytes} is larger than LimitRequestBody {limit}"),
        ),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
