//! The process's title, as `ps` shows it.
//!
//! *Runs in:* daemon. *Threads:* the main thread, before there are others.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// Shows `title` in `ps`, in full length: it takes the place of the arguments
/// and of the environment, whose values move elsewhere.
#[pyfunction]
pub(crate) fn set_title(title: &str) -> PyResult<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (start, end) =
        area(&stat).ok_or_else(|| PyOSError::new_err("/proc/self/stat lacks the argument area"))?;
    move_environment();
    let length = title.len().min(end - start - 1);
    let area = start as *mut u8;
    // SAFETY: the kernel put the strings of argv and environ from `start` to `end`,
    // in memory of this process that stays mapped and writable. No other thread
    // runs, getenv's strings were moved, and Python copied its arguments.
    unsafe {
        area.write_bytes(0, end - start);
        area.copy_from_nonoverlapping(title.as_ptr(), length);
    }
    if let Ok(name) = CString::new(title) {
        // SAFETY: prctl copies up to 16 bytes of a string that lives.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
    Ok(())
}

/// Begin of the arguments and end of the environment, if the latter follows the
/// former: fields 48 to 51 of the line, whose second may contain anything.
fn area(stat: &str) -> Option<(usize, usize)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(48 - 3).map(str::parse);
    let mut next = || fields.next()?.ok();
    let (arg_start, arg_end, env_start, env_end): (usize, usize, usize, usize) =
        (next()?, next()?, next()?, next()?);
    (arg_start > 0 && arg_start < arg_end && arg_end <= env_start && env_start <= env_end)
        .then_some((arg_start, if arg_end == env_start { env_end } else { arg_end }))
}

/// Sets each variable to what it is, which makes the C library copy it.
fn move_environment() {
    for (name, value) in std::env::vars_os() {
        let (Ok(name), Ok(value)) = (CString::new(name.as_bytes()), CString::new(value.as_bytes()))
        else {
            continue;
        };
        // SAFETY: both strings live, and no other thread uses the environment.
        unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
    }
}
