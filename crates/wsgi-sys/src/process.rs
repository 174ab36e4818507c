//! Starting, watching and ending processes.
//!
//! *Runs in:* parent (starts the supervisor), supervisor (starts the daemons).
//! *Threads:* any; the supervisor has one.

mod child;
mod permission;
mod usage;
mod watch;

use std::ffi::{CString, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, SigmaskHow};

use child::Prepared;
pub use permission::may_execute;
pub use usage::{Usage, usage};
pub use watch::{
    Exit, become_subreaper, name_thread, open_pidfd, reap, reap_strays, set_batch,
    set_parent_death_signal, set_priority, signal, start_time,
};

/// Whom a process shall run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// User id; 0 is refused.
    pub uid: u32,
    /// Group id; 0 is refused.
    pub gid: u32,
    /// Supplementary groups, all of them.
    pub groups: Vec<u32>,
}

/// Everything about a process to be started.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Program, inside of `chroot`; also argv\[0\].
    pub program: PathBuf,
    /// Further arguments.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether it leads a session of its own.
    pub new_session: bool,
    /// Root directory.
    pub chroot: Option<PathBuf>,
    /// Who to become; None to stay who the caller is.
    pub identity: Option<Drop>,
    /// Working directory, entered after the privileges were dropped; None: `/`
    /// if there is a `chroot`, else the caller's.
    pub directory: Option<PathBuf>,
    /// Mode bits that new files do not get.
    pub umask: Option<u32>,
    /// Nice value, absolute.
    pub priority: Option<i32>,
    /// `RLIMIT_DATA`, bytes.
    pub memory_limit: Option<u64>,
    /// `RLIMIT_AS`, bytes.
    pub virtual_memory_limit: Option<u64>,
    /// `RLIMIT_CPU`, soft and hard, seconds.
    pub cpu_time_limit: Option<(u64, u64)>,
    /// Signal that it gets when the caller's thread ends.
    pub parent_death_signal: Option<i32>,
}

/// A step between fork and exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Preparation and fork, still in the caller.
    Fork = 1,
    /// setsid, and the tie to the parent (prctl).
    Session,
    /// chroot
    Chroot,
    /// setgroups
    Groups,
    /// setresgid
    Gid,
    /// setresuid
    Uid,
    /// Re-reading uid, gid and groups, trying to regain root.
    Verify,
    /// chdir
    Directory,
    /// setrlimit
    Limit,
    /// setpriority
    Priority,
    /// dup2, close_range
    Descriptors,
    /// execve
    Exec,
}

impl Step {
    const ALL: [Self; 12] = [
        Self::Fork,
        Self::Session,
        Self::Chroot,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::Verify,
        Self::Directory,
        Self::Limit,
        Self::Priority,
        Self::Descriptors,
        Self::Exec,
    ];

    /// What could not be done, and the call that said so.
    fn words(self) -> &'static str {
        match self {
            Self::Fork => "no process can be created: fork",
            Self::Session => "no session can be created, or the parent is gone: setsid, prctl",
            Self::Chroot => "the root directory can't be changed: chroot",
            Self::Groups => "the supplementary groups can't be set: setgroups",
            Self::Gid => "the group can't be set: setresgid",
            Self::Uid => "the user can't be set: setresuid",
            Self::Verify => "the privileges were not given up for certain: getresuid, setuid",
            Self::Directory => "the working directory can't be entered: chdir",
            Self::Limit => "a resource limit can't be set: setrlimit",
            Self::Priority => "the priority can't be set: setpriority",
            Self::Descriptors => "the descriptors can't be arranged: dup2, close_range",
            Self::Exec => "the program can't be executed: execve",
        }
    }
}

/// Which step failed and why.
#[derive(Debug)]
pub struct LaunchError {
    /// Where it failed.
    pub step: Step,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.words(), self.error)
    }
}

impl std::error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A started process.
#[derive(Debug)]
pub struct Process {
    /// Its number, until it is reaped.
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
}

