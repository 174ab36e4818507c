//! The whole configuration as httpd has read it, other modules' directives included.
//!
//! *Runs in:* httpd's parent, while the configuration is checked.

use std::ptr::NonNull;

use super::server::bytes;
use super::sys;

/// Sections deeper than this are left out: httpd itself bounds them.
const DEPTH: usize = 32;

/// A directive or a section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its name; a section's begins with `<`.
    pub(crate) name: String,
    /// What follows the name; with the `>` of a section.
    pub(crate) text: String,
    /// What is inside.
    pub(crate) inner: Vec<Self>,
}

/// All statements in the order of the configuration, without `<IfModule>` and the like.
pub(crate) fn all() -> Vec<Statement> {
    // SAFETY: httpd sets the variable before it checks the configuration, and keeps the tree as
    // long as the configuration.
    let first = unsafe { sys::ap_conftree };
    // SAFETY: as above.
    unsafe { statements(first, 0) }
}

/// # Safety
/// `next` must be null or an entry of httpd's tree.
unsafe fn statements(mut next: *const sys::ap_directive_t, depth: usize) -> Vec<Statement> {
    let mut found = Vec::new();
    while let Some(entry) = NonNull::new(next.cast_mut()).filter(|_| depth < DEPTH) {
        // SAFETY: the caller's promise; entries and their strings live as long as the tree.
        let entry = unsafe { entry.as_ref() };
        let text = |string| String::from_utf8_lossy(bytes(string)).into_owned();
        // SAFETY: children and successors are entries of the same tree.
        let inner = unsafe { statements(entry.first_child, depth + 1) };
        found.push(Statement { name: text(entry.directive), text: text(entry.args), inner });
        next = entry.next;
    }
    found
}
