//! What the kernel knows of memory: of a process, and of those that it has killed.

use std::fs;
use std::path::{Path, PathBuf};

/// Resident memory of a process in bytes; none if it has ended.
pub(super) fn resident(pid: i32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(size).ok()?)
}

/// Processes of this one's control group, or below it, that the kernel has killed
/// because memory ran out; none where that can't be read.
pub(super) fn kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    events_files(&groups).iter().find_map(|path| count(&fs::read_to_string(path).ok()?))
}

/// Where control groups of either version count.
fn events_files(groups: &str) -> Vec<PathBuf> {
    let file = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        let root = Path::new("/sys/fs/cgroup");
        match controllers {
            "" => Some(root.join(path).join("memory.events")),
            "memory" => Some(root.join("memory").join(path).join("memory.oom_control")),
            _ => None,
        }
    };
    groups.lines().filter_map(file).collect()
}

fn count(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_both_versions_are_found() {
        let groups = "4:memory:/user/x\n1:cpu,cpuacct:/\n0::/system.slice/httpd.service\n";
        let expected = [
            "/sys/fs/cgroup/memory/user/x/memory.oom_control",
            "/sys/fs/cgroup/system.slice/httpd.service/memory.events",
        ];
        assert_eq!(events_files(groups), expected.map(PathBuf::from));
        assert_eq!(count("low 0\noom 3\noom_kill 2\n"), Some(2));
        assert_eq!(count("low 0\n"), None);
    }

    #[test]
    fn the_own_memory_is_more_than_nothing() {
        let pid = std::process::id().cast_signed();
        assert!(resident(pid).is_some_and(|bytes| bytes > 100_000));
        assert_eq!(resident(-1), None);
    }
}
