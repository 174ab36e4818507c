//! APR tables: header fields, notes and the subprocess environment.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::pool::Pool;
use super::sys;

/// A table that outlives `'r`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'r> {
    raw: NonNull<sys::apr_table_t>,
    pool: Pool<'r>,
    lifetime: PhantomData<&'r ()>,
}

impl<'r> Table<'r> {
    /// # Safety
    /// `raw` must be a table alive during `'r`, its strings too; `pool` lives as
    /// long as the table.
    pub(crate) unsafe fn new(raw: NonNull<sys::apr_table_t>, pool: Pool<'r>) -> Self {
        Self { raw, pool, lifetime: PhantomData }
    }

    /// A table without entries.
    pub(crate) fn empty(pool: Pool<'r>) -> Self {
        // SAFETY: the pool is alive during 'r; APR aborts when memory is out.
        let raw = unsafe { sys::apr_table_make(pool.raw(), 4) };
        let raw = NonNull::new(raw).unwrap_or_else(|| std::process::abort());
        Self { raw, pool, lifetime: PhantomData }
    }

    pub(super) fn raw(self) -> *mut sys::apr_table_t {
        self.raw.as_ptr()
    }

    /// The first value of a name, which is compared without regard to case.
    pub(crate) fn find(self, name: &CStr) -> Option<&'r CStr> {
        // SAFETY: the table and the strings in it are alive during 'r.
        unsafe {
            let value = sys::apr_table_get(self.raw.as_ptr(), name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }

    /// Adds a value beside those that a name has already.
    pub(crate) fn add(self, name: &'r CStr, value: &'r CStr) {
        // SAFETY: the strings live in the pool of the table or longer ('r).
        unsafe { sys::apr_table_addn(self.raw.as_ptr(), name.as_ptr(), value.as_ptr()) };
    }

    /// Copies bytes into the table's pool and adds them.
    pub(crate) fn add_copy(self, name: &[u8], value: &[u8]) {
        self.add(self.pool.string(name), self.pool.string(value));
    }

    /// Removes all values of a name.
    pub(crate) fn unset(self, name: &CStr) {
        // SAFETY: the table is alive.
        unsafe { sys::apr_table_unset(self.raw.as_ptr(), name.as_ptr()) };
    }

    /// All entries in their order. A NULL value is an empty string.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'r CStr, &'r CStr)> {
        // SAFETY: the table is alive during 'r; its array has `nelts` entries whose
        // keys are strings. The caller does not change the table meanwhile: the
        // wrapper is used by one thread, between two hooks.
        let entries: &'r [sys::apr_table_entry_t] = unsafe {
            let array = &*sys::apr_table_elts(self.raw.as_ptr());
            match usize::try_from(array.nelts) {
                Ok(count) if count > 0 => {
                    std::slice::from_raw_parts(array.elts.cast_const().cast(), count)
                }
                _ => &[],
            }
        };
        entries.iter().filter(|entry| !entry.key.is_null()).map(|entry| {
            // SAFETY: key and value are NUL-terminated strings that live during 'r.
            unsafe {
                let value = if entry.val.is_null() { c"" } else { CStr::from_ptr(entry.val) };
                (CStr::from_ptr(entry.key), value)
            }
        })
    }
}