/// How long [`launch`] waits for the program to run: a working directory on a
/// dead file server must not stop the caller for good.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts a program: fork and exec.
///
/// `descriptors[i]` becomes descriptor i of the process; those of 0 to 2 that
/// are not given are `/dev/null`; no other one is open. Signal dispositions and
/// mask are those of a fresh process. Returns when the program runs, or after
/// five seconds: a step that fails later shows as exit status 127.
///
/// # Errors
/// The step that failed; nothing is left of the process then.
pub fn launch(launch: &Launch, descriptors: &[BorrowedFd<'_>]) -> Result<Process, LaunchError> {
    start(launch, descriptors, false)
}

/// Starts a program, or only a process that asks whether it could.
fn start(
    launch: &Launch,
    descriptors: &[BorrowedFd<'_>],
    asks: bool,
) -> Result<Process, LaunchError> {
    let failed = |error| LaunchError { step: Step::Fork, error };
    let devnull = File::open("/dev/null").map_err(failed)?;
    let mut prepared = prepare(launch, descriptors, &devnull)?;
    prepared.asks = asks;
    let (reports, reporter) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|error| failed(error.into()))?;

    // No handler of the caller's may run in the child: all signals wait until
    // their dispositions are reset.
    let mask = SigSet::all()
        .thread_swap_mask(SigmaskHow::SIG_SETMASK)
        .map_err(|error| failed(error.into()))?;
    // SAFETY: the child calls nothing but `child::run`, which keeps to what is
    // safe after a fork and never returns.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        child::run(&mut prepared, reporter.as_raw_fd());
    }
    let fork_error = io::Error::last_os_error();
    let _ = mask.thread_set_mask();
    if forked < 0 {
        return Err(failed(fork_error));
    }
    drop(reporter);
    if let Some(error) = report(reports) {
        watch::reap_killed(forked);
        return Err(error);
    }
    match open_pidfd(forked) {
        Ok(pidfd) => Ok(Process { pid: forked, pidfd }),
        Err(error) => {
            watch::reap_killed(forked);
            Err(failed(error))
        }
    }
}

/// Turns everything into what the system calls take, as nothing can be
/// allocated after the fork.
fn prepare(
    launch: &Launch,
    descriptors: &[BorrowedFd<'_>],
    devnull: &File,
) -> Result<Prepared, LaunchError> {
    let text = |step: Step, bytes: &[u8]| {
        CString::new(bytes).map_err(|error| LaunchError { step, error: error.into() })
    };
    let path = |step: Step, path: &Option<PathBuf>| {
        path.as_ref().map(|path| text(step, path.as_os_str().as_bytes())).transpose()
    };
    if launch.identity.as_ref().is_some_and(|who| who.uid == 0 || who.gid == 0) {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "uid 0 and gid 0 are refused");
        return Err(LaunchError { step: Step::Uid, error });
    }
    let mut arguments = vec![text(Step::Exec, launch.program.as_os_str().as_bytes())?];
    for argument in &launch.arguments {
        arguments.push(text(Step::Exec, argument.as_bytes())?);
    }
    let mut environment = Vec::with_capacity(launch.environment.len());
    for (name, value) in &launch.environment {
        let mut entry = name.clone();
        entry.push("=");
        entry.push(value);
        environment.push(text(Step::Exec, &entry.into_vec())?);
    }
    let standard = descriptors.len().max(3);
    let sources: Vec<_> = (0..standard)
        .map(|index| descriptors.get(index).map_or(devnull.as_raw_fd(), AsRawFd::as_raw_fd))
        .collect();
    let mut limits = Vec::new();
    limits.extend(launch.memory_limit.map(|bytes| (child::DATA, bytes, bytes)));
    limits.extend(launch.virtual_memory_limit.map(|bytes| (child::ADDRESSES, bytes, bytes)));
    limits.extend(launch.cpu_time_limit.map(|(soft, hard)| (child::CPU, soft, hard)));
    Ok(Prepared {
        argv: child::Vector::new(arguments),
        envp: child::Vector::new(environment),
        chroot: path(Step::Chroot, &launch.chroot)?,
        directory: path(Step::Directory, &launch.directory)?,
        new_session: launch.new_session,
        identity: launch.identity.clone().map(child::Identity::new),
        umask: launch.umask,
        priority: launch.priority,
        limits,
        parent_death_signal: launch.parent_death_signal,
        asks: false,
        parent: std::process::id().cast_signed(),
        raised: vec![-1; sources.len()],
        sources,
        close_singly: close_singly(),
    })
}

/// None if the kernel has close_range (Linux 5.9), else the descriptor up to
/// which to close one by one.
fn close_singly() -> Option<i32> {
    // SAFETY: closes at most a descriptor that can not exist.
    if unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) } == 0 {
        return None;
    }
    let open = fs::read_dir("/proc/self/fd").ok().and_then(|entries| {
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok()).max()
    });
    // Some more, as another thread may just be opening a file.
    Some(open.unwrap_or(65_536).saturating_add(64))
}

/// What the child says: nothing if the program runs, or if a step takes long.
fn report(reports: OwnedFd) -> Option<LaunchError> {
    if matches!(
        crate::socket::wait_readable(&[reports.as_fd()], Some(PATIENCE)).as_deref(),
        Ok([false])
    ) {
        return None;
    }
    let mut said = Vec::with_capacity(child::REPORT);
    if let Err(error) = File::from(reports).take(child::REPORT as u64).read_to_end(&mut said) {
        return Some(LaunchError { step: Step::Fork, error });
    }
    let (&step, code) = said.split_first()?;
    let code = i32::from_ne_bytes(code.try_into().unwrap_or_default());
    let step = Step::ALL.into_iter().find(|known| *known as u8 == step).unwrap_or(Step::Fork);
    Some(LaunchError { step, error: io::Error::from_raw_os_error(code) })
}

#[cfg(test)]
mod tests;
