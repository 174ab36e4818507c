//! The wall clock, the one that never goes back, and that of a thread.
//!
//! *Runs in:* httpd child, supervisor, daemon.

use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
#[must_use]
pub fn microseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds since some moment before, the same one for all processes.
#[must_use]
pub fn monotonic() -> u64 {
    u64::try_from(read(libc::CLOCK_MONOTONIC).as_micros()).unwrap_or(u64::MAX)
}

/// CPU time that the calling thread has used.
#[must_use]
pub fn thread_time() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the time there; if it does not, it stays 0.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A moment in the local time zone, as calendars count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// E.g. 2026.
    pub year: i32,
    /// January is 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// Sunday is 0.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// Local time of a number of seconds since the epoch; none if it has no calendar
/// date. The time zone is read when it is first needed.
#[must_use]
pub fn local_time(seconds: i64) -> Option<LocalTime> {
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, which writes all of `parts`
    // unless it returns null; zeros are a valid `tm` (its pointer may be null).
    let parts = unsafe {
        if libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            return None;
        }
        parts.assume_init()
    };
    Some(LocalTime {
        year: parts.tm_year + 1900,
        month: u8::try_from(parts.tm_mon + 1).ok()?,
        day: u8::try_from(parts.tm_mday).ok()?,
        weekday: u8::try_from(parts.tm_wday).ok()?,
        hour: u8::try_from(parts.tm_hour).ok()?,
        minute: u8::try_from(parts.tm_min).ok()?,
        second: u8::try_from(parts.tm_sec).ok()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::local_time;

    #[test]
    fn the_epoch_is_within_a_day_of_new_year_1970() {
        let time = local_time(0).expect("a date");
        assert!((time.year, time.month, time.day) == (1970, 1, 1) || time.year == 1969);
        assert!(time.weekday == 4 || time.weekday == 3);
        assert_eq!(local_time(i64::MAX), None);
    }
}
