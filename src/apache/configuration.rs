//! The module's configuration in httpd's hands: created, merged and looked up.

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

use super::guard::guard;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::sys;

/// A configuration that httpd keeps for each server or for each directory.
pub(crate) trait Merge: Default + 'static {
    /// What holds where both apply: `self` the outer, `inner` the more specific one.
    fn merge(&self, inner: &Self) -> Self;
}

/// A directory's configuration as a request meets it: its own values, or two
/// nodes of which the inner one wins. Merging copies nothing, as httpd merges
/// along the path for each request, whoever will handle it.
#[derive(Debug)]
pub(crate) enum Node<T: 'static> {
    Own(T),
    Merged { outer: &'static Self, inner: &'static Self },
}

impl<T: Merge> Node<T> {
    /// The values that hold: borrowed if they need no merging.
    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&T) -> R) -> R {
        match self {
            Self::Own(own) => use_it(own),
            Self::Merged { .. } => use_it(&self.merged()),
        }
    }

    /// What the nearest configuration has that has any, without merging: for hooks
    /// that run for requests of all kinds.
    pub(crate) fn nearest<R>(&self, pick: impl Fn(&T) -> Option<R> + Copy) -> Option<R> {
        match self {
            Self::Own(own) => pick(own),
            Self::Merged { outer, inner } => inner.nearest(pick).or_else(|| outer.nearest(pick)),
        }
    }

    fn merged(&self) -> T {
        match self {
            Self::Own(own) => T::default().merge(own),
            Self::Merged { outer, inner } => match inner {
                Self::Own(inner) => outer.with(|outer| outer.merge(inner)),
                Self::Merged { .. } => outer.with(|outer| outer.merge(&inner.merged())),
            },
        }
    }
}

/// `create_dir_config`. *Runs in:* the parent; the child for .htaccess.
// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
pub(crate) unsafe extern "C" fn create_directory<T: Merge>(
    pool: *mut sys::apr_pool_t,
    _path: *mut c_char,
) -> *mut c_void {
    guard(|| {
        NonNull::new(pool).map_or(std::ptr::null_mut(), |pool| {
            // SAFETY: the pool lives as long as the configuration made in it.
            let pool = unsafe { Pool::new(pool) };
            let node: *mut Node<T> = pool.own(Node::Own(T::default()));
            node.cast()
        })
    })
}

/// `merge_dir_config`. *Runs in:* the parent and, for each request, the child.
// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
pub(crate) unsafe extern "C" fn merge_directories<T: Merge>(
    pool: *mut sys::apr_pool_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_void {
    guard(|| {
        let (Some(pool), Some(outer), Some(inner)) =
            (NonNull::new(pool), NonNull::new(outer), NonNull::new(inner))
        else {
            return outer;
        };
        // SAFETY: both were made by these functions for the same T, in this pool or
        // one that lives longer; the lifetime is really that of the pool, and nodes
        // are reached only through objects of that pool. A node of two references
        // needs no drop.
        unsafe {
            let node =
                Node::<T>::Merged { outer: outer.cast().as_ref(), inner: inner.cast().as_ref() };
            let memory = sys::apr_palloc(pool.as_ptr(), size_of::<Node<T>>() as sys::apr_size_t);
            let place: *mut Node<T> = memory.cast();
            place.write(node);
            place.cast()
        }
    })
}

/// `create_server_config`. *Runs in:* the parent.
// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
pub(crate) unsafe extern "C" fn create_server<T: Merge>(
    pool: *mut sys::apr_pool_t,
    _server: *mut sys::server_rec,
) -> *mut c_void {
    guard(|| {
        NonNull::new(pool).map_or(std::ptr::null_mut(), |pool| {
            // SAFETY: the pool lives as long as the configuration made in it.
            let config: *mut T = unsafe { Pool::new(pool) }.own(T::default());
            config.cast()
        })
    })
}

/// `merge_server_config`. *Runs in:* the parent.
// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
pub(crate) unsafe extern "C" fn merge_servers<T: Merge>(
    pool: *mut sys::apr_pool_t,
    base: *mut c_void,
    host: *mut c_void,
) -> *mut c_void {
    guard(|| {
        let (Some(pool), Some(base), Some(host)) =
            (NonNull::new(pool), NonNull::new(base), NonNull::new(host))
        else {
            return host;
        };
        // SAFETY: both were made by `create_server::<T>` or here, and are alive.
        let merged = unsafe { base.cast::<T>().as_ref().merge(host.cast::<T>().as_ref()) };
        // SAFETY: the pool lives as long as the configuration made in it.
        let merged: *mut T = unsafe { Pool::new(pool) }.own(merged);
        merged.cast()
    })
}

/// The configuration of a server. `T` must be the type that the module record
/// was made with; both callers live in `lib.rs`.
pub(crate) fn of_server<T: Merge>(server: Server<'_>) -> Option<&T> {
    let config = NonNull::new(server.module_config().cast_mut())?;
    // SAFETY: made by `create_server::<T>` or `merge_servers::<T>`; lives as long as
    // the server, and is written while the configuration is read only.
    Some(unsafe { config.cast::<T>().as_ref() })
}

/// The configuration of the directory that a request was mapped to.
pub(crate) fn of_request<T: Merge>(request: Request<'_>) -> Option<&Node<T>> {
    let config = NonNull::new(request.directory_config().cast_mut())?;
    // SAFETY: made by `create_directory::<T>` or `merge_directories::<T>`; lives as
    // long as the request.
    Some(unsafe { config.cast::<Node<T>>().as_ref() })
}
