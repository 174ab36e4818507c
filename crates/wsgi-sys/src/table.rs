//! The slot table: shared memory that httpd's parent, its children and the supervisor map, and no daemon.
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// Leases: 1..MAX_LEASES. 0 is nobody.
pub const MAX_LEASES: u32 = 32_768;
/// The supervisor's own lease, used while it hands slots to waiters.
pub const SUPERVISOR_LEASE: u32 = MAX_LEASES;
/// Pools.
pub const MAX_POOLS: u32 = 4_096;
/// Process entries of all pools together.
pub const MAX_PROCESSES: u32 = 16_384;
/// Slots of all pools together.
pub const MAX_SLOTS: u32 = 131_072;
/// Requests that may wait for one pool.
pub const MAX_TICKETS: u32 = 8_192;

/// Mapping of the table. Shared by all threads of a process.
#[derive(Debug)]
pub struct Table {}

/// A pool as a child knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRef { /// index
    pub index: u32, /// serial
    pub serial: u32 }

/// A slot that the caller's lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation { /// slot index
    pub slot: u32, /// epoch of the slot's channel
    pub epoch: u32 }

/// A place in a pool's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket { /// pool
    pub pool: PoolRef, /// number
    pub number: u64 }

/// What became of an attempt to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt { /// here it is
    Reserved(Reservation), /// all busy, or others wait already: take a ticket
    Full, /// the pool is not what it was: ask the supervisor again
    Stale, /// the pool's processes can't start: answer 503 now
    Failed }

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited { /// a slot was handed over
    Granted(Reservation), /// nothing yet
    TimedOut, /// the pool is gone, or what was granted vanished: begin anew (the ticket is used up)
    Stale, /// the pool failed to start: answer 503 (the ticket is used up)
    Failed }

/// State of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PoolState { /// unused record
    Absent = 0, /// its first process is starting (children wait without counting it as queueing)
    Starting = 1, /// at least one process is ready
    Ready = 2, /// the last start failed, the next one is backing off
    Failed = 3 }

/// State of a process entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ProcessState { /// unused entry
    Absent = 0, /// interpreter and script are loading
    Starting = 1, /// takes requests
    Ready = 2, /// takes no new requests
    Draining = 3, /// told to stop
    Stopping = 4 }

/// State of a slot's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SlotState { /// no worker thread behind it
    Absent = 0, /// reservable
    Free = 1, /// reserved by `lease`
    Busy = 2, /// its channel is being replaced
    Broken = 3, /// of a draining process; never reserved again in this epoch
    Retired = 4 }

/// A slot's word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotView { /// state
    pub state: SlotState, /// holder, 0 unless busy
    pub lease: u32, /// epoch
    pub epoch: u32 }

/// A pool's shape, written by the supervisor before the pool gets its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolShape { /// truncated to 255 bytes
    pub process_group: String, /// truncated to 255 bytes
    pub application_group: String, /// first process entry
    pub first_process: u32, /// process entries
    pub processes: u32, /// first slot; process entry i has slots first_slot + i*threads ..
    pub first_slot: u32, /// slots of each process
    pub threads: u32 }

/// What a child writes about the request in a slot; strings are cut to fit.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> { /// method
    pub method: &'a [u8], /// host
    pub host: &'a [u8], /// uri
    pub uri: &'a [u8], /// client address
    pub client: &'a [u8], /// microseconds since the epoch
    pub since: u64 }

impl Table {
    /// A new table in a memfd (close-on-exec, sparse, sealed against resizing).
    pub fn create() -> io::Result<(OwnedFd, Self)> { todo!() }
    /// Maps a table; refuses another layout version.
    pub fn map(_fd: BorrowedFd<'_>) -> io::Result<Self> { todo!() }

    // ---- httpd child ----
    /// Lowest free slot of the least busy ready process, unless tickets wait.
    pub fn reserve(&self, _pool: PoolRef, _lease: u32) -> Attempt { todo!() }
    /// Joins the pool's queue; None if it is full. Re-checks for a free slot after joining and then serves the oldest ticket with it.
    pub fn enqueue(&self, _pool: PoolRef, _lease: u32) -> Option<Ticket> { todo!() }
    /// Futex wait on the ticket.
    pub fn wait(&self, _ticket: Ticket, _lease: u32, _timeout: Duration) -> Waited { todo!() }
    /// Leaves the queue; Some if a slot had been granted already (the caller uses or releases it).
    pub fn cancel(&self, _ticket: Ticket, _lease: u32) -> Option<Reservation> { todo!() }
    /// Gives a slot back: to the oldest ticket, else free. No-op if the lease does not hold it any more.
    pub fn release(&self, _pool: PoolRef, _reservation: Reservation, _lease: u32) { todo!() }
    /// Writes what the slot runs.
    pub fn describe(&self, _reservation: Reservation, _note: &Note<'_>) { todo!() }
    /// Pool's state, or None if the serial differs.
    pub fn pool_state(&self, _pool: PoolRef) -> Option<PoolState> { todo!() }
    /// Requests waiting for the pool.
    pub fn waiting(&self, _pool: u32) -> u32 { todo!() }

    // ---- supervisor ----
    /// A new lease, for a child that has registered.
    pub fn open_lease(&self) -> Option<u32> { todo!() }
    /// The child is gone: its tickets are cancelled; slots that it held become Broken and are returned with their epochs.
    pub fn void_lease(&self, _lease: u32) -> Vec<Reservation> { todo!() }
    /// The child reports that it left a channel in doubt: Busy by this lease in this epoch → Broken. False if it did not hold it.
    pub fn break_slot(&self, _slot: u32, _epoch: u32, _lease: u32) -> bool { todo!() }
    /// Creates or replaces the pool at `index` in state Starting and returns its serial.
    pub fn open_pool(&self, _index: u32, _shape: &PoolShape) -> PoolRef { todo!() }
    /// Absent, with a new serial; wakes all waiters (they see Stale).
    pub fn close_pool(&self, _index: u32) { todo!() }
    /// The pool at an index, with its shape, if not absent (a successor reads these).
    pub fn pool(&self, _index: u32) -> Option<(PoolRef, PoolState, PoolShape)> { todo!() }
    /// Sets the state; Failed wakes all waiters (they see Failed).
    pub fn set_pool_state(&self, _index: u32, _state: PoolState) { todo!() }
    /// Sets state, pid and start time (ticks) of a process entry.
    pub fn set_process(&self, _process: u32, _state: ProcessState, _pid: i32, _start_time: u64) { todo!() }
    /// Reads them.
    pub fn process(&self, _process: u32) -> (ProcessState, i32, u64) { todo!() }
    /// Absent, Broken or Retired → Free in this epoch, then handed to the oldest ticket if any.
    pub fn free_slot(&self, _pool: PoolRef, _slot: u32, _epoch: u32) { todo!() }
    /// Free → Retired. False while it is Busy or Broken.
    pub fn retire_slot(&self, _slot: u32) -> bool { todo!() }
    /// Any state → Absent (the process is gone). Whoever held it finds that out by its channel's end.
    pub fn clear_slot(&self, _slot: u32) { todo!() }
    /// The slot's word.
    pub fn slot(&self, _slot: u32) -> SlotView { todo!() }
    /// Hands free slots of ready processes to waiting tickets (after a change of state).
    pub fn dispatch(&self, _pool: PoolRef) { todo!() }
    /// Requests served by a slot since the process entry was last set Starting.
    pub fn served(&self, _slot: u32) -> u64 { todo!() }
}
