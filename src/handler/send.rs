//! Sends the request: one REQUEST record with the environ, and with it as much
//! of the body as httpd has.

use std::ffi::CStr;
use std::fmt;
use std::io;

use wsgi_proto::channel::RequestWriter;

use super::reserve::Slot;
use super::target::Target;
use super::upload::Upload;
use crate::apache::log::Level;
use crate::apache::request::Request;
use crate::config::LogNotes;
use crate::environ::{self, Facts};
use crate::proxies;

/// Why an exchange with a worker broke down.
#[derive(Debug)]
pub(super) enum Problem {
    /// The request does not fit into a record.
    TooLarge,
    /// The daemon process has died before it had the request: it has not begun it.
    Unsent,
    /// The channel ended: the daemon process has died.
    Died,
    /// Nothing came within socket-timeout.
    Timeout,
    /// A system call failed.
    Io(io::Error),
    /// The worker sent what it must not send.
    Malformed(String),
    /// A header field of the response is longer than header-buffer-size.
    LongField(String),
    /// The client left, and the worker did not finish soon after.
    ClientGone,
}

impl Problem {
    /// The status for the client, if the response has not begun.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 431,
            Self::Unsent | Self::Died | Self::Io(_) | Self::Malformed(_) => 502,
            Self::LongField(_) => 500,
            Self::Timeout => 504,
            Self::ClientGone => super::reserve::CLIENT_GONE,
        }
    }
}

impl Problem {
    /// A client that leaves is no error of anybody's.
    pub(super) fn level(&self) -> Level {
        if matches!(self, Self::ClientGone) { Level::Info } else { Level::Error }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the request's header fields are too large"),
            Self::Unsent => f.write_str("the daemon process ended before it had the request"),
            Self::Died => f.write_str("the daemon process ended during the request"),
            Self::Timeout => f.write_str("the application was silent for socket-timeout"),
            Self::Io(error) => write!(f, "the daemon process can't be reached: {error}"),
            Self::Malformed(what) => write!(f, "the daemon process sent nonsense: {what}"),
            Self::LongField(name) => write!(
                f,
                "its header field {name} is longer than the option header-buffer-size allows"
            ),
            Self::ClientGone => f.write_str("the client left before the response was complete"),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Died,
            io::ErrorKind::WouldBlock => Self::Timeout,
            _ => Self::Io(error),
        }
    }
}

