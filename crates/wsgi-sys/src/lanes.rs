//! Lanes: memory beside the channels of a daemon process, through which a small request and a
//! small response pass without a system call for either.
//!
//! *Runs in:* supervisor (makes the memory), httpd child, daemon. *Threads:* a lane is used by the
//! child's thread that holds the slot, and by the worker thread that has the seat.
//!
//! ```text
//!  child                                          worker
//!  offer: request, Offered ── Bell::ring, wake ─▶ take: Taken
//!  wait (futex)            ◀── wake ───────────── answer: response, Answered
//! ```
//!
//! The [`Bell`] tells the worker of requests by the socket too: there it is where worker threads
//! sleep. A system call to wake is made only if the other side sleeps, and for a worker only by
//! the first that rings. Nobody to be woken means that the process may have ended: that child
//! takes its offer back and sends the request by the socket, which tells. The answer may still
//! come by the lane.
//!
//! Whatever does not fit, or has to arrive before the end, goes by the socket: whoever decides so
//! sets a flag, and from then on the exchange is one of the socket alone. A child that has waited
//! for [`PATIENCE`] does so too, as only the socket tells that a process has died. The exchange
//! that follows one of the socket begins there, behind whatever the last one may have left.
//!
//! Either side may write anything here at any time: what is read is copied first and then checked
//! as what comes from a socket is.

mod bell;
mod lane;

pub use bell::Bell;
pub use lane::{Lane, PATIENCE, Waited};

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::memory;

/// Makes the memory for the lanes of so many threads.
///
/// # Errors
/// The process has no descriptor left.
pub fn create(threads: u32) -> io::Result<OwnedFd> {
    memory::create(c"wsgi-lanes", lane::offset(threads))
}

/// The bell of a process and one of its lanes.
#[derive(Debug)]
pub struct Beside {
    /// Of the process.
    pub bell: Bell,
    /// Of the channel.
    pub lane: Lane,
    /// Which one of the process it is.
    pub thread: u32,
}

impl Beside {
    /// Maps what belongs to the channel of this thread.
    ///
    /// # Errors
    /// The descriptor is none of [`create`]'s, or there is no memory.
    pub fn map(memory: BorrowedFd<'_>, thread: u32) -> io::Result<Self> {
        Ok(Self { bell: Bell::map(memory)?, lane: Lane::map(memory, thread)?, thread })
    }

