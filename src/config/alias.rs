//! WSGIScriptAlias: from a URL to the file that httpd looks for.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::directory::Overrides;
use super::place::Place;

/// Compiles regular expressions; httpd's own engine stands behind it.
pub trait RegexCompiler {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    fn compile(&self, pattern: &str) -> Result<Box<dyn Regex>, String>;
}

/// A compiled regular expression, usable by all threads.
pub trait Regex: Send + Sync + fmt::Debug {
    /// The first match: byte ranges of `$0` (always there) to `$9`.
    fn captures(&self, subject: &[u8]) -> Option<Captures>;
}

/// Byte ranges of `$0` to `$9`; none for what took no part in the match.
pub type Captures = [Option<Range<usize>>; 10];

/// What an alias' URL must look like.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// A path whose components begin the URL's.
    Path(String),
    /// An expression that is found in the URL.
    Regex(Arc<dyn Regex>),
}

/// One WSGIScriptAlias or WSGIScriptAliasMatch.
#[derive(Clone, Debug)]
pub struct Alias {
    /// Which URLs.
    pub pattern: Pattern,
    /// Where they lead; `$0` to `$9` stand for captures of an expression.
    pub target: String,
    /// The options.
    pub overrides: Overrides,
    /// Where it stands.
    pub place: Place,
}

/// What an alias made of a URL.
#[derive(Debug)]
pub struct Mapped<'a> {
    /// The first alias that matched.
    pub alias: &'a Arc<Alias>,
    /// The file, with what may be path info behind it.
    pub filename: Filename<'a>,
}

/// A file's path, in two parts.
pub(super) type Filename<'a> = [Cow<'a, [u8]>; 2];

impl Alias {
    /// Takes a file that [`Alias::filename`] made apart into the script and the path info behind
    /// it, if both are there and the alias says where the script ends.
    #[must_use]
    pub fn split<'f>(&self, filename: &'f [u8]) -> Option<(&'f [u8], &'f [u8])> {
        let script = self.target.as_bytes();
        let whole = matches!(self.pattern, Pattern::Path(_)) && !script.ends_with(b"/");
        let path_info = filename.strip_prefix(script).filter(|_| whole)?;
        path_info.starts_with(b"/").then(|| filename.split_at(script.len()))
    }

    /// The file for a decoded URL path; none if the alias does not match.
    #[must_use]
    pub fn filename<'a>(&'a self, uri: &'a [u8]) -> Option<Filename<'a>> {
        let target = self.target.as_bytes();
        match &self.pattern {
            Pattern::Path(path) => {
                let matched = path_prefix(path.as_bytes(), uri)?;
                // At the root the whole URL is path info, its first slash too.
                let rest = if path == "/" { uri } else { uri.get(matched..)? };
                Some([target.into(), rest.into()])
            }
            Pattern::Regex(regex) => {
                let captures = regex.captures(uri)?;
                let end = captures.first()?.as_ref()?.end;
                let mut filename = Vec::with_capacity(target.len() + uri.len());
                substitute(target, uri, &captures, &mut filename);
                Some([filename.into(), uri.get(end..)?.into()])
            }
        }
    }
}

/// The first alias of a list that matches.
#[must_use]
pub(super) fn translate<'a>(aliases: &'a [Arc<Alias>], uri: &'a [u8]) -> Option<Mapped<'a>> {
    aliases.iter().find_map(|alias| Some(Mapped { filename: alias.filename(uri)?, alias }))
}

/// How much of `uri` the path takes, if it ends with one of the URL's components.
/// Runs of slashes are one.
fn path_prefix(path: &[u8], uri: &[u8]) -> Option<usize> {
    let (mut at, mut taken) = (0, 0);
    while let Some(&byte) = path.get(at) {
        if uri.get(taken) != Some(&byte) {
            return None;
        }
        let slashes = |text: &[u8], from: usize| match byte {
            b'/' => text[from..].iter().take_while(|b| **b == b'/').count(),
            _ => 1,
        };
        at += slashes(path, at);
        taken += slashes(uri, taken);
    }
    let boundary = path.last() == Some(&b'/') || matches!(uri.get(taken), None | Some(b'/'));
    boundary.then_some(taken)
}

