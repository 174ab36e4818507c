//! A pool: the processes that serve one application group of one process group.

use std::path::PathBuf;
use std::rc::Rc;

use wsgi_proto::control::Group;
use wsgi_sys::table::{PoolShape, PoolState};

use super::event::Millis;

/// Longest pause between two attempts to start a process.
const MAX_PAUSE: Millis = 30_000;

/// Longest pause if the processes that are there go on serving.
const MAX_PARKED: Millis = 600_000;
/// Starts in a row that may end by a signal before this counts as their own failure.
const MOST_STRUCK: u32 = 3;
/// Process entries for processes that were replaced and have not finished yet.
const LINGERING: u32 = 6;
/// Scripts that successors load because requests asked for them.
const MAX_FURTHER: usize = 64;

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) group: String,
    pub(crate) application: String,
    /// Settings of its group; none for an adopted pool before a configuration.
    pub(crate) settings: Option<Rc<Group>>,
    /// It is the first of its group and gets `processes` processes at once.
    pub(crate) first: bool,
    /// It started with httpd and has at least one process.
    pub(crate) kept: bool,
    /// Processes that it shall have.
    pub(crate) target: u32,
    /// The script that was asked for when it was opened.
    pub(crate) script: Option<PathBuf>,
    /// Scripts that its processes have loaded for requests since.
    pub(crate) further: Vec<PathBuf>,
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
    /// Starts in a row that somebody's signal ended.
    pub(crate) struck: u32,
    /// No start before this moment.
    pub(crate) retry_at: Option<Millis>,
    /// When a script changed last, as far as a process has said so.
    pub(crate) changed: Option<Millis>,
    /// Milliseconds that the last start took.
    pub(crate) startup: Millis,
    /// When to look whether requests wait.
    pub(crate) probe_at: Option<Millis>,
    /// A process of the present settings and scripts has been ready.
    pub(crate) proven: bool,
    /// No process is started any more; it is removed with its last one.
    pub(crate) closing: bool,
    /// Slow requests may be reported: how many at once, as of when, and how many were not.
    pub(crate) slow: (u32, Millis, u32),
    /// The pool that takes over, as this one has the wrong shape.
    pub(crate) successor: Option<u32>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            group: String::new(),
            application: String::new(),
            settings: None,
            first: false,
            kept: false,
            target: 0,
            script: None,
            further: Vec::new(),
            first_process: 0,
            entries: 0,
            first_slot: 0,
            threads: 0,
            epochs: Vec::new(),
            state: PoolState::Starting,
            failures: 0,
            struck: 0,
            retry_at: None,
            changed: None,
            startup: 0,
            probe_at: None,
            proven: false,
            closing: false,
            slow: (super::slow::BURST, 0, 0),
            successor: None,
        }
    }
}

impl Pool {
    /// Process entries for a group: room for a successor of each process, and for some that
    /// finish long requests through several restarts.
    pub(crate) fn entries_for(group: &Group) -> u32 {
        Self::most(group).saturating_mul(2).saturating_add(LINGERING)
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
        let asked = self.script.iter().chain(&self.further);
        for script in configured.map(|entry| &entry.script).chain(asked) {
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
        self.target = match self.first || settings.threads == 0 {
            true => settings.processes.clamp(1, most),
            // None if it sleeps.
            false => self.target.min(most),
        };
        self.settings = Some(settings);
        self.failures = 0;
        self.retry_at = None;
        self.proven = false;
    }

    /// A start was ended by somebody's signal, which says nothing about the next one, unless it
    /// comes again and again: whether the next one may follow at once.
    pub(crate) fn struck(&mut self) -> bool {
        self.struck += 1;
        self.struck <= MOST_STRUCK
    }

    /// A start failed: the next one waits, twice as long each time.
    pub(crate) fn failed(&mut self, now: Millis) -> Millis {
        let pause = 1_000_u64.checked_shl(self.failures).unwrap_or(MAX_PAUSE).min(MAX_PAUSE);
        self.failures = (self.failures + 1).min(16);
        self.proven = false;
        self.retry_at = Some(now + pause);
        pause
    }

    /// The same while the processes that are there go on serving: there is time.
    pub(crate) fn park(&mut self, now: Millis, until_changed: bool) -> Millis {
        let doubled = 1_000_u64.checked_shl(self.failures).unwrap_or(MAX_PARKED);
        let pause = if until_changed { MAX_PARKED } else { doubled.min(MAX_PARKED) };
        self.failed(now);
        self.retry_at = Some(now + pause);
        pause
    }

    /// Processes that stay however idle they are.
    pub(crate) fn floor(&self) -> u32 {
        let processes = self.settings.as_ref().map_or(1, |group| group.processes);
        match (self.first || self.threads == 0, self.kept) {
            (true, _) => processes.max(1),
            (false, true) => 1,
            (false, false) => 0,
        }
    }

    /// Notes a script that successors have to load before they are ready.
    pub(crate) fn load_also(&mut self, script: PathBuf) {
        if self.further.len() < MAX_FURTHER && !self.scripts().contains(&script) {
            self.further.push(script);
        }
    }

    /// It can have one more process than now.
    pub(crate) fn can_grow(&self) -> bool {
        self.settings.as_ref().is_some_and(|group| self.target < Self::most(group))
    }
}
