//! Which libraries a thread of another process is in, found without stopping it.
//!
//! Unwinding would need its registers, for which it has to be stopped, and its files,
//! which root should not parse. So whatever on its stack points into code is taken: a
//! leftover of an earlier call may be among it.
//!
//! *Runs in:* supervisor. *Threads:* one.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes of the stack that are looked at.
const DEEPEST: usize = 32 * 1024;
/// Libraries that are named.
const MOST: usize = 16;
const WORD: usize = size_of::<usize>();

/// Names of the libraries that a thread is in, innermost first, if that can be had. The
/// thread is described by its line in `/proc/PID/task/TID/syscall`, which ends with its
/// stack pointer and where it is.
pub(super) fn libraries(pid: i32, syscall: &str) -> Option<String> {
    let mut words = syscall.rsplit(' ').map(|word| parse(word.strip_prefix("0x")?));
    let (inner, top) = (words.next()??, words.next()??);
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let areas: Vec<Area<'_>> = maps.lines().filter_map(area).collect();
    let stack = areas.iter().find(|area| area.bytes.contains(&top))?;
    let mut bytes = vec![0; DEEPEST.min(stack.bytes.end - top)];
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let length = memory.read_at(&mut bytes, top.try_into().ok()?).ok()?;
    bytes.truncate(length);
    Some(named(&areas, inner, &bytes))
}

/// An area of memory with the file that it has come from.
struct Area<'m> {
    bytes: Range<usize>,
    /// Name of the file, if it is code.
    code: Option<&'m str>,
}

/// A line of `/proc/PID/maps`: range, rights, offset, device, inode, path.
fn area(line: &str) -> Option<Area<'_>> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let executable = words.next()?.contains('x');
    let path = words.nth(3).unwrap_or_default().trim_start();
    let name = path.rsplit_once('/').map(|(_, name)| name);
    Some(Area { bytes: parse(start)?..parse(end)?, code: name.filter(|_| executable) })
}

fn parse(digits: &str) -> Option<usize> {
    usize::from_str_radix(digits, 16).ok()
}

fn named(areas: &[Area<'_>], inner: usize, stack: &[u8]) -> String {
    let words = stack.chunks_exact(WORD).filter_map(|word| word.try_into().ok());
    let addresses = std::iter::once(inner).chain(words.map(usize::from_ne_bytes));
    let mut names: Vec<&str> = addresses
        .filter_map(|address| areas.iter().find(|area| area.bytes.contains(&address))?.code)
        .collect();
    names.dedup();
    names.truncate(MOST);
    names.join(" < ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAPS: &str = "\
55a0-55b0 r-xp 00000000 fe:00 12                         /usr/bin/python3.13
7000-7100 r--p 00000000 fe:00 13                         /usr/lib/libc.so.6
7100-7200 r-xp 00000100 fe:00 13                         /usr/lib/libc.so.6
7200-7300 r-xp 00000000 fe:00 14                         /srv/a b/_slow.so (deleted)
7f00-7fff rw-p 00000000 00:00 0
ff00-ffff r-xp 00000000 00:00 0                          [vdso]
";

    #[test]
    fn words_that_point_into_code_are_named_by_its_file() {
        let areas: Vec<_> = MAPS.lines().filter_map(area).collect();
        assert_eq!(areas.len(), 6);
        let words: [usize; 8] = [0x7150, 0, 0x7050, 0x7f10, 0x7210, 0xff10, 0x7250, 0x55a1];
        let stack: Vec<u8> = words.into_iter().flat_map(usize::to_ne_bytes).collect();
        let found = named(&areas, 0x7101, &stack);
        assert_eq!(found, "libc.so.6 < _slow.so (deleted) < python3.13");
    }

    #[test]
    fn a_thread_that_runs_or_has_ended_has_none() {
        let pid = std::process::id().cast_signed();
        for line in ["running", "", "-1 0x0 0x0", "230 0x0 zz 0x1"] {
            assert_eq!(libraries(pid, line), None, "{line}");
        }
    }
}