/// Copies `target` with `$0` to `$9` replaced; `\$` and `\\` are literal.
fn substitute(target: &[u8], subject: &[u8], captures: &Captures, into: &mut Vec<u8>) {
    let mut bytes = target.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'$', Some(digit @ b'0'..=b'9')) => {
                bytes.next();
                let capture = captures.get(usize::from(digit - b'0')).and_then(Option::clone);
                into.extend_from_slice(
                    capture.and_then(|range| subject.get(range)).unwrap_or_default(),
                );
            }
            (b'\\', Some(escaped @ (b'$' | b'\\'))) => {
                bytes.next();
                into.push(escaped);
            }
            _ => into.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(path: &str, target: &str) -> Alias {
        Alias {
            pattern: Pattern::Path(path.to_owned()),
            target: target.to_owned(),
            overrides: Overrides::default(),
            place: Place::default(),
        }
    }

    #[test]
    fn a_path_matches_whole_components() {
        for (path, uri, filename) in [
            ("/", "/", Some("/a.wsgi/")),
            ("/", "/x/y", Some("/a.wsgi/x/y")),
            ("/", "//x", Some("/a.wsgi//x")),
            ("/app", "/app", Some("/a.wsgi")),
            ("/app", "/app/", Some("/a.wsgi/")),
            ("/app", "/app/x", Some("/a.wsgi/x")),
            ("/app", "//app//x", Some("/a.wsgi//x")),
            ("//app", "/app/x", Some("/a.wsgi/x")),
            ("/app", "/application", None),
            ("/app", "/ap", None),
            ("/app", "", None),
            ("/app", "*", None),
            ("/app/", "/app", None),
            ("/app/", "/app/x", Some("/a.wsgix")),
            ("/app/", "/app//x", Some("/a.wsgix")),
            ("/a/b", "/a//b/c", Some("/a.wsgi/c")),
        ] {
            let filename = filename.map(|name| name.as_bytes().to_vec());
            let alias = alias(path, "/a.wsgi");
            let mapped = alias.filename(uri.as_bytes()).map(|parts| parts.concat());
            assert_eq!(mapped, filename, "{path} {uri}");
        }
    }

    #[test]
    fn a_script_with_path_info_is_told_from_a_directory() {
        let split = |target, filename: &'static str| {
            let parts = alias("/", target).split(filename.as_bytes())?;
            Some((str::from_utf8(parts.0).unwrap(), str::from_utf8(parts.1).unwrap()))
        };
        assert_eq!(split("/s/a.wsgi", "/s/a.wsgi//x/y"), Some(("/s/a.wsgi", "//x/y")));
        assert_eq!(split("/s/a.wsgi", "/s/a.wsgi/"), Some(("/s/a.wsgi", "/")));
        assert_eq!(split("/s/a.wsgi", "/s/a.wsgi"), None);
        assert_eq!(split("/s/a.wsgi", "/s/a.wsgi2/x"), None);
        assert_eq!(split("/s/", "/s/a.wsgi/x"), None);
        assert_eq!(split("/s/a.wsgi", "/other/x"), None);
        let by_expression =
            Alias { pattern: Pattern::Regex(Arc::new(Version)), ..alias("", "/s/a.wsgi") };
        assert!(by_expression.split(b"/s/a.wsgi/x").is_none());
    }

    /// Finds `/v<digit>/`.
    #[derive(Debug)]
    struct Version;

    impl Regex for Version {
        fn captures(&self, subject: &[u8]) -> Option<Captures> {
            let at = subject.windows(4).position(|four| {
                four[0] == b'/' && four[1] == b'v' && four[2].is_ascii_digit() && four[3] == b'/'
            })?;
            let mut captures = Captures::default();
            captures[0] = Some(at..at + 4);
            captures[1] = Some(at + 2..at + 3);
            Some(captures)
        }
    }

    #[test]
    fn an_expression_substitutes_its_captures() {
        for (target, uri, filename) in [
            ("/srv/$1.wsgi/", "/x/v3/auth", Some("/srv/3.wsgi/auth")),
            ("/srv$0app", "/v2/", Some("/srv/v2/app")),
            ("/srv/$2-\\$1-\\\\-$x-$", "/v2/", Some("/srv/-$1-\\-$x-$")),
            ("/srv", "/none", None),
        ] {
            let alias = Alias { pattern: Pattern::Regex(Arc::new(Version)), ..alias("", target) };
            let filename = filename.map(|name| name.as_bytes().to_vec());
            let mapped = alias.filename(uri.as_bytes()).map(|parts| parts.concat());
            assert_eq!(mapped, filename, "{target}");
        }
    }

    #[test]
    fn the_first_alias_wins() {
        let aliases = [Arc::new(alias("/a", "/one")), Arc::new(alias("/", "/two"))];
        let target =
            |uri: &str| translate(&aliases, uri.as_bytes()).map(|m| m.alias.target.clone());
        assert_eq!(target("/a/x").as_deref(), Some("/one"));
        assert_eq!(target("/b").as_deref(), Some("/two"));
        assert_eq!(target("*"), None);
    }
}
