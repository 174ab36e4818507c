//! What malloc keeps for itself.
//!
//! *Runs in:* daemon. *Threads:* the first, before there are others.

use std::ffi::c_int;
use std::{env, thread};

/// Has malloc make no more arenas than threads can run at once, instead of eight times as many:
/// each keeps what its threads have had at their worst. Who has set `MALLOC_ARENA_MAX` or
/// `GLIBC_TUNABLES` is left in peace.
pub fn limit_arenas() {
    let is_set = |name| env::var_os(name).is_some();
    if is_set("MALLOC_ARENA_MAX") || is_set("GLIBC_TUNABLES") {
        return;
    }
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let arenas = c_int::try_from(processors).unwrap_or(c_int::MAX);
    // SAFETY: sets a number.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}
