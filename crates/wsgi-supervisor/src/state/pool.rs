//! A pool: the processes that serve one application group of one process group.

use std::path::PathBuf;
use std::rc::Rc;

use wsgi_proto::control::Group;
use wsgi_sys::table::{PoolShape, PoolState};

use super::event::Millis;

/// Longest pause between two attempts to start a process.
const MAX_PAUSE: Millis = 30_000;

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) group: String,
    pub(crate) application: String,
    /// Settings of its group; none for an adopted pool before a configuration.
    pub(crate) settings: Option<Rc<Group>>,
    /// It is the first of its group and gets `processes` processes at once.
    pub(crate) first: bool,
    /// Processes that it shall have.
    pub(crate) target: u32,
    /// The script that was asked for when it was opened.
    pub(crate) script: Option<PathBuf>,
    pub(crate) first_process: u32,
    /// Process entries.
    pub(crate) entries: u32,
    pub(crate) first_slot: u32,
    pub(crate) threads: u32,
    /// Last epoch of each slot.
    pub(crate) epochs: Vec<u32>,
    /// State as written to the table.
    pub(crate) state: PoolState,
    /// Starts that failed in a row.
    pub(crate) failures: u32,
    /// No start before this moment.
    pub(crate) retry_at: Option<Millis>,
    /// When to look whether requests wait.
    pub(crate) probe_at: Option<Millis>,
    /// A process of the present settings and scripts has been ready.
    pub(crate) proven: bool,
    /// No process is started any more; it is removed with its last one.
    pub(crate) closing: bool,
    /// The pool that takes over, as this one has the wrong shape.
    pub(crate) successor: Option<u32>,
}

impl Pool {
    /// Process entries for a group: room for a successor of each process.
    pub(crate) fn entries_for(group: &Group) -> u32 {
        Self::most(group).saturating_mul(2)
    }

    /// Most processes of a pool of the group, successors not counted.
    pub(crate) fn most(group: &Group) -> u32 {
        group.processes_max.max(group.processes).max(1)
    }

    /// The pool's shape fits the group's settings.
    pub(crate) fn fits(&self, group: &Group) -> bool {
        self.threads == group.threads && self.entries > Self::most(group)
    }

    /// What the table says about it.
    pub(crate) fn shape(&self) -> PoolShape {
        PoolShape {
            process_group: self.group.clone(),
            application_group: self.application.clone(),
            first_process: self.first_process,
            processes: self.entries,
            first_slot: self.first_slot,
            threads: self.threads,
        }
    }

    /// Scripts that a new process loads: the configuration's, then the one asked for.
    pub(crate) fn scripts(&self) -> Vec<PathBuf> {
        let mut scripts: Vec<PathBuf> = Vec::new();
        let configured = self.settings.iter().flat_map(|group| &group.preload);
        let configured = configured.filter(|entry| entry.application_group == self.application);
        for script in configured.map(|entry| &entry.script).chain(&self.script) {
            if !scripts.contains(script) {
                scripts.push(script.clone());
            }
        }
        scripts
    }

    /// The slot of a thread of an entry.
    pub(crate) fn slot(&self, entry: u32, thread: u32) -> u32 {
        self.first_slot + entry * self.threads + thread
    }

    /// The entry and thread of a slot, if it belongs to the pool.
    pub(crate) fn locate(&self, slot: u32) -> Option<(u32, u32)> {
        let offset = slot.checked_sub(self.first_slot)?;
        (offset < self.entries * self.threads)
            .then(|| (offset / self.threads, offset % self.threads))
    }

    /// The epoch of the next channel of a slot.
    pub(crate) fn next_epoch(&mut self, entry: u32, thread: u32) -> u32 {
        let index = usize::try_from(entry * self.threads + thread).unwrap_or(usize::MAX);
        self.epochs.get_mut(index).map_or(1, |epoch| {
            *epoch = epoch.wrapping_add(1);
            *epoch
        })
    }

    /// Takes the settings of a configuration.
    pub(crate) fn configure(&mut self, settings: Rc<Group>) {
        let most = Self::most(&settings);
        self.target = if self.first { settings.processes } else { self.target }.clamp(1, most);
        self.settings = Some(settings);
        self.failures = 0;
        self.retry_at = None;
        self.proven = false;
    }

    /// A start failed: the next one waits, twice as long each time.
    pub(crate) fn failed(&mut self, now: Millis) -> Millis {
        let pause = 1_000_u64.checked_shl(self.failures).unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
        self.failures = (self.failures + 1).min(16);
        self.proven = false;
        self.retry_at = Some(now + pause);
        pause
    }

    /// It can have one more process than now.
    pub(crate) fn can_grow(&self) -> bool {
        self.settings.as_ref().is_some_and(|group| self.target < Self::most(group))
    }
}
