//! What trusted proxies say of a request: WSGITrustedProxyHeaders and WSGITrustedProxies.
//!
//! Headers come in categories, whose members mean the same. As soon as one member
//! is trusted, no other may reach the application: a client could send it past a
//! proxy that knows the trusted one only. From a peer that is no trusted proxy
//! the whole category is removed.
//!
//! *Runs in:* httpd child. Pure: addresses are parsed as numbers, never looked up.

use std::net::IpAddr;

use crate::config::Network;

/// What a header is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Client,
    Host,
    Server,
    Port,
    Script,
    Scheme,
}

use Category::{Client, Host, Port, Scheme, Script, Server};

/// Every header that a proxy can be trusted with.
const HEADERS: [(&str, Category); 15] = [
    (FORWARDED_FOR, Client),
    ("x-client-ip", Client),
    ("x-real-ip", Client),
    ("x-forwarded-host", Host),
    ("x-host", Host),
    ("x-forwarded-server", Server),
    ("x-forwarded-port", Port),
    ("x-script-name", Script),
    ("x-forwarded-script-name", Script),
    ("x-forwarded-proto", Scheme),
    ("x-forwarded-scheme", Scheme),
    ("x-scheme", Scheme),
    ("x-forwarded-https", Scheme),
    ("x-forwarded-ssl", Scheme),
    ("x-https", Scheme),
];

const FORWARDED_FOR: &str = "x-forwarded-for";

/// What the configuration trusts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trust<'c> {
    /// WSGITrustedProxyHeaders, in lower case.
    pub(crate) headers: &'c [String],
    /// WSGITrustedProxies; none for every peer.
    pub(crate) proxies: Option<&'c [Network]>,
}

/// What is to be changed in a request's environ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes<'a> {
    /// REMOTE_ADDR
    pub(crate) client_address: Option<&'a [u8]>,
    /// HTTP_HOST
    pub(crate) host: Option<&'a [u8]>,
    /// SERVER_NAME
    pub(crate) server_name: Option<&'a [u8]>,
    /// SERVER_PORT
    pub(crate) server_port: Option<&'a [u8]>,
    /// SCRIPT_NAME, and `mod_wsgi.mount_point`
    pub(crate) script_name: Option<&'a [u8]>,
    /// `wsgi.url_scheme` is https
    pub(crate) https: Option<bool>,
    /// HTTP_X_FORWARDED_FOR, if it is kept but not as it was sent.
    pub(crate) forwarded_for: Option<&'a [u8]>,
    /// Headers that the application must not see.
    removed: Vec<&'static str>,
}

impl Changes<'_> {
    /// Whether the application must not see a header.
    pub(crate) fn removes(&self, name: &[u8]) -> bool {
        self.removed.iter().any(|removed| name.eq_ignore_ascii_case(removed.as_bytes()))
    }
}

/// Finds out what a request's headers change: of each category the one that is listed
/// last of those that were sent. `peer` is the address that the request
/// came from; `header` finds a header's value, which fails for one sent twice.
pub(crate) fn changes<'a>(
    trust: Trust<'_>,
    peer: &[u8],
    header: impl Fn(&'static str) -> Option<&'a [u8]>,
) -> Changes<'a> {
    let mut changes = Changes::default();
    if trust.headers.is_empty() {
        return changes;
    }
    let peer_is_trusted = trust.proxies.is_none_or(|proxies| is_among(proxies, peer));
    for category in [Client, Host, Server, Port, Script, Scheme] {
        let listed = trust.headers.iter().filter_map(|name| member(name, category));
        if listed.clone().next().is_none() {
            continue;
        }
        let sent = listed.rev().find_map(|name| header(name).map(|value| (name, value)));
        let winner = sent
            .filter(|(name, value)| {
                peer_is_trusted && changes.take(category, name, value, trust.proxies)
            })
            .map(|(name, _)| name);
        let members = HEADERS.iter().filter(|(_, of)| *of == category).map(|(name, _)| *name);
        changes.removed.extend(members.filter(|name| Some(*name) != winner));
    }
    changes
}

/// The header of this name, if it is one of the category.
fn member(name: &str, category: Category) -> Option<&'static str> {
    let known = HEADERS.iter().find(|(known, of)| *known == name && *of == category)?;
    Some(known.0)
}

impl<'a> Changes<'a> {
    /// Applies the header of a category that won; false if its value makes no sense.
    fn take(
        &mut self,
        category: Category,
        name: &str,
        value: &'a [u8],
        proxies: Option<&[Network]>,
    ) -> bool {
        let value = value.trim_ascii();
        match category {
            Client if name == FORWARDED_FOR => {
                let Some((address, rest)) = client_of(value, proxies) else { return false };
                self.client_address = Some(address);
                self.forwarded_for = rest;
            }
            Client => {
                self.client_address = address(value).map(|_| value);
                return self.client_address.is_some();
            }
            Host => self.host = Some(value),
            Server => self.server_name = Some(value),
            Port => {
                let digits = (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
                self.server_port = digits.then_some(value);
                return digits;
            }
            Script => self.script_name = Some(value),
            Scheme => {
                self.https = is_https(name, value);
                return self.https.is_some();
            }
        }
        true
    }
}

/// The client in an X-Forwarded-For, and the list from there on if it is shorter.
///
/// Without a list of proxies it is the first entry. With one the entries are
/// walked from the end as long as they are trusted proxies, whose word is good
/// for the entry before them: it is the first one that is no proxy.
fn client_of<'a>(
    list: &'a [u8],
    proxies: Option<&[Network]>,
) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut entries = entries(list);
    let Some(proxies) = proxies else {
        let (_, first) = entries.next()?;
        return address(first).map(|_| (first, None));
    };
    let mut found = None;
    while let Some((start, entry)) = entries.next_back() {
        // What is no address nobody can have vouched for.
        if address(entry).is_none() {
            break;
        }
        found = Some((start, entry));
        if !is_among(proxies, entry) {
            break;
        }
    }
    let (start, entry) = found?;
    Some((entry, Some(&list[start..])))
}

/// The entries of a list that are not empty, and where they begin.
fn entries(list: &[u8]) -> impl DoubleEndedIterator<Item = (usize, &[u8])> {
    let offset = |entry: &[u8]| entry.as_ptr().addr() - list.as_ptr().addr();
    list.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(move |entry| (offset(entry), entry))
}

fn is_among(proxies: &[Network], peer: &[u8]) -> bool {
    address(peer).is_some_and(|peer| proxies.iter().any(|proxy| proxy.contains(peer)))
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What a header of the scheme says: words in some, flags in others.
fn is_https(name: &str, value: &[u8]) -> Option<bool> {
    let (yes, no): (&[&str], &[&str]) = match name {
        "x-forwarded-proto" | "x-forwarded-scheme" | "x-scheme" => (&["https"], &["http"]),
        _ => (&["on", "true", "1"], &["off", "false", "0"]),
    };
    let is = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    if is(yes) { Some(true) } else { is(no).then_some(false) }
}

#[cfg(test)]
mod tests;
