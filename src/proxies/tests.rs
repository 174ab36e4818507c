//! Every header, from trusted and from other peers.

use super::*;

/// What becomes of these headers, of which `listed` are trusted from `proxies`.
fn run<'a>(
    listed: &[&str],
    proxies: Option<&[&str]>,
    peer: &str,
    sent: &'a [(&'a str, &'a str)],
) -> Changes<'a> {
    let headers: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
    let proxies: Option<Vec<Network>> =
        proxies.map(|list| list.iter().map(|proxy| proxy.parse().unwrap()).collect());
    let trust = Trust { headers: &headers, proxies: proxies.as_deref() };
    changes(trust, peer.as_bytes(), |name| {
        sent.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes())
    })
}

const PROXY: &str = "10.0.0.1";

/// A header, what it says, and the change that it makes.
fn cases() -> Vec<(&'static str, &'static str, Changes<'static>)> {
    let client = || Changes { client_address: Some(b"192.0.2.9"), ..Changes::default() };
    let https = |https| Changes { https: Some(https), ..Changes::default() };
    let host = || Changes { host: Some(b"www.example"), ..Changes::default() };
    let script = || Changes { script_name: Some(b"/mount"), ..Changes::default() };
    let forwarded = Some(&b"192.0.2.9"[..]);
    vec![
        ("x-forwarded-for", "192.0.2.9", Changes { forwarded_for: forwarded, ..client() }),
        ("x-client-ip", "192.0.2.9", client()),
        ("x-real-ip", "192.0.2.9", client()),
        ("x-forwarded-host", "www.example", host()),
        ("x-host", "www.example", host()),
        (
            "x-forwarded-server",
            "srv.example",
            Changes { server_name: Some(b"srv.example"), ..Changes::default() },
        ),
        ("x-forwarded-port", "8443", Changes { server_port: Some(b"8443"), ..Changes::default() }),
        ("x-script-name", "/mount", script()),
        ("x-forwarded-script-name", "/mount", script()),
        ("x-forwarded-proto", "HTTPS", https(true)),
        ("x-forwarded-scheme", "http", https(false)),
        ("x-scheme", "https", https(true)),
        ("x-forwarded-https", "On", https(true)),
        ("x-forwarded-ssl", "true", https(true)),
        ("x-https", "0", https(false)),
    ]
}

#[test]
fn every_header_is_known_here_and_tested() {
    let tested: Vec<_> = cases().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(tested, HEADERS.map(|(name, _)| name));
}

#[test]
fn a_trusted_proxy_is_believed() {
    for (name, value, expected) in cases() {
        let sent = [(name, value)];
        let mut changes = run(&[name], Some(&[PROXY]), PROXY, &sent);
        assert!(!changes.removes(name.as_bytes()), "{name}");
        changes.removed.clear();
        assert_eq!(changes, expected, "{name}");
    }
}

#[test]
fn from_another_peer_the_whole_category_is_removed_and_nothing_applied() {
    for (name, value, _) in cases() {
        let sent = [(name, value)];
        let mut changes = run(&[name], Some(&[PROXY]), "10.0.0.2", &sent);
        for (other, category) in HEADERS {
            let same = HEADERS.contains(&(name, category));
            assert_eq!(changes.removes(other.as_bytes()), same, "{name} {other}");
        }
        changes.removed.clear();
        assert_eq!(changes, Changes::default(), "{name}");
    }
}

#[test]
fn a_header_that_is_not_listed_is_removed_if_a_synonym_is() {
    for (name, value, _) in cases() {
        for (listed, category) in HEADERS.into_iter().filter(|(other, _)| *other != name) {
            let sent = [(name, value)];
            let mut changes = run(&[listed], None, PROXY, &sent);
            let synonym = HEADERS.contains(&(name, category));
            assert_eq!(changes.removes(name.as_bytes()), synonym, "{listed} {name}");
            changes.removed.clear();
            assert_eq!(changes, Changes::default(), "{listed} {name}");
        }
    }
}

#[test]
fn nothing_happens_without_trusted_headers() {
    for (name, value, _) in cases() {
        assert_eq!(run(&[], Some(&[PROXY]), PROXY, &[(name, value)]), Changes::default());
    }
}

#[test]
fn of_two_listed_synonyms_the_last_that_was_sent_wins() {
    let sent = [("x-real-ip", "192.0.2.1"), ("x-client-ip", "192.0.2.2")];
    let changes = run(&["x-real-ip", "x-client-ip", "x-forwarded-for"], None, PROXY, &sent);
    assert_eq!(changes.client_address, Some(&b"192.0.2.2"[..]));
    assert!(changes.removes(b"X-Real-IP"));
    assert!(changes.removes(b"X-Forwarded-For"));
    assert!(!changes.removes(b"X-Client-IP"));
}

#[test]
fn values_without_sense_change_nothing_and_are_removed() {
    for (name, value) in [
        ("x-forwarded-for", "unknown"),
        ("x-client-ip", "localhost"),
        ("x-real-ip", "192.0.2.1:80"),
        ("x-forwarded-port", "80 "),
        ("x-forwarded-port", "+80"),
        ("x-forwarded-port", ""),
        ("x-forwarded-proto", "gopher"),
        ("x-https", "yes"),
    ] {
        let sent = [(name, value)];
        let mut changes = run(&[name], None, PROXY, &sent);
        if value == "80 " {
            assert_eq!(changes.server_port, Some(&b"80"[..]));
            continue;
        }
        assert!(changes.removes(name.as_bytes()), "{name}: {value}");
        changes.removed.clear();
        assert_eq!(changes, Changes::default(), "{name}: {value}");
    }
}

#[test]
fn a_list_of_proxies_is_walked_from_its_end() {
    let proxies = ["10.0.0.0/8", "fd00::/8"];
    for (list, client, rest) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1", "192.0.2.1, 10.0.0.2"),
        ("6.6.6.6,, 192.0.2.1 ,10.0.0.2,, fd00::1,", "192.0.2.1", "192.0.2.1 ,10.0.0.2,, fd00::1,"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3", "10.0.0.3, 10.0.0.2"),
        ("6.6.6.6, junk, 10.0.0.2", "10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, example.org, 192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8::1, 10.0.0.2", "2001:db8::1", "2001:db8::1, 10.0.0.2"),
    ] {
        let sent = [(FORWARDED_FOR, list)];
        let changes = run(&[FORWARDED_FOR], Some(&proxies), PROXY, &sent);
        assert_eq!(changes.client_address, Some(client.as_bytes()), "{list}");
        assert_eq!(changes.forwarded_for, Some(rest.as_bytes()), "{list}");
    }
    for list in ["", ",", " , ", "192.0.2.1, junk"] {
        let sent = [(FORWARDED_FOR, list)];
        let changes = run(&[FORWARDED_FOR], Some(&proxies), PROXY, &sent);
        assert_eq!(changes.client_address, None, "{list}");
        assert!(changes.removes(b"x-forwarded-for"), "{list}");
    }
}

#[test]
fn without_a_list_of_proxies_the_first_entry_is_the_client() {
    let sent = [(FORWARDED_FOR, " , 192.0.2.1, 10.0.0.2")];
    let changes = run(&[FORWARDED_FOR], None, PROXY, &sent);
    assert_eq!(changes.client_address, Some(&b"192.0.2.1"[..]));
    assert_eq!(changes.forwarded_for, None);
}
