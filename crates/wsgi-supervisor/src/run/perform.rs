//! Actions, carried out.

use std::os::fd::AsFd;

use wsgi_proto::daemon::ToDaemon;
use wsgi_proto::mailbox::{self, ToChild};
use wsgi_sys::table::{Incident, ProcessState};
use wsgi_sys::{clock, process};

use super::Loop;
use crate::state::{Action, ChildId, DaemonId, Event};

impl Loop {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Committed(committed) => self.commit_answer(committed),
            Action::OpenPool { pool, shape } => {
                let opened = self.table.open_pool(pool, &shape);
                self.pools.insert(pool, opened);
            }
            Action::ClosePool { pool } => {
                self.table.close_pool(pool);
                self.pools.remove(&pool);
            }
            Action::PoolState { pool, state } => self.table.set_pool_state(pool, state),
            Action::AnswerPool { child, sequence, pool } => {
                self.answer_pool(child, sequence, pool);
            }
            Action::Refuse { child, sequence, reason } => self.refuse(child, sequence, reason),
            Action::Probe { pool } => {
                let waiting = self.table.waiting(pool);
                self.events.push_back(Event::Pressure { pool, waiting });
            }
            Action::Launch { daemon, group, first_slot, polite } => {
                self.launch(daemon, &group, first_slot, polite);
            }
            Action::Hurry { daemon, priority } => self.hurry(daemon, priority),
            Action::Limit { pool, process, limit } => {
                // One that is as high as that is never reached.
                self.table.set_limit(process, u32::try_from(limit).unwrap_or(u32::MAX));
                if let Some(&pool) = self.pools.get(&pool).filter(|_| limit == 0) {
                    self.table.dispatch(pool);
                }
            }
            Action::Look { daemon, memory } => {
                let sight = self.look(daemon, memory);
                self.events.push_back(Event::Seen { daemon, sight });
            }
            Action::LookSlow { daemon } => {
                let requests = self.slow_requests(daemon);
                self.events.push_back(Event::Slow { daemon, requests });
            }
            Action::LogWedged { daemon, group, text } => {
                self.log_wedged(daemon, &group, &text);
            }
            Action::ProcessState { process, daemon, state } => {
                self.set_process(process, daemon, state);
            }
            Action::Send { daemon, record } => {
                if let Some(worker) = self.workers.get_mut(&daemon) {
                    let lanes =
                        worker.lanes.as_ref().filter(|_| matches!(record, ToDaemon::Start(_)));
                    let lanes = lanes.and_then(|lanes| lanes.try_clone().ok());
                    worker.send(&record, lanes);
                }
            }
            Action::OpenChannel { daemon, slot, thread, epoch } => {
                self.open_channel(daemon, slot, thread, epoch);
            }
            Action::ShutChannel { slot } => self.shut_channel(slot),
            Action::FreeSlot { pool, slot, epoch } => {
                if let Some(&pool) = self.pools.get(&pool) {
                    self.table.free_slot(pool, slot, epoch);
                }
            }
            Action::RetireSlot { slot } => {
                if self.table.retire_slot(slot) {
                    self.events.push_back(Event::SlotRetired { slot });
                }
            }
            Action::ClearSlot { slot } => self.table.clear_slot(slot),
            Action::CountServed { daemon } => {
                let requests = self.served(daemon);
                self.events.push_back(Event::Served { daemon, requests });
            }
            Action::Kill { daemon, signal } => self.kill(daemon, signal),
            Action::Forget { daemon } => {
                self.forget(daemon);
            }
            Action::Log { group, level, text } => {
                let own = std::process::id().cast_signed();
                self.logs.write(&group, level as u8, own, &text);
            }
            Action::Count { pool, tally } => self.table.count(pool, tally),
            Action::Leaving { process, reason } => self.table.set_leaving(process, &reason),
            Action::Tell { kind, pid, group, application, text } => self.table.tell(&Incident {
                at: clock::microseconds(),
                kind,
                pid,
                process_group: group,
                application_group: application,
                text,
            }),
            Action::Reply { visitor, reply } => self.reply(visitor, &reply),
            Action::Exit => self.finished = true,
        }
    }

    fn answer_pool(&self, child: ChildId, sequence: u32, index: u32) {
        let Some(pool) = self.pools.get(&index) else {
            self.refuse(child, sequence, "the pool was just closed".to_owned());
            return;
        };
        let answer = mailbox::Pool { sequence, index: pool.index, serial: pool.serial };
        self.answer(child, &ToChild::Pool(answer), &[]);
    }

    fn set_process(&mut self, process: u32, daemon: DaemonId, state: ProcessState) {
        if let Some(worker) = self.workers.get_mut(&daemon)
            && worker.process.replace(process).is_none()
            && worker.own
        {
            self.table.begin_profile(process, clock::microseconds(), self.setting.generation);
        }
        let worker = self.workers.get(&daemon).filter(|_| state != ProcessState::Absent);
        let (pid, start_time) = worker.map_or((0, 0), |worker| (worker.pid, worker.start_time));
        self.table.set_process(process, state, pid, start_time);
    }

    fn kill(&self, daemon: DaemonId, signal: i32) {
        // Fails only for one that has ended, which is what was wanted.
        if let Some(pidfd) = self.workers.get(&daemon).and_then(|worker| worker.pidfd.as_ref()) {
            let _ = process::signal(pidfd.as_fd(), signal);
        }
    }
}
