//! What applications see of a request that came through proxies.

use crate::harness::{Config, Request, Server};
use crate::ours_only;

/// Prints the values of the environ's keys that are named in the query string.
const SHOW: &str = "
def application(environ, start_response):
    keys = environ['QUERY_STRING'].split(',')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return ['|'.join(environ.get(key, '-') for key in keys).encode('latin-1')]
";

fn server(lines: &str) -> Server {
    Config::serving("show.wsgi", "").file("show.wsgi", SHOW).line(lines).start()
}

#[track_caller]
fn shows(server: &Server, headers: &[(&str, &str)], keys: &str, expected: &str) {
    let mut request = Request::get(&format!("/?{keys}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    assert_eq!(server.request(&request).expect(200).text(), expected, "{headers:?}");
}

const ALL: &str = "WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Host X-Forwarded-Server
    WSGITrustedProxyHeaders X-Forwarded-Port X-Script-Name X-Forwarded-Proto";

/// Each trusted header, what it says, and the key that it changes.
const CASES: [(&str, &str, &str, &str); 6] = [
    ("X-Forwarded-For", "192.0.2.9", "REMOTE_ADDR", "192.0.2.9"),
    ("X-Forwarded-Host", "www.example:8080", "HTTP_HOST", "www.example:8080"),
    ("X-Forwarded-Server", "srv.example", "SERVER_NAME", "srv.example"),
    ("X-Forwarded-Port", "8443", "SERVER_PORT", "8443"),
    ("X-Script-Name", "/outside", "SCRIPT_NAME", "/outside"),
    ("X-Forwarded-Proto", "https", "wsgi.url_scheme", "https"),
];

fn environ_name(header: &str) -> String {
    format!("HTTP_{}", header.to_uppercase().replace('-', "_"))
}

#[test]
fn headers_of_a_trusted_proxy_change_the_environ() {
    let server = server(&format!("{ALL}\nWSGITrustedProxies 127.0.0.0/8"));
    for (name, value, key, expected) in CASES {
        let keys = format!("{key},{}", environ_name(name));
        shows(&server, &[(name, value)], &keys, &format!("{expected}|{value}"));
    }
    shows(
        &server,
        &[("X-Script-Name", "/outside")],
        "mod_wsgi.mount_point,mod_wsgi.script_name,PATH_INFO",
        "/outside||/",
    );
}

#[test]
fn headers_of_other_peers_are_removed() {
    let server = server(&format!("{ALL}\nWSGITrustedProxies 10.0.0.0/8"));
    let plain = server.text("/?REMOTE_ADDR,HTTP_HOST,SERVER_NAME,SERVER_PORT,SCRIPT_NAME");
    for (name, value, key, _) in CASES {
        let before = server.text(&format!("/?{key}"));
        let keys = format!("{key},{}", environ_name(name));
        shows(&server, &[(name, value)], &keys, &format!("{before}|-"));
    }
    let forged: Vec<_> = CASES.iter().map(|(name, value, ..)| (*name, *value)).collect();
    let keys = "REMOTE_ADDR,HTTP_HOST,SERVER_NAME,SERVER_PORT,SCRIPT_NAME";
    shows(&server, &forged, keys, &plain);
}

#[test]
fn synonyms_of_a_trusted_header_never_arrive() {
    let server = server("WSGITrustedProxyHeaders X-Forwarded-For X-Forwarded-Proto");
    shows(
        &server,
        &[("X-Real-IP", "6.6.6.6"), ("X-Client-IP", "6.6.6.6"), ("X-Forwarded-SSL", "on")],
        "REMOTE_ADDR,HTTP_X_REAL_IP,HTTP_X_CLIENT_IP,HTTP_X_FORWARDED_SSL,wsgi.url_scheme",
        "127.0.0.1|-|-|-|http",
    );
    // Another category is nobody's business.
    shows(&server, &[("X-Host", "h")], "HTTP_X_HOST", "h");
}

#[test]
fn a_list_of_proxies_leads_to_the_client() {
    let server = server(
        "WSGITrustedProxyHeaders X-Forwarded-For
        WSGITrustedProxies 127.0.0.1 10.0.0.0/8",
    );
    let list = "6.6.6.6, 192.0.2.1, 10.0.0.2";
    let keys = "REMOTE_ADDR,HTTP_X_FORWARDED_FOR";
    shows(&server, &[("X-Forwarded-For", list)], keys, "192.0.2.1|192.0.2.1, 10.0.0.2");
}

#[test]
fn the_nearer_section_replaces_the_list() {
    let server = server(
        "WSGITrustedProxyHeaders X-Forwarded-For
        <Location /inner>\nWSGITrustedProxyHeaders X-Forwarded-Proto\n</Location>",
    );
    let request = Request::get("/inner?REMOTE_ADDR,wsgi.url_scheme")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("X-Forwarded-Proto", "https");
    assert_eq!(server.request(&request).expect(200).text(), "127.0.0.1|https");
}

#[test]
fn of_two_trusted_synonyms_the_last_listed_wins() {
    let headers = [("X-Client-IP", "192.0.2.2"), ("X-Real-IP", "192.0.2.1")];
    let keys = "REMOTE_ADDR,HTTP_X_REAL_IP,HTTP_X_CLIENT_IP";
    let first = server("WSGITrustedProxyHeaders X-Real-IP X-Client-IP");
    shows(&first, &headers, keys, "192.0.2.2|-|192.0.2.2");
    let second = server("WSGITrustedProxyHeaders X-Client-IP X-Real-IP");
    shows(&second, &headers, keys, "192.0.2.1|192.0.2.1|-");
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    ours_only!("mod_wsgi passes on what is no address");
    let server = server(ALL);
    for (name, value, key) in [
        ("X-Forwarded-For", "localhost", "REMOTE_ADDR"),
        ("X-Forwarded-Port", "http", "SERVER_PORT"),
        ("X-Forwarded-Proto", "gopher", "wsgi.url_scheme"),
    ] {
        let before = server.text(&format!("/?{key}"));
        let keys = format!("{key},{}", environ_name(name));
        shows(&server, &[(name, value)], &keys, &format!("{before}|-"));
    }
}
