//! Pools: memory that lives as long as a request, a child or a configuration.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::sys;

/// A pool that outlives `'p`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool<'p> {
    raw: NonNull<sys::apr_pool_t>,
    lifetime: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` must be a pool that is neither cleared nor destroyed during `'p`, and
    /// used by the calling thread only.
    pub(crate) unsafe fn new(raw: NonNull<sys::apr_pool_t>) -> Self {
        Self { raw, lifetime: PhantomData }
    }

    pub(crate) fn raw(self) -> *mut sys::apr_pool_t {
        self.raw.as_ptr()
    }

    /// Uninitialised memory, as APR aligns it (8 bytes). Aborts as APR does when
    /// memory is out: httpd's pools have an abort function.
    fn alloc(self, size: usize) -> NonNull<u8> {
        // SAFETY: the pool is alive during 'p (contract of `new`).
        let memory = unsafe { sys::apr_palloc(self.raw(), size.max(1)) };
        NonNull::new(memory.cast()).unwrap_or_else(|| std::process::abort())
    }

    /// A copy with a terminating NUL; bytes from the first NUL on are left out.
    pub(crate) fn string(self, bytes: &[u8]) -> &'p CStr {
        self.join([bytes])
    }

    /// A copy of parts, one after the other, as [`Pool::string`] makes it of one.
    pub(crate) fn join<const N: usize>(self, parts: [&[u8]; N]) -> &'p CStr {
        let room = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let memory = self.alloc(room);
        // SAFETY: `memory` has room for all parts and a NUL, all of which are written, and
        // is nobody else's during 'p. The NUL that ends the string may be one of a part's.
        unsafe {
            let mut end = memory.as_ptr();
            for part in parts {
                std::ptr::copy_nonoverlapping(part.as_ptr(), end, part.len());
                end = end.add(part.len());
            }
            end.write(0);
            CStr::from_ptr(memory.as_ptr().cast())
        }
    }

    /// Moves a value into the pool; it is dropped with the pool.
    pub(crate) fn own<T>(self, value: T) -> &'p mut T {
        let place = Box::leak(Box::new(value));
        let pointer: *mut T = place;
        // SAFETY: the pool is alive; `drop_boxed::<T>` gets the very Box that was
        // leaked here, once, when the pool ends.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.raw(),
                pointer.cast::<c_void>(),
                Some(drop_boxed::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
        }
        place
    }

    /// Moves a value into the pool that needs no drop.
    pub(crate) fn place<T: Copy>(self, value: T) -> &'p mut T {
        const { assert!(align_of::<T>() <= 8, "APR aligns to 8 bytes") };
        let memory = self.alloc(size_of::<T>()).cast::<T>();
        // SAFETY: the memory is large and aligned enough, and nobody else's.
        unsafe {
            memory.write(value);
            &mut *memory.as_ptr()
        }
    }

    /// The value that lives in the pool under `key`, made at the first call. `T` and
    /// the key belong together.
    pub(crate) fn shared<T: Default>(self, key: &'static CStr) -> &'p RefCell<T> {
        if let Some(data) = self.userdata(key) {
            // SAFETY: stored below with the type that belongs to the key; a pool that is
            // cleared forgets its userdata.
            return unsafe { data.cast::<RefCell<T>>().as_ref() };
        }
        let value: &'p RefCell<T> = self.own(RefCell::new(T::default()));
        self.set_userdata(key, NonNull::from(value).cast());
        value
    }

    /// Stores a reference that [`Pool::found`] finds under the same key.
    pub(crate) fn keep<T>(self, key: &'static CStr, object: &'p T) {
        self.set_userdata(key, NonNull::from(object).cast());
    }

    /// What [`Pool::keep`] stored. `T` and the key belong together.
    pub(crate) fn found<T>(self, key: &'static CStr) -> Option<&'p T> {
        // SAFETY: stored by `keep` with the type that belongs to the key, for 'p; a pool
        // that is cleared forgets its userdata.
        self.userdata(key).map(|data| unsafe { data.cast::<T>().as_ref() })
    }

    /// What [`Pool::set_userdata`] stored under `key`, which outlives reloads of
    /// this module if the pool does.
    pub(crate) fn userdata(self, key: &'static CStr) -> Option<NonNull<c_void>> {
        let mut data: *mut c_void = std::ptr::null_mut();
        // SAFETY: the pool is alive and `data` is a valid place for the answer.
        unsafe { sys::apr_pool_userdata_get(&raw mut data, key.as_ptr(), self.raw()) };
        NonNull::new(data)
    }

    /// Stores a pointer under `key` without a cleanup. APR copies the key.
    pub(crate) fn set_userdata(self, key: &'static CStr, data: NonNull<c_void>) {
        // SAFETY: the pool is alive; no cleanup function is registered.
        unsafe {
            sys::apr_pool_userdata_set(data.as_ptr(), key.as_ptr(), None, self.raw());
        }
    }

    /// Tells `owner`, which lives in this pool, that the pool is about to be cleared:
    /// before anything that was put into it earlier is dropped.
    pub(crate) fn on_clear<T: Cleared>(self, owner: &'p T) {
        let owner: *const T = owner;
        // SAFETY: the owner lives in the pool and is dropped by a cleanup that was
        // registered earlier, so it runs later.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.raw(),
                owner.cast(),
                Some(cleared::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
        }
    }
}

/// Who wants to know when its pool is cleared.
pub(crate) trait Cleared {
    /// The pool is being cleared, in this process or in a forked one.
    fn cleared(&self);
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn cleared<T: Cleared>(owner: *mut c_void) -> sys::apr_status_t {
    super::guard::guard(|| {
        if let Some(owner) = NonNull::new(owner.cast::<T>()) {
            // SAFETY: registered by `Pool::on_clear` with an owner that is alive.
            unsafe { owner.as_ref() }.cleared();
        }
    });
    0
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn drop_boxed<T>(pointer: *mut c_void) -> sys::apr_status_t {
    super::guard::guard(|| {
        // SAFETY: registered by `Pool::own` with a leaked Box<T>; APR calls it once.
        drop(unsafe { Box::from_raw(pointer.cast::<T>()) });
    });
    0
}
