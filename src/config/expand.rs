//! Names that depend on the request: `%{GLOBAL}`, `%{SERVER}`, `%{ENV:name}` …
//!
//! A variable is the whole of a name, never a part of it. What a client says
//! never makes a name of its own accord: ports come from the configuration, and
//! `%{HOST}` is the host alone, lower-cased and checked.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// What a request offers to names. All of it may be asked for more than once.
pub trait Facts {
    /// The first of: the request's notes, its environment (SetEnv, SetEnvIf,
    /// RewriteRule), the process' environment.
    fn env(&self, name: &str) -> Option<Cow<'_, str>>;
    /// ServerName of the virtual host, without a port.
    fn server_name(&self) -> &str;
    /// Port of the virtual host as it is *configured*: that of ServerName, else
    /// that on which the connection came in. Never the Host header's.
    fn server_port(&self) -> u16;
    /// The Host header, or the host of an absolute URL, as the client sent it.
    fn host(&self) -> Option<&str>;
    /// SCRIPT_NAME: the URL path without path info.
    fn script_name(&self) -> &[u8];
}

/// A name as it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Stands for itself.
    Literal(Arc<str>),
    /// `%{GLOBAL}`: empty.
    Global,
    /// `%{RESOURCE}`: the server and the script.
    Resource,
    /// `%{SERVER}`: the server.
    Server,
    /// `%{HOST}`: the host that the client asked for.
    Host,
    /// `%{ENV:name}`, with all of its text and the range of the name in it.
    Env(Arc<str>),
}

/// Which variables a name may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process group: no `%{RESOURCE}`.
    ProcessGroup,
    /// An application group.
    ApplicationGroup,
    /// A callable object: `%{ENV:name}` alone.
    CallableObject,
}

impl Name {
    /// Reads a name. Whatever is no variable is a literal.
    #[must_use]
    pub fn parse(text: &str, kind: Kind) -> Self {
        let literal = || Self::Literal(text.into());
        if env_name(text).is_some() {
            return Self::Env(text.into());
        }
        match (text, kind) {
            (_, Kind::CallableObject) => literal(),
            ("%{GLOBAL}", _) => Self::Global,
            ("%{SERVER}", _) => Self::Server,
            ("%{HOST}", _) => Self::Host,
            ("%{RESOURCE}", Kind::ApplicationGroup) => Self::Resource,
            _ => literal(),
        }
    }

    /// The name if it is the same for all requests.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match self {
            Self::Literal(text) if !text.starts_with("%{") => Some(text),
            Self::Global => Some(""),
            _ => None,
        }
    }

    /// The name for a request. An environment variable may hold another variable,
    /// but not one more `%{ENV:}`. None if it is not set.
    pub fn expand<'a>(
        &'a self,
        kind: Kind,
        case_sensitive: bool,
        facts: &'a dyn Facts,
    ) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Literal(text) => Cow::Borrowed(text),
            Self::Global => Cow::Borrowed(""),
            Self::Server => server(facts),
            Self::Host => host(facts),
            Self::Resource => Cow::Owned(resource(facts, case_sensitive)),
            Self::Env(text) => {
                let value = facts.env(env_name(text)?)?;
                match Self::parse(&value, kind) {
                    Self::Literal(_) | Self::Env(_) => value,
                    Self::Global => Cow::Borrowed(""),
                    Self::Server => server(facts),
                    Self::Host => host(facts),
                    Self::Resource => Cow::Owned(resource(facts, case_sensitive)),
                }
            }
        })
    }

    /// The text of a variable that is not set: what stands in the configuration.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Env(text) => text,
            Self::Global => "%{GLOBAL}",
            Self::Resource => "%{RESOURCE}",
            Self::Server => "%{SERVER}",
            Self::Host => "%{HOST}",
        }
    }
}

fn env_name(text: &str) -> Option<&str> {
    text.strip_prefix("%{ENV:")?.strip_suffix('}')
}

/// `name:port`; no port for 80 and 443, which are one site.
fn server(facts: &dyn Facts) -> Cow<'_, str> {
    match facts.server_port() {
        0 | 80 | 443 => Cow::Borrowed(facts.server_name()),
        port => Cow::Owned(format!("{}:{port}", facts.server_name())),
    }
}

/// `name:port|/script`.
fn resource(facts: &dyn Facts, case_sensitive: bool) -> String {
    let mut name = server(facts).into_owned();
    name.push('|');
    let start = name.len();
    for chunk in facts.script_name().utf8_chunks() {
        name.push_str(chunk.valid());
        // Not replaced by one character for all: two scripts never share a name.
        for byte in chunk.invalid() {
            let _ = write!(name, "\\x{byte:02x}");
        }
    }
    if !case_sensitive && let Some(script) = name.get_mut(start..) {
        script.make_ascii_lowercase();
    }
    name
}

/// The Host header's host in lower case, without port and final dot; the
/// server's name if there is none or if it is none.
fn host(facts: &dyn Facts) -> Cow<'_, str> {
    let Some(host) = facts.host().and_then(host_name) else {
        return Cow::Borrowed(facts.server_name());
    };
    match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

/// Longest host name that DNS allows, in bytes.
const MAX_HOST: usize = 253;

fn host_name(header: &str) -> Option<&str> {
    if let Some(rest) = header.strip_prefix('[') {
        let end = rest.find(']')?;
        let (address, port) = (rest.get(..end)?, rest.get(end + 1..)?);
        let valid = address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        return (valid && !address.is_empty() && is_port(port)).then(|| header.get(..end + 2))?;
    }
    let colon = header.find(':').unwrap_or(header.len());
    let (name, port) = header.split_at(colon);
    let name = name.strip_suffix('.').unwrap_or(name);
    let valid = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    (valid && !name.is_empty() && name.len() <= MAX_HOST && is_port(port)).then_some(name)
}

fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or(text);
    digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request for tests.
    pub(crate) struct Request {
        pub(crate) env: Vec<(&'static str, &'static str)>,
        pub(crate) port: u16,
        pub(crate) host: Option<&'static str>,
        pub(crate) script: &'static [u8],
    }

    impl Default for Request {
        fn default() -> Self {
            Self { env: vec![], port: 80, host: None, script: b"/App" }
        }
    }

    impl Facts for Request {
        fn env(&self, name: &str) -> Option<Cow<'_, str>> {
            self.env.iter().find(|(n, _)| *n == name).map(|(_, value)| Cow::Borrowed(*value))
        }
        fn server_name(&self) -> &str {
            "www.example.org"
        }
        fn server_port(&self) -> u16 {
            self.port
        }
        fn host(&self) -> Option<&str> {
            self.host
        }
        fn script_name(&self) -> &[u8] {
            self.script
        }
    }

    fn expand(text: &str, kind: Kind, request: &Request) -> Option<String> {
        Name::parse(text, kind).expand(kind, true, request).map(Cow::into_owned)
    }

    #[test]
    fn names_expand_as_a_whole() {
        use Kind::{ApplicationGroup as A, CallableObject as C, ProcessGroup as P};
        let request = Request {
            env: vec![
                ("site", "blue"),
                ("global", "%{GLOBAL}"),
                ("more", "%{ENV:site}"),
                ("empty", ""),
            ],
            port: 8080,
            ..Request::default()
        };
        for (text, kind, expanded) in [
            ("blue", P, Some("blue")),
            ("%{GLOBAL}", P, Some("")),
            ("x%{GLOBAL}", P, Some("x%{GLOBAL}")),
            ("%{global}", P, Some("%{global}")),
            ("%{RESOURCE}", P, Some("%{RESOURCE}")),
            ("%{RESOURCE}", A, Some("www.example.org:8080|/App")),
            ("%{SERVER}", P, Some("www.example.org:8080")),
            ("%{SERVER}", A, Some("www.example.org:8080")),
            ("%{GLOBAL}", C, Some("%{GLOBAL}")),
            ("%{ENV:site}", P, Some("blue")),
            ("%{ENV:site}", C, Some("blue")),
            ("%{ENV:global}", A, Some("")),
            ("%{ENV:global}", C, Some("%{GLOBAL}")),
            ("%{ENV:more}", A, Some("%{ENV:site}")),
            ("%{ENV:empty}", A, Some("")),
            ("%{ENV:unset}", A, None),
            ("%{ENV:site}x", A, Some("%{ENV:site}x")),
        ] {
            assert_eq!(expand(text, kind, &request).as_deref(), expanded, "{text} {kind:?}");
            assert_eq!(Name::parse(text, kind).text(), text);
        }
    }

    #[test]
    fn the_ports_of_the_web_are_one_site() {
        for (port, name) in [(80, ""), (443, ""), (0, ""), (8443, ":8443")] {
            let request = Request { port, ..Request::default() };
            let resource = expand("%{RESOURCE}", Kind::ApplicationGroup, &request);
            assert_eq!(resource, Some(format!("www.example.org{name}|/App")));
        }
    }

    #[test]
    fn scripts_keep_their_own_names() {
        for (script, case_sensitive, name) in [
            (&b"/App"[..], true, "|/App"),
            (b"/App", false, "|/app"),
            (b"/\xff\xfe", true, "|/\\xff\\xfe"),
            ("/é".as_bytes(), true, "|/é"),
            (b"", true, "|"),
        ] {
            let request = Request { script, ..Request::default() };
            let resource = Name::Resource.expand(Kind::ApplicationGroup, case_sensitive, &request);
            assert_eq!(resource.unwrap(), format!("www.example.org{name}"));
        }
    }

    #[test]
    fn a_host_is_a_host_without_its_port() {
        let long: &'static str = "a".repeat(254).leak();
        for (host, name) in [
            (Some("Example.ORG:8080"), "example.org"),
            (Some("example.org."), "example.org"),
            (Some("[::1]:8080"), "[::1]"),
            (Some("[::1]"), "[::1]"),
            (Some("[]"), "www.example.org"),
            (Some("[::1"), "www.example.org"),
            (Some("[::1]x"), "www.example.org"),
            (Some("a/b"), "www.example.org"),
            (Some("a b"), "www.example.org"),
            (Some("a:x"), "www.example.org"),
            (Some(""), "www.example.org"),
            (Some(long), "www.example.org"),
            (None, "www.example.org"),
        ] {
            let request = Request { host, ..Request::default() };
            assert_eq!(expand("%{HOST}", Kind::ApplicationGroup, &request).as_deref(), Some(name));
        }
    }

    #[test]
    fn fixed_names_are_known_at_start() {
        let fixed = |text| Name::parse(text, Kind::ApplicationGroup).fixed().map(str::to_owned);
        assert_eq!(fixed("x").as_deref(), Some("x"));
        assert_eq!(fixed("%{GLOBAL}").as_deref(), Some(""));
        for text in ["%{RESOURCE}", "%{ENV:x}", "%{HOST}", "%{OTHER}"] {
            assert_eq!(fixed(text), None);
        }
    }
}
