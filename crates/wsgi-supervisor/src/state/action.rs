//! What the supervisor does about it.

use std::rc::Rc;

use wsgi_proto::admin::ToControl;
use wsgi_proto::control::{Committed, Group};
use wsgi_proto::daemon::ToDaemon;
use wsgi_sys::table::{IncidentKind, PoolShape, PoolState, ProcessState, Tally};

use super::event::{ChildId, DaemonId, VisitorId};

/// How grave a line in an error log is, by syslog's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Something failed.
    Error = 3,
    /// Something is wrong that did not fail anything yet.
    Warning = 4,
    /// What was asked for has happened.
    Info = 6,
}

/// What the loop carries out, in the order given.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // made and consumed one at a time
pub(crate) enum Action {
    /// Answers the parent.
    Committed(Committed),
    /// Creates a pool in the table, in state Starting.
    OpenPool { pool: u32, shape: PoolShape },
    /// Removes it; who waits asks again.
    ClosePool { pool: u32 },
    /// Sets a pool's state.
    PoolState { pool: u32, state: PoolState },
    /// Tells a child where the pool is.
    AnswerPool { child: ChildId, sequence: u32, pool: u32 },
    /// Tells a child that there is no such pool.
    Refuse { child: ChildId, sequence: u32, reason: String },
    /// Asks how many requests wait for a pool.
    Probe { pool: u32 },
    /// Starts a daemon; answered by Launched or LaunchFailed.
    /// `polite`: others serve, and it must not slow them down before it is ready.
    Launch { daemon: DaemonId, group: Rc<Group>, first_slot: u32, polite: bool },
    /// The daemon need not be polite any more.
    Hurry { daemon: DaemonId, priority: i32 },
    /// Sets the state of a process entry, with the daemon's pid.
    ProcessState { process: u32, daemon: DaemonId, state: ProcessState },
    /// Sends the daemon a record.
    Send { daemon: DaemonId, record: ToDaemon },
    /// Makes a slot's channel and sends the daemon its end.
    OpenChannel { daemon: DaemonId, slot: u32, thread: u32, epoch: u32 },
    /// Ends a slot's channel for everybody.
    ShutChannel { slot: u32 },
    /// The slot can be reserved.
    FreeSlot { pool: u32, slot: u32, epoch: u32 },
    /// Takes a free slot away; answered by SlotRetired if it was free.
    RetireSlot { slot: u32 },
    /// There is no worker thread behind the slot any more.
    ClearSlot { slot: u32 },
    /// Sets the number of requests after which a process takes no more; 0 for none.
    Limit { pool: u32, process: u32, limit: u64 },
    /// Asks what a daemon does, and if `memory` how much it has; answered by Seen.
    Look { daemon: DaemonId, memory: bool },
    /// Asks which requests of a daemon are slow; answered by Slow.
    LookSlow { daemon: DaemonId },
    /// Writes an entry about a slow request whose process does not say where it is, with what
    /// the kernel knows of its thread, and has all Python stacks written.
    LogWedged { daemon: DaemonId, group: String, text: String },
    /// Asks how many requests a process has served; answered by Served.
    CountServed { daemon: DaemonId },
    /// Sends a signal.
    Kill { daemon: DaemonId, signal: i32 },
    /// Forgets an ended daemon and closes what belongs to it.
    Forget { daemon: DaemonId },
    /// Writes to a group's error log.
    Log { group: String, level: Level, text: String },
    /// Counts something for a pool.
    Count { pool: u32, tally: Tally },
    /// Writes down for administrators that a process is to be replaced, and why.
    Leaving { process: u32, reason: String },
    /// Writes down for administrators what has happened.
    Tell { kind: IncidentKind, pid: i32, group: String, application: String, text: String },
    /// Answers an administrator.
    Reply { visitor: VisitorId, reply: ToControl },
    /// Nothing is left to do.
    Exit,
}
