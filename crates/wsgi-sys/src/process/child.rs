//! What happens between fork and exec.
//!
//! *Runs in:* the forked child alone. The process that it was copied from may
//! have had threads that held any lock: so only system calls that are safe in a
//! signal handler, no allocation, nothing that may panic.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // types of libc's constants differ

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::ptr;

use libc::{c_char, c_int};

use super::{Drop, Step};

/// Bytes of a report: the step and errno.
pub(super) const REPORT: usize = 5;

/// Status of a child that could not execute the program.
const FAILED: c_int = 127;

type Resource = c_int;
/// Size of the data segment.
pub(super) const DATA: Resource = libc::RLIMIT_DATA as Resource;
/// Size of the address space.
pub(super) const ADDRESSES: Resource = libc::RLIMIT_AS as Resource;
/// Time on the processors.
pub(super) const CPU: Resource = libc::RLIMIT_CPU as Resource;

/// Arguments of the system calls, allocated before the fork.
pub(super) struct Prepared {
    pub(super) argv: Vector,
    pub(super) envp: Vector,
    pub(super) chroot: Option<CString>,
    pub(super) directory: Option<CString>,
    pub(super) new_session: bool,
    pub(super) identity: Option<Identity>,
    pub(super) umask: Option<u32>,
    pub(super) priority: Option<c_int>,
    pub(super) limits: Vec<(Resource, u64, u64)>,
    pub(super) parent_death_signal: Option<c_int>,
    pub(super) parent: i32,
    /// Whether to ask for the permission only.
    pub(super) asks: bool,
    /// What becomes descriptor 0, 1, 2 and so on.
    pub(super) sources: Vec<c_int>,
    /// Room for as many numbers.
    pub(super) raised: Vec<c_int>,
    /// See `close_singly`.
    pub(super) close_singly: Option<c_int>,
}

/// Strings, and the array of pointers to them that ends with a null.
pub(super) struct Vector {
    _texts: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Vector {
    pub(super) fn new(texts: Vec<CString>) -> Self {
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Self { _texts: texts, pointers }
    }
}

/// Whom to become, with room to read it back.
pub(super) struct Identity {
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
    sorted: Vec<libc::gid_t>,
    read_back: Vec<libc::gid_t>,
}

impl Identity {
    pub(super) fn new(Drop { uid, gid, groups }: Drop) -> Self {
        let mut sorted = groups.clone();
        sorted.sort_unstable();
        let read_back = vec![0; groups.len() + 1];
        Self { uid, gid, groups, sorted, read_back }
    }
}

/// Becomes the program, or reports why not and ends.
pub(super) fn run(prepared: &mut Prepared, reporter: c_int) -> ! {
    let mut reporter = reporter;
    let Err((step, code)) = become_program(prepared, &mut reporter);
    let mut report = [step as u8, 0, 0, 0, 0];
    report[1..].copy_from_slice(&code.to_ne_bytes());
    // SAFETY: writes from a buffer of that length to a descriptor of ours, whose
    // reader may have lost patience; then ends the process without any handler
    // of the caller's.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::write(reporter, report.as_ptr().cast(), report.len());
        libc::_exit(FAILED)
    }
}

type Outcome<T = ()> = Result<T, (Step, c_int)>;

