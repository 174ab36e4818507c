//! Makes an HTTP response of what the worker sent.

use std::fs;
use std::os::fd::OwnedFd;

use wsgi_proto::channel::{End, File, HeadReader, Outcome};
use wsgi_proto::fields;

use super::outlet::Outlet;
use super::send::Problem;
use super::target::Target;
use super::upload::Upload;
use crate::apache::Status;
use crate::apache::brigade::Then;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;
use crate::apache::table::Table;
use crate::child::Child;
use crate::environ::Decimal;

/// Status of a head that the response's own follows.
const EARLY_HINTS: u16 = 103;

/// Pieces of the body that are passed on together.
const PIECES: usize = 32;

/// What takes the place of the application's response.
#[derive(Clone, Copy, Debug)]
enum Instead<'r> {
    /// A local URL (status 200 and a Location that begins with `/`).
    Redirect(&'r std::ffi::CStr),
    /// httpd's ErrorDocument for this status (WSGIErrorOverride).
    ErrorDocument(u16),
}

/// The response to one request.
#[derive(Debug)]
pub(super) struct Response<'r> {
    request: Request<'r>,
    outlet: Outlet<'r>,
    target: &'r Target<'r>,
    headed: bool,
    /// As the application set it; 0 before.
    status: u16,
    has_file: bool,
    /// The body, to be sent after END: a file, offset and length.
    file: Option<(fs::File, (u64, u64))>,
    instead: Option<Instead<'r>>,
}

impl<'r> Response<'r> {
    pub(super) fn new(request: Request<'r>, target: &'r Target<'r>) -> Self {
        Self {
            request,
            outlet: Outlet::new(request, target.limits.response_buffer),
            target,
            headed: false,
            status: 0,
            has_file: false,
            file: None,
            instead: None,
        }
    }

    /// Tells the administrator, once for each script, why nobody may log in: what the
    /// client has to say for itself was not passed on.
    pub(super) fn hint_at_authorization(&self, child: &Child) {
        let (request, target) = (self.request, self.target);
        let withheld = self.status == 401
            && !target.route.pass_authorization
            && !request.passes_authorization()
            && request.user().is_none()
            && request.headers_in().find(c"Authorization").is_some();
        if withheld && child.is_first_hint(target.script) {
            let text = "it answered 401 to a request whose Authorization header was withheld; \
                        WSGIPassAuthorization On passes it on";
            request.log(Level::Warning, target.text("MWR1206", text));
        }
    }

    /// Takes status and header fields.
    ///
    /// # Errors
    /// A second HEAD, or one that no worker sends.
    pub(super) fn head(&mut self, payload: &[u8]) -> Result<(), Problem> {
        if self.headed {
            return Err(Problem::Malformed("a second HEAD".into()));
        }
        let mut head = HeadReader::new(payload)?;
        let status = head.status;
        if status == EARLY_HINTS {
            return self.early_hints(head);
        }
        self.headed = true;
        self.status = status;
        if status < 200 {
            return Err(Problem::Malformed(format!("status {status}")));
        }
        if !fields::is_field_value(head.reason) {
            return Err(Problem::Malformed("control characters in the reason phrase".into()));
        }
        let pool = self.request.pool();
        let line = (!head.reason.is_empty()).then(|| {
            let status = Decimal::new(status.into());
            pool.join([status.as_bytes(), b" ", head.reason])
        });
        let mut location = None;
        while let Some((name, value)) = head.header()? {
            if name.len() + value.len() > self.target.limits.header {
                return Err(Problem::LongField(name.escape_ascii().to_string()));
            }
            self.field(name, value)?;
            if name.eq_ignore_ascii_case(b"Location") {
                location = Some(value);
            }
        }
        if status == 200
            && let Some(local) = location.filter(|value| value.starts_with(b"/"))
        {
            self.request.headers_out().unset(c"Location");
            self.instead = Some(Instead::Redirect(pool.string(local)));
        } else if status >= 400 && self.target.error_override {
            self.instead = Some(Instead::ErrorDocument(status));
        } else {
            self.request.set_status(status, line);
        }
        Ok(())
    }

    /// Sends an interim response on to the client.
    fn early_hints(&self, mut head: HeadReader<'_>) -> Result<(), Problem> {
        let hints = Table::empty(self.request.pool());
        while let Some((name, value)) = head.header()? {
            if may_pass(name, value)? && !name.eq_ignore_ascii_case(b"Content-Length") {
                hints.add_copy(name, value);
            }
        }
        self.request.send_early_hints(hints);
        Ok(())
    }

