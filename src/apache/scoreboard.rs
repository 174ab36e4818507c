//! httpd's scoreboard, which parent and children share.
//!
//! *Runs in:* httpd child. *Threads:* any; others write meanwhile, so that fields of one record
//! may be of different moments.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use wsgi_status::scoreboard::{Child, Scoreboard, Worker};

use super::sys;

/// mod_status' letters, by the number of the status.
const LETTERS: &[u8; 11] = b".S_RWKLDCGI";

/// Copies the scoreboard; none if httpd has none.
pub(crate) fn read() -> Option<Scoreboard> {
    // SAFETY: httpd makes the scoreboard before it forks children, which keep it until they end.
    let global = unsafe {
        (sys::ap_exists_scoreboard_image() != 0)
            .then(|| NonNull::new(sys::ap_get_scoreboard_global()))??
            .as_ptr()
    };
    // SAFETY: as above. Volatile, as other processes write.
    let (servers, threads, generation, restarted) = unsafe {
        (
            (&raw const (*global).server_limit).read_volatile(),
            (&raw const (*global).thread_limit).read_volatile(),
            (&raw const (*global).running_generation).read_volatile(),
            (&raw const (*global).restart_time).read_volatile(),
        )
    };
    Some(Scoreboard {
        server_limit: unsigned(servers),
        thread_limit: unsigned(threads),
        generation: unsigned(generation),
        restarted: moment(restarted),
        // SAFETY: asks the clock.
        taken: moment(unsafe { sys::apr_time_now() }),
        children: (0..servers).filter_map(|server| child(server, threads)).collect(),
    })
}

fn child(server: i32, threads: i32) -> Option<Child> {
    // SAFETY: answers with NULL for a place that does not exist.
    let process = NonNull::new(unsafe { sys::ap_get_scoreboard_process(server) })?.as_ptr();
    // SAFETY: as for the global record.
    let (pid, generation, quiescing) = unsafe {
        (
            (&raw const (*process).pid).read_volatile(),
            (&raw const (*process).generation).read_volatile(),
            (&raw const (*process).quiescing).read_volatile(),
        )
    };
    let workers = (0..threads).map(|thread| worker(server, thread)).collect();
    Some(Child { pid, generation: unsigned(generation), quiescing: quiescing != 0, workers })
}

fn worker(server: i32, thread: i32) -> Worker {
    let mut score = MaybeUninit::<sys::worker_score>::zeroed();
    // SAFETY: both numbers are below the scoreboard's limits, and `score` has room for the copy.
    // All of its fields are numbers, so that zeros and copies are valid.
    let score = unsafe {
        sys::ap_copy_scoreboard_worker(score.as_mut_ptr(), server, thread);
        score.assume_init()
    };
    let letter = LETTERS.get(usize::from(score.status)).copied().unwrap_or(b'?');
    Worker {
        number: unsigned(score.thread_num),
        generation: unsigned(score.generation),
        status: char::from(letter),
        accesses: score.access_count,
        bytes: u64::try_from(score.bytes_served).unwrap_or(0),
        started: moment(score.start_time),
        stopped: moment(score.stop_time),
        used: moment(score.last_used),
        client: text(&score.client64),
        request: text(&score.request),
        host: text(&score.vhost),
    }
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn moment(time: sys::apr_time_t) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

/// Up to the first NUL, one character for each byte, as in `environ`.
fn text(field: &[c_char]) -> String {
    let bytes = field.iter().take_while(|byte| **byte != 0);
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // signed on some machines
    bytes.map(|byte| char::from(*byte as u8)).collect()
}
