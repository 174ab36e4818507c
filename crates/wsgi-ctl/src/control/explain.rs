//! Who would serve a URL: asked of another httpd that reads the same configuration.
//!
//! It is started as the running one was, by the same user, with `-t -D WSGI_EXPLAIN`:
//! the module maps the URLs there, with the rights of httpd's children, and prints what
//! it finds. Nothing is asked of the httpd that serves.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::json;
use super::link::Link;
use crate::arguments::Given;

/// The definition that has the module explain, the variable that holds the URLs, and
/// what the module's lines begin with.
const NAME: &str = "WSGI_EXPLAIN";
/// Options of httpd that have a value, and are passed on.
const VALUED: [&[u8]; 7] = [b"-D", b"-C", b"-c", b"-d", b"-e", b"-f", b"-R"];

/// What is known of one URL: names and values in order.
type Explanation<'a> = Vec<(&'a str, &'a str)>;

/// Explains the URLs given.
///
/// # Errors
/// The configuration on disk is wrong, httpd can't be started, or a URL is none.
pub(super) fn run(given: &Given) -> Result<(), String> {
    let address = given.value("--address").unwrap_or_default();
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        return Err(format!("--address: '{address}' is not an IP address"));
    }
    if let Some(url) = given.operands.iter().find(|url| url.contains(char::is_control)) {
        return Err(format!("'{}' is not a URL", url.escape_debug()));
    }
    let questions: Vec<String> =
        given.operands.iter().map(|url| format!("{address} {url}")).collect();
    let mut command = like_httpd(&Link::open(given)?)?;
    command.args(["-t", "-D", NAME]).env(NAME, questions.join("\n"));
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("another httpd can't be started: {error}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    for line in complaints.lines().filter(|line| *line != "Syntax OK") {
        eprintln!("{}", shown(line));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let explanations = explanations(&text);
    if explanations.len() != given.operands.len() {
        return Err(format!("httpd -t ended with {}, without an explanation", output.status));
    }
    for explanation in &explanations {
        show(given, explanation);
    }
    match explanations.iter().flatten().find(|(name, _)| *name == "error") {
        Some((_, error)) => Err((*error).to_owned()),
        None => Ok(()),
    }
}

/// The command that the running httpd was started by, with its environment and folder.
///
/// httpd is the parent of the process at the socket. It has to be wholly of this user,
/// as it names the program that is run.
fn like_httpd(link: &Link) -> Result<Command, String> {
    let supervisor = link.peer()?;
    let own = nix::unistd::geteuid().as_raw();
    if supervisor.uid != own {
        return Err(format!("be uid {}, who runs httpd, to have a URL explained", supervisor.uid));
    }
    let pid = match numbers(&read(supervisor.pid, "status")?, "PPid:")[..] {
        [pid] if pid != 0 && same_processes(pid) => pid,
        _ => return Err("httpd runs in a container; run wsgictl there".to_owned()),
    };
    if numbers(&read(pid, "status")?, "Uid:") != [own; 4] {
        return Err(format!("process {pid}, the supervisor's parent, is not of uid {own} alone"));
    }
    let mut words = split(&read(pid, "cmdline")?).into_iter();
    let mut command = Command::new(format!("/proc/{pid}/exe"));
    if let Some(name) = words.next() {
        command.arg0(name);
    }
    command.args(to_check(words)).current_dir(format!("/proc/{pid}/cwd")).env_clear();
    for variable in split(&read(pid, "environ")?) {
        let bytes = variable.as_bytes();
        if let Some(at) = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) {
            let (name, value) = bytes.split_at(at);
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(&value[1..]));
        }
    }
    Ok(command)
}

fn read(pid: impl Display, name: &str) -> Result<Vec<u8>, String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read(&path).map_err(|error| format!("{path} can't be read: {error}"))
}

/// Whether a process sees the same processes as this one.
fn same_processes(pid: u32) -> bool {
    let seen = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    seen(&pid.to_string()) == seen("self")
}

/// The numbers in a line of `/proc/PID/status`; none if there is no such line.
fn numbers(status: &[u8], name: &str) -> Vec<u32> {
    let text = String::from_utf8_lossy(status);
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Strings that each end with a NUL.
fn split(bytes: &[u8]) -> Vec<OsString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// httpd's arguments but for `-k start` and the like, and for where errors go at start.
fn to_check(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"-k" || bytes == b"-E" {
            words.next();
        } else if VALUED.contains(&bytes) {
            kept.push(word);
            kept.extend(words.next());
        } else if !bytes.starts_with(b"-k") && !bytes.starts_with(b"-E") {
            kept.push(word);
        }
    }
    kept
}

/// The module's lines; each URL begins another explanation.
fn explanations(text: &str) -> Vec<Explanation<'_>> {
    let mut all: Vec<Explanation<'_>> = Vec::new();
    let ours = |line| str::strip_prefix(line, NAME)?.strip_prefix(' ')?.split_once(' ');
    for (name, value) in text.lines().filter_map(ours) {
        if name == "url" {
            all.push(Vec::new());
        }
        if let Some(last) = all.last_mut() {
            last.push((name, value));
        }
    }
    all
}

/// Of what modules print, which need not be ours.
fn shown(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn show(given: &Given, explanation: &Explanation<'_>) {
    if given.has("--json") {
        let members: Vec<_> =
            explanation.iter().map(|(name, value)| (*name, json::text(value))).collect();
        println!("{}", json::object(&members));
        return;
    }
    for (name, value) in explanation.iter().filter(|(_, value)| !value.is_empty()) {
        let value = shown(value);
        match (*name, name.strip_suffix("_by").filter(|_| *name != "served_by")) {
            ("url", _) => println!("{value}"),
            (_, Some("daemons")) => println!("  {:<19}{value}", "daemons"),
            (_, Some(_)) => println!("  {:<19}{value}", "  by"),
            (name, None) => println!("  {:<19}{value}", name.replace('_', " ")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn orders_are_left_out_of_a_command_line() {
        let line = b"httpd\0-k\0start\0-f\0-k\0-E\0log\0-DSSL\0-D\0FOREGROUND\0-kstart\0-X\0";
        let words = to_check(split(line));
        assert_eq!(words, ["httpd", "-f", "-k", "-DSSL", "-D", "FOREGROUND", "-X"]);
    }

    #[test]
    fn a_process_has_four_ids() {
        let status = b"Name:\thttpd\nUid:\t0\t1\t2\t3\nPPid:\t5\n";
        assert_eq!(numbers(status, "Uid:"), [0, 1, 2, 3]);
        assert_eq!(numbers(status, "PPid:"), [5]);
        assert_eq!(numbers(status, "None:"), [0; 0]);
    }

    #[test]
    fn lines_of_others_are_no_explanation() {
        let text = "VirtualHost configuration:\nWSGI_EXPLAIN url http://a/\n\
                    WSGI_EXPLAIN file \nWSGI_EXPLAIN url http://b/\nWSGI_EXPLAINS url c\n";
        let found = explanations(text);
        assert_eq!(found, [vec![("url", "http://a/"), ("file", "")], vec![("url", "http://b/")]]);
    }
}
