//! The daemons' processes: what they say, and their end.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use wsgi_proto::daemon::{ToDaemon, ToSupervisor};
use wsgi_sys::process::{self, Exit};
use wsgi_sys::socket;
use wsgi_sys::table::{Activity, SlotState};

use super::link::Link;
use super::{Loop, TURN, memory};
use crate::state::{DaemonId, End, Event, Sight};

/// Records read from an ended daemon's socket.
const LAST_WORDS: usize = 256;

/// A daemon's process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: i32,
    pub(super) start_time: u64,
    pub(super) pidfd: Option<OwnedFd>,
    /// None for another supervisor's daemon, and once it is closed.
    pub(super) link: Option<Link>,
    /// It was started here and is to be reaped here.
    pub(super) own: bool,
    /// It was started with a lower priority than it is to have.
    pub(super) polite: bool,
    /// What the kernel had killed for want of memory when it was started.
    pub(super) kills: Option<u64>,
    pub(super) group: String,
    /// Its entry in the table, once it has one.
    pub(super) process: Option<u32>,
    /// Its slots in the table.
    pub(super) slots: Range<u32>,
    /// Of its channels, in bytes: to send, to receive.
    pub(super) buffers: (u32, u32),
    pub(super) socket_timeout: Duration,
    /// Memory of its lanes, which it gets if its worker knows what they are.
    pub(super) lanes: Option<Rc<OwnedFd>>,
}

impl Worker {
    pub(super) fn link(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(|link| link.socket.as_fd())
    }

    pub(super) fn congested(&self) -> bool {
        self.link.as_ref().is_some_and(Link::congested)
    }

    pub(super) fn send(&mut self, record: &ToDaemon, descriptor: Option<OwnedFd>) {
        // Longer than a datagram only if a configuration has very long paths:
        // the daemon then waits for a record that never comes and is replaced.
        if let (Some(link), Ok(bytes)) = (&mut self.link, record.encode()) {
            link.push(bytes, descriptor);
        }
    }
}

impl Loop {
    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        for (&id, worker) in &mut self.workers {
            if let Some(link) = &mut worker.link
                && link.congested()
                && link.flush().is_err()
            {
                let what = "it does not read its control socket".to_owned();
                self.events.push_back(Event::Misbehaved { daemon: id, what });
            }
        }
    }

    pub(super) fn read_worker(&mut self, id: DaemonId) {
        self.hear(id, TURN);
    }

    fn hear(&mut self, id: DaemonId, most: usize) {
        for _ in 0..most {
            let Some(worker) = self.workers.get_mut(&id) else { return };
            let Some(link) = &worker.link else { return };
            let length = match socket::receive_bytes(link.socket.as_fd(), &mut self.buffer, false) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    worker.link = None;
                    self.events.push_back(Event::LinkEnded(id));
                    return;
                }
            };
            let event = match ToSupervisor::decode(&self.buffer[..length]) {
                Ok(ToSupervisor::Hello(hello)) => {
                    if let Some(process) = worker.process {
                        let (version, path) = (&hello.python_version, &hello.executable);
                        self.table.set_python(process, &hello.worker, version, path);
                    }
                    worker.lanes.take_if(|_| hello.worker != "native");
                    Event::Hello { daemon: id, version: hello.version }
                }
                Ok(ToSupervisor::Ready(ready)) => Event::Ready { daemon: id, loaded: ready.loaded },
                Ok(ToSupervisor::ChannelReady(ready)) => {
                    Event::ChannelReady { daemon: id, thread: ready.thread, epoch: ready.epoch }
                }
                Ok(ToSupervisor::ChannelLost(lost)) => {
                    Event::ChannelLost { daemon: id, thread: lost.thread, epoch: lost.epoch }
                }
                Ok(ToSupervisor::Loaded(loaded)) => {
                    Event::Loaded { daemon: id, script: loaded.script }
                }
                Ok(ToSupervisor::Alive(_)) => Event::Alive(id),
                Ok(ToSupervisor::Traced(traced)) => {
                    Event::Traced { daemon: id, thread: traced.thread, stack: traced.stack }
                }
                Ok(ToSupervisor::Log(log)) => {
                    self.logs.write(&worker.group, log.level, worker.pid, &log.text);
                    continue;
                }
                Ok(ToSupervisor::Recycle(recycle)) => {
                    Event::Recycle { daemon: id, reason: recycle.reason }
                }
                Err(error) => {
                    worker.link = None;
                    let what = format!("it sent a malformed record: {error}");
                    Event::Misbehaved { daemon: id, what }
                }
            };
            self.events.push_back(event);
        }
    }

    pub(super) fn worker_ended(&mut self, id: DaemonId) {
        self.hear(id, LAST_WORDS);
        // What it said, it said alive.
        self.work_off();
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let usage =
            process::usage(worker.pid).filter(|usage| usage.start_time == worker.start_time);
        if let (Some(process), Some(usage)) = (worker.process, usage) {
            // Before it is reaped, as it counts as alive until then.
            self.table.settle_cpu(process, usage.cpu);
        }
        let exit = if worker.own {
            match process::reap(worker.pid) {
                Ok(Some(exit)) => Some(exit),
                Ok(None) => return,
                Err(_) => None,
            }
        } else {
            None
        };
        worker.pidfd = None;
        self.gone(id, exit);
    }

    /// Tells the state that a daemon is gone, and what it leaves.
    pub(super) fn gone(&mut self, id: DaemonId, exit: Option<Exit>) {
        let served = self.served(id);
        let Some(worker) = self.workers.get(&id) else { return };
        let words = worker.slots.clone().map(|slot| self.table.slot(slot).state);
        // Broken: the child was quicker to notice.
        let lost = |state: &SlotState| matches!(state, SlotState::Busy | SlotState::Broken);
        let busy = words.filter(lost).count();
        let busy = u32::try_from(busy).unwrap_or(u32::MAX);
        let killed = matches!(exit, Some(Exit::Signal(signal, _)) if signal == libc::SIGKILL);
        let before = worker.kills;
        let mut out_of_memory = false;
        if killed {
            self.kills = memory::kills();
            out_of_memory = self.kills.zip(before).is_some_and(|(now, before)| now > before);
        }
        let end = End { exit, served, busy, out_of_memory };
        self.events.push_back(Event::Exited { daemon: id, end });
    }

    /// What a daemon's slots run, and its memory if asked for.
    pub(super) fn look(&self, id: DaemonId, with_memory: bool) -> Sight {
        let Some(worker) = self.workers.get(&id) else { return Sight::default() };
        let busy = |slot| self.table.slot(slot).state == SlotState::Busy;
        let slots = worker.slots.clone().map(|slot| (self.table.served(slot), busy(slot)));
        let resident = if with_memory { memory::resident(worker.pid).unwrap_or(0) } else { 0 };
        let counted = worker.slots.clone().map(|slot| self.table.activity(slot));
        let counted = counted.fold(Activity::default(), |sum, slot| Activity {
            served: sum.served.saturating_add(slot.served),
            busy: sum.busy || slot.busy,
        });
        Sight { slots: slots.collect(), counted, resident }
    }

    pub(super) fn served(&self, id: DaemonId) -> u64 {
        let Some(worker) = self.workers.get(&id) else { return 0 };
        worker.slots.clone().map(|slot| self.table.served(slot)).sum()
    }
}
