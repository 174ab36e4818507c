//! The channels: one pair of sockets for each worker thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use wsgi_proto::daemon::{self, ToDaemon};
use wsgi_proto::mailbox::{self, FetchChannel, ToChild};
use wsgi_sys::socket;

use super::Loop;
use crate::state::{ChildId, DaemonId, Event};

/// Buffers of a channel in bytes where the group does not say.
const BUFFER: u32 = 256 * 1024;
/// How long a child's read from a channel blocks before it looks after its client.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The children's end of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    epoch: u32,
    thread: u32,
    lanes: Option<Rc<OwnedFd>>,
}

impl Loop {
    pub(super) fn open_channel(&mut self, id: DaemonId, slot: u32, thread: u32, epoch: u32) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let (here, there) = match pair(worker.buffers, worker.socket_timeout) {
            Ok(pair) => pair,
            Err(error) => {
                let what = format!("its channel could not be made: {error}; see ulimit -n");
                self.events.push_back(Event::Misbehaved { daemon: id, what });
                return;
            }
        };
        let lanes = worker.lanes.clone();
        self.channels.insert(slot, Channel { socket: here, epoch, thread, lanes });
        worker.send(&ToDaemon::Channel(daemon::Channel { thread, epoch }), Some(there));
    }

    /// Whoever waits on it, child or worker, gets its end.
    pub(super) fn shut_channel(&mut self, slot: u32) {
        if let Some(channel) = self.channels.remove(&slot) {
            let _ = socket::shut_down(channel.socket.as_fd());
        }
    }

    pub(super) fn hand_out(&self, child: ChildId, question: &FetchChannel) {
        let &FetchChannel { sequence, slot } = question;
        match self.channels.get(&slot) {
            Some(channel) => {
                let &Channel { epoch, thread, .. } = channel;
                let record = mailbox::Channel { sequence, slot, epoch, thread };
                let lanes = channel.lanes.as_deref().map(AsRawFd::as_raw_fd);
                let descriptors: Vec<_> =
                    [channel.socket.as_raw_fd()].into_iter().chain(lanes).collect();
                self.answer(child, &ToChild::Channel(record), &descriptors);
            }
            None => self.refuse(child, sequence, format!("slot {slot} has no channel")),
        }
    }
}

/// A channel: the children's end, with the options that all of them share, and
/// the worker's.
fn pair((send, receive): (u32, u32), socket_timeout: Duration) -> io::Result<(OwnedFd, OwnedFd)> {
    let (here, there) = socket::stream_pair()?;
    let size = |bytes: u32| if bytes == 0 { BUFFER } else { bytes };
    for end in [&here, &there] {
        socket::buffer_sizes(end.as_fd(), size(send), size(receive))?;
    }
    socket::receive_timeout(here.as_fd(), RECEIVE_TIMEOUT)?;
    socket::send_timeout(here.as_fd(), socket_timeout)?;
    Ok((here, there))
}
