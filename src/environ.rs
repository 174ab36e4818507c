//! Request facts → environ entries of a REQUEST record.
//!
//! Entries are written in three layers, and the worker lets the later win: what
//! other modules and SetEnv put into the subprocess environment, then the
//! client's header fields, then what httpd and this module computed. So neither
//! a client nor a .htaccess can pass off a value as the server's own.
//!
//! *Runs in:* httpd child.

use std::borrow::Cow;

use wsgi_proto::channel::{RequestWriter, environ_name_id, find_environ_name};

use crate::proxies::Changes;

/// Number of a name, checked when this is compiled.
macro_rules! id {
    ($name:literal) => {
        const {
            let id = environ_name_id($name);
            assert!(id != 0, "the protocol has no number for this name");
            id
        }
    };
}

/// What httpd knows of a request. All values are bytes as httpd has them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) method: &'a [u8],
    /// Decoded path of the URL, that of the script and the rest behind it.
    pub(crate) uri: &'a [u8],
    pub(crate) path_info: &'a [u8],
    pub(crate) query: &'a [u8],
    /// What CGIVar makes REQUEST_URI.
    pub(crate) current_uri: Option<&'a [u8]>,
    /// URL and query of the request that httpd redirected to this one.
    pub(crate) redirected_from: Option<(&'a [u8], &'a [u8])>,
    /// First line of the request as received.
    pub(crate) request_line: &'a [u8],
    pub(crate) protocol: &'a [u8],
    pub(crate) scheme: &'a [u8],
    pub(crate) is_https: bool,
    pub(crate) filename: &'a [u8],
    pub(crate) document_root: &'a [u8],
    pub(crate) context_prefix: &'a [u8],
    pub(crate) context_document_root: &'a [u8],
    pub(crate) server_name: &'a [u8],
    pub(crate) server_port: u16,
    pub(crate) server_address: &'a [u8],
    pub(crate) server_admin: &'a [u8],
    pub(crate) server_software: &'a [u8],
    pub(crate) client_address: &'a [u8],
    pub(crate) client_port: u16,
    pub(crate) user: Option<&'a [u8]>,
    pub(crate) auth_type: &'a [u8],
    pub(crate) listener_port: u16,
    pub(crate) process_id: u32,
    pub(crate) request_id: &'a [u8],
    pub(crate) connection_id: &'a [u8],
    pub(crate) callable_object: &'a [u8],
    pub(crate) request_handler: &'a [u8],
    pub(crate) handler_script: &'a [u8],
    /// Bytes of the body, if httpd has counted them.
    pub(crate) body_length: Option<u64>,
    /// HEAD is to look like GET.
    pub(crate) head_as_get: bool,
    /// The Authorization header is the application's business.
    pub(crate) pass_authorization: bool,
}

/// Writes the environ of a request. `environment` and `headers` yield names and
/// values in httpd's order; `changes` are what trusted proxies make of it.
pub(crate) fn write<'a>(
    record: &mut RequestWriter<'_>,
    facts: &Facts<'_>,
    changes: &Changes<'_>,
    environment: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) {
    let https = write_environment(record, environment);
    write_headers(record, headers, changes, facts.pass_authorization);
    write_computed(record, facts, changes, facts.is_https || https);
}

/// The subprocess environment. True if it says HTTPS, which is consumed. Names that
/// are the server's own by their prefix are left out: the worker sets most of them,
/// and would let these win.
fn write_environment<'a>(
    record: &mut RequestWriter<'_>,
    environment: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> bool {
    let mut https = false;
    for (name, value) in environment {
        if name == b"HTTPS" {
            https = value.eq_ignore_ascii_case(b"on") || value == b"1";
        } else if !is_reserved(name) {
            record.named(name, value);
        }
    }
    https
}

fn is_reserved(name: &[u8]) -> bool {
    [&b"wsgi."[..], b"mod_wsgi.", b"apache."].iter().any(|prefix| name.starts_with(prefix))
}

fn write_headers<'a>(
    record: &mut RequestWriter<'_>,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    changes: &Changes<'_>,
    pass_authorization: bool,
) {
    let mut buffer = [0_u8; 128];
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(b"Content-Type") {
            record.known(id!("CONTENT_TYPE"), value);
        } else if name.eq_ignore_ascii_case(b"Content-Length") {
            record.known(id!("CONTENT_LENGTH"), value);
        } else if is_withheld(name, pass_authorization) || changes.removes(name) {
        } else if let Some(name) = cgi_name(name, &mut buffer) {
            match find_environ_name(name) {
                0 => record.named(name, value),
                id => record.known(id, value),
            }
        }
    }
    let changed =
        [(id!("HTTP_HOST"), changes.host), (id!("HTTP_X_FORWARDED_FOR"), changes.forwarded_for)];
    for (id, value) in changed {
        if let Some(value) = value {
            record.known(id, value);
        }
    }
}

