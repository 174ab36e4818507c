//! Buffers that requests of a child use one after the other.
//!
//! *Runs in:* httpd child, all threads.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers larger than this, in bytes, are not kept for the next request.
const LIMIT: usize = 512 * 1024;

/// Buffers of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The REQUEST record.
    pub(crate) record: Vec<u8>,
    /// What is received.
    pub(crate) buffer: Vec<u8>,
}

/// Buffers that nobody uses now: as many as there were requests at once.
#[derive(Debug, Default)]
pub(crate) struct Scratches {
    free: Mutex<Vec<Scratch>>,
}

impl Scratches {
    /// Lends buffers to a request.
    pub(crate) fn lend(&self) -> Lent<'_> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        Lent { owner: self, scratch: free.pop().unwrap_or_default() }
    }
}

/// A [`Scratch`] until its request is over.
#[derive(Debug)]
pub(crate) struct Lent<'c> {
    owner: &'c Scratches,
    scratch: Scratch,
}

impl Deref for Lent<'_> {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        &self.scratch
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Scratch {
        &mut self.scratch
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.record.clear();
        if scratch.record.capacity() <= LIMIT && scratch.buffer.len() <= LIMIT {
            self.owner.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_unless_they_grew_too_large() {
        let scratches = Scratches::default();
        scratches.lend().record.extend_from_slice(b"request");
        let mut lent = scratches.lend();
        assert!(lent.record.is_empty() && lent.record.capacity() >= 7);
        lent.buffer.resize(LIMIT + 1, 0);
        drop(lent);
        assert!(scratches.lend().buffer.is_empty());
    }
}