    fn field(&self, name: &[u8], value: &[u8]) -> Result<(), Problem> {
        if !may_pass(name, value)? {
            return Ok(());
        }
        let request = self.request;
        if name.eq_ignore_ascii_case(b"Content-Type") {
            request.set_content_type(request.pool().string(value));
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            let length = fields::content_length(value).ok_or_else(|| {
                Problem::Malformed(format!("Content-Length '{}'", value.escape_ascii()))
            })?;
            request.set_content_length(length);
        } else if [&b"Set-Cookie"[..], b"WWW-Authenticate"]
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept))
        {
            // These go with error documents too.
            request.err_headers_out().add_copy(name, value);
        } else {
            request.headers_out().add_copy(name, value);
        }
        Ok(())
    }

    /// DATA is about to come.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn expect_data(&self) -> Result<(), Problem> {
        if self.headed && !self.has_file {
            Ok(())
        } else {
            Err(Problem::Malformed("DATA out of order".into()))
        }
    }

    /// Passes pieces of the body on; false if the client is gone.
    pub(super) fn body<'b>(&mut self, pieces: impl Iterator<Item = &'b [u8]>, then: Then) -> bool {
        if self.instead.is_some() {
            return true;
        }
        let mut pieces = pieces.peekable();
        loop {
            let mut some = [&[][..]; PIECES];
            let mut count = 0;
            for (place, piece) in some.iter_mut().zip(&mut pieces) {
                *place = piece;
                count += 1;
            }
            let all = pieces.peek().is_none();
            let then = if all { then } else { Then::Hold };
            let alive = self.outlet.write(some.get(..count).unwrap_or_default(), then);
            if all || !alive {
                return alive;
            }
        }
    }

    /// The way to the client, if something waits there.
    pub(super) fn waiting(&mut self) -> Option<&mut Outlet<'r>> {
        Some(&mut self.outlet).filter(|outlet| outlet.is_waiting())
    }

    /// What the END of the exchange means for the body.
    pub(super) fn last(&self, outcome: Outcome) -> Then {
        match outcome {
            Outcome::Complete if self.headed && self.instead.is_none() && self.file.is_none() => {
                Then::End
            }
            Outcome::Aborted if self.headed => Then::BreakOff,
            _ => Then::Hold,
        }
    }

    /// Takes a part of a file as the body. It is sent when the exchange is over, so
    /// that it does not hold the worker.
    ///
    /// # Errors
    /// The record is out of order, or its descriptor is no such file.
    pub(super) fn file(&mut self, file: File, descriptor: Option<OwnedFd>) -> Result<(), Problem> {
        if !self.headed || self.outlet.has_begun() || self.has_file {
            return Err(Problem::Malformed("FILE out of order".into()));
        }
        let Some(descriptor) = descriptor else {
            return Err(Problem::Malformed("FILE without its descriptor".into()));
        };
        self.has_file = true;
        let source = fs::File::from(descriptor);
        let metadata = source.metadata()?;
        if !metadata.is_file() || metadata.len() < file.offset + file.length {
            return Err(Problem::Malformed("FILE is no file of that size".into()));
        }
        if self.instead.is_none() && !self.request.is_head() {
            self.file = Some((source, (file.offset, file.length)));
        }
        Ok(())
    }

    /// The exchange came to its END: the handler's result.
    pub(super) fn finish(mut self, end: End, upload: &Upload<'_>) -> Status {
        self.outlet.finish();
        if let (Outcome::Complete, Some((file, part))) = (end.outcome, self.file.take())
            && let Err(error) = self.outlet.send_file(file, part, self.target.sendfile)
        {
            let text = self.target.text("MWR1204", &format!("its file can't be sent: {error}"));
            self.request.log(Level::Error, text);
            return self.break_off(502);
        }
        match (end.outcome, self.instead) {
            (Outcome::Complete, Some(Instead::Redirect(uri))) => {
                self.request.redirect_internally(uri);
                Status::OK
            }
            (Outcome::Complete, Some(Instead::ErrorDocument(status))) => Status::http(status),
            (Outcome::Complete | Outcome::Aborted, _) if self.headed => Status::OK,
            (Outcome::Failed(status), _) if !self.headed => {
                // Why the body could not be read tells the client more.
                upload.failure().unwrap_or_else(|| Status::http(status))
            }
            _ => {
                let text = self.target.text("MWR1203", "its response is invalid");
                self.request.log(Level::Error, text);
                self.break_off(502)
            }
        }
    }

    /// The exchange failed: `status` if the client has nothing yet, else the end of
    /// its connection, so that it can't take a part for the whole.
    pub(super) fn break_off(mut self, status: u16) -> Status {
        if self.outlet.has_begun() {
            self.request.close_connection();
            self.outlet.finish();
            self.outlet.write(&[], Then::BreakOff);
            return Status::OK;
        }
        if status == super::reserve::CLIENT_GONE {
            self.request.set_status(status, None);
            return Status::OK;
        }
        Status::http(status)
    }
}

/// Whether a field is the application's to set.
///
/// # Errors
/// It is none that HTTP permits.
fn may_pass(name: &[u8], value: &[u8]) -> Result<bool, Problem> {
    if !fields::is_token(name) {
        let name = name.escape_ascii();
        return Err(Problem::Malformed(format!("header name '{name}'")));
    }
    if !fields::is_field_value(value) {
        let name = name.escape_ascii();
        return Err(Problem::Malformed(format!("control characters in header {name}")));
    }
    Ok(!fields::is_hop_by_hop(name))
}
