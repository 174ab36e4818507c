//! Sleeping until a word in shared memory changes (Linux's futex).

use std::io;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Sleeps while the upper half of the word is `expected`, at most that long.
/// False if time is up; true on a change, a wake-up or a signal.
pub(super) fn wait_upper(word: &AtomicU64, expected: u32, timeout: Duration) -> bool {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Without FUTEX_PRIVATE_FLAG: the waker may be another process.
    // SAFETY: the address lies in the word, the limit lives during the call.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, upper(word), libc::FUTEX_WAIT, expected, &raw const limit)
    };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ETIMEDOUT)
}

/// Wakes all that sleep on the upper half of the word.
pub(super) fn wake_upper(word: &AtomicU64) {
    // SAFETY: the address lies in the word, which is not accessed.
    unsafe { libc::syscall(libc::SYS_futex, upper(word), libc::FUTEX_WAKE, i32::MAX) };
}

fn upper(word: &AtomicU64) -> *const u32 {
    let half = if cfg!(target_endian = "little") { 1 } else { 0 };
    word.as_ptr().cast::<u32>().wrapping_add(half)
}
