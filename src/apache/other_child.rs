//! Children of httpd's parent that are not the MPM's: the supervisor.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use super::pool::Pool;
use super::{guard, sys};

/// Who wants to know when the process ends.
pub(crate) trait OtherChild {
    /// The process has ended and is reaped; it is not registered any more.
    /// *Runs in:* the parent, from the MPM's loop.
    fn ended(&self);
}

/// Registers a process. The registration ends with the pool (`pconf`), which is
/// cleared before this module's code is unmapped.
pub(crate) fn register<T: OtherChild>(pool: Pool<'_>, pid: i32, owner: &T) {
    let process: *mut sys::apr_proc_t = pool.place(sys::apr_proc_t {
        pid,
        in_: std::ptr::null_mut(),
        out: std::ptr::null_mut(),
        err: std::ptr::null_mut(),
    });
    let data: *const T = owner;
    // SAFETY: process record and owner live in the configuration's pool, as long as
    // the registration.
    unsafe {
        sys::apr_proc_other_child_register(
            process,
            Some(maintain::<T>),
            data.cast_mut().cast(),
            std::ptr::null_mut(),
            pool.raw(),
        );
    }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn maintain<T: OtherChild>(reason: c_int, data: *mut c_void, _status: c_int) {
    guard::guard(|| {
        let reason = u32::try_from(reason).unwrap_or(u32::MAX);
        if reason != sys::APR_OC_REASON_DEATH && reason != sys::APR_OC_REASON_LOST {
            // RESTART comes at stop and SIGHUP, several times; UNREGISTER is our own.
            return;
        }
        // SAFETY: `data` is what `register` passed. It must unregister itself here:
        // APR would dereference NULL at the next death otherwise.
        unsafe { sys::apr_proc_other_child_unregister(data) };
        if let Some(owner) = NonNull::new(data.cast::<T>()) {
            // SAFETY: the owner lives as long as the registration.
            unsafe { owner.as_ref() }.ended();
        }
    });
}
