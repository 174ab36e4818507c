//! `SetHandler wsgi-status`: what all daemon processes do, as a page, JSON or OpenMetrics; and a
//! block in mod_status' page.
//!
//! Everything is read from the slot table and `/proc`: neither Python nor the supervisor is asked.
//!
//! *Runs in:* httpd child, on the thread that httpd gave the request.

use wsgi_status::Snapshot;

use crate::apache::Status;
use crate::apache::request::Request;
use crate::child::Child;

/// Name of the handler.
const HANDLER: &[u8] = b"wsgi-status";

/// Seconds after which browsers load the page anew, unless the query string says otherwise.
const REFRESH: u32 = 5;

/// Nothing is loaded or run, whatever a client has made a request's words to be.
const POLICY: &[u8] =
    b"default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// What the query string asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Page { refresh: u32 },
    Json,
    OpenMetrics,
}

/// Answers a request for the status, and declines others.
pub(crate) fn handle(child: Option<&Child>, request: Request<'_>) -> Status {
    if request.handler() != HANDLER || ![&b"GET"[..], b"HEAD"].contains(&request.method()) {
        return Status::DECLINED;
    }
    let Some(child) = child else { return Status::http(503) };
    let snapshot = Snapshot::take(&child.table);
    let (media_type, text) = match form(request.query()) {
        Form::Page { refresh } => (wsgi_status::HTML, wsgi_status::page(&snapshot, refresh)),
        Form::Json => (wsgi_status::JSON, wsgi_status::document(&snapshot)),
        Form::OpenMetrics => (wsgi_status::OPENMETRICS, wsgi_status::exposition(&snapshot)),
    };
    request.set_content_type(request.pool().string(media_type.as_bytes()));
    let headers = request.headers_out();
    headers.add_copy(b"Cache-Control", b"no-store");
    headers.add_copy(b"X-Content-Type-Options", b"nosniff");
    headers.add_copy(b"Content-Security-Policy", POLICY);
    request.print(text.as_bytes());
    Status::OK
}

/// Adds a block to mod_status' page.
pub(crate) fn extend(child: &Child, request: Request<'_>, short: bool, extended: bool) {
    let snapshot = Snapshot::take(&child.table);
    let text = match short {
        true => wsgi_status::lines(&snapshot),
        false => wsgi_status::fragment(&snapshot, extended),
    };
    request.print(text.as_bytes());
}

fn form(query: &[u8]) -> Form {
    let mut refresh = REFRESH;
    for part in query.split(|byte| *byte == b'&') {
        match part.strip_prefix(b"refresh=") {
            _ if part == b"json" => return Form::Json,
            _ if part == b"openmetrics" => return Form::OpenMetrics,
            Some(seconds) => {
                let seconds = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
                refresh = seconds.unwrap_or(REFRESH);
            }
            None => {}
        }
    }
    Form::Page { refresh }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_string_says_which_form() {
        assert_eq!(form(b""), Form::Page { refresh: REFRESH });
        assert_eq!(form(b"refresh=0"), Form::Page { refresh: 0 });
        assert_eq!(form(b"refresh=-1&x"), Form::Page { refresh: REFRESH });
        assert_eq!(form(b"refresh=3&json"), Form::Json);
        assert_eq!(form(b"openmetrics"), Form::OpenMetrics);
    }
}
