//! Processes that run: signals, their end, and what the kernel knows of them.

use std::fmt;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal; whether it left a core file.
    Signal(i32, bool),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(number, core) => {
                write!(f, "killed by signal {number}")?;
                if let Ok(signal) = Signal::try_from(number) {
                    write!(f, " ({})", signal.as_str())?;
                }
                if core { f.write_str(", core dumped") } else { Ok(()) }
            }
        }
    }
}

/// A descriptor for a process, close-on-exec, readable once it has ended.
///
/// The caller must know that the pid has not been reused: its own child that it
/// has not reaped, or [`start_time`] is still the same afterwards.
///
/// # Errors
/// `NotFound`-like (ESRCH) if there is no such process.
pub fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let descriptor = i32::try_from(Errno::result(opened)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Signals the very process behind the pidfd, whatever became of its pid.
/// Signal 0 only asks whether it is there.
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let information = ptr::null::<libc::siginfo_t>();
    // SAFETY: without information the kernel fills its own in.
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, information, 0)
    };
    Errno::result(sent)?;
    Ok(())
}

/// Reaps a child that has ended; None if it still runs.
pub fn reap(pid: i32) -> io::Result<Option<Exit>> {
    wait_for(pid, libc::WNOHANG)
}

/// Kills and reaps a child that is of no use.
pub(super) fn reap_killed(pid: i32) {
    // SAFETY: no memory is involved; the pid is a child's that nobody reaped.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let _ = wait_for(pid, 0);
}

/// Not nix's waitpid, which fails on signals that it has no name for: the
/// child would be reaped and its end unknown.
fn wait_for(pid: i32, options: i32) -> io::Result<Option<Exit>> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes the status there.
        match Errno::result(unsafe { libc::waitpid(pid, &raw mut status, options) }) {
            Ok(0) => return Ok(None),
            Ok(_) if libc::WIFSIGNALED(status) => {
                let signal = libc::WTERMSIG(status);
                return Ok(Some(Exit::Signal(signal, libc::WCOREDUMP(status))));
            }
            Ok(_) => return Ok(Some(Exit::Status(libc::WEXITSTATUS(status)))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reaps ended children that nobody started here (those that a subreaper was
/// given), at most 64 and none of `known`. Stops at the first one of `known`,
/// which hides those behind it: call it again once that one is reaped.
pub fn reap_strays(known: &[i32]) {
    for _ in 0..64 {
        // SAFETY: siginfo_t is plain data, for which zeros are valid.
        let mut ended: libc::siginfo_t = unsafe { mem::zeroed() };
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: the kernel writes to the structure.
        let found = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut ended, options) };
        // SAFETY: waitid has filled in a child's end, or left zeros.
        let pid = unsafe { ended.si_pid() };
        if found != 0 || pid == 0 || known.contains(&pid) {
            return;
        }
        let _ = reap(pid);
    }
}

/// Makes the calling process the parent of its descendants' orphans.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// The calling process gets the signal when the thread that started it ends.
/// Not sent for a parent that ended before: compare `getppid` afterwards.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(Signal::try_from(signal)?)?)
}

/// Names the calling thread for `top`, `ps` and `/proc`: at most 15 bytes of it.
pub fn name_thread(name: &std::ffi::CStr) -> io::Result<()> {
    Ok(nix::sys::prctl::set_name(name)?)
}

/// Sets the nice value of a process, absolute. Only root may lower one.
#[allow(clippy::cast_sign_loss)]
pub fn set_priority(pid: i32, priority: i32) -> io::Result<()> {
    let process = pid.cast_unsigned() as libc::id_t;
    // SAFETY: no memory is involved. The type of the first argument differs
    // between C libraries.
    Errno::result(unsafe { libc::setpriority(libc::PRIO_PROCESS as _, process, priority) })?;
    Ok(())
}

/// Whether the calling thread waits, when it wakes, until a running one has had its turn
/// (`SCHED_BATCH`), instead of interrupting it. What it starts meanwhile inherits that.
///
/// # Errors
/// `PermissionDenied` if the system's policy does not allow it.
pub fn set_batch(batch: bool) -> io::Result<()> {
    let policy = if batch { libc::SCHED_BATCH } else { libc::SCHED_OTHER };
    // SAFETY: plain data, for which zeros are valid (also its padding fields on musl);
    // 0 is the priority of both policies.
    let parameters: libc::sched_param = unsafe { mem::zeroed() };
    // SAFETY: the structure lives during the call; 0 is the calling thread.
    Errno::result(unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) })?;
    Ok(())
}

/// When a process started, in clock ticks since boot: tells a pid from its
/// reuse.
pub fn start_time(pid: i32) -> io::Result<u64> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    // The second field is the name in parentheses, which may hold anything.
    // The start is the 22nd, thus the 20th behind the name.
    text.rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(19)?.parse().ok())
        .ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "no start time in /proc/PID/stat")
        })
}
