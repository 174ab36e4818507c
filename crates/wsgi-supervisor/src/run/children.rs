//! httpd's children: registration, leases, questions.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd, RawFd};

use wsgi_proto::VERSION;
use wsgi_proto::mailbox::{Refused, Registered, ToChild, ToSupervisor};
use wsgi_sys::socket::{self, Credentials, Received};
use wsgi_sys::table::Reservation;
use wsgi_sys::{process, table};

use super::{Loop, TURN};
use crate::state::{ChildId, Event};

/// A registered child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) lease: u32,
    /// Its private socket; none once it has closed it.
    pub(super) link: Option<OwnedFd>,
    /// None on kernels without: the socket's end is the child's end then.
    pub(super) pidfd: Option<OwnedFd>,
}

impl Loop {
    pub(super) fn read_mailbox(&mut self) {
        for _ in 0..TURN {
            let Ok(received) = socket::receive(self.mailbox.as_fd(), &mut self.buffer, false)
            else {
                return;
            };
            if let Err(reason) = self.register(received) {
                let text = format!(
                    "MWR2005: a registration in the mailbox is refused: {reason}; if httpd \
                     answers 503 now, install files of one release and restart it"
                );
                self.logs.own(4, &text);
            }
        }
    }

    fn register(&mut self, received: Received) -> Result<(), String> {
        let Received { length, descriptors, credentials, truncated } = received;
        let record = ToSupervisor::decode(&self.buffer[..length]);
        let Some(Credentials { pid, uid, .. }) = credentials else {
            return Err("the kernel does not say who sent it".to_owned());
        };
        // Children that fork and do not exec have httpd's uid too; the mailbox
        // is closed in everything that is executed.
        let own = nix::unistd::geteuid().as_raw();
        if uid != 0 && uid != own && Some(uid) != self.setting.child_uid {
            return Err(format!("it comes from process {pid} of uid {uid}"));
        }
        let (Ok(ToSupervisor::Register(register)), false) = (record, truncated) else {
            return Err(format!("process {pid} sent a malformed record"));
        };
        if register.version != VERSION {
            return Err(format!("process {pid} speaks version {}", register.version));
        }
        let Some(link) = descriptors.into_iter().next() else {
            return Err(format!("process {pid} sent no socket"));
        };
        let pidfd = match process::open_pidfd(pid) {
            Ok(pidfd) => Some(pidfd),
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            Err(_) => None,
        };
        let Some(lease) = self.lease_for(register.lease) else {
            return Err(format!("all {} leases are taken", table::MAX_LEASES));
        };
        self.next_child += 1;
        let id = ChildId(self.next_child);
        self.children.insert(id, Child { lease, link: Some(link), pidfd });
        self.answer(id, &ToChild::Registered(Registered { lease }), &[]);
        Ok(())
    }

    /// The lease that a child had before, under which it may hold slots and tickets, unless that
    /// is void or another's; else a new one.
    fn lease_for(&self, before: u32) -> Option<u32> {
        let taken = before == table::SUPERVISOR_LEASE
            || self.children.values().any(|child| child.lease == before);
        let holds = !taken && self.table.lease_is_open(before);
        if holds { Some(before) } else { self.table.open_lease() }
    }

    /// A child that does not read loses its answers.
    pub(super) fn answer(&self, id: ChildId, record: &ToChild, descriptors: &[RawFd]) {
        let Some(link) = self.children.get(&id).and_then(|child| child.link.as_ref()) else {
            return;
        };
        if let Ok(bytes) = record.encode() {
            let _ = socket::send(link.as_fd(), &[IoSlice::new(&bytes)], descriptors, false);
        }
    }

    pub(super) fn read_child(&mut self, id: ChildId) {
        for _ in 0..TURN {
            let Some(child) = self.children.get_mut(&id) else { return };
            let Some(link) = &child.link else { return };
            let length = match socket::receive_bytes(link.as_fd(), &mut self.buffer, false) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    child.link = None;
                    if child.pidfd.is_none() {
                        self.child_gone(id);
                    }
                    return;
                }
            };
            match ToSupervisor::decode(&self.buffer[..length]) {
                Ok(record) => self.asked(id, record),
                Err(error) => {
                    let text = format!(
                        "MWR2006: an httpd child sent a malformed record ({error}); its link is \
                         closed; install files of one release and restart httpd"
                    );
                    self.logs.own(3, &text);
                    child.link = None;
                    return;
                }
            }
        }
    }

    fn asked(&mut self, id: ChildId, record: ToSupervisor) {
        match record {
            ToSupervisor::Register(_) => {}
            ToSupervisor::OpenPool(question) => self.events.push_back(Event::OpenPool {
                child: id,
                sequence: question.sequence,
                group: question.process_group,
                application: question.application_group,
                script: question.script,
            }),
            ToSupervisor::FetchChannel(question) => self.hand_out(id, &question),
            ToSupervisor::Waiting(waiting) => {
                self.look_for_old_leases();
                self.events.push_back(Event::Waiting { pool: waiting.pool });
            }
            ToSupervisor::ChannelBroken(broken) => {
                let lease = self.children.get(&id).map_or(0, |child| child.lease);
                if self.table.break_slot(broken.slot, broken.epoch, lease) {
                    let (slot, epoch) = (broken.slot, broken.epoch);
                    self.events.push_back(Event::SlotBroken { slot, epoch });
                }
            }
        }
    }

    pub(super) fn refuse(&self, id: ChildId, sequence: u32, reason: String) {
        self.answer(id, &ToChild::Refused(Refused { sequence, reason }), &[]);
    }

    /// Whatever the child held is given back.
    pub(super) fn child_gone(&mut self, id: ChildId) {
        let Some(child) = self.children.remove(&id) else { return };
        self.events.push_back(Event::ChildGone(id));
        self.void(child.lease);
    }

    pub(super) fn void(&mut self, lease: u32) {
        let broken = self.table.void_lease(lease);
        self.broken(broken);
    }

    pub(super) fn broken(&mut self, slots: Vec<Reservation>) {
        let broken = slots.into_iter();
        self.events
            .extend(broken.map(|held| Event::SlotBroken { slot: held.slot, epoch: held.epoch }));
    }
}
