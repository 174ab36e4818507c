//! Sleeping until a word in shared memory changes (Linux's futex).

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// Sleeps while the word is `expected`, at most that long. False if time is up; true on a
/// change, a wake-up or a signal.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) -> bool {
    wait_at(word.as_ptr(), expected, Some(timeout))
}

/// Sleeps while the word is `expected`, until a wake-up or a signal.
pub(crate) fn wait_forever(word: &AtomicU32, expected: u32) {
    wait_at(word.as_ptr(), expected, None);
}

/// Wakes all that sleep on the word.
pub(crate) fn wake(word: &AtomicU32) {
    wake_at(word.as_ptr(), i32::MAX);
}

/// Wakes one that sleeps on the word; false if nobody does.
pub(crate) fn wake_one(word: &AtomicU32) -> bool {
    wake_at(word.as_ptr(), 1)
}

/// As [`wait`], on the upper half of a longer word.
pub(crate) fn wait_upper(word: &AtomicU64, expected: u32, timeout: Duration) -> bool {
    wait_at(upper(word), expected, Some(timeout))
}

/// As [`wake`], on the upper half of a longer word.
pub(crate) fn wake_upper(word: &AtomicU64) {
    wake_at(upper(word), i32::MAX);
}

fn wait_at(word: *const u32, expected: u32, timeout: Option<Duration>) -> bool {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // Without FUTEX_PRIVATE_FLAG: the waker may be another process.
    // SAFETY: the callers' word lives during the call, and so does the limit. An address that is
    // no word would be refused by the kernel.
    let result = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, limit) };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ETIMEDOUT)
}

fn wake_at(word: *const u32, most: i32) -> bool {
    // SAFETY: the word is not accessed, only its address is used.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, most) > 0 }
}

fn upper(word: &AtomicU64) -> *const u32 {
    let half = if cfg!(target_endian = "little") { 1 } else { 0 };
    word.as_ptr().cast::<u32>().wrapping_add(half)
}
