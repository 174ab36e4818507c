//! What children ask for: pools, and more processes.

use std::rc::Rc;

use super::daemon::Daemon;
use super::{Action, Millis, Question, Supervisor};

/// Requests must have waited this long, in milliseconds, before a pool grows.
const PATIENCE: Millis = 50;
/// Questions kept until the first configuration.
const MAX_QUESTIONS: usize = 4_096;

impl Supervisor {
    /// A child asks for a pool.
    pub(super) fn question(&mut self, question: Question) {
        if self.begin.is_none() && !self.stopping {
            if self.questions.len() < MAX_QUESTIONS {
                self.questions.push(question);
            }
            return;
        }
        let Question { child, sequence, group, application, script } = question;
        if self.stopping {
            let reason = "httpd is stopping".to_owned();
            self.act(Action::Refuse { child, sequence, reason });
            return;
        }
        if let Some(pool) = self.find(&group, &application) {
            self.act(Action::AnswerPool { child, sequence, pool });
            return;
        }
        let Some(settings) = self.groups.get(&group).map(|member| Rc::clone(&member.settings))
        else {
            let reason = format!("there is no process group '{group}'");
            self.act(Action::Refuse { child, sequence, reason });
            return;
        };
        let first = !self.pools.values().any(|pool| pool.group == group && !pool.closing);
        match self.create(&settings, &application, Some(script), first) {
            Some(pool) => self.act(Action::AnswerPool { child, sequence, pool }),
            None => {
                let reason = "the slot table has no room for another pool".to_owned();
                self.act(Action::Refuse { child, sequence, reason });
            }
        }
    }

    /// A request waits: look soon whether it still does.
    pub(super) fn waiting(&mut self, index: u32, now: Millis) {
        let Some(pool) = self.pools.get_mut(&index) else { return };
        if pool.target == 0 {
            // It slept.
            pool.target = 1;
        } else if pool.can_grow() {
            pool.probe_at.get_or_insert(now + PATIENCE);
        }
        // Perhaps for a process that has served what it may.
        for daemon in self.daemons.values_mut() {
            if daemon.pool == index && daemon.count_at.is_some() {
                daemon.count_at = Some(now);
            }
        }
    }

    /// So many requests wait: one more process, unless one starts already.
    pub(super) fn pressure(&mut self, index: u32, waiting: u32) {
        let starting = self.of_pool(index).any(Daemon::starting);
        let have = self.of_pool(index).filter(|daemon| daemon.counts()).count();
        let Some(pool) = self.pools.get_mut(&index) else { return };
        let complete = u32::try_from(have).is_ok_and(|have| have >= pool.target);
        if waiting > 0 && complete && !starting && pool.can_grow() {
            pool.target += 1;
        }
    }
}