/// `Proxy` is never passed on: as HTTP_PROXY it would redirect the application's
/// own requests (httpoxy). Transfer-Encoding describes the connection: the
/// application reads a body that httpd has decoded.
fn is_withheld(name: &[u8], pass_authorization: bool) -> bool {
    name.eq_ignore_ascii_case(b"Proxy")
        || name.eq_ignore_ascii_case(b"Transfer-Encoding")
        || !pass_authorization && name.eq_ignore_ascii_case(b"Authorization")
}

/// `HTTP_` and the name in capitals with `_` for `-`. Names with anything but
/// letters, digits and `-` are dropped: they could pose as others. Longer names
/// than the buffer holds are dropped too.
fn cgi_name<'b>(name: &[u8], buffer: &'b mut [u8; 128]) -> Option<&'b [u8]> {
    const PREFIX: &[u8] = b"HTTP_";
    let target = buffer.get_mut(..PREFIX.len() + name.len())?;
    let (prefix, rest) = target.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    for (to, from) in rest.iter_mut().zip(name) {
        *to = CGI[usize::from(*from)];
    }
    (!name.is_empty() && !rest.contains(&0)).then_some(target)
}

/// What each byte of a header's name is in a CGI name; 0 for those that none may have.
static CGI: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_uppercase();
        }
        byte += 1;
    }
    table[b'-' as usize] = b'_';
    table
};

fn write_computed(
    record: &mut RequestWriter<'_>,
    facts: &Facts<'_>,
    changes: &Changes<'_>,
    https: bool,
) {
    let method = if facts.head_as_get { b"GET" } else { facts.method };
    let path_info = merge_slashes(facts.path_info);
    let script_name = without_path_info(facts.uri, &path_info);
    record.known(id!("REQUEST_METHOD"), method);
    record.known(id!("SCRIPT_NAME"), changes.script_name.unwrap_or(&script_name));
    record.known(id!("PATH_INFO"), &path_info);
    record.known(id!("QUERY_STRING"), facts.query);
    let request_uri = facts.current_uri.unwrap_or_else(|| request_target(facts.request_line));
    record.known(id!("REQUEST_URI"), request_uri);
    if let Some((url, query)) = facts.redirected_from {
        record.named(b"REDIRECT_URL", url);
        if !query.is_empty() {
            record.named(b"REDIRECT_QUERY_STRING", query);
        }
    }
    record.known(id!("REQUEST_SCHEME"), facts.scheme);
    record.known(id!("SCRIPT_FILENAME"), facts.filename);
    record.known(id!("DOCUMENT_ROOT"), facts.document_root);
    record.known(id!("CONTEXT_PREFIX"), facts.context_prefix);
    record.known(id!("CONTEXT_DOCUMENT_ROOT"), facts.context_document_root);
    record.known(id!("SERVER_NAME"), changes.server_name.unwrap_or(facts.server_name));
    let port = Decimal::new(facts.server_port.into());
    record.known(id!("SERVER_PORT"), changes.server_port.unwrap_or(port.as_bytes()));
    record.known(id!("SERVER_ADDR"), facts.server_address);
    record.known(id!("SERVER_ADMIN"), facts.server_admin);
    record.known(id!("SERVER_PROTOCOL"), facts.protocol);
    record.known(id!("SERVER_SOFTWARE"), facts.server_software);
    let client_address = changes.client_address.unwrap_or(facts.client_address);
    record.known(id!("REMOTE_ADDR"), client_address);
    record.known(id!("REMOTE_PORT"), Decimal::new(facts.client_port.into()).as_bytes());
    if let Some(user) = facts.user {
        record.known(id!("REMOTE_USER"), user);
        record.known(id!("AUTH_TYPE"), facts.auth_type);
    }
    if let Some(length) = facts.body_length {
        record.known(id!("CONTENT_LENGTH"), Decimal::new(length).as_bytes());
    }
    if let Some(mount_point) = changes.script_name {
        record.known(id!("mod_wsgi.mount_point"), mount_point);
    }
    let scheme: &[u8] = if changes.https.unwrap_or(https) { b"https" } else { b"http" };
    record.known(id!("wsgi.url_scheme"), scheme);
    record.known(id!("mod_wsgi.callable_object"), facts.callable_object);
    record.known(id!("mod_wsgi.request_handler"), facts.request_handler);
    record.known(id!("mod_wsgi.handler_script"), facts.handler_script);
    record.known(id!("mod_wsgi.script_name"), &script_name);
    record.known(id!("mod_wsgi.path_info"), &path_info);
    record.known(id!("mod_wsgi.listener_host"), facts.server_address);
    let port = Decimal::new(facts.listener_port.into());
    record.known(id!("mod_wsgi.listener_port"), port.as_bytes());
    let pid = Decimal::new(facts.process_id.into());
    record.known(id!("mod_wsgi.server_pid"), pid.as_bytes());
    record.known(id!("mod_wsgi.request_id"), facts.request_id);
    if !facts.connection_id.is_empty() {
        record.known(id!("mod_wsgi.connection_id"), facts.connection_id);
    }
}

/// The target of a request line, as the client wrote it.
fn request_target(line: &[u8]) -> &[u8] {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    words.nth(1).unwrap_or_default()
}

