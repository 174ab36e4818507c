//! Processes as /proc shows them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// One process, told from a later one with the same number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    started: u64,
}

impl Process {
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command, in parentheses, may contain anything; the fields start behind it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Every process that /proc shows.
    pub(crate) fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(Self::find)
            .collect()
    }

    /// The children of `pid`, their children and so on.
    pub(crate) fn descendants(pid: u32) -> Vec<Self> {
        let all = Self::all();
        let mut found: Vec<Self> = all.iter().filter(|p| p.parent == pid).copied().collect();
        let mut next = 0;
        while next < found.len() {
            let parent = found[next].pid;
            found.extend(all.iter().filter(|p| p.parent == parent));
            next += 1;
        }
        found
    }

    /// Every process whose environment contains `text` (its starting environment, that is).
    pub(crate) fn with_environment(text: &str) -> Vec<Self> {
        let needle = text.as_bytes();
        Self::all()
            .into_iter()
            .filter(|process| {
                fs::read(format!("/proc/{}/environ", process.pid))
                    .is_ok_and(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
            })
            .collect()
    }

    pub(crate) fn is_alive(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Whether all of its threads wait for something.
    pub(crate) fn is_at_rest(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('S'))
        })
    }

    pub(crate) fn is_child_of(&self, pid: u32) -> bool {
        self.parent == pid
    }

    /// The executable that it runs.
    pub(crate) fn executable(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// The kernel's short name of it.
    pub(crate) fn name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// A line of /proc/PID/status without its label, fields separated by one blank.
    pub(crate) fn status(&self, label: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What its descriptors point at.
    pub(crate) fn descriptors(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    }

    /// Its memory map, as text.
    pub(crate) fn maps(&self) -> String {
        fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default()
    }

    /// Sends a signal, such as "KILL".
    pub(crate) fn signal(&self, signal: &str) {
        // A process that is gone already is what the sender of a signal may find.
        let _ = Command::new("kill").arg(format!("-{signal}")).arg(self.pid.to_string()).output();
    }
}