fn become_program(prepared: &mut Prepared, reporter: &mut c_int) -> Outcome<Infallible> {
    if prepared.new_session {
        // SAFETY: no memory is involved.
        check(Step::Session, unsafe { libc::setsid() })?;
    }
    if let Some(root) = &prepared.chroot {
        // SAFETY: both are strings that end with a null.
        check(Step::Chroot, unsafe { libc::chroot(root.as_ptr()) })?;
        // SAFETY: as above.
        check(Step::Chroot, unsafe { libc::chdir(c"/".as_ptr()) })?;
    }
    for &(resource, soft, hard) in &prepared.limits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the structure lives during the call. The resource's type
        // differs between C libraries.
        check(Step::Limit, unsafe { libc::setrlimit(resource as _, &raw const limit) })?;
    }
    if let Some(priority) = prepared.priority {
        // SAFETY: no memory is involved. The type of the first argument differs
        // between C libraries.
        check(Step::Priority, unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, priority) })?;
    }
    if let Some(identity) = &mut prepared.identity {
        give_up_privileges(identity)?;
    }
    // After setresuid, which clears it.
    if let Some(signal) = prepared.parent_death_signal {
        // SAFETY: no memory is involved.
        check(Step::Session, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
        // SAFETY: as above. The signal is not sent for a parent that ended before.
        if unsafe { libc::getppid() } != prepared.parent {
            return Err((Step::Session, libc::ESRCH));
        }
    }
    if let Some(directory) = &prepared.directory {
        // SAFETY: a string that ends with a null.
        check(Step::Directory, unsafe { libc::chdir(directory.as_ptr()) })?;
    }
    if let Some(umask) = prepared.umask {
        // SAFETY: no memory is involved.
        unsafe { libc::umask(umask as libc::mode_t) };
    }
    reset_signals();
    arrange_descriptors(prepared, reporter)?;
    let (argv, envp) = (&prepared.argv.pointers, &prepared.envp.pointers);
    if prepared.asks {
        // SAFETY: a string that ends with a null. The real user is the effective one by now.
        check(Step::Exec, unsafe { libc::access(argv[0], libc::X_OK) })?;
        // SAFETY: ends the process without any handler of the caller's.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: both arrays hold pointers to live strings and end with a null;
    // argv has at least the program before it.
    unsafe { libc::execve(argv[0], argv.as_ptr(), envp.as_ptr()) };
    Err((Step::Exec, errno()))
}

fn give_up_privileges(identity: &mut Identity) -> Outcome {
    let (uid, gid, groups) = (identity.uid, identity.gid, &identity.groups);
    // SAFETY: the array has that many elements.
    check(Step::Groups, unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) })?;
    // SAFETY: no memory is involved.
    check(Step::Gid, unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    check(Step::Uid, unsafe { libc::setresuid(uid, uid, uid) })?;

    let (mut uids, mut gids) = ([0; 3], [0; 3]);
    let [real, effective, saved] = &mut uids;
    // SAFETY: three places to write to.
    check(Step::Verify, unsafe { libc::getresuid(real, effective, saved) })?;
    let [real, effective, saved] = &mut gids;
    // SAFETY: as above.
    check(Step::Verify, unsafe { libc::getresgid(real, effective, saved) })?;
    let room = &mut identity.read_back;
    // SAFETY: the array has room for one group more than were set.
    let count = unsafe { libc::getgroups(room.len() as c_int, room.as_mut_ptr()) };
    check(Step::Verify, count)?;
    let in_force = room.get_mut(..count.cast_unsigned() as usize).unwrap_or_default();
    in_force.sort_unstable();
    // SAFETY: no memory is involved.
    let root_again = unsafe { libc::setuid(0) } == 0;
    if uids != [uid; 3] || gids != [gid; 3] || *in_force != *identity.sorted || root_again {
        return Err((Step::Verify, libc::EPERM));
    }
    Ok(())
}

/// An ignored signal and the mask outlast exec.
fn reset_signals() {
    // The kernel's own structure (handler, flags, restorer, mask), zero in all
    // parts: the default. The C library's call refuses the signals that it uses
    // itself, which may be ignored too.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: reads the structure and nothing else; SIGKILL and SIGSTOP are
        // refused, which does not matter.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                8_usize,
            )
        };
    }
    let none = 0_u64;
    // SAFETY: as above.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<u64>(),
            8_usize,
        )
    };
}

/// Moves every descriptor to its place, the reporter behind them, and closes
/// the rest.
fn arrange_descriptors(prepared: &mut Prepared, reporter: &mut c_int) -> Outcome {
    let count = prepared.sources.len() as c_int;
    // Above all places first, so that no place is taken from under another one.
    let raise = |descriptor: c_int| {
        // SAFETY: no memory is involved.
        let raised = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, count + 1) };
        check(Step::Descriptors, raised).map(|()| raised)
    };
    let high_reporter = raise(*reporter)?;
    *reporter = high_reporter;
    for (source, raised) in prepared.sources.iter().zip(&mut prepared.raised) {
        *raised = raise(*source)?;
    }
    for (place, raised) in (0..count).zip(&prepared.raised) {
        // SAFETY: no memory is involved; dup2 clears close-on-exec.
        check(Step::Descriptors, unsafe { libc::dup2(*raised, place) })?;
    }
    // SAFETY: as above.
    check(Step::Descriptors, unsafe { libc::dup3(high_reporter, count, libc::O_CLOEXEC) })?;
    *reporter = count;
    match prepared.close_singly {
        None => {
            // SAFETY: nothing behind the reporter is used any more.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, count + 1, u32::MAX, 0) };
            check(Step::Descriptors, closed as c_int)
        }
        Some(last) => {
            let raised = prepared.raised.iter().fold(high_reporter, |last, one| last.max(*one));
            for descriptor in count + 1..=last.max(raised) {
                // SAFETY: as above; most of them are not open.
                unsafe { libc::close(descriptor) };
            }
            Ok(())
        }
    }
}

fn check(step: Step, result: c_int) -> Outcome {
    if result < 0 { Err((step, errno())) } else { Ok(()) }
}

/// `last_os_error` does not allocate.
fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
