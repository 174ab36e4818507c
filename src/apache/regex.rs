//! httpd's regular expressions (PCRE), for WSGIScriptAliasMatch.

use std::ffi::CString;
use std::ops::Range;
use std::ptr::NonNull;

use super::pool::Pool;
use super::sys;

/// Groups that a pattern's target may name: `$0` to `$9`.
pub(crate) const GROUPS: usize = 10;

/// A compiled pattern; lives in the configuration's pool.
#[derive(Debug)]
pub(crate) struct Regex {
    raw: NonNull<sys::ap_regex_t>,
}

// SAFETY: a compiled pattern is not written by matching: httpd itself matches one
// pattern in many threads.
unsafe impl Send for Regex {}
// SAFETY: as above.
unsafe impl Sync for Regex {}

impl Regex {
    /// Compiles a pattern as httpd's own directives do.
    ///
    /// The result must not outlive the pool; it is stored in the configuration
    /// that the pool holds.
    pub(crate) fn compile(pool: Pool<'_>, pattern: &str) -> Option<Self> {
        let pattern = CString::new(pattern).ok()?;
        // SAFETY: the pool is alive; 1 is AP_REG_EXTENDED, which httpd passes too.
        let raw = unsafe { sys::ap_pregcomp(pool.raw(), pattern.as_ptr(), 1) };
        NonNull::new(raw).map(|raw| Self { raw })
    }

    /// Byte ranges of the whole match and its groups.
    pub(crate) fn captures(&self, subject: &[u8]) -> Option<[Option<Range<usize>>; GROUPS]> {
        let subject = CString::new(subject).ok()?;
        let mut groups = [sys::ap_regmatch_t { rm_so: -1, rm_eo: -1 }; GROUPS];
        // SAFETY: the pattern is alive, the subject NUL-terminated, and `groups` has
        // the stated length.
        let status = unsafe {
            sys::ap_regexec(self.raw.as_ptr(), subject.as_ptr(), GROUPS, groups.as_mut_ptr(), 0)
        };
        let range = |group: sys::ap_regmatch_t| {
            Some(usize::try_from(group.rm_so).ok()?..usize::try_from(group.rm_eo).ok()?)
        };
        (status == 0).then(|| groups.map(range))
    }
}
