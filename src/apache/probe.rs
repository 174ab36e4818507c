//! Requests that nobody sent, for an httpd that explains its configuration.

use std::ffi::{CStr, CString};
use std::net::IpAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mpm;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::{Status, sys};

/// What `-D` has to define, and the variable of the environment that holds the URLs.
pub(crate) const NAME: &str = "WSGI_EXPLAIN";
const DEFINE: &CStr = c"WSGI_EXPLAIN";

static EXPLAINS: AtomicBool = AtomicBool::new(false);

/// Whether httpd was started as `httpd -t -D WSGI_EXPLAIN`.
pub(crate) fn is_explaining() -> bool {
    EXPLAINS.load(Ordering::Relaxed)
}

/// Prepares for probes, if that is what httpd was started for; never in one that serves.
pub(super) fn register() {
    if mpm::is_defined(DEFINE) && mpm::only_tests() {
        EXPLAINS.store(true, Ordering::Relaxed);
        // SAFETY: httpd is loading the module and takes hooks.
        unsafe { sys::wsgi_probe_register() };
    }
}

/// Gives up root's rights for those of httpd's children, before the first probe.
pub(crate) fn begin(pool: Pool<'_>, base: Server<'_>) -> bool {
    // SAFETY: pool and server are alive; this process does nothing but explain.
    unsafe { sys::wsgi_probe_begin(pool.raw(), base.raw()) != 0 }
}

/// What a request would be for.
#[derive(Debug)]
pub(crate) struct Sought {
    /// Where it comes in.
    pub(crate) address: CString,
    pub(crate) port: u16,
    /// Whether with TLS.
    pub(crate) https: bool,
    /// Host.
    pub(crate) host: CString,
    /// Path and query.
    pub(crate) uri: CString,
}

/// A request as all modules map it, and what that ended with. None if the address is
/// none, or if this httpd can't.
pub(crate) fn probe<'p>(
    pool: Pool<'p>,
    base: Server<'p>,
    sought: &Sought,
) -> Option<(Request<'p>, Status)> {
    let mut status = 0;
    // SAFETY: pool and server are alive, the strings are copied; the request is made in
    // the pool and lives as long.
    unsafe {
        let request = sys::wsgi_probe(
            pool.raw(),
            base.raw(),
            sought.address.as_ptr(),
            sought.port,
            sought.https.into(),
            sought.host.as_ptr(),
            sought.uri.as_ptr(),
            &raw mut status,
        );
        NonNull::new(request).map(|raw| (Request::new(raw), Status(status)))
    }
}

/// The first address that httpd listens on at a port, unspecified for all; none if it
/// does not.
pub(crate) fn listens(port: u16) -> Option<IpAddr> {
    // SAFETY: listeners live until httpd exits, which it does after the explanation.
    let address = unsafe {
        let address = sys::wsgi_listens(port);
        (!address.is_null()).then(|| CStr::from_ptr(address))
    };
    address?.to_str().ok()?.parse().ok()
}
