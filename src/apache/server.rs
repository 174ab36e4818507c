//! A server: the base server or a virtual host.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr::NonNull;

use super::pool::Pool;
use super::sys;

/// A server that outlives `'s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server<'s> {
    raw: NonNull<sys::server_rec>,
    lifetime: PhantomData<&'s ()>,
}

impl<'s> Server<'s> {
    /// # Safety
    /// `raw` must be a server alive during `'s`: until the configuration's pool is
    /// cleared.
    pub(crate) unsafe fn new(raw: NonNull<sys::server_rec>) -> Self {
        Self { raw, lifetime: PhantomData }
    }

    /// The base server of the configuration that runs.
    pub(crate) fn base() -> Option<Self> {
        // SAFETY: httpd sets the variable before it runs post_config and keeps the
        // object until it has cleared the configuration's pool.
        unsafe { NonNull::new(sys::ap_server_conf).map(|raw| Self::new(raw)) }
    }

    pub(crate) fn raw(self) -> *mut sys::server_rec {
        self.raw.as_ptr()
    }

    fn record(self) -> &'s sys::server_rec {
        // SAFETY: alive during 's (contract of `new`), not written after start.
        unsafe { self.raw.as_ref() }
    }

    /// The next server of the configuration, the base server being the first.
    pub(crate) fn next(self) -> Option<Self> {
        // SAFETY: servers of one configuration live equally long.
        NonNull::new(self.record().next).map(|raw| unsafe { Self::new(raw) })
    }

    pub(crate) fn is_virtual(self) -> bool {
        self.record().is_virtual != 0
    }

    /// ServerName without its port; empty if there is none.
    pub(crate) fn hostname(self) -> &'s str {
        text(self.record().server_hostname)
    }

    /// Port of ServerName; else, for a virtual host, that of its first address,
    /// else 0.
    pub(crate) fn port(self) -> u16 {
        let record = self.record();
        if record.port != 0 {
            return record.port;
        }
        NonNull::new(record.addrs).map_or(0, |address| {
            // SAFETY: addresses live as long as their server.
            unsafe { address.as_ref() }.host_port
        })
    }

    /// Where it is defined; empty for the base server.
    pub(crate) fn place(self) -> String {
        let record = self.record();
        match text(record.defn_name) {
            "" => String::new(),
            file => format!("{file}:{}", record.defn_line_number),
        }
    }

    /// ServerAdmin.
    pub(crate) fn admin(self) -> &'s [u8] {
        bytes(self.record().server_admin)
    }

    /// Microseconds of the Timeout directive.
    pub(crate) fn timeout(self) -> u64 {
        u64::try_from(self.record().timeout).unwrap_or(60_000_000)
    }

    /// The error log's descriptor; none when the log is not a file or a pipe.
    pub(crate) fn error_log(self) -> Option<BorrowedFd<'s>> {
        let file = self.record().error_log;
        if file.is_null() {
            return None;
        }
        let mut descriptor: RawFd = -1;
        // SAFETY: `file` is an open APR file of the configuration; its descriptor
        // stays open as long as the server.
        unsafe {
            (sys::apr_os_file_get(&raw mut descriptor, file) == 0 && descriptor >= 0)
                .then(|| BorrowedFd::borrow_raw(descriptor))
        }
    }

    /// The pool that lives as long as httpd, configurations notwithstanding.
    pub(crate) fn process_pool(self) -> Option<Pool<'static>> {
        let process = NonNull::new(self.record().process)?;
        // SAFETY: the process record and its pool live until httpd exits.
        unsafe { NonNull::new(process.as_ref().pool).map(|pool| Pool::new(pool)) }
    }

    /// The pool of the configuration (`pconf`).
    pub(crate) fn config_pool(self) -> Option<Pool<'s>> {
        let process = NonNull::new(self.record().process)?;
        // SAFETY: the process record lives until httpd exits, the configuration's pool
        // as long as this server.
        unsafe { NonNull::new(process.as_ref().pconf).map(|pool| Pool::new(pool)) }
    }

    /// Tells this server from the others of its configuration; 0 is the base server.
    pub(crate) fn id(self) -> usize {
        if self.is_virtual() { self.raw.as_ptr().addr() } else { 0 }
    }

    pub(super) fn module_config(self) -> *const c_void {
        // SAFETY: the vector is complete once the configuration is read; our index
        // is valid as long as the module is loaded.
        unsafe {
            sys::ap_get_module_config(self.record().module_config, super::hooks::module_record())
        }
    }
}

pub(super) fn bytes<'a>(string: *const c_char) -> &'a [u8] {
    if string.is_null() {
        return &[];
    }
    // SAFETY: callers pass strings of objects that live during 'a.
    unsafe { CStr::from_ptr(string) }.to_bytes()
}

fn text<'a>(string: *const c_char) -> &'a str {
    std::str::from_utf8(bytes(string)).unwrap_or_default()
}
