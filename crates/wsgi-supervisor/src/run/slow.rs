//! Slow requests: which ones are, and what the kernel knows of a thread whose Python can't say
//! where it is.
//!
//! *Runs in:* supervisor.

use std::fmt::Write as _;
use std::fs;
use std::os::fd::AsFd;

use wsgi_sys::table::SlotNote;
use wsgi_sys::{clock, process};

use super::Loop;
use super::libraries::libraries;
use crate::state::{DaemonId, SlowRequest};

/// Longest path of a URL that is logged, in characters.
const LONGEST_PATH: usize = 200;
/// Threads of a process that are looked at.
const MOST_THREADS: usize = 64;

impl Loop {
    /// Requests of a daemon that are slow.
    pub(super) fn slow_requests(&self, id: DaemonId) -> Vec<SlowRequest> {
        let Some(worker) = self.workers.get(&id) else { return Vec::new() };
        let now = clock::microseconds();
        let slots = (0..).zip(worker.slots.clone());
        slots.filter_map(|(thread, slot)| judge(thread, self.table.current(slot)?, now)).collect()
    }

    /// Logs a slow request together with what its thread does in the kernel, and has the process
    /// write the Python stacks of all its threads, which needs no GIL.
    pub(super) fn log_wedged(&mut self, id: DaemonId, group: &str, text: &str) {
        let Some(worker) = self.workers.get(&id) else { return };
        let mut entry = format!(
            "{text}; its Python does not say where, as something holds the GIL; in the kernel:\n"
        );
        entry.push_str(&kernel_state(worker.pid));
        let dumps = catches_quit(worker.pid);
        entry.push_str(match dumps {
            true => "the Python stacks of all threads follow\n",
            false => "its Python stacks can't be had, as it does not catch SIGQUIT\n",
        });
        let own = std::process::id().cast_signed();
        self.logs.write(group, 4, own, &entry);
        if let Some(pidfd) = worker.pidfd.as_ref().filter(|_| dumps) {
            // Fails only for one that has ended.
            let _ = process::signal(pidfd.as_fd(), libc::SIGQUIT);
        }
    }
}

fn judge(thread: u32, note: SlotNote, now: u64) -> Option<SlowRequest> {
    if note.slow_at == 0 || now < note.slow_at {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut uri = text(&note.uri);
    if let Some((end, _)) = uri.char_indices().nth(LONGEST_PATH) {
        uri.truncate(end);
        uri.push('…');
    }
    // What a client says stays on the entry's first line.
    let words =
        format!("{} {}{uri}", text(&note.method), text(&note.host)).replace(['\n', '\r'], "?");
    Some(SlowRequest {
        thread,
        number: (note.epoch, note.number),
        age: now.saturating_sub(note.since) / 1_000,
        over: (now - note.slow_at) / 1_000,
        line: format!("{words} (client {})", text(&note.client)),
    })
}

/// A line for each thread that may hold the GIL: those that wait for it, or for a request,
/// wait in a futex or for events. All of them if none is left.
fn kernel_state(pid: i32) -> String {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let (mut all, mut holders) = (String::new(), String::new());
    for entry in threads.take(MOST_THREADS) {
        let path = entry.path();
        let read = |name: &str| {
            let text = fs::read_to_string(path.join(name)).unwrap_or_default();
            text.trim_end().replace('\n', " < ")
        };
        let tid = entry.file_name().to_string_lossy().into_owned();
        let stat = read("stat");
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        let (name, wait) = (read("comm"), read("wchan"));
        let call = read("syscall");
        let mut line = format!(
            "  thread {tid} ({name}) {}, waits in {}, system call {}",
            state.map_or("gone", meaning),
            or_nothing(&wait),
            or_nothing(&call),
        );
        let stack = read("stack").replace("[<0>] ", "");
        if !stack.is_empty() {
            let _ = write!(line, ", kernel stack {stack}");
        }
        line.push('\n');
        if !is_idle(&wait, &call) {
            if let Some(libraries) = libraries(pid, &call) {
                let _ = writeln!(line, "    in {libraries}");
            }
            holders.push_str(&line);
        }
        all.push_str(&line);
    }
    if holders.is_empty() { all } else { holders }
}

/// Whether a thread waits as those do that want the GIL or a request. One that is woken while
/// it is looked at is nowhere any more, but still in its system call.
fn is_idle(wait: &str, call: &str) -> bool {
    let call = call.split(' ').next().and_then(|number| number.parse().ok());
    call == Some(libc::SYS_futex)
        || ["futex", "ep_poll", "epoll"].iter().any(|place| wait.contains(place))
}

/// A process' state by its letter in `/proc`.
fn meaning(letter: char) -> &'static str {
    match letter {
        'R' => "runs",
        'S' => "sleeps",
        'D' => "sleeps uninterruptibly",
        'T' | 't' => "is stopped",
        'Z' | 'X' => "has ended",
        _ => "is in an unknown state",
    }
}

fn or_nothing(text: &str) -> &str {
    if matches!(text, "" | "0") { "nothing" } else { text }
}

/// Whether the process has a handler for SIGQUIT: without one the signal would end it.
fn catches_quit(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & 1 << (libc::SIGQUIT - 1) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_slow_from_a_moment_on() {
        let note = SlotNote {
            method: b"GET".to_vec(),
            host: b"example.org".to_vec(),
            uri: [b"/\n", &[b'u'; 300][..]].concat(),
            client: b"::1".to_vec(),
            since: 1_000_000,
            slow_at: 3_000_000,
            ..SlotNote::default()
        };
        assert_eq!(judge(0, note.clone(), 2_999_999), None);
        let slow = judge(0, note.clone(), 3_500_000).unwrap();
        assert_eq!((slow.age, slow.over), (2_500, 500));
        assert!(
            slow.line.starts_with("GET example.org/?uuu") && slow.line.ends_with("… (client ::1)")
        );
        assert_eq!(judge(0, SlotNote { slow_at: 0, ..note }, u64::MAX), None);
    }

    #[test]
    fn who_wants_the_gil_is_idle_even_while_it_is_woken() {
        let futex = format!("{} 0xa5b8f4 0x89 0x0", libc::SYS_futex);
        assert!(is_idle("0", &futex) && is_idle("futex_do_wait", "") && is_idle("ep_poll", ""));
        let sleep = format!("{} 0x0 0x0", libc::SYS_clock_nanosleep);
        assert!(!is_idle("0", "running") && !is_idle("hrtimer_nanosleep", &sleep));
    }

    #[test]
    fn the_kernel_knows_the_own_threads() {
        let pid = std::process::id().cast_signed();
        assert!(kernel_state(pid).contains("system call"));
        assert!(!catches_quit(pid) && !catches_quit(-1));
    }
}