    /// Offers the request to the worker; false if it has to be sent: it does not fit, nobody
    /// could be woken, or the last exchange was one of the socket.
    pub fn offer(&self, request: &[u8]) -> bool {
        self.lane.offer(request) && (self.bell.ring(self.thread) || !self.lane.withdraw())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    fn both(threads: u32) -> (Beside, Bell, Lane) {
        let memory = create(threads).unwrap();
        let worker = Bell::map(memory.as_fd()).unwrap();
        worker.set_awake(true);
        let lane = Lane::map(memory.as_fd(), threads - 1).unwrap();
        (Beside::map(memory.as_fd(), threads - 1).unwrap(), worker, lane)
    }

    fn taken(lane: &Lane) -> Option<Vec<u8>> {
        let mut request = Vec::new();
        lane.take(&mut request).then_some(request)
    }

    #[test]
    fn a_request_and_its_answer_pass() {
        let (child, bell, lane) = both(70);
        for request in [&b"one"[..], b"", b"12345678", &[7; 8_000]] {
            assert!(child.offer(request));
            assert_eq!(bell.rung().collect::<Vec<_>>(), [69]);
            assert_eq!(bell.rung().count(), 0);
            assert!(lane.is_offered());
            assert_eq!(taken(&lane).as_deref(), Some(request));
            assert!(!lane.is_offered() && taken(&lane).is_none());
            let answer = [request, b"!"].concat();
            assert!(lane.answer(&answer));
            assert!(!lane.answer(b"again"));
            let mut buffer = vec![0; 9_000];
            let Waited::Answered(length) = child.lane.wait(&mut buffer, PATIENCE) else {
                panic!("no answer");
            };
            assert_eq!(&buffer[..length], answer);
        }
    }

    #[test]
    fn what_does_not_fit_goes_by_the_socket() {
        let (child, _, lane) = both(1);
        assert!(!child.offer(&[0; 8_200]));
        child.lane.expect();
        assert!(!lane.answer(&vec![0; 100_000]));
        assert!(matches!(child.lane.wait(&mut [0; 16], PATIENCE), Waited::BySocket));
        assert!(!child.offer(b"behind an exchange of the socket"));
        child.lane.expect();
        assert!(lane.answer(b"more than the child has room for"));
        assert!(matches!(child.lane.wait(&mut [0; 16], PATIENCE), Waited::BySocket));
        child.lane.expect();
        assert!(lane.answer(b"answer"));
        assert!(matches!(child.lane.wait(&mut [0; 16], PATIENCE), Waited::Answered(6)));
        assert!(child.offer(b"and then by the lane again"));
    }

    #[test]
    fn a_request_that_wakes_nobody_goes_by_the_socket() {
        let (child, bell, lane) = both(1);
        bell.set_awake(false);
        assert!(!child.offer(b"request") && !lane.is_offered());
        // From the first that rings on the worker counts as awake.
        assert_eq!(bell.rung().collect::<Vec<_>>(), [0]);
        assert!(child.offer(b"request"));
        assert_eq!(bell.rung().collect::<Vec<_>>(), [0]);
        bell.doze();
    }

    #[test]
    fn each_thread_has_a_bell_of_its_own() {
        for threads in [1, 64, 65, 1_024, 65_533] {
            let (child, bell, _) = both(threads);
            assert!(child.bell.ring(threads - 1) && child.bell.ring(0));
            let mut rung: Vec<_> = bell.rung().collect();
            rung.dedup();
            let last = threads as usize - 1;
            assert_eq!(rung, if last == 0 { vec![0] } else { vec![0, last] });
            assert!(!child.bell.ring(1 << 20));
        }
    }

    #[test]
    fn a_child_that_has_waited_long_enough_is_answered_by_the_socket() {
        let (child, _, lane) = both(1);
        assert!(child.offer(b"request"));
        let waited = child.lane.wait(&mut [0; 16], Duration::from_millis(1));
        assert!(matches!(waited, Waited::BySocket) && child.lane.is_offered());
        assert!(taken(&lane).is_some(), "the request itself still stands");
        assert!(!child.lane.is_offered());
        assert!(!lane.answer(b"answer"));
        lane.reset();
        assert!(child.offer(b"request"));
    }

    #[test]
    fn other_memory_is_refused_and_nonsense_is_no_answer() {
        let memory = create(2).unwrap();
        assert!(Lane::map(memory.as_fd(), 1).is_ok() && Lane::map(memory.as_fd(), 2).is_err());
        let file = tempfile::tempfile().unwrap();
        assert!(Beside::map(file.as_fd(), 0).is_err());
        let (child, _, lane) = both(1);
        lane.scribble(0xFFFF_FFFF);
        assert!(matches!(child.lane.wait(&mut [0; 16], PATIENCE), Waited::BySocket));
        assert!(!child.offer(b"request"));
    }

    /// Both sides as fast as they can, in threads of their own.
    #[test]
    fn no_request_is_lost_between_waking_and_sleeping() {
        let (child, bell, lane) = both(1);
        let (socket, wire) = crate::socket::stream_pair().unwrap();
        let worker = std::thread::spawn(move || {
            let mut request = Vec::new();
            loop {
                let mut byte = [0; 1];
                if lane.take(&mut request) {
                    assert!(lane.answer(&request));
                    continue;
                }
                match crate::socket::receive_bytes(wire.as_fd(), &mut byte, false) {
                    Ok(0) => return,
                    Ok(_) => assert!(lane.answer(&byte)),
                    Err(_) if bell.rung().count() > 0 => {}
                    Err(_) => {
                        bell.set_awake(false);
                        if bell.rung().count() == 0 {
                            bell.doze();
                        }
                        bell.set_awake(true);
                    }
                }
            }
        });
        let mut by_lane = 0;
        for number in 0..20_000_u32 {
            let request = [number.to_le_bytes()[0]];
            if child.offer(&request) {
                by_lane += 1;
            } else {
                child.lane.expect();
                let part = [io::IoSlice::new(&request)];
                crate::socket::send(socket.as_fd(), &part, &[], true).unwrap();
                child.bell.ring(0);
            }
            let mut answer = [0; 8];
            let waited = child.lane.wait(&mut answer, Duration::from_secs(60));
            assert!(matches!(waited, Waited::Answered(1)), "{waited:?}");
            assert_eq!(answer[0], request[0]);
        }
        drop(socket);
        child.bell.ring(0);
        worker.join().unwrap();
        assert!(by_lane > 0);
    }
}
