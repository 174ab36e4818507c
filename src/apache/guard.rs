//! Catches panics at the border: one that crossed into C would end httpd.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Status;

/// What an entry point answers when its body panicked. A return type without
/// such a value can't be guarded, so it does not compile.
pub(crate) trait OnPanic {
    /// The value that fails the request, or the configuration.
    fn on_panic() -> Self;
}

impl OnPanic for Status {
    fn on_panic() -> Self {
        Self::INTERNAL_SERVER_ERROR
    }
}

impl OnPanic for () {
    fn on_panic() -> Self {}
}

impl<T> OnPanic for *mut T {
    fn on_panic() -> Self {
        std::ptr::null_mut()
    }
}

/// A configuration error.
impl OnPanic for Result<(), String> {
    fn on_panic() -> Self {
        Err("MWR1900: internal error while the directive was read; please report it".into())
    }
}

/// Runs the body of an entry point. The panic's message went to stderr, which is
/// httpd's error log; its payload is forgotten, as dropping it may panic again.
pub(crate) fn guard<T: OnPanic>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        T::on_panic()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_the_fallback() {
        assert_eq!(guard(|| -> Status { panic!("on purpose") }), Status::INTERNAL_SERVER_ERROR);
        assert_eq!(guard(|| Status::OK), Status::OK);
    }
}
