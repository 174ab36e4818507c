//! Threads beside those of a program that knows nothing of them.
//!
//! *Runs in:* httpd child.

use std::io;
use std::thread::Builder;

use nix::sys::signal::{SigSet, SigmaskHow};

/// Bytes of stack: such threads do little.
const STACK: usize = 128 * 1024;

/// Starts a thread that gets no signals: the program's own threads expect them.
///
/// # Errors
/// The system has no room for another thread.
pub fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = Builder::new().name(name.to_owned()).stack_size(STACK).spawn(body);
    mask.thread_set_mask()?;
    started.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::sys::signal::Signal;
    use std::sync::mpsc;

    #[test]
    fn the_thread_has_all_signals_blocked_and_its_starter_none() {
        let (sender, receiver) = mpsc::channel();
        let before = SigSet::thread_get_mask().unwrap();
        start("quiet", move || sender.send(SigSet::thread_get_mask().unwrap()).unwrap()).unwrap();
        assert!(receiver.recv().unwrap().contains(Signal::SIGTERM));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
