//! What the multi-processing module and httpd's main loop say of themselves.

use std::ffi::{CStr, OsStr, OsString, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::pool::Pool;
use super::sys;

/// How the MPM is shaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mpm {
    pub(crate) name: String,
    pub(crate) threaded: bool,
    pub(crate) max_children: u32,
    pub(crate) threads: u32,
}

/// Asks the MPM; after the configuration has been read.
pub(crate) fn mpm() -> Mpm {
    // SAFETY: returns the name of the MPM, a constant of its module.
    let name = unsafe { sys::ap_show_mpm() };
    let name = if name.is_null() {
        String::new()
    } else {
        // SAFETY: not null, so a NUL-terminated string.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    };
    let threads = query(sys::AP_MPMQ_MAX_THREADS);
    Mpm {
        name,
        threaded: query(sys::AP_MPMQ_IS_THREADED) != 0,
        max_children: u32::try_from(query(sys::AP_MPMQ_MAX_DAEMONS)).unwrap_or(1).max(1),
        // Prefork answers 0 or 1.
        threads: u32::try_from(threads).unwrap_or(1).max(1),
    }
}

/// Whether the MPM has begun to stop.
pub(crate) fn is_stopping() -> bool {
    is_exiting() || query(sys::AP_MPMQ_MPM_STATE) == constant(sys::AP_MPMQ_STOPPING)
}

/// Whether httpd's main loop is over.
pub(crate) fn is_exiting() -> bool {
    main_state() == constant(sys::AP_SQ_MS_EXITING)
}

/// Whether this process only tells a running httpd to stop (`httpd -k stop`).
pub(crate) fn is_called_to_stop() -> bool {
    // httpd keeps -k from modules; what it was called with remains.
    let words: Vec<_> = std::env::args_os().collect();
    let orders = |word: &OsString| word == "stop" || word == "graceful-stop";
    words.iter().any(|word| word == "-kstop" || word == "-kgraceful-stop")
        || words.windows(2).any(|pair| matches!(pair, [k, order] if k == "-k" && orders(order)))
}

/// Whether this is the pass over the configuration that only checks it.
pub(crate) fn is_first_pass() -> bool {
    main_state() == constant(sys::AP_SQ_MS_CREATE_PRE_CONFIG)
}

/// Number of the generation of children that runs, or is about to.
pub(crate) fn generation() -> u32 {
    u32::try_from(query(sys::AP_MPMQ_GENERATION)).unwrap_or(0)
}

/// Whether httpd was started with `-D` and this name.
pub(crate) fn is_defined(name: &CStr) -> bool {
    // SAFETY: compares strings; the list of names is complete before directives are read.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Whether httpd was started with `-t`: it reads the configuration and exits.
pub(crate) fn only_tests() -> bool {
    // SAFETY: reads a variable that is set before directives are read.
    let mode = unsafe { sys::ap_state_query(constant(sys::AP_SQ_RUN_MODE)) };
    mode == constant(sys::AP_SQ_RM_CONFIG_TEST)
}

/// Path of a file in DefaultRuntimeDir.
pub(crate) fn runtime_file(pool: Pool<'_>, name: &CStr) -> Option<PathBuf> {
    // SAFETY: the pool lives during the call; the answer is in it.
    let path = unsafe { sys::ap_runtime_dir_relative(pool.raw(), name.as_ptr()) };
    // SAFETY: a NUL-terminated string, unless null.
    let path = (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) })?;
    Some(PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}

/// ServerRoot.
pub(crate) fn server_root() -> PathBuf {
    // SAFETY: a string that is set before directives are read.
    let root = unsafe { sys::ap_server_root };
    PathBuf::from(OsStr::from_bytes(super::server::bytes(root)))
}

/// Who httpd itself runs as.
pub(crate) fn user_id() -> u32 {
    // SAFETY: can't fail.
    unsafe { libc::geteuid() }
}

/// Whether httpd was started as root, and may change users.
pub(crate) fn is_root() -> bool {
    user_id() == 0
}

/// uid and gid of httpd's children: User and Group.
pub(crate) fn child_identity() -> (u32, u32) {
    // SAFETY: reads variables that are set while the configuration is read.
    unsafe { (sys::wsgi_unixd_user_id(), sys::wsgi_unixd_group_id()) }
}

/// Version of httpd, e.g. `2.4.71`, whatever ServerTokens tells clients.
pub(crate) fn httpd_version() -> String {
    let mut version =
        sys::ap_version_t { major: 0, minor: 0, patch: 0, add_string: std::ptr::null() };
    // SAFETY: fills the record.
    unsafe { sys::ap_get_server_revision(&raw mut version) };
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

fn main_state() -> c_int {
    // SAFETY: reads a variable of httpd's main loop.
    unsafe { sys::ap_state_query(constant(sys::AP_SQ_MAIN_STATE)) }
}

fn query(code: u32) -> c_int {
    let mut answer = 0;
    // SAFETY: `answer` is a valid place; the MPM is loaded.
    let status = unsafe { sys::ap_mpm_query(constant(code), &raw mut answer) };
    if status == 0 { answer } else { 0 }
}

/// bindgen gives small positive macro constants an unsigned type.
fn constant(value: u32) -> c_int {
    c_int::try_from(value).unwrap_or(c_int::MAX)
}
