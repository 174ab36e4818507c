//! The texts of warnings and errors, and the codes at their start.
//!
//! Written for administrators: what failed, on which object, why, what to do.

use wsgi_sys::process::Exit;

use super::daemon::Daemon;
use super::pool::Pool;
use super::{End, Millis};

/// "daemon process 123 of group 'x' (application group 'y')".
pub(super) fn subject(daemon: &Daemon, pool: &Pool) -> String {
    format!("daemon process {} of {}", daemon.pid, place(pool))
}

/// "group 'x' (application group 'y')".
pub(super) fn place(pool: &Pool) -> String {
    format!("group '{}' (application group '{}')", pool.group, pool.application)
}

/// Tenths of a second.
fn seconds(millis: Millis) -> String {
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

/// How a process ended, after how long, having done what.
pub(super) fn end(end: End, asked: bool, age: Millis, cpu_limited: bool) -> String {
    let End { exit, served, busy, out_of_memory } = end;
    let how = match exit {
        Some(Exit::Signal(signal, _)) if signal == libc::SIGKILL && !asked && out_of_memory => {
            "killed by signal 9 (SIGKILL; probably by the kernel, which has killed something in \
             this control group because memory ran out; see dmesg, and the option \
             resident-memory-limit)"
                .to_owned()
        }
        Some(Exit::Signal(signal, _)) if signal == libc::SIGKILL && !asked && cpu_limited => {
            "killed by signal 9 (SIGKILL; not sent by the supervisor: by the kernel, as it went \
             on long after cpu-time-limit, or an administrator)"
                .to_owned()
        }
        Some(Exit::Signal(signal, _)) if signal == libc::SIGKILL && !asked => {
            "killed by signal 9 (SIGKILL; not sent by the supervisor: an administrator, \
             or the kernel because memory ran out; see dmesg)"
                .to_owned()
        }
        Some(Exit::Signal(signal, _)) if signal == libc::SIGXCPU => {
            format!("{} (it exceeded cpu-time-limit)", Exit::Signal(signal, false))
        }
        Some(exit) => exit.to_string(),
        None => "with a status that only the supervisor which started it could know,".to_owned(),
    };
    let requests = match served {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    };
    let lost = match busy {
        0 => String::new(),
        1 => "; 1 request in progress failed".to_owned(),
        count => format!("; {count} requests in progress failed"),
    };
    format!("{how} after {} and {requests}{lost}", seconds(age))
}

/// MWR2010.
pub(super) fn not_launched(place: &str, origin: &str, why: &str, pause: Millis) -> String {
    format!(
        "MWR2010: a daemon process of {place}, defined at {origin}, could not be started: {why}; \
         next attempt in {}",
        seconds(pause)
    )
}

/// MWR2011.
pub(super) fn died_early(subject: &str, end: &str, pause: Millis) -> String {
    format!(
        "MWR2011: {subject} ended before it was ready: {end}; its own messages stand above; \
         next attempt in {}",
        seconds(pause)
    )
}

/// MWR2012.
pub(super) fn silent(subject: &str, limit: Millis) -> String {
    format!(
        "MWR2012: {subject} did not introduce itself within {} and is killed: its interpreter \
         hangs at start, or is none; run it by hand with the group's user",
        seconds(limit)
    )
}

/// MWR2013.
pub(super) fn wrong_version(subject: &str, theirs: u32, ours: u32) -> String {
    format!(
        "MWR2013: {subject} runs a worker that speaks version {theirs} of the protocol instead \
         of {ours} and is killed: the worker's files are of another release than the \
         supervisor; install them together"
    )
}

/// MWR2014.
pub(super) fn misbehaved(subject: &str, what: &str) -> String {
    format!("MWR2014: {subject} is killed, as {what}")
}

/// MWR2015.
pub(super) fn not_loaded(subject: &str, pause: Millis, reloading: bool) -> String {
    let change = if reloading { "when a script changes again, or " } else { "" };
    format!(
        "MWR2015: {subject} could not load its scripts (traceback above) while other processes of \
         its pool work, and takes no requests; they go on; next attempt {change}in {}",
        seconds(pause)
    )
}

/// MWR2016.
pub(super) fn slow_start(subject: &str, age: Millis) -> String {
    format!(
        "MWR2016: {subject} has not loaded its scripts within {} and is killed, as \
         startup-timeout says; its Python stacks follow",
        seconds(age)
    )
}

/// MWR2020.
pub(super) fn died(subject: &str, end: &str) -> String {
    format!("MWR2020: {subject} ended: {end}; a replacement is started")
}

/// MWR2021.
pub(super) fn overdue(subject: &str, limit: Millis) -> String {
    format!(
        "MWR2021: {subject} did not end within {} of being told to and is killed: a request, \
         an import or an exit handler takes longer than shutdown-timeout allows",
        seconds(limit)
    )
}

/// MWR2022.
pub(super) fn link_ended(subject: &str) -> String {
    format!(
        "MWR2022: {subject} closed its connection to the supervisor without ending and is killed; \
         an application closed descriptors that are not its own"
    )
}

/// MWR2023.
pub(super) fn deadlocked(subject: &str, silence: Millis) -> String {
    format!(
        "MWR2023: {subject} is killed, as its Python has not answered for {} (deadlock-timeout): \
         an extension module holds the GIL, or the process was stopped; its Python stacks follow",
        seconds(silence)
    )
}

/// MWR2024.
pub(super) fn slow_request(subject: &str, thread: u32, age: Millis) -> String {
    format!(
        "MWR2024: {subject} is to be replaced, as the request on its channel {} runs for {}, \
         longer than request-timeout and interrupt-timeout allow; its own message says where",
        thread + 1,
        seconds(age)
    )
}

/// MWR2040.
pub(super) fn slow(subject: &str, thread: u32, age: Millis, line: &str, others: u32) -> String {
    let others = match others {
        0 => String::new(),
        1 => " (1 other slow request was not reported)".to_owned(),
        count => format!(" ({count} other slow requests were not reported)"),
    };
    format!(
        "MWR2040: slow request: {line} takes {} so far, on channel {} of {subject}{others}",
        seconds(age),
        thread + 1
    )
}

/// MWR2031.
pub(super) fn crowded(group: &str, cap: usize) -> String {
    format!(
        "MWR2031: group '{group}' has more than its {cap} processes, as all of its application \
         groups are in use; give some of them a group of their own, or raise processes-cap="
    )
}

/// MWR2030.
pub(super) fn no_room(place: &str) -> String {
    format!(
        "MWR2030: {place} gets no pool: the slot table has no room for its processes and \
         threads; lower processes= or threads= of the groups"
    )
}
