//! What httpd's parent says.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use wsgi_proto::VERSION;
use wsgi_proto::control::{Committed, ToParent, ToSupervisor};
use wsgi_sys::table::{Incident, IncidentKind};
use wsgi_sys::{clock, socket};

use super::departure::Departure;
use super::telemetry::Telemetry;
use super::{Loop, TURN};
use crate::state::Event;

/// The kind of [`ToSupervisor::Begin`], whatever follows it in other releases.
const BEGIN: u8 = 1;

/// What the loop itself needs to know of the configuration.
#[derive(Debug, Default)]
pub(super) struct Setting {
    /// Directory of `boot.py`.
    pub(super) worker_directory: PathBuf,
    /// uid of httpd's children; none before the first configuration.
    pub(super) child_uid: Option<u32>,
    /// Where processes ask httpd's children for the scoreboard, if any may.
    pub(super) window: Option<OwnedFd>,
    /// Which configuration it is.
    pub(super) generation: u32,
    /// What one that is not complete yet asks for.
    telemetry: Option<Telemetry>,
    /// Groups of the newest configuration.
    groups: Vec<String>,
    staged: Option<Staged>,
}

/// What [`Setting`] will be.
#[derive(Debug)]
struct Staged {
    worker_directory: PathBuf,
    child_uid: u32,
    admin_socket: PathBuf,
    window: Option<OwnedFd>,
    groups: Vec<String>,
}

impl Loop {
    pub(super) fn read_control(&mut self) {
        for _ in 0..TURN {
            let Some(control) = &self.control else { return };
            let received = match socket::receive(control.as_fd(), &mut self.buffer, false) {
                Ok(received) if received.length > 0 => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The parent has closed its end. If it is gone its pidfd says so as well.
                _ => {
                    match self.parent {
                        Some(_) => self.left(),
                        None => self.events.push_back(Event::Stop),
                    }
                    // Its last word, for which the parent waits.
                    self.control = None;
                    return;
                }
            };
            let bytes = &self.buffer[..received.length];
            match ToSupervisor::decode(bytes) {
                Ok(record) if !received.truncated => {
                    self.controlled(record, received.descriptors);
                }
                _ if bytes.get(4) == Some(&BEGIN) => self.answer_other_release(),
                _ => self.logs.own(
                    3,
                    "MWR2004: a malformed record came from httpd's parent and is ignored; \
                     install files of one release and restart httpd",
                ),
            }
        }
    }

    fn controlled(&mut self, record: ToSupervisor, descriptors: Vec<OwnedFd>) {
        let event = match record {
            ToSupervisor::Begin(begin) => {
                self.departure = Departure::None;
                self.logs.begin();
                self.setting.telemetry = Telemetry::of(&begin);
                self.setting.staged = Some(Staged {
                    worker_directory: begin.worker_directory.clone(),
                    child_uid: begin.child_uid,
                    admin_socket: begin.admin_socket.clone(),
                    window: descriptors.into_iter().next(),
                    groups: Vec::new(),
                });
                Event::Begin(begin)
            }
            ToSupervisor::Group(group) => {
                if let Some(descriptor) = descriptors.into_iter().next() {
                    self.logs.stage(&group.name, descriptor, group.log_level);
                }
                if let Some(staged) = &mut self.setting.staged {
                    staged.groups.push(group.name.clone());
                }
                Event::Group(group)
            }
            ToSupervisor::Commit(commit) => {
                if let Some(staged) = self.setting.staged.take() {
                    self.setting.worker_directory = staged.worker_directory;
                    self.setting.child_uid = Some(staged.child_uid);
                    self.setting.window = staged.window;
                    self.setting.groups = staged.groups;
                    self.logs.commit();
                    self.open_desk(&staged.admin_socket);
                    self.configured(commit.generation);
                    let (new, old) = (self.setting.telemetry.take(), self.telemetry.take());
                    self.telemetry = new.map(|new| new.after(old));
                }
                Event::Commit(commit)
            }
            ToSupervisor::GenerationEnded(ended) => {
                let groups = &self.setting.groups;
                let workers = &self.workers;
                self.logs.retain(|name| {
                    groups.iter().any(|group| group == name)
                        || workers.values().any(|worker| worker.group == name)
                });
                Event::GenerationEnded(ended.generation)
            }
            ToSupervisor::Cleared(_) => return self.cleared(),
            ToSupervisor::Stop(_) => Event::Stop,
        };
        self.events.push_back(event);
        // Begin, Group and Commit are one after the other: decide at once, so
        // that logs and decisions are of the same configuration.
        self.work_off();
    }

    /// Writes down that this configuration is run from now on.
    fn configured(&mut self, generation: u32) {
        self.setting.generation = generation;
        let at = clock::microseconds();
        self.table.set_configuration(generation, at);
        self.table.tell(&Incident {
            at,
            kind: IncidentKind::Configured,
            pid: 0,
            process_group: String::new(),
            application_group: String::new(),
            text: format!("generation {generation} of httpd's configuration"),
        });
    }

    fn answer_other_release(&mut self) {
        self.commit_answer(Committed { version: VERSION, generation: 0 });
    }

    pub(super) fn commit_answer(&mut self, committed: Committed) {
        let Some(control) = &self.control else { return };
        if let Ok(bytes) = ToParent::Committed(committed).encode() {
            // The parent reads each answer before it says more; if it does not,
            // it is stopping.
            let _ = socket::send(control.as_fd(), &[IoSlice::new(&bytes)], &[], false);
        }
    }
}
