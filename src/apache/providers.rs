//! Providers of authentication and authorization, as other modules of httpd ask them.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

use super::guard::{OnPanic, guard};
use super::request::Request;
use super::server::bytes;
use super::sys;

/// What the providers answer. *Runs in:* the child, on a worker thread.
pub(crate) trait Providers {
    /// Whether the password is the user's (`AuthBasicProvider wsgi`).
    fn check_password(request: Request<'_>, user: &[u8], password: &[u8]) -> Password;
    /// The MD5 of `user:realm:password` in hexadecimal (`AuthDigestProvider wsgi`).
    fn realm_hash<'r>(request: Request<'r>, user: &[u8], realm: &[u8]) -> RealmHash<'r>;
    /// Whether the user is in one of the groups (`Require wsgi-group`).
    fn check_groups(request: Request<'_>, groups: &[u8]) -> Membership;
}

/// What is known of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Password {
    Right,
    Wrong,
    UnknownUser,
    Failed,
}

/// What is known of a user's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RealmHash<'r> {
    Known(&'r CStr),
    UnknownUser,
    Failed,
}

/// Whether the user is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    Member,
    Stranger,
    /// Nobody was authenticated so far.
    Nobody,
    Failed,
}

impl OnPanic for Password {
    fn on_panic() -> Self {
        Self::Failed
    }
}

impl OnPanic for RealmHash<'_> {
    fn on_panic() -> Self {
        Self::Failed
    }
}

impl OnPanic for Membership {
    fn on_panic() -> Self {
        Self::Failed
    }
}

/// Registers the providers `wsgi` and `wsgi-group`.
///
/// # Safety
/// httpd must be loading the module, with this pool.
pub(super) unsafe fn register<P: Providers>(pool: *mut sys::apr_pool_t) {
    #[allow(clippy::cast_possible_wrap)] // a small number
    const PER_CONF: c_int = sys::AP_AUTH_INTERNAL_PER_CONF as c_int;
    let authn: *const sys::authn_provider = const {
        &sys::authn_provider {
            check_password: Some(check_password::<P>),
            get_realm_hash: Some(get_realm_hash::<P>),
        }
    };
    let authz: *const sys::authz_provider = const {
        &sys::authz_provider {
            check_authorization: Some(check_authorization::<P>),
            parse_require_line: None,
        }
    };
    let version = c"0".as_ptr();
    for (family, name, provider) in [
        (c"authn", c"wsgi", authn.cast::<c_void>()),
        (c"authz", c"wsgi-group", authz.cast::<c_void>()),
    ] {
        // SAFETY: the caller's contract; the records are constants of the module, and
        // httpd forgets them with the pool, before it unloads the module.
        unsafe {
            sys::ap_register_auth_provider(
                pool,
                family.as_ptr(),
                name.as_ptr(),
                version,
                provider,
                PER_CONF,
            );
        }
    }
}

/// # Safety
/// `request` must be a provider's argument and this its only use; the answer must not
/// outlive it.
unsafe fn with_request<'r, T: OnPanic>(
    request: *mut sys::request_rec,
    otherwise: T,
    ask: impl FnOnce(Request<'r>) -> T,
) -> T {
    guard(|| match NonNull::new(request) {
        // SAFETY: the caller's contract.
        Some(request) => ask(unsafe { Request::new(request) }),
        None => otherwise,
    })
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn check_password<P: Providers>(
    request: *mut sys::request_rec,
    user: *const c_char,
    password: *const c_char,
) -> sys::authn_status {
    // SAFETY: the provider's contract: the request is alive and this thread's.
    let answer = unsafe {
        with_request(request, Password::Failed, |request| {
            P::check_password(request, bytes(user), bytes(password))
        })
    };
    match answer {
        Password::Right => sys::AUTH_GRANTED,
        Password::Wrong => sys::AUTH_DENIED,
        Password::UnknownUser => sys::AUTH_USER_NOT_FOUND,
        Password::Failed => sys::AUTH_GENERAL_ERROR,
    }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn get_realm_hash<P: Providers>(
    request: *mut sys::request_rec,
    user: *const c_char,
    realm: *const c_char,
    hash: *mut *mut c_char,
) -> sys::authn_status {
    // SAFETY: the provider's contract: the request is alive and this thread's.
    let answer = unsafe {
        with_request(request, RealmHash::Failed, |request| {
            P::realm_hash(request, bytes(user), bytes(realm))
        })
    };
    match answer {
        RealmHash::Known(known) if !hash.is_null() => {
            // SAFETY: the caller's place for the hash, which lives in the request's pool.
            unsafe { *hash = known.as_ptr().cast_mut() };
            sys::AUTH_USER_FOUND
        }
        RealmHash::UnknownUser => sys::AUTH_USER_NOT_FOUND,
        RealmHash::Known(_) | RealmHash::Failed => sys::AUTH_GENERAL_ERROR,
    }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn check_authorization<P: Providers>(
    request: *mut sys::request_rec,
    groups: *const c_char,
    _parsed: *const c_void,
) -> sys::authz_status {
    // SAFETY: the provider's contract: the request is alive and this thread's.
    let answer = unsafe {
        with_request(request, Membership::Failed, |request| P::check_groups(request, bytes(groups)))
    };
    match answer {
        Membership::Member => sys::AUTHZ_GRANTED,
        Membership::Stranger => sys::AUTHZ_DENIED,
        Membership::Nobody => sys::AUTHZ_DENIED_NO_USER,
        Membership::Failed => sys::AUTHZ_GENERAL_ERROR,
    }
}
