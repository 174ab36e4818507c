//! Where administrators come: the socket of wsgictl.
//!
//! Only root, or whoever runs this program, gets a hearing. An order is a datagram;
//! what the decisions have to say about it comes as [`Action::Reply`](crate::state::Action).

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use wsgi_proto::VERSION;
use wsgi_proto::admin::{Attached, Failed, ToControl, ToSupervisor};
use wsgi_sys::listener::Listener;
use wsgi_sys::socket;

use super::Loop;
use crate::state::{Event, VisitorId};

/// Connections at a time.
const MOST_VISITORS: usize = 32;

/// The socket, and who has come.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) listener: Option<Listener>,
    pub(super) visitors: BTreeMap<VisitorId, OwnedFd>,
    next: u64,
}

impl Loop {
    /// Listens where the configuration says.
    pub(super) fn open_desk(&mut self, path: &Path) {
        let open = self.desk.listener.as_ref().map(Listener::path);
        if path.as_os_str().is_empty() || open == Some(path) && path.exists() {
            return;
        }
        self.desk.listener = None;
        match Listener::open(path) {
            Ok(listener) => self.desk.listener = Some(listener),
            Err(error) => {
                let why = match error.kind() {
                    io::ErrorKind::AddrInUse => "another httpd has it".to_owned(),
                    _ => error.to_string(),
                };
                let text = format!(
                    "MWR2033: wsgictl can't reach this httpd: {} can't be made: {why}; give each \
                     httpd a DefaultRuntimeDir of its own that it may write to",
                    path.display()
                );
                self.logs.own(4, &text);
            }
        }
    }

    /// Lets in who may be heard.
    pub(super) fn receive_visitors(&mut self) {
        while let Some(Ok((connection, who))) = self.desk.listener.as_ref().map(Listener::accept) {
            self.desk.next += 1;
            let visitor = VisitorId(self.desk.next);
            self.desk.visitors.insert(visitor, connection);
            let own = nix::unistd::geteuid().as_raw();
            if who.uid != 0 && who.uid != own {
                let text =
                    format!("uid {} may not steer this httpd, but root and uid {own}", who.uid);
                self.reply(visitor, &ToControl::Failed(Failed { text }));
            } else if self.desk.visitors.len() > MOST_VISITORS {
                let text = "too many orders at a time; try again".to_owned();
                self.reply(visitor, &ToControl::Failed(Failed { text }));
            }
        }
    }

    /// Reads an order; after it, the end of the connection.
    pub(super) fn read_visitor(&mut self, visitor: VisitorId) {
        let Some(connection) = self.desk.visitors.get(&visitor) else { return };
        let length = match socket::receive_bytes(connection.as_fd(), &mut self.buffer, false) {
            Ok(length) if length > 0 => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => {
                self.desk.visitors.remove(&visitor);
                self.events.push_back(Event::VisitorGone(visitor));
                return;
            }
        };
        match ToSupervisor::decode(&self.buffer[..length]) {
            Ok(ToSupervisor::Attach(attach)) if attach.version == VERSION => {
                self.lend_table(visitor)
            }
            Ok(ToSupervisor::Attach(_)) | Err(_) => {
                let text = "wsgictl and wsgi-supervisor differ in version: install files of one \
                            release and restart httpd"
                    .to_owned();
                self.reply(visitor, &ToControl::Failed(Failed { text }));
            }
            Ok(order) => self.events.push_back(Event::Order { visitor, order }),
        }
    }

    /// Lets the visitor read the slot table, from which the snapshot comes.
    fn lend_table(&mut self, visitor: VisitorId) {
        let httpd = std::os::unix::process::parent_id();
        let attached = ToControl::Attached(Attached { version: VERSION, httpd });
        let table = self.table_descriptor.as_raw_fd();
        self.send_visitor(visitor, &attached, &[table]);
    }

    /// Answers; the last answer ends the conversation.
    pub(super) fn reply(&mut self, visitor: VisitorId, reply: &ToControl) {
        self.send_visitor(visitor, reply, &[]);
        if matches!(reply, ToControl::Done(_) | ToControl::Failed(_)) {
            self.desk.visitors.remove(&visitor);
        }
    }

    fn send_visitor(&self, visitor: VisitorId, reply: &ToControl, descriptors: &[i32]) {
        if let (Some(connection), Ok(bytes)) = (self.desk.visitors.get(&visitor), reply.encode()) {
            // Few and short: what does not fit is for somebody who does not read.
            let _ = socket::send(connection.as_fd(), &[IoSlice::new(&bytes)], descriptors, false);
        }
    }
}
