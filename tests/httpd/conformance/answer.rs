//! What came back for a request, and whether it is what a pair says.

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::harness::{Connection, Log, Server};

use super::scene::expand;

/// What a pair says about the answer.
#[derive(Default)]
pub(super) struct Answer {
    /// Status, header fields in the order of their names, how the body is framed (in parentheses,
    /// if it matters), an empty line, the body.
    pub(super) lines: Vec<String>,
    /// `LEVEL words` or `HOST LEVEL words`: what a line of the error log holds.
    pub(super) logged: Vec<String>,
}

/// What came back.
pub(super) struct Observed {
    /// The status, an interim one first if there was one, and the header fields.
    head: Vec<String>,
    framing: String,
    body: String,
    not_logged: Option<String>,
}

/// Header fields that are httpd's own or say how the body is framed.
const LEFT_OUT: [&str; 6] =
    ["date", "server", "connection", "keep-alive", "content-length", "transfer-encoding"];

/// How long a line may take into the log.
const LOG_PATIENCE: Duration = Duration::from_secs(10);

/// Beginning of the pages that httpd makes itself.
const PAGE: &str = "<!DOCTYPE HTML PUBLIC ";

/// Stands for such a page.
const PAGE_NAME: &str = "(page of httpd)";

impl Observed {
    /// Sends the bytes and reads one answer; then waits for what is to be logged.
    pub(super) fn ask(server: &Server, request: &[u8], logged: &[String]) -> Self {
        let hosts = logged.iter().map(|line| (line, log_of(line, server).cursor()));
        let logs: Vec<_> = hosts.collect();
        let mut connection = server.connect();
        connection.raw(request).unwrap();
        let mut observed = Self::read(&mut connection, request.starts_with(b"HEAD "))
            .unwrap_or_else(|error| Self::broken(&error));
        for (line, log) in logs {
            let (level, words) = level_and_words(line);
            let tag = format!("[wsgi:{level}]");
            // Not `wait_for`, which would end the test before other pairs are tried.
            let deadline = Instant::now() + LOG_PATIENCE;
            while !log.lines_with(&tag).iter().any(|line| line.contains(words)) {
                if Instant::now() > deadline {
                    observed.not_logged = Some(line.clone());
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        observed
    }

    fn read(connection: &mut Connection, no_body: bool) -> io::Result<Self> {
        let mut lines = Vec::new();
        let head = loop {
            let head = connection.head()?;
            lines.push(format!("{} {}", head.status, head.reason).trim_end().to_owned());
            if head.status != 100 {
                break head;
            }
        };
        let mut fields: Vec<_> = head
            .headers
            .iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.to_ascii_lowercase().as_str()))
            .collect();
        fields.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        let field =
            |(name, value): &(String, String)| format!("{name}: {value}").trim_end().to_owned();
        lines.extend(fields.into_iter().map(field));
        let mut framing = match (head.header("Content-Length"), head.header("Transfer-Encoding")) {
            (_, Some(encoding)) => encoding.to_owned(),
            (Some(length), None) => format!("length {length}"),
            (None, None) => "close".to_owned(),
        };
        let body = if no_body { Ok(Vec::new()) } else { connection.body(&head) };
        let body = body.unwrap_or_else(|error| {
            framing.push_str(", broken");
            error.received
        });
        let body = body.iter().map(|&byte| printable(byte)).collect();
        Ok(Self { head: lines, framing, body, not_logged: None })
    }

    /// No answer at all.
    fn broken(error: &io::Error) -> Self {
        let head = vec![format!("no answer: {}", error.kind())];
        Self { head, framing: String::new(), body: String::new(), not_logged: None }
    }

    /// What contradicts the answer, if anything does.
    pub(super) fn contradicts(&self, answer: &Answer, server: &Server) -> Option<String> {
        if let Some(line) = &self.not_logged
            && answer.logged.contains(line)
        {
            return Some(format!("not logged: {line}"));
        }
        let lines: Vec<_> = answer.lines.iter().map(|line| expand(line, server)).collect();
        let end = lines.iter().position(String::is_empty).unwrap_or(lines.len());
        let (framing, head): (Vec<_>, Vec<_>) =
            lines[..end].iter().partition(|line| line.starts_with('('));
        let same = head.len() == self.head.len()
            && head.iter().zip(&self.head).all(|(pattern, line)| matches(pattern, line));
        if !same {
            return Some(difference(&head, &self.head));
        }
        match framing.first().map(|line| line.trim_matches(['(', ')'])) {
            Some(framing) if framing != self.framing => {
                return Some(format!("expected framing: {framing}"));
            }
            None if self.framing.ends_with("broken") => return Some("broken off".to_owned()),
            _ => {}
        }
        let body = lines.get(end + 1..)?;
        let own = self.body_lines();
        let same = body.len() == own.len()
            && body.iter().zip(&own).all(|(pattern, line)| matches(pattern, line));
        (!same).then(|| difference(&body.iter().collect::<Vec<_>>(), &own))
    }

    fn body_lines(&self) -> Vec<String> {
        if self.body.starts_with(PAGE) {
            return vec![PAGE_NAME.to_owned(); self.body.matches(PAGE).count()];
        }
        self.body.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// The answer as a pair says it.
    pub(super) fn record(&self, server: &Server) -> String {
        let broken = self.framing.ends_with("broken").then(|| format!("({})", self.framing));
        let mut lines: Vec<String> = self.head.iter().cloned().chain(broken).collect();
        lines.push(String::new());
        lines.extend(self.body_lines());
        let root = server.root().display().to_string();
        let port = server.address().port().to_string();
        let known = |line: String| line.replace(&root, "{root}").replace(&port, "{port}");
        lines
            .into_iter()
            .map(|line| format!("< {}", known(line)).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("observed\n");
        for line in self.head.iter().chain([&format!("({})", self.framing), &String::new()]) {
            let _ = writeln!(text, "  {line}");
        }
        for line in self.body_lines() {
            let _ = writeln!(text, "  {line}");
        }
        formatter.write_str(&text)
    }
}

/// The lines that one has and the other has not.
fn difference(expected: &[&String], observed: &[String]) -> String {
    let mut text = String::new();
    for line in
        expected.iter().filter(|pattern| !observed.iter().any(|line| matches(pattern, line)))
    {
        let _ = write!(text, "\n  - {line}");
    }
    for line in
        observed.iter().filter(|line| !expected.iter().any(|pattern| matches(pattern, line)))
    {
        let _ = write!(text, "\n  + {line}");
    }
    if text.is_empty() { "another order".to_owned() } else { text }
}

/// The error log that a `log` line is about.
fn log_of(line: &str, server: &Server) -> Log {
    match line.split_once(' ') {
        Some((host, _)) if host.contains('.') => server.vhost_log(host.trim_end_matches('.')),
        _ => server.log(),
    }
}

fn level_and_words(line: &str) -> (&str, &str) {
    let line = match line.split_once(' ') {
        Some((host, rest)) if host.contains('.') => rest,
        _ => line,
    };
    line.split_once(' ').unwrap_or((line, ""))
}

/// Whether the line is what the pattern says; `{any}` stands for whatever comes.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("{any}");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// One character for each byte: a body need not be text.
fn printable(byte: u8) -> char {
    char::from(byte)
}
