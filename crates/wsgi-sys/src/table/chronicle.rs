//! What has happened lately, and who looks after it all: read when somebody asks what is wrong.
//!
//! *Runs in:* supervisor (writes), httpd child (reads).

use std::sync::atomic::{
    AtomicI32, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};

use super::Table;
use super::layout::Bytes;

/// Incidents that are kept.
pub const MAX_INCIDENTS: u32 = 64;

/// What kind of thing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    /// A process has ended as it was asked to.
    Stopped = 1,
    /// A process was killed, as it exceeded a limit.
    Killed = 2,
    /// A process has ended that nobody had asked to.
    Died = 3,
    /// A process could not be started, or not load its scripts.
    Failed = 4,
    /// A script has changed.
    Reloaded = 5,
    /// A configuration was taken.
    Configured = 6,
}

/// Something that has happened; strings are cut to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Microseconds since 1970.
    pub at: u64,
    /// What it was.
    pub kind: IncidentKind,
    /// The process, 0 for none.
    pub pid: i32,
    /// Process group.
    pub process_group: String,
    /// Application group.
    pub application_group: String,
    /// Why, for people.
    pub text: String,
}

/// The supervisor and what it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Office {
    /// Its pid.
    pub pid: i32,
    /// Microseconds since 1970 when it began.
    pub since: u64,
    /// Supervisors so far, this one included.
    pub supervisors: u32,
    /// Generation of the configuration.
    pub generation: u32,
    /// Microseconds since 1970 when it took this configuration.
    pub configured: u64,
    /// Configurations so far.
    pub configurations: u32,
}

/// The chronicle in the shared memory: a ring.
#[repr(C, align(64))]
pub(super) struct Chronicle {
    pid: AtomicI32,
    supervisors: AtomicU32,
    since: AtomicU64,
    configured: AtomicU64,
    generation: AtomicU32,
    configurations: AtomicU32,
    /// Incidents so far.
    told: AtomicU64,
    incidents: [IncidentRecord; MAX_INCIDENTS as usize],
}

/// An incident. The sequence is odd during a write.
#[repr(C, align(64))]
struct IncidentRecord {
    sequence: AtomicU64,
    at: AtomicU64,
    kind: AtomicU32,
    pid: AtomicI32,
    process_group: Bytes<8>,
    application_group: Bytes<8>,
    text: Bytes<48>,
}

impl Table {
    /// A supervisor takes its office.
    pub fn take_office(&self, pid: i32, now: u64) {
        let chronicle = &self.shared().chronicle;
        chronicle.pid.store(pid, Relaxed);
        chronicle.since.store(now, Relaxed);
        chronicle.supervisors.fetch_add(1, Relaxed);
    }

    /// A configuration is run from now on.
    pub fn set_configuration(&self, generation: u32, now: u64) {
        let chronicle = &self.shared().chronicle;
        chronicle.generation.store(generation, Relaxed);
        chronicle.configured.store(now, Relaxed);
        chronicle.configurations.fetch_add(1, Relaxed);
    }

    /// Who looks after it all.
    pub fn office(&self) -> Office {
        let chronicle = &self.shared().chronicle;
        Office {
            pid: chronicle.pid.load(Relaxed),
            since: chronicle.since.load(Relaxed),
            supervisors: chronicle.supervisors.load(Relaxed),
            generation: chronicle.generation.load(Relaxed),
            configured: chronicle.configured.load(Relaxed),
            configurations: chronicle.configurations.load(Relaxed),
        }
    }

    /// Writes down what has happened, in the place of what is oldest.
    pub fn tell(&self, incident: &Incident) {
        let chronicle = &self.shared().chronicle;
        let number = chronicle.told.load(Relaxed);
        let Some(record) = chronicle.record(number) else { return };
        let writing = record.sequence.load(Relaxed) | 1;
        record.sequence.store(writing, Relaxed);
        fence(Release);
        record.at.store(incident.at, Relaxed);
        record.kind.store(incident.kind as u32, Relaxed);
        record.pid.store(incident.pid, Relaxed);
        record.process_group.write(incident.process_group.as_bytes());
        record.application_group.write(incident.application_group.as_bytes());
        record.text.write(incident.text.as_bytes());
        record.sequence.store(writing.wrapping_add(1), Release);
        chronicle.told.store(number.wrapping_add(1), Release);
    }

    /// What has happened lately, the latest first.
    pub fn incidents(&self) -> Vec<Incident> {
        let chronicle = &self.shared().chronicle;
        let told = chronicle.told.load(Acquire);
        let numbers = told.saturating_sub(MAX_INCIDENTS.into())..told;
        numbers.rev().filter_map(|number| chronicle.record(number)?.read()).collect()
    }
}

impl Chronicle {
    fn record(&self, number: u64) -> Option<&IncidentRecord> {
        self.incidents.get(usize::try_from(number % u64::from(MAX_INCIDENTS)).ok()?)
    }
}

impl IncidentRecord {
    /// None while it is being written.
    fn read(&self) -> Option<Incident> {
        let before = self.sequence.load(Acquire);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let incident = Incident {
            at: self.at.load(Relaxed),
            kind: IncidentKind::from_number(self.kind.load(Relaxed))?,
            pid: self.pid.load(Relaxed),
            process_group: text(self.process_group.read()),
            application_group: text(self.application_group.read()),
            text: text(self.text.read()),
        };
        fence(Acquire);
        (before.is_multiple_of(2) && self.sequence.load(Relaxed) == before).then_some(incident)
    }
}

impl IncidentKind {
    fn from_number(number: u32) -> Option<Self> {
        [Self::Stopped, Self::Killed, Self::Died, Self::Failed, Self::Reloaded, Self::Configured]
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}
