//! One lane: a word that says how far an exchange is, and room for its two messages.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::bell;
use crate::futex;
use crate::memory::{self, Mapping, Shareable};

/// After so long a child waits by the socket, which tells if the process has died.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// Bytes of a lane.
const SIZE: usize = 32 * 1024;
/// Bytes in front of the request.
const HEAD: usize = 64;
/// Longest request in bytes.
const REQUEST: usize = 8 * 1024 - HEAD;
/// Longest response in bytes.
const RESPONSE: usize = SIZE - HEAD - REQUEST;

/// How far the exchange is.
const PHASE: u32 = 0xFF;
const IDLE: u32 = 0;
/// The request is there.
const OFFERED: u32 = 1;
/// The worker has the request.
const TAKEN: u32 = 2;
/// The response is there.
const ANSWERED: u32 = 3;
/// The child sleeps.
const SLEEPS: u32 = 0x100;
/// The response comes by the socket.
const SOCKET: u32 = 0x200;

#[repr(C, align(4096))]
struct Record {
    word: AtomicU32,
    request_length: AtomicU32,
    response_length: AtomicU32,
    unused: [AtomicU32; (HEAD - 12) / 4],
    request: [AtomicU64; REQUEST / 8],
    response: [AtomicU64; RESPONSE / 8],
}

const _: () = assert!(size_of::<Record>() == SIZE);

// SAFETY: atomics alone.
unsafe impl Shareable for Record {}

impl std::fmt::Debug for Record {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Record({:#x})", self.word.load(Relaxed))
    }
}

/// Where the lane of a thread begins; of the thread behind the last, where the memory ends.
pub(super) fn offset(thread: u32) -> usize {
    bell::SIZE + thread as usize * SIZE
}

/// How many lanes memory of this size has.
pub(super) fn count(size: usize) -> usize {
    size.saturating_sub(bell::SIZE) / SIZE
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The response was copied: so many bytes.
    Answered(usize),
    /// It comes by the socket.
    BySocket,
}

/// A lane.
#[derive(Debug)]
pub struct Lane(Mapping<Record>);

impl Lane {
    /// Maps the lane of a thread.
    ///
    /// # Errors
    /// The descriptor is none of [`create`](super::create)'s, or there is no memory.
    pub fn map(memory: BorrowedFd<'_>, thread: u32) -> io::Result<Self> {
        Mapping::new(memory, offset(thread)).map(Self)
    }

    /// *Child.* Leaves a request, if it fits and nothing of the last exchange can be left in the
    /// socket.
    pub(super) fn offer(&self, request: &[u8]) -> bool {
        let clean = matches!(self.0.word.load(SeqCst) & !SLEEPS, IDLE | ANSWERED);
        if !clean || request.len() > REQUEST {
            return false;
        }
        memory::write(&self.0.request, request);
        self.0.request_length.store(length(request), Relaxed);
        self.0.word.store(OFFERED, SeqCst);
        true
    }

    /// *Child.* Takes the request back; false if the worker has it.
    pub(super) fn withdraw(&self) -> bool {
        self.0.word.compare_exchange(OFFERED, IDLE, SeqCst, SeqCst).is_ok()
    }

    /// *Child.* The request goes by the socket; the response may come here.
    pub fn expect(&self) {
        self.0.word.store(TAKEN, SeqCst);
    }

    /// *Child.* The exchange is one of the socket.
    pub fn refuse(&self) {
        self.0.word.store(TAKEN | SOCKET, SeqCst);
    }

    /// *Child.* Waits for the response, at most that long, and copies it.
    pub fn wait(&self, buffer: &mut [u8], patience: Duration) -> Waited {
        let word = &self.0.word;
        let mut deadline = None;
        loop {
            let seen = word.load(SeqCst);
            match seen & PHASE {
                OFFERED | TAKEN if seen & SOCKET == 0 => {}
                ANSWERED if seen & SOCKET == 0 => {
                    let length = self.0.response_length.load(Relaxed) as usize;
                    if let Some(room) = buffer.get_mut(..length)
                        && length <= RESPONSE
                    {
                        read(&self.0.response, room);
                        return Waited::Answered(length);
                    }
                    // Nobody has such a response: the socket will show it.
                    word.store(TAKEN | SOCKET, SeqCst);
                    return Waited::BySocket;
                }
                _ => return Waited::BySocket,
            }
            let end = *deadline.get_or_insert_with(|| Instant::now() + patience);
            let asleep = seen | SLEEPS;
            if asleep != seen && word.compare_exchange(seen, asleep, SeqCst, SeqCst).is_err() {
                continue;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !futex::wait(word, asleep, left) {
                // If it was just answered, the next turn sees it.
                let _ = word.compare_exchange(asleep, asleep & PHASE | SOCKET, SeqCst, SeqCst);
            }
        }
    }

    /// Whether a request is there that the worker does not have yet.
    pub fn is_offered(&self) -> bool {
        self.0.word.load(SeqCst) & PHASE == OFFERED
    }

    /// *Worker.* Forgets the exchange of a channel that is gone.
    pub fn reset(&self) {
        self.0.word.store(IDLE, SeqCst);
    }

    /// *Worker.* Takes the request that is there, if one is.
    pub fn take(&self, into: &mut Vec<u8>) -> bool {
        let taken = self.change(|seen| (seen & PHASE == OFFERED).then_some(seen & !PHASE | TAKEN));
        if taken.is_some() {
            let length = (self.0.request_length.load(Relaxed) as usize).min(REQUEST);
            into.clear();
            into.resize(length, 0);
            read(&self.0.request, into);
        }
        taken.is_some()
    }

    /// *Worker.* Leaves the whole response. False if it has to go by the socket; the child knows.
    pub fn answer(&self, response: &[u8]) -> bool {
        if response.len() > RESPONSE {
            self.leave();
            return false;
        }
        if self.0.word.load(SeqCst) & !SLEEPS != TAKEN {
            return false;
        }
        memory::write(&self.0.response, response);
        self.0.response_length.store(length(response), Relaxed);
        let answered =
            self.change(|seen| (seen & !SLEEPS == TAKEN).then_some(seen & !PHASE | ANSWERED));
        self.wake(answered);
        answered.is_some()
    }

    /// *Worker.* From now on the exchange is one of the socket.
    pub fn leave(&self) {
        let left = self.change(|seen| (seen & !SLEEPS == TAKEN).then_some(seen | SOCKET));
        self.wake(left);
    }

    fn wake(&self, before: Option<u32>) {
        if before.is_some_and(|before| before & SLEEPS != 0) {
            futex::wake(&self.0.word);
        }
    }

    /// Changes the word; returns what it was, or none if it is not to be changed.
    fn change(&self, to: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        self.0.word.fetch_update(SeqCst, SeqCst, to).ok()
    }

    #[cfg(test)]
    pub(super) fn scribble(&self, word: u32) {
        self.0.word.store(word, SeqCst);
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Copies out of shared words, which may change meanwhile.
fn read(words: &[AtomicU64], into: &mut [u8]) {
    let (whole, rest) = into.as_chunks_mut::<8>();
    for (word, eight) in words.iter().zip(whole.iter_mut()) {
        *eight = word.load(Relaxed).to_ne_bytes();
    }
    if let Some(word) = words.get(whole.len()) {
        for (byte, last) in rest.iter_mut().zip(word.load(Relaxed).to_ne_bytes()) {
            *byte = last;
        }
    }
}
