//! Where in the configuration files something was said.

use std::fmt;
use std::path::{Path, PathBuf};

/// Tells one server (the main one or a virtual host) of a configuration pass from
/// the others. The number means nothing else and may be an address; 0 is the main
/// server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub usize);

impl ServerId {
    /// The main server.
    pub const MAIN: Self = Self(0);
}

/// The virtual host that a directive stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualHost {
    /// Which one.
    pub id: ServerId,
    /// Its ServerName as far as it is known: the directive may follow later.
    pub server_name: String,
    /// Its port, 0 while unknown.
    pub port: u16,
}

/// Where a directive stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Configuration file.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// ServerRoot: what relative paths are relative to.
    pub server_root: PathBuf,
    /// The virtual host; none in the main server.
    pub virtual_host: Option<VirtualHost>,
    /// Inside of `<Directory>`, `<Location>`, `<Files>`, `<If>` and the like.
    pub in_directory: bool,
    /// In a `.htaccess` file, which is read while httpd serves a request.
    pub in_htaccess: bool,
}

impl Place {
    /// A path as the administrator means it: absolute, or below ServerRoot.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        let path = Path::new(text);
        if path.is_absolute() { path.to_owned() } else { self.server_root.join(path) }
    }
}

/// `file:line`.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}
