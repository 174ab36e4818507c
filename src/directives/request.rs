//! How requests are passed on, and responses back.

use std::sync::Arc;

use super::{Arguments, Context, Directive, Scope};
use crate::config::choice::{flag, one_of};
use crate::config::options::Line;
use crate::config::problem::Problem;
use crate::config::{MapHead, Spooling};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIPassAuthorization",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On passes the Authorization header to applications, as `CGIPassAuth On` does.",
        |scope, line| {
            scope.directory.pass_authorization = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIChunkedRequest",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On accepts requests with a body in chunks, which have no `CONTENT_LENGTH`; Off answers \
         them with 411.",
        |scope, line| {
            scope.directory.chunked_request = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGISpoolRequestBody",
        Context::FileInfo,
        Arguments::words(1, 2, "On|Off|Chunked [bytes]"),
        "Off",
        "On reads the whole body of a request, and counts it, before a thread of the application is \
         taken; Chunked does so for bodies that come in chunks. The application gets a \
         `CONTENT_LENGTH`, a client that uploads slowly holds no thread, and WSGIChunkedRequest is \
         not needed. Bodies over 256 KiB are kept in a file in TMPDIR; those over the given size \
         (1 GiB if it is left out) are answered with 413. Not known to mod_wsgi.",
        spooling,
    ),
    Directive::new(
        c"WSGIErrorOverride",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On replaces responses of status 400 and above by httpd's ErrorDocument.",
        |scope, line| {
            scope.directory.error_override = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIMapHEADToGET",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off|Auto"),
        "Auto",
        "On shows HEAD requests to applications as GET; Auto does so if an output filter needs \
         the body.",
        |scope, line| {
            let choices = [("Off", MapHead::Off), ("On", MapHead::On), ("Auto", MapHead::Auto)];
            scope.directory.map_head_to_get = Some(one_of(line.word(0), &choices)?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIEnableSendfile",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On lets httpd send files of `wsgi.file_wrapper` by sendfile, if EnableSendfile is On too.",
        |scope, line| {
            scope.directory.enable_sendfile = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIIgnoreActivity",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On for requests that do not count as activity for inactivity-timeout and idle-timeout.",
        |scope, line| {
            scope.directory.ignore_activity = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGITrustedProxyHeaders",
        Context::FileInfo,
        Arguments::words(1, usize::MAX, "header …"),
        "none",
        "Headers in which trusted proxies say what the client asked for: client address \
         (X-Forwarded-For, X-Client-IP, X-Real-IP), host (X-Forwarded-Host, X-Host), server \
         (X-Forwarded-Server), port (X-Forwarded-Port), mount point (X-Script-Name, \
         X-Forwarded-Script-Name), scheme (X-Forwarded-Proto, X-Forwarded-Scheme, X-Scheme, \
         X-Forwarded-HTTPS, X-Forwarded-SSL, X-HTTPS). Adds up within one section.",
        trusted_headers,
    ),
    Directive::new(
        c"WSGITrustedProxies",
        Context::FileInfo,
        Arguments::words(1, usize::MAX, "address[/mask] …"),
        "all, if WSGITrustedProxyHeaders is given",
        "Proxies whose headers are trusted. Adds up within one section.",
        |scope, line| {
            let proxies = scope.directory.trusted_proxies.get_or_insert_default();
            for word in &line.words {
                Arc::make_mut(proxies).push(word.parse()?);
            }
            Ok(())
        },
    ),
];

/// Bytes that a spooled body may have unless a directive says so.
const SPOOLED: u64 = 1024 * 1024 * 1024;

fn spooling(scope: &mut Scope<'_>, line: &Line) -> Result<(), Problem> {
    let limit = match line.words.get(1) {
        Some(bytes) => scope.reading().bytes(bytes, 1, i64::MAX)?,
        None => SPOOLED,
    };
    let choices = [
        ("Off", Spooling::Off),
        ("On", Spooling::On(limit)),
        ("Chunked", Spooling::Chunked(limit)),
    ];
    scope.directory.spooling = Some(one_of(line.word(0), &choices)?);
    Ok(())
}

/// The headers that can be trusted, in lower case.
const PROXY_HEADERS: &[&str] = &[
    "x-forwarded-for",
    "x-client-ip",
    "x-real-ip",
    "x-forwarded-host",
    "x-host",
    "x-forwarded-server",
    "x-forwarded-port",
    "x-script-name",
    "x-forwarded-script-name",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-scheme",
    "x-forwarded-https",
    "x-forwarded-ssl",
    "x-https",
];

fn trusted_headers(scope: &mut Scope<'_>, line: &Line) -> Result<(), Problem> {
    let mut headers = scope.directory.trusted_proxy_headers.take().unwrap_or_default();
    for word in &line.words {
        let header = word.to_ascii_lowercase();
        if PROXY_HEADERS.contains(&header.as_str()) {
            Arc::make_mut(&mut headers).push(header);
        } else {
            scope.note(&format!("ignores '{word}': its meaning is not known"));
        }
    }
    scope.directory.trusted_proxy_headers = Some(headers);
    Ok(())
}
