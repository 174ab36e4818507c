//! Lines in httpd's error logs, in the look of its default ErrorLogFormat.
//!
//! A log may be a pipe to a program that does not read: a line that does not fit
//! is dropped, as the supervisor never waits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use wsgi_sys::clock;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Level of the main log before there is a configuration.
const DEFAULT_LEVEL: u8 = 5;

/// A virtual host's error log, and the least severe level that it takes.
#[derive(Debug)]
struct Log {
    file: File,
    level: u8,
}

/// All error logs.
#[derive(Debug)]
pub(super) struct Logs {
    main: File,
    groups: BTreeMap<String, Log>,
    /// Those of a configuration that is not complete yet.
    staged: BTreeMap<String, Log>,
}

impl Logs {
    /// Only the main error log, descriptor 2.
    pub(super) fn open() -> io::Result<Self> {
        let main = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Ok(Self { main, groups: BTreeMap::new(), staged: BTreeMap::new() })
    }

    /// Forgets what was staged.
    pub(super) fn begin(&mut self) {
        self.staged.clear();
    }

    /// Keeps a group's log until [`Logs::commit`].
    pub(super) fn stage(&mut self, group: &str, descriptor: OwnedFd, level: u8) {
        self.staged.insert(group.to_owned(), Log { file: File::from(descriptor), level });
    }

    /// Uses what was staged. Logs of groups that are no more stay for the
    /// processes that they still have.
    pub(super) fn commit(&mut self) {
        self.groups.append(&mut self.staged);
    }

    /// Closes the logs of groups without any process or configuration.
    pub(super) fn retain(&mut self, used: impl Fn(&str) -> bool) {
        self.groups.retain(|name, _| used(name));
    }

    /// Where a group's processes write to.
    pub(super) fn descriptor(&self, group: &str) -> BorrowedFd<'_> {
        self.groups.get(group).map_or(self.main.as_fd(), |log| log.file.as_fd())
    }

    /// Writes about the supervisor itself, to the main server's log.
    pub(super) fn own(&self, level: u8, text: &str) {
        self.write("", level, std::process::id().cast_signed(), text);
    }

    /// Writes to a group's log in the name of a process.
    pub(super) fn write(&self, group: &str, level: u8, pid: i32, text: &str) {
        let log = self.groups.get(group);
        let (mut file, least) =
            log.map_or((&self.main, DEFAULT_LEVEL), |log| (&log.file, log.level));
        if level > least {
            return;
        }
        let head = head(level, pid);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if writable(file) {
                // One write for a line, so that lines of several processes don't mix.
                let _ = file.write(format!("{head}{}\n", escape(line)).as_bytes());
            }
        }
    }
}

/// `[Sun Nov 22 11:00:00.123456 2026] [wsgi:error] [pid 123:tid 123] `
fn head(level: u8, pid: i32) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let level = match level {
        0..=2 => "crit",
        3 => "error",
        4 => "warn",
        5 => "notice",
        6 => "info",
        _ => "debug",
    };
    let time = clock::local_time(seconds).map_or_else(String::new, |time| {
        let day = DAYS.get(usize::from(time.weekday)).unwrap_or(&"???");
        let month = MONTHS.get(usize::from(time.month).wrapping_sub(1)).unwrap_or(&"???");
        format!(
            "[{day} {month} {:02} {:02}:{:02}:{:02}.{:06} {}] ",
            time.day,
            time.hour,
            time.minute,
            time.second,
            since.subsec_micros(),
            time.year
        )
    });
    format!("{time}[wsgi:{level}] [pid {pid}:tid {pid}] ")
}

/// What could forge a line or confuse a terminal, as httpd escapes it.
fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => escaped.push('\t'),
            '\\' => escaped.push_str("\\\\"),
            control if control.is_control() => {
                let mut bytes = [0; 4];
                for byte in control.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(escaped, "\\x{byte:02x}");
                }
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// A write of a line would not block.
fn writable(file: &File) -> bool {
    let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match nix::poll::poll(&mut polled, PollTimeout::ZERO) {
        Ok(_) => polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLOUT)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{escape, head};

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("a\tb\x1b[1m\r\\ é"), "a\tb\\x1b[1m\\x0d\\\\ é");
    }

    #[test]
    fn the_head_looks_like_httpds() {
        let head = head(3, 123);
        assert!(head.ends_with("] [wsgi:error] [pid 123:tid 123] "), "{head}");
        assert_eq!(
            head.len(),
            "[Sun Nov 22 11:00:00.123456 2026] [wsgi:error] [pid 123:tid 123] ".len()
        );
    }
}
