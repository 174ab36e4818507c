//! What a process has used, as the kernel counts it.
//!
//! *Runs in:* httpd child, supervisor.

use std::fs;

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Microseconds of CPU time, of all its threads, in user space and in the kernel.
    pub cpu: u64,
    /// Of these, microseconds in user space.
    pub user: u64,
    /// Resident memory in bytes; 0 for one that has ended and was not reaped yet.
    pub resident: u64,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

/// What a process has used; none if it is gone, or its owner may hide it.
pub fn usage(pid: i32) -> Option<Usage> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(
        &String::from_utf8_lossy(&text),
        constant(libc::_SC_CLK_TCK)?,
        constant(libc::_SC_PAGESIZE)?,
    )
}

fn parse(text: &str, ticks: u64, page: u64) -> Option<Usage> {
    // The second field is the name in parentheses, which may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let time = |used: u64| used.checked_mul(1_000_000)?.checked_div(ticks);
    Some(Usage {
        cpu: time(field(14)?.checked_add(field(15)?)?)?,
        user: time(field(14)?)?,
        resident: field(24)?.checked_mul(page)?,
        start_time: field(22)?,
    })
}

fn constant(name: libc::c_int) -> Option<u64> {
    // SAFETY: asks for a number; no memory is involved.
    u64::try_from(unsafe { libc::sysconf(name) }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "42 (a) b (c) S 1 1 1 0 -1 4194560 100 0 0 0 150 50 9 9 20 0 3 0 777 1000 25 0";
        let usage = parse(text, 100, 4096);
        assert_eq!(
            usage,
            Some(Usage { cpu: 2_000_000, user: 1_500_000, resident: 25 * 4096, start_time: 777 })
        );
        assert_eq!(parse("42 (x) S 1", 100, 4096), None);
    }

    #[test]
    fn the_own_process_has_memory_and_a_start() {
        let pid = std::process::id().cast_signed();
        let own = usage(pid).unwrap();
        assert!(own.resident > 100_000);
        assert_eq!(own.start_time, super::super::start_time(pid).unwrap());
        assert_eq!(usage(-1), None);
    }
}