/// The part of the URL that names the script: all but `path_info` at its end.
pub(crate) fn script_name<'a>(uri: &'a [u8], path_info: &[u8]) -> Cow<'a, [u8]> {
    without_path_info(uri, &merge_slashes(path_info))
}

fn without_path_info<'a>(uri: &'a [u8], path_info: &[u8]) -> Cow<'a, [u8]> {
    match merge_slashes(uri) {
        Cow::Borrowed(uri) => Cow::Borrowed(uri.strip_suffix(path_info).unwrap_or(uri)),
        Cow::Owned(uri) => Cow::Owned(uri.strip_suffix(path_info).unwrap_or(&uri).to_vec()),
    }
}

/// One slash for each run of slashes.
fn merge_slashes(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut merged = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(byte);
        }
    }
    Cow::Owned(merged)
}

/// A number in decimal, on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            #[allow(clippy::cast_possible_truncation)] // less than ten
            let digit = (number % 10) as u8;
            digits[start] = b'0' + digit;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use wsgi_proto::channel::{Name, RequestReader, environ_name};
    use wsgi_proto::codec::HEAD_LEN;

    use super::*;

    /// What the worker makes of it: later entries win.
    fn environ(
        facts: &Facts<'_>,
        environment: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> HashMap<String, String> {
        fn pairs<'a>(of: &'a [(&str, &str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
            of.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        }
        let mut buffer = Vec::new();
        let mut record = RequestWriter::new(&mut buffer, false, (0, 0), b"", b"", b"");
        let changes = Changes::default();
        write(&mut record, facts, &changes, pairs(environment), pairs(headers));
        record.finish().unwrap();
        let mut reader = RequestReader::new(0, &buffer[HEAD_LEN..]).unwrap();
        let mut environ = HashMap::new();
        while let Some((name, value)) = reader.entry().unwrap() {
            let name = match name {
                Name::Known(id) => environ_name(id).unwrap().to_owned(),
                Name::Literal(name) => String::from_utf8(name.to_vec()).unwrap(),
            };
            environ.insert(name, String::from_utf8(value.to_vec()).unwrap());
        }
        environ
    }

    #[test]
    fn paths_split_between_script_and_rest() {
        for (uri, info, name, rest) in [
            ("/", "/", "", "/"),
            ("/app", "", "/app", ""),
            ("/app/", "/", "/app", "/"),
            ("//x///y", "//x///y", "", "/x/y"),
            ("/app//a", "//a", "/app", "/a"),
        ] {
            let facts =
                Facts { uri: uri.as_bytes(), path_info: info.as_bytes(), ..Facts::default() };
            let environ = environ(&facts, &[], &[]);
            assert_eq!((&*environ["SCRIPT_NAME"], &*environ["PATH_INFO"]), (name, rest), "{uri}");
        }
    }

    #[test]
    fn header_fields_become_cgi_names_or_are_dropped() {
        let headers = [
            ("Host", "h"),
            ("X-Custom", "c"),
            ("X_Custom", "forged"),
            ("X.Custom", "forged"),
            ("Proxy", "p"),
            ("Authorization", "secret"),
            ("Content-Type", "t"),
            ("Content-Length", "1"),
            ("Transfer-Encoding", "chunked"),
        ];
        let environ = environ(&Facts::default(), &[], &headers);
        assert_eq!(environ["HTTP_HOST"], "h");
        assert_eq!(environ["HTTP_X_CUSTOM"], "c");
        assert_eq!(environ["CONTENT_TYPE"], "t");
        assert_eq!(environ["CONTENT_LENGTH"], "1");
        for name in ["HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_TRANSFER_ENCODING"] {
            assert!(!environ.contains_key(name), "{name}");
        }
    }

    #[test]
    fn computed_values_win_and_https_is_consumed() {
        let facts = Facts { client_address: b"192.0.2.1", ..Facts::default() };
        let environment = [("REMOTE_ADDR", "forged"), ("HTTPS", "On"), ("trac.env", "/t")];
        let environ = environ(&facts, &environment, &[("Authorization", "a")]);
        assert_eq!(environ["REMOTE_ADDR"], "192.0.2.1");
        assert_eq!(environ["wsgi.url_scheme"], "https");
        assert_eq!(environ["trac.env"], "/t");
        assert!(!environ.contains_key("HTTPS"));
    }

    #[test]
    fn the_servers_own_names_are_not_taken_from_the_environment() {
        let reserved = ["wsgi.multiprocess", "mod_wsgi.process_group", "apache.version"];
        let environment = reserved.map(|name| (name, "forged"));
        let environ = environ(&Facts::default(), &environment, &[]);
        assert!(reserved.iter().all(|name| !environ.contains_key(*name)), "{environ:?}");
    }

    #[test]
    fn request_targets_are_taken_as_written() {
        assert_eq!(request_target(b"GET http://h/a%2f?q HTTP/1.1"), b"http://h/a%2f?q");
        assert_eq!(request_target(b"GET"), b"");
    }

    #[test]
    fn decimals() {
        assert_eq!(Decimal::new(0).as_bytes(), b"0");
        assert_eq!(Decimal::new(u64::MAX).as_bytes(), u64::MAX.to_string().as_bytes());
    }
}
