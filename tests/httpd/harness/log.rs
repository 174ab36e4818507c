//! httpd's error log as a test sees it: a cursor, and the lines that nobody declared.

use std::fs;
use std::path::PathBuf;

use super::wait_for;

#[derive(Clone)]
pub(crate) struct Log {
    path: PathBuf,
    start: usize,
}

/// Levels that a test must declare; below them httpd may say what it likes.
const SERIOUS: [&str; 5] = ["warn", "error", "crit", "alert", "emerg"];

impl Log {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, start: 0 }
    }

    /// A cursor that sees only what is logged from now on.
    pub(crate) fn cursor(&self) -> Self {
        Self { path: self.path.clone(), start: self.read_all().len() }
    }

    /// What was logged since the cursor was set.
    pub(crate) fn text(&self) -> String {
        self.read_all().split_off(self.start)
    }

    /// Waits for a line that contains `needle` and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, needle: &str) -> String {
        wait_for(&format!("{needle:?} in {}", self.path.display()), || {
            self.lines_with(needle).into_iter().next()
        })
    }

    /// Every complete line that contains `needle`.
    pub(crate) fn lines_with(&self, needle: &str) -> Vec<String> {
        let text = self.text();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().filter(|line| line.contains(needle)).map(str::to_owned).collect()
    }

    /// Lines of level warn and above that contain none of `declared`.
    pub(crate) fn undeclared(&self, declared: &[String]) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| is_serious(line))
            .filter(|line| !declared.iter().any(|pattern| line.contains(pattern.as_str())))
            .map(str::to_owned)
            .collect()
    }

    /// Traces of a crash, which no test may declare.
    pub(crate) fn crashes(&self) -> Vec<String> {
        const TRACES: [&str; 4] = [
            "panicked at",
            "AddressSanitizer",
            "exit signal Segmentation fault",
            "exit signal Aborted",
        ];
        self.text()
            .lines()
            .filter(|line| TRACES.iter().any(|trace| line.contains(trace)))
            .map(str::to_owned)
            .collect()
    }

    fn read_all(&self) -> String {
        // Not every byte that an application prints is UTF-8; the escape keeps offsets stable.
        fs::read(&self.path)
            .map(|bytes| {
                bytes.iter().map(|&b| if b.is_ascii() { char::from(b) } else { '?' }).collect()
            })
            .unwrap_or_default()
    }
}

fn is_serious(line: &str) -> bool {
    // The harness's ErrorLogFormat starts with "[module:level]"; what daemons write themselves
    // looks like httpd's default, with the time in front of it.
    line.split('[').skip(1).take(2).any(|field| {
        let tag = field.split(']').next().unwrap_or_default();
        tag.rsplit_once(':').is_some_and(|(_, level)| SERIOUS.contains(&level))
    })
}
