//! A file of pairs: a server, its scripts, and what is asked of it.
//!
//! The format is described in `tests/conformance/README.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Config, Server, settings};

use super::answer::{Answer, Observed};

/// A file of pairs.
pub(super) struct Scene {
    path: PathBuf,
    lines: Vec<String>,
    config: Config,
    pub(super) pairs: Vec<Pair>,
}

/// A request and its answers.
#[derive(Default)]
pub(super) struct Pair {
    pub(super) name: String,
    request: Vec<String>,
    answer: Answer,
    /// This module's answer where it differs, with the key of the difference.
    pub(super) here: Option<(String, Answer)>,
    /// Number of the line behind it.
    end: usize,
}

/// What a run of all pairs found.
#[derive(Default)]
pub(super) struct Report {
    pub(super) failures: Vec<String>,
    /// Answers of pairs that have none yet, with the line that they belong before.
    recorded: Vec<(usize, String)>,
}

impl Report {
    /// `, 2 differ (one-reason, another)`.
    pub(super) fn differing(&self, scene: &Scene) -> String {
        let keys: Vec<_> = scene.pairs.iter().filter_map(|pair| pair.here.as_ref()).collect();
        let names: BTreeSet<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
        match keys.len() {
            0 => String::new(),
            count => {
                format!(", {count} differ ({})", names.into_iter().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Scene {
    #[track_caller]
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut scene = Self {
            path: path.to_owned(),
            lines: lines.clone(),
            config: Config::new().expect_log("["),
            pairs: Vec::new(),
        };
        let mut reader = lines.iter().enumerate().peekable();
        while let Some((number, line)) = reader.next() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            // What follows a heading is indented by four.
            let mut block = Vec::new();
            while let Some((_, inner)) = reader.peek()
                && (inner.starts_with("    ") || (inner.is_empty() && is_block(word)))
            {
                block.push(inner.get(4..).unwrap_or_default());
                reader.next();
            }
            if !scene.take(word, rest, &block) && !scene.pair_line(word, rest, number) {
                panic!("{}:{}: {line:?} is not understood", path.display(), number + 1);
            }
        }
        scene
    }

    /// Takes a heading with its block.
    fn take(&mut self, word: &str, rest: &str, block: &[&str]) -> bool {
        let config = std::mem::take(&mut self.config);
        self.config = match word {
            "modules" => rest
                .split_whitespace()
                .fold(config, |config, name| config.module(String::leak(name.to_owned()))),
            "conf" => config.line(&block.join("\n")),
            "site" => config.line(&site(&self.path, rest)),
            "vhost" => config.vhost(rest, block),
            "file" => config.file(rest, &(block.join("\n").trim_end().to_owned() + "\n")),
            _ => {
                self.config = config;
                return word.starts_with('#') || word.is_empty();
            }
        };
        true
    }

    /// Takes a line of a pair.
    fn pair_line(&mut self, word: &str, rest: &str, number: usize) -> bool {
        if word == "pair" {
            self.pairs.push(Pair { name: rest.to_owned(), ..Pair::default() });
        }
        let Some(pair) = self.pairs.last_mut() else { return false };
        pair.end = number + 1;
        let answer = pair.here.as_mut().map_or(&mut pair.answer, |(_, answer)| answer);
        match word {
            "pair" => {}
            ">" => pair.request.push(rest.to_owned()),
            "<" => answer.lines.push(rest.to_owned()),
            "log" => answer.logged.push(rest.to_owned()),
            "here" => pair.here = Some((rest.to_owned(), Answer::default())),
            _ => return false,
        }
        true
    }

    /// Asks each pair of the module under test, which is mod_wsgi itself if `reference`.
    pub(super) fn run(&mut self, reference: bool) -> Report {
        let server = self.config.clone().start();
        let mut report = Report::default();
        for pair in &self.pairs {
            let own = pair.here.as_ref().map(|(_, answer)| answer);
            let (expected, other) = match (reference, own) {
                (true, other) => (&pair.answer, other),
                (false, Some(own)) => (own, Some(&pair.answer)),
                (false, None) => (&pair.answer, None),
            };
            let log = server.log().cursor();
            let observed = Observed::ask(&server, &pair.bytes(&server), &expected.logged);
            if expected.lines.is_empty() && (reference || own.is_some()) {
                report.recorded.push((pair.end, observed.record(&server)));
            }
            let place = format!("{}: pair {:?}", self.path.display(), pair.name);
            if let Some(why) = observed.contradicts(expected, &server) {
                let mut failure = format!("{place}: {why}");
                if std::env::var_os("VERBOSE").is_some() {
                    let _ = write!(failure, "\n{observed}\nlogged:\n{}", log.text());
                }
                report.failures.push(failure);
            } else if let Some(other) = other
                && observed.contradicts(other, &server).is_none()
            {
                report.failures.push(format!("{place}: listed as a difference, and is none"));
            }
        }
        report
    }

    /// Writes recorded answers into the file.
    pub(super) fn write(&mut self, report: &Report) {
        for (line, answer) in report.recorded.iter().rev() {
            self.lines.insert(*line, answer.clone());
        }
        fs::write(&self.path, self.lines.join("\n") + "\n").unwrap();
    }
}

/// A configuration as it lies in `sites`, with what it leaves open. mod_wsgi 6 gets it without
/// the lines of older versions that it refuses.
fn site(scene: &Path, name: &str) -> String {
    let path = scene.with_file_name("sites").join(format!("{name}.conf"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let removed = |line: &&str| settings().reference && line.contains("WSGILazyInitialization");
    let lines: Vec<&str> = text.lines().filter(|line| !removed(line)).collect();
    format!(
        "Define SITE {{apps}}\nDefine ROOT {{root}}\nDefine PORT {{port}}\nDefine ACCOUNT {{user}}\n{}",
        lines.join("\n")
    )
}

/// Blank lines belong to a block of these.
fn is_block(word: &str) -> bool {
    ["conf", "vhost", "file"].contains(&word)
}

impl Pair {
    /// The request as it is sent.
    fn bytes(&self, server: &Server) -> Vec<u8> {
        let lines: Vec<String> = self.request.iter().map(|line| expand(line, server)).collect();
        let end = lines.iter().position(String::is_empty).unwrap_or(lines.len());
        let body = lines.get(end + 1..).unwrap_or_default().join("\n");
        let mut head = lines[..end].to_vec();
        // A request line without a version is an ordinary request, to be completed.
        if !head[0].contains(" HTTP/") {
            let has = |name: &str| head.iter().any(|line| line.starts_with(name));
            let (host, framed) =
                (has("Host:"), has("Content-Length:") || has("Transfer-Encoding:"));
            head[0].push_str(" HTTP/1.1");
            if !host {
                head.push(format!("Host: localhost:{}", server.address().port()));
            }
            if !framed && end < lines.len() {
                head.push(format!("Content-Length: {}", unescape(&body).len()));
            }
        }
        let mut bytes = unescape(&(head.join("\r\n") + "\r\n\r\n"));
        bytes.extend(unescape(&body));
        bytes
    }
}

/// Names what differs from server to server.
pub(super) fn expand(line: &str, server: &Server) -> String {
    line.replace("{root}", &server.root().display().to_string())
        .replace("{port}", &server.address().port().to_string())
}

/// `\r`, `\n`, `\t`, `\xHH` and `\\` in a line of a request.
fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = match after.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', ..] => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
            _ => panic!("{line:?}: not an escape"),
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
