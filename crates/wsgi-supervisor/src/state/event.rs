//! What happens to the supervisor.

use std::path::PathBuf;

use wsgi_proto::admin::ToSupervisor;
use wsgi_proto::control::{Begin, Commit, Group};
use wsgi_sys::process::Exit;
use wsgi_sys::table::{Activity, PoolShape};

/// Milliseconds of a monotonic clock; only differences mean something.
pub(crate) type Millis = u64;

/// A daemon process, by a number that is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DaemonId(pub(crate) u64);

/// A registered httpd child, by a number that is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChildId(pub(crate) u64);

/// A connection of wsgictl's, by a number that is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VisitorId(pub(crate) u64);

/// A pool that an earlier supervisor left in the slot table.
#[derive(Clone, Debug)]
pub(crate) struct OldPool {
    /// Index of the pool.
    pub(crate) index: u32,
    /// What its record says.
    pub(crate) shape: PoolShape,
    /// Its process entries that still have a living process.
    pub(crate) processes: Vec<OldProcess>,
    /// Last epoch of each of its slots.
    pub(crate) epochs: Vec<u32>,
}

/// A daemon that an earlier supervisor started and that still lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldProcess {
    /// Its number from now on.
    pub(crate) daemon: DaemonId,
    /// Its entry, counted from the pool's first.
    pub(crate) entry: u32,
    /// Its pid, for messages.
    pub(crate) pid: i32,
    /// It takes requests.
    pub(crate) ready: bool,
}

/// What a daemon does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// Of each slot: requests served, and whether it is reserved.
    pub(crate) slots: Vec<(u64, bool)>,
    /// What counts of it for how long it has been idle.
    pub(crate) counted: Activity,
    /// Resident memory in bytes; 0 if not asked for.
    pub(crate) resident: u64,
}

/// A request that is slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowRequest {
    /// The worker thread, from 0.
    pub(crate) thread: u32,
    /// Which of the thread's requests it is.
    pub(crate) number: (u32, u64),
    /// Milliseconds since httpd has read it.
    pub(crate) age: Millis,
    /// Milliseconds since it became slow.
    pub(crate) over: Millis,
    /// Method, host and path, and whose it is.
    pub(crate) line: String,
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    /// Unknown if it was another supervisor's child.
    pub(crate) exit: Option<Exit>,
    /// Requests that it has served.
    pub(crate) served: u64,
    /// Requests that it was serving.
    pub(crate) busy: u32,
    /// The kernel has killed something meanwhile because memory ran out.
    pub(crate) out_of_memory: bool,
}

/// What happened, as far as it matters for decisions.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // made and consumed one at a time
pub(crate) enum Event {
    /// A configuration begins.
    Begin(Begin),
    /// A group of it.
    Group(Group),
    /// It is complete.
    Commit(Commit),
    /// The last child of this generation has ended.
    GenerationEnded(u32),
    /// httpd stops, or is gone.
    Stop,
    /// httpd goes on without this supervisor.
    Left,
    /// An earlier supervisor's pool was found.
    Adopted(OldPool),
    /// A child asks for a pool.
    OpenPool { child: ChildId, sequence: u32, group: String, application: String, script: PathBuf },
    /// A child is gone.
    ChildGone(ChildId),
    /// A request waits for the pool.
    Waiting { pool: u32 },
    /// Answers [`Probe`](super::Action::Probe): so many requests wait.
    Pressure { pool: u32, waiting: u32 },
    /// The slot's channel is in doubt and its word says so.
    SlotBroken { slot: u32, epoch: u32 },
    /// Answers [`RetireSlot`](super::Action::RetireSlot): nobody can reserve it now.
    SlotRetired { slot: u32 },
    /// The daemon's program runs.
    Launched { daemon: DaemonId, pid: i32 },
    /// It could not be started; why, and what to do.
    LaunchFailed { daemon: DaemonId, why: String },
    /// The worker introduced itself.
    Hello { daemon: DaemonId, version: u32 },
    /// The worker can take requests.
    Ready { daemon: DaemonId, loaded: bool },
    /// A worker thread took its new channel.
    ChannelReady { daemon: DaemonId, thread: u32, epoch: u32 },
    /// A worker thread lost its channel.
    ChannelLost { daemon: DaemonId, thread: u32, epoch: u32 },
    /// The daemon wants to be replaced.
    Recycle { daemon: DaemonId, reason: String },
    /// The daemon has loaded a script for a request.
    Loaded { daemon: DaemonId, script: PathBuf },
    /// Its Python answers.
    Alive(DaemonId),
    /// Answers [`LookSlow`](super::Action::LookSlow).
    Slow { daemon: DaemonId, requests: Vec<SlowRequest> },
    /// The Python stack of a slow request; empty if it has ended.
    Traced { daemon: DaemonId, thread: u32, stack: String },
    /// Answers [`Look`](super::Action::Look).
    Seen { daemon: DaemonId, sight: Sight },
    /// The daemon closed its control socket.
    LinkEnded(DaemonId),
    /// The daemon broke the rules; how.
    Misbehaved { daemon: DaemonId, what: String },
    /// Answers [`CountServed`](super::Action::CountServed).
    Served { daemon: DaemonId, requests: u64 },
    /// The daemon ended.
    Exited { daemon: DaemonId, end: End },
    /// An administrator gives an order.
    Order { visitor: VisitorId, order: ToSupervisor },
    /// Nobody waits for its answer any more.
    VisitorGone(VisitorId),
    /// Time went by.
    Tick,
}