impl From<wsgi_proto::Error> for Problem {
    fn from(error: wsgi_proto::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Sends the encoded request: by the channel's lane if it has no body, by its socket otherwise.
/// What goes along of the body is bounded, so that this waits for nothing but the worker's reading
/// of the environ.
pub(super) fn send(
    slot: &Slot<'_>,
    record: &[u8],
    has_body: bool,
    upload: &mut Upload<'_>,
) -> Result<(), Problem> {
    let channel = slot.channel();
    if let Some(beside) = channel.beside() {
        if has_body {
            beside.lane.refuse();
        } else if beside.offer(record) {
            return Ok(());
        } else {
            beside.lane.expect();
        }
    }
    upload.send_with(channel, record).map_err(|(sent, error)| match Problem::from(error) {
        Problem::Died if sent < record.len() => Problem::Unsent,
        problem => problem,
    })
}

/// What REQUEST says of the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// BODY and BODY_END belong to the request.
    pub(super) is_there: bool,
    /// Its length, if that is known better than from the client's word.
    pub(super) length: Option<u64>,
}

/// Encodes the request as one REQUEST record. `environment` are variables of other
/// modules for the application.
///
/// # Errors
/// It exceeds the record's limits.
pub(super) fn encode<'e>(
    buffer: &mut Vec<u8>,
    request: Request<'e>,
    target: &Target<'_>,
    pid: u32,
    body: Body,
    environment: impl Iterator<Item = (&'e [u8], &'e [u8])>,
) -> Result<(), wsgi_proto::Error> {
    let filename = request.filename();
    let times = (request.start_time(), target.queue_start);
    let mut record = RequestWriter::new(
        buffer,
        body.is_there,
        times,
        target.script,
        target.handler_script,
        target.route.callable_object.as_bytes(),
    );
    if !target.route.script_reloading {
        record.without_reloading();
    }
    if target.log_notes() == LogNotes::Cpu {
        record.with_cpu_time();
    }
    let facts = Facts {
        method: request.method(),
        uri: request.uri(),
        path_info: request.path_info(),
        query: request.query(),
        current_uri: request.current_uri(),
        redirected_from: request.redirected_from(),
        request_line: request.request_line(),
        protocol: request.protocol(),
        scheme: request.scheme(),
        is_https: request.is_https(),
        filename,
        document_root: request.document_root(),
        context_prefix: request.context_prefix(),
        context_document_root: request.context_document_root(),
        server_name: request.server_name(),
        server_port: request.server_port(),
        server_address: request.local_ip(),
        server_admin: request.server().admin(),
        server_software: Request::server_software(),
        client_address: request.client_ip(),
        client_port: request.client_port(),
        user: request.user(),
        auth_type: request.auth_type(),
        listener_port: request.local_port(),
        process_id: pid,
        request_id: request_id(request, target, pid),
        connection_id: request.connection_id(),
        callable_object: target.route.callable_object.as_bytes(),
        request_handler: request.handler(),
        handler_script: target.handler_script,
        head_as_get: target.head_as_get,
        body_length: body.length,
        pass_authorization: target.route.pass_authorization || request.passes_authorization(),
    };
    let header = |name: &str| {
        let name = request.pool().string(name.as_bytes());
        request.headers_in().find(name).map(CStr::to_bytes)
    };
    environ::write(
        &mut record,
        &facts,
        &proxies::changes(target.trust(), facts.client_address, header),
        environment,
        request.headers_in().iter().map(as_bytes),
    );
    record.finish()
}

/// Variables of SetEnv and of other modules.
pub(super) fn environment(request: Request<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    request.subprocess_env().iter().map(as_bytes)
}

fn as_bytes<'r>((name, value): (&'r CStr, &'r CStr)) -> (&'r [u8], &'r [u8]) {
    (name.to_bytes(), value.to_bytes())
}

/// httpd's log id of the request; one of our own becomes httpd's if no module
/// makes them, so that log entries and the application name the same.
fn request_id<'r>(request: Request<'r>, target: &Target<'_>, pid: u32) -> &'r [u8] {
    let id = request.log_id();
    if !id.is_empty() {
        return id;
    }
    let id = request.pool().string(&new_id(target.queue_start, pid, request.connection_number()));
    request.set_log_id(id);
    id.to_bytes()
}

/// Unique on this machine: a moment in microseconds, process and connection.
fn new_id(moment: u64, pid: u32, connection: i64) -> [u8; 19] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 54, 24 and 36 bits: to the year 2540, more than a pid has, and what differs of HTTP/2.
    let parts = [(moment, 54), (pid.into(), 24), (connection.cast_unsigned(), 36)];
    let mut number = parts
        .iter()
        .fold(0_u128, |number, (part, bits)| number << bits | u128::from(part & ((1 << bits) - 1)));
    let mut text = [0; 19];
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(number & 63) as usize];
        number >>= 6;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::new_id;

    #[test]
    fn ids_tell_moments_processes_and_connections_apart() {
        let ids = [
            new_id(1_795_345_200_000_000, 4711, 12),
            new_id(1_795_345_200_000_001, 4711, 12),
            new_id(1_795_345_200_000_000, 4712, 12),
            new_id(1_795_345_200_000_000, 4711, 13),
            new_id(1_795_345_200_000_000, 4711, 12 << 8 ^ 1),
        ];
        for (index, id) in ids.iter().enumerate() {
            assert!(id.iter().all(|byte| byte.is_ascii_graphic()));
            assert!(!ids[..index].contains(id), "{index}");
        }
    }
}
