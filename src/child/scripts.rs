//! The scripts that were found lately where aliases say that they are: to look for each again with
//! each request would be a system call.
//!
//! *Runs in:* httpd child. *Threads:* all of them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::apache::request::Found;

/// Microseconds after which a script is looked for again.
const FRESH: u64 = 1_000_000;

/// What was found, by path. Paths are those of the configuration: there are not many.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    known: RwLock<BTreeMap<Box<[u8]>, Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    found: Found,
    /// Microseconds since the epoch.
    at: u64,
}

impl Scripts {
    /// What was found at this path within the second before `now`, in microseconds since the
    /// epoch.
    pub(crate) fn find(&self, path: &[u8], now: u64) -> Option<Found> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let seen = known.get(path)?;
        now.checked_sub(seen.at).is_some_and(|age| age < FRESH).then_some(seen.found)
    }

    /// This was found there just now.
    pub(crate) fn keep(&self, path: &[u8], now: u64, found: Found) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.into(), Seen { found, at: now });
    }
}
