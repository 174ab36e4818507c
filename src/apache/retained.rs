//! Plain data that outlives a reload of this module.
//!
//! httpd unloads and loads the module between the passes over its configuration
//! and at each graceful restart. What must be remembered in the parent is kept in
//! the pool of the process, as numbers: nothing that points into the module.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use super::pool::Pool;

/// The data under `key`, made from `initial` at the first call. A change of `T`'s
/// layout needs another key.
pub(crate) fn retained<T: Copy>(
    pool: Pool<'static>,
    key: &'static CStr,
    initial: T,
) -> &'static Cell<T> {
    if let Some(data) = pool.userdata(key) {
        // SAFETY: stored below, by this or an earlier load of the module, with the
        // layout that the key stands for; used by the parent's only thread.
        return unsafe { data.cast::<Cell<T>>().as_ref() };
    }
    let cell: &'static mut T = pool.place(initial);
    let cell = Cell::from_mut(cell);
    pool.set_userdata(key, std::ptr::NonNull::from(cell).cast());
    cell
}

/// A descriptor that is kept as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept(RawFd);

impl Kept {
    pub(crate) const NONE: Self = Self(-1);

    /// Takes a descriptor over.
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor.into_raw_fd())
    }

    pub(crate) fn get(self) -> Option<BorrowedFd<'static>> {
        // SAFETY: the number came from an OwnedFd and stays open until `close`, which
        // forgets it.
        (self.0 >= 0).then(|| unsafe { BorrowedFd::borrow_raw(self.0) })
    }

    /// Closes it.
    pub(crate) fn close(&mut self) {
        if self.0 >= 0 {
            // SAFETY: as above; the number is forgotten, so nobody uses it again.
            drop(unsafe { OwnedFd::from_raw_fd(self.0) });
            self.0 = -1;
        }
    }
}

/// Descriptor 2, which httpd keeps open for the error log.
pub(crate) fn standard_error() -> BorrowedFd<'static> {
    // SAFETY: httpd opens the three standard descriptors at start and never closes
    // them.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}
