//! The hooks that httpd calls, and their way into safe code.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::NonNull;

use super::guard::guard;
use super::pool::Pool;
use super::providers::{self, Providers};
use super::request::Request;
use super::server::Server;
use super::{Status, sys};

/// What the module does at each hook. Names are httpd's.
pub(crate) trait Hooks {
    /// The configuration has been read: is it right? *Runs in:* the parent, on each
    /// pass and for `httpd -t`. Anything but OK stops httpd; why was logged.
    fn check_config(pconf: Pool<'static>, server: Server<'static>) -> Status;
    /// `httpd -t` has found no mistake. *Runs in:* an httpd that exits then.
    fn test_config(pconf: Pool<'static>, server: Server<'static>);
    /// The configuration is to be run. *Runs in:* the parent, on each pass. Anything
    /// but OK stops httpd; why was logged.
    fn post_config(pconf: Pool<'static>, server: Server<'static>) -> Status;
    /// A child has been forked. *Runs in:* the child, before its threads start.
    /// `pool` is cleared when the child ends.
    fn child_init(pool: Pool<'static>, server: Server<'static>);
    /// The last child of a generation has ended. *Runs in:* the parent.
    fn end_generation(server: Server<'static>, generation: i32);
    /// Comes every ten seconds or so. *Runs in:* the parent.
    fn monitor(server: Server<'static>);
    /// Maps a URL to a file. *Runs in:* the child, on a worker thread.
    fn translate_name(request: Request<'_>) -> Status;
    /// Finds the settings of the directories on the way to that file. *Runs in:* the child, on
    /// a worker thread.
    fn map_to_storage(request: Request<'_>) -> Status;
    /// Whether a client is let in, before anybody asks who the user is. *Runs in:* the
    /// child, on a worker thread.
    fn access_checker(request: Request<'_>) -> Status;
    /// Answers a request. *Runs in:* the child, on a worker thread.
    fn handler(request: Request<'_>) -> Status;
    /// Adds to mod_status' page: lines if `short`, and only if `extended` what requests
    /// say. *Runs in:* the child, on a worker thread.
    fn status(request: Request<'_>, short: bool, extended: bool);
}

// SAFETY: declared as the symbol is defined in lib.rs.
unsafe extern "C" {
    /// The module record, which `lib.rs` exports.
    static mut wsgi_module: sys::module;
}

pub(super) fn module_record() -> *const sys::module {
    &raw const wsgi_module
}

pub(super) fn module_index() -> c_int {
    // SAFETY: httpd writes the index when it loads the module, before any hook runs.
    unsafe { (*module_record()).module_index }
}

/// Path of the file that this module was loaded from.
pub(crate) fn module_path() -> Option<PathBuf> {
    let mut information = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: asks the dynamic linker about an address of ours; it fills the record
    // and names the file by a string that lives as long as the module is loaded.
    unsafe {
        if libc::dladdr(module_record().cast(), information.as_mut_ptr()) == 0 {
            return None;
        }
        let name = information.assume_init().dli_fname;
        (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())))
    }
}

/// Predecessors and successors of a hook: NULL-terminated lists of source names.
struct Order<const N: usize>([*const c_char; N]);

// SAFETY: pointers to constant strings.
unsafe impl<const N: usize> Sync for Order<N> {}

static AFTER_ALIAS: Order<2> = Order([c"mod_alias.c".as_ptr(), std::ptr::null()]);
static BEFORE_USERDIR: Order<3> =
    Order([c"mod_userdir.c".as_ptr(), c"mod_vhost_alias.c".as_ptr(), std::ptr::null()]);

static AFTER_SSL: Order<2> = Order([c"mod_ssl.c".as_ptr(), std::ptr::null()]);
static BEFORE_HOST: Order<2> = Order([c"mod_authz_host.c".as_ptr(), std::ptr::null()]);

/// Registers all hooks; httpd calls it when the module is loaded.
// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
pub(crate) unsafe extern "C" fn register<H: Hooks + Providers>(pool: *mut sys::apr_pool_t) {
    const MIDDLE: c_int = 10;
    // The core's own hook of this kind is the only one behind it.
    const LAST: c_int = 20;
    // A script may decide by the URL, so each one of an internal request is asked about.
    #[allow(clippy::cast_possible_wrap)] // a small number
    const AUTH_PER_URI: c_int = sys::AP_AUTH_INTERNAL_PER_URI as c_int;
    let none = std::ptr::null();
    // SAFETY: httpd is loading the module; it withdraws the hooks before it unloads it.
    unsafe {
        sys::ap_hook_check_config(Some(check_config::<H>), none, none, MIDDLE);
        sys::ap_hook_test_config(Some(test_config::<H>), none, none, MIDDLE);
        super::probe::register();
        sys::wsgi_network_register();
        sys::ap_hook_post_config(Some(post_config::<H>), none, none, MIDDLE);
        sys::ap_hook_child_init(Some(child_init::<H>), none, none, MIDDLE);
        sys::ap_hook_end_generation(Some(end_generation::<H>), none, none, MIDDLE);
        sys::ap_hook_monitor(Some(monitor::<H>), none, none, MIDDLE);
        sys::ap_hook_translate_name(
            Some(translate_name::<H>),
            AFTER_ALIAS.0.as_ptr(),
            BEFORE_USERDIR.0.as_ptr(),
            MIDDLE,
        );
        sys::ap_hook_map_to_storage(Some(map_to_storage::<H>), none, none, LAST);
        sys::ap_hook_check_access(
            Some(access_checker::<H>),
            AFTER_SSL.0.as_ptr(),
            BEFORE_HOST.0.as_ptr(),
            MIDDLE,
            AUTH_PER_URI,
        );
        sys::ap_hook_handler(Some(handler::<H>), none, none, MIDDLE);
        // Called only if mod_status is there, whichever is loaded first.
        sys::wsgi_hook_status(Some(status::<H>));
        providers::register::<H>(pool);
    }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn check_config<H: Hooks>(
    pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    // SAFETY: the hook's contract.
    unsafe { with_configuration(pconf, server, H::check_config) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn post_config<H: Hooks>(
    pconf: *mut sys::apr_pool_t,
    _plog: *mut sys::apr_pool_t,
    _ptemp: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    // SAFETY: the hook's contract.
    unsafe { with_configuration(pconf, server, H::post_config) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn test_config<H: Hooks>(
    pconf: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) {
    let hook = |pconf, server| {
        H::test_config(pconf, server);
        Status::OK
    };
    // SAFETY: the hook's contract.
    unsafe { with_configuration(pconf, server, hook) };
}

/// # Safety
/// Both must be arguments of a hook that httpd runs for a whole configuration.
unsafe fn with_configuration(
    pconf: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
    hook: fn(Pool<'static>, Server<'static>) -> Status,
) -> c_int {
    guard(|| {
        let (Some(pconf), Some(server)) = (NonNull::new(pconf), NonNull::new(server)) else {
            return Status::INTERNAL_SERVER_ERROR;
        };
        // SAFETY: both live until the configuration is thrown away, and then so is
        // everything that the hook leaves behind: it is kept in pconf.
        let (pconf, server) = unsafe { (Pool::new(pconf), Server::new(server)) };
        hook(pconf, server)
    })
    .0
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn child_init<H: Hooks>(
    pchild: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) {
    guard(|| {
        if let (Some(pool), Some(server)) = (NonNull::new(pchild), NonNull::new(server)) {
            // SAFETY: a child keeps its configuration and its pool until it exits.
            let (pool, server) = unsafe { (Pool::new(pool), Server::new(server)) };
            H::child_init(pool, server);
        }
    });
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn end_generation<H: Hooks>(server: *mut sys::server_rec, generation: c_int) {
    guard(|| {
        if let Some(server) = NonNull::new(server) {
            // SAFETY: the base server of the current configuration.
            H::end_generation(unsafe { Server::new(server) }, generation);
        }
    });
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn monitor<H: Hooks>(
    _pool: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    guard(|| {
        if let Some(server) = NonNull::new(server) {
            // SAFETY: the base server of the current configuration.
            H::monitor(unsafe { Server::new(server) });
        }
        Status::DECLINED
    })
    .0
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn translate_name<H: Hooks>(request: *mut sys::request_rec) -> c_int {
    // SAFETY: the hook's contract: the request is alive and this thread's.
    unsafe { with_request(request, H::translate_name) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn map_to_storage<H: Hooks>(request: *mut sys::request_rec) -> c_int {
    // SAFETY: the hook's contract: the request is alive and this thread's.
    unsafe { with_request(request, H::map_to_storage) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn access_checker<H: Hooks>(request: *mut sys::request_rec) -> c_int {
    // SAFETY: the hook's contract: the request is alive and this thread's.
    unsafe { with_request(request, H::access_checker) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn handler<H: Hooks>(request: *mut sys::request_rec) -> c_int {
    // SAFETY: the hook's contract: the request is alive and this thread's.
    unsafe { with_request(request, H::handler) }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn status<H: Hooks>(request: *mut sys::request_rec, flags: c_int) -> c_int {
    let has = |flag: u32| flags.cast_unsigned() & flag != 0;
    let (short, extended) = (has(sys::AP_STATUS_SHORT), has(sys::AP_STATUS_EXTENDED));
    // SAFETY: the hook's contract: the request is alive and this thread's.
    unsafe {
        with_request(request, |request| {
            H::status(request, short, extended);
            Status::OK
        })
    }
}

/// # Safety
/// `request` must be a hook's argument and this its only use.
unsafe fn with_request(
    request: *mut sys::request_rec,
    hook: impl for<'r> FnOnce(Request<'r>) -> Status,
) -> c_int {
    guard(|| match NonNull::new(request) {
        // SAFETY: the caller's contract; the lifetime can't leave `hook`.
        Some(request) => hook(unsafe { Request::new(request) }),
        None => Status::INTERNAL_SERVER_ERROR,
    })
    .0
}

/// Adds to what httpd calls itself, e.g. `mod_wsgi/1.0`.
pub(crate) fn add_version_component(pconf: Pool<'_>, component: &CStr) {
    // SAFETY: the pool is the configuration's; httpd copies the string.
    unsafe { sys::ap_add_version_component(pconf.raw(), component.as_ptr()) };
}
