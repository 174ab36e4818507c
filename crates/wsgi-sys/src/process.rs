//! Starting, watching and ending processes.
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Whom a process shall run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop { /// uid, never 0
    pub uid: u32, /// gid, never 0
    pub gid: u32, /// supplementary groups
    pub groups: Vec<u32> }

/// Everything about a process to be started; prepared before fork.
#[derive(Clone, Debug, Default)]
pub struct Launch { /// program; also argv[0]
    pub program: PathBuf, /// further arguments
    pub arguments: Vec<OsString>, /// the whole environment
    pub environment: Vec<(OsString, OsString)>, /// setsid in the child
    pub new_session: bool, /// chroot
    pub chroot: Option<PathBuf>, /// who to become; None to stay
    pub identity: Option<Drop>, /// working directory, entered after the privileges were dropped
    pub directory: Option<PathBuf>, /// umask
    pub umask: Option<u32>, /// nice value, absolute (setpriority)
    pub priority: Option<i32>, /// RLIMIT_DATA
    pub memory_limit: Option<u64>, /// RLIMIT_AS
    pub virtual_memory_limit: Option<u64>, /// RLIMIT_CPU soft, hard (seconds)
    pub cpu_time_limit: Option<(u64, u64)>, /// PR_SET_PDEATHSIG, set after the privileges were dropped
    pub parent_death_signal: Option<i32> }

/// A step between fork and exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step { /// fork
    Fork, /// setsid
    Session, /// chroot
    Chroot, /// setgroups
    Groups, /// setresgid
    Gid, /// setresuid
    Uid, /// re-reading uid, gid and groups, trying to regain root
    Verify, /// chdir
    Directory, /// setrlimit
    Limit, /// setpriority
    Priority, /// dup2, close_range
    Descriptors, /// execve
    Exec }

/// Which step failed and why. Display: "execve: Permission denied (os error 13)" preceded by a plain-English object.
#[derive(Debug)]
pub struct LaunchError { /// step
    pub step: Step, /// cause
    pub error: io::Error }
impl fmt::Display for LaunchError { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() } }
impl std::error::Error for LaunchError {}

/// A started process.
#[derive(Debug)]
pub struct Process { /// pid
    pub pid: i32, /// pidfd, readable once it has ended
    pub pidfd: OwnedFd }

/// fork and exec. `descriptors[i]` becomes descriptor i in the process (None: /dev/null for 0..=2); all others are closed.
/// Signal dispositions and mask are reset. Waits for exec to succeed or for the step that failed.
pub fn launch(_launch: &Launch, _descriptors: &[BorrowedFd<'_>]) -> Result<Process, LaunchError> { todo!() }

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit { /// exit status
    Status(i32), /// signal, core dumped
    Signal(i32, bool) }
impl fmt::Display for Exit { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() } }

/// pidfd_open
pub fn open_pidfd(_pid: i32) -> io::Result<OwnedFd> { todo!() }
/// Signals the very process behind the pidfd (pidfd_send_signal).
pub fn signal(_pidfd: BorrowedFd<'_>, _signal: i32) -> io::Result<()> { todo!() }
/// Reaps a child that has ended; None if it still runs.
pub fn reap(_pid: i32) -> io::Result<Option<Exit>> { todo!() }
/// Reaps any other ended child (for a subreaper's adopted ones), but those in `known`. Bounded.
pub fn reap_strays(_known: &[i32]) { todo!() }
/// PR_SET_CHILD_SUBREAPER
pub fn become_subreaper() -> io::Result<()> { todo!() }
/// PR_SET_PDEATHSIG for the calling process
pub fn set_parent_death_signal(_signal: i32) -> io::Result<()> { todo!() }
/// Start time of a process in clock ticks since boot (/proc/PID/stat field 22): tells a pid from its reuse.
pub fn start_time(_pid: i32) -> io::Result<u64> { todo!() }
