//! Memory that processes share: a file without a name, mapped by each of them.
//!
//! *Runs in:* every process but Python code. *Threads:* any.

use std::ffi::CStr;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::unistd::{SysconfVar, sysconf};

/// What may lie in shared memory.
///
/// # Safety
/// It consists of atomics alone, and any bytes are a valid value: other processes write to it
/// whenever and whatever they like.
pub(crate) unsafe trait Shareable: Sync {}

/// Makes zeroed memory of so many bytes (close-on-exec, sparse, sealed against resizing).
///
/// # Errors
/// The process has no descriptor left.
pub(crate) fn create(name: &CStr, size: usize) -> io::Result<OwnedFd> {
    // Linux 6.3 wants to be told whether it may be executed.
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let no_execution = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let memory = match memfd_create(name, flags | no_execution) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        created => created?,
    };
    nix::unistd::ftruncate(&memory, libc::off_t::try_from(size).map_err(io::Error::other)?)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(memory)
}

/// Size in bytes of memory that can't shrink; none for any other descriptor. Without the seal a
/// shrunk file would end this process with SIGBUS.
pub(crate) fn sealed_size(fd: BorrowedFd<'_>) -> Option<usize> {
    let seals = SealFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GET_SEALS).ok()?);
    let size = nix::sys::stat::fstat(fd).ok()?.st_size;
    usize::try_from(size).ok().filter(|_| seals.contains(SealFlag::F_SEAL_SHRINK))
}

/// Copies into shared words.
pub(crate) fn write(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, eight) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*eight), Relaxed);
    }
    if let Some(word) = words.get(whole.len()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Relaxed);
    }
}

fn page_size() -> io::Result<usize> {
    let size = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// A `T` in shared memory.
#[derive(Debug)]
pub(crate) struct Mapping<T> {
    base: NonNull<T>,
    /// Bytes of the mapping in front of it.
    before: usize,
    holds: PhantomData<T>,
}

impl<T: Shareable> Mapping<T> {
    /// Maps the `T` at this offset, a multiple of its alignment, which is that of the smallest page.
    ///
    /// # Errors
    /// `InvalidData` if the descriptor is not that of sealed memory that reaches so far; the
    /// kernel's otherwise.
    pub(crate) fn new(fd: BorrowedFd<'_>, offset: usize) -> io::Result<Self> {
        Self::with_pages(fd, offset, page_size()?)
    }

    fn with_pages(fd: BorrowedFd<'_>, offset: usize, page: usize) -> io::Result<Self> {
        let size = NonZeroUsize::new(size_of::<T>()).ok_or(io::ErrorKind::InvalidData)?;
        let end = offset.checked_add(size.get()).ok_or(io::ErrorKind::InvalidData)?;
        if !offset.is_multiple_of(align_of::<T>())
            || sealed_size(fd.as_fd()).is_none_or(|size| size < end)
        {
            let why = "the descriptor is not that of sealed memory of the right size";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let before = offset % page;
        let size = size.saturating_add(before);
        let offset = libc::off_t::try_from(offset - before).map_err(io::Error::other)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, fd, offset) }?;
        // What requests say is nothing for a core file.
        // SAFETY: advice on the mapping just made; its content stays.
        let _ = unsafe { madvise(start, size.get(), MmapAdvise::MADV_DONTDUMP) };
        // SAFETY: the mapping is longer by these bytes.
        let base = unsafe { start.byte_add(before) };
        Ok(Self { base: base.cast(), before, holds: PhantomData })
    }
}

impl<T> Deref for Mapping<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping has this size behind `base`, which is aligned as the offset in the
        // file is, lives as long as `self`, and can not shrink; any content is a valid `T`
        // (`Shareable`).
        unsafe { self.base.as_ref() }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this start and size; no reference into it outlives `self`.
        let _ = unsafe {
            let start = self.base.byte_sub(self.before);
            munmap(start.cast(), self.before + size_of::<T>())
        };
    }
}

// SAFETY: the mapping belongs to no thread, and is read and written through atomics alone.
unsafe impl<T: Shareable> Send for Mapping<T> {}
// SAFETY: as above.
unsafe impl<T: Shareable> Sync for Mapping<T> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

    use super::*;

    #[repr(C, align(4096))]
    struct Small([AtomicU8; 4096]);

    // SAFETY: atomics alone.
    unsafe impl Shareable for Small {}

    #[test]
    fn pages_may_be_larger_than_what_is_mapped() {
        let memory = create(c"test", 3 * 65_536).unwrap();
        for offset in [0, 4_096, 65_536, 98_304, 3 * 65_536 - 4_096] {
            let mapped = Mapping::<Small>::with_pages(memory.as_fd(), offset, 65_536).unwrap();
            let same = Mapping::<Small>::new(memory.as_fd(), offset).unwrap();
            mapped.0[7].store(9, SeqCst);
            assert_eq!(same.0[7].swap(0, SeqCst), 9, "{offset}");
        }
        for offset in [3 * 65_536, 1, usize::MAX] {
            assert!(Mapping::<Small>::new(memory.as_fd(), offset).is_err(), "{offset}");
        }
    }
}
