//! The snapshot: plain values, times in microseconds since 1970.

use wsgi_sys::table::{Incident, PoolState, ProcessState, Tally};

/// Everything at one moment, but that nothing stands still while it is read.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub taken: u64,
    /// Version of this software.
    pub version: &'static str,
    /// Who looks after it all.
    pub supervisor: Supervisor,
    /// Pools by process group, then application group.
    pub pools: Vec<Pool>,
    /// What has happened lately, the latest first.
    pub incidents: Vec<Incident>,
}

/// The supervisor and its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supervisor {
    /// Its pid.
    pub pid: i32,
    /// When it began.
    pub since: u64,
    /// Whether it lives.
    pub alive: bool,
    /// Times that it was replaced.
    pub replaced: u32,
    /// Generation of httpd's configuration, and when it was taken.
    pub generation: u32,
    /// When this configuration was taken.
    pub configured: u64,
    /// Configurations so far.
    pub configurations: u32,
}

/// The processes of one application group of one process group.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Process group; empty for the implicit one.
    pub process_group: String,
    /// Application group; empty for `%{GLOBAL}`.
    pub application_group: String,
    /// Whether it can serve.
    pub state: PoolState,
    /// Worker threads of a process.
    pub threads: u32,
    /// Requests that wait.
    pub queue: Queue,
    /// Requests that were served, by all its processes ever.
    pub served: u64,
    /// Microseconds that they took in the application.
    pub spent: u64,
    /// Microseconds of CPU time, of all its processes ever.
    pub cpu: u64,
    /// What has become of its processes so far.
    pub tallies: [(Tally, u64); 7],
    /// Those that it has.
    pub processes: Vec<Process>,
}

/// A pool's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Requests that wait now.
    pub depth: u32,
    /// Waits that are over, ever.
    pub waited: u64,
    /// Of these, waits that no thread ended in time.
    pub expired: u64,
    /// Requests that were sent away, as the queue was full.
    pub refused: u64,
    /// All waits that are over together, in microseconds.
    pub total: u64,
    /// The longest of them since the pool has its present shape, in microseconds.
    pub longest: u64,
}

/// A daemon process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its pid; 0 if it has just ended.
    pub pid: i32,
    /// How far it has come.
    pub state: ProcessState,
    /// Why it is to be replaced; empty if it is not.
    pub leaving: String,
    /// When it was started.
    pub started: u64,
    /// Generation of the configuration that it was started under.
    pub generation: u32,
    /// Its interpreter; empty fields until it has introduced itself.
    pub python: Python,
    /// Requests that it has served.
    pub served: u64,
    /// Microseconds that they took in the application.
    pub spent: u64,
    /// Microseconds of CPU time; none if the kernel does not say.
    pub cpu: Option<u64>,
    /// Of these, microseconds in user space.
    pub user: Option<u64>,
    /// Resident memory in bytes; none if the kernel does not say.
    pub resident: Option<u64>,
    /// Its worker threads.
    pub slots: Vec<Thread>,
}

/// An interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Python {
    /// E.g. `3.13.1`.
    pub version: String,
    /// Path.
    pub executable: String,
    /// `native` or `pure`: which worker runs on it.
    pub worker: String,
}

/// A worker thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// From 1.
    pub number: u32,
    /// What it does.
    pub work: Work,
    /// Requests that it has served.
    pub served: u64,
    /// Microseconds that they took in the application.
    pub spent: u64,
    /// What it runs, if it does and has said so.
    pub request: Option<Current>,
}

/// What a worker thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It waits for a request.
    Idle,
    /// It runs one.
    Busy,
    /// Its channel is being replaced.
    Replacing,
    /// It takes no more requests.
    Leaving,
    /// It is not there yet.
    Starting,
}

/// A request that runs. Its words are the client's: anything may stand in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Method.
    pub method: String,
    /// Host header.
    pub host: String,
    /// Path of the URL, decoded, without the query string.
    pub uri: String,
    /// The client's address.
    pub client: String,
    /// When httpd read the request.
    pub since: u64,
}

/// Words for states.
pub trait State {
    /// The word.
    fn word(&self) -> &'static str;
}

impl State for Work {
    fn word(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Replacing => "replacing",
            Self::Leaving => "leaving",
            Self::Starting => "starting",
        }
    }
}

impl State for PoolState {
    fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Drained => "drained",
        }
    }
}

impl State for ProcessState {
    fn word(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

impl State for wsgi_sys::table::IncidentKind {
    fn word(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Died => "died",
            Self::Failed => "failed",
            Self::Reloaded => "reloaded",
            Self::Configured => "configured",
        }
    }
}

impl Pool {
    /// How often it has happened.
    pub fn tally(&self, tally: Tally) -> u64 {
        self.tallies.iter().find(|(kind, _)| *kind == tally).map_or(0, |(_, count)| *count)
    }

    /// Its worker threads that do this.
    pub fn count(&self, work: Work) -> usize {
        self.slots().filter(|thread| thread.work == work).count()
    }

    /// Requests that run.
    pub fn requests(&self) -> impl Iterator<Item = &Current> {
        self.slots().filter_map(|thread| thread.request.as_ref())
    }

    fn slots(&self) -> impl Iterator<Item = &Thread> {
        self.processes.iter().flat_map(|process| &process.slots)
    }

    /// Resident memory of its processes in bytes.
    pub fn resident(&self) -> u64 {
        self.processes.iter().filter_map(|process| process.resident).sum()
    }

    /// The application group as administrators write it.
    pub fn application(&self) -> &str {
        if self.application_group.is_empty() { "%{GLOBAL}" } else { &self.application_group }
    }
}
