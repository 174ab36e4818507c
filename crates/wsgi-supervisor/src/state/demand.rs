//! What children ask for: pools, and more processes.

use std::rc::Rc;

use super::daemon::Daemon;
use super::{Action, Millis, Question, Supervisor};

/// Requests must have waited this long, in milliseconds, before a pool grows.
const PATIENCE: Millis = 50;
/// Questions kept until the first configuration.
const MAX_QUESTIONS: usize = 4_096;

impl Supervisor {
    pub(super) fn question(&mut self, question: Question, now: Millis) {
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
            self.revive(pool, now);
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

    /// A pool without processes that somebody wants has no reason to wait long.
    fn revive(&mut self, index: u32, now: Millis) {
        if let Some(pool) = self.pools.get_mut(&index) {
            pool.retry_at = pool.retry_at.map(|at| at.min(now + 5_000));
        }
    }

    pub(super) fn waiting(&mut self, index: u32, now: Millis) {
        if let Some(pool) = self.pools.get_mut(&index).filter(|pool| pool.can_grow()) {
            pool.probe_at.get_or_insert(now + PATIENCE);
        }
    }

    /// Looks again soon after a pool has changed.
    pub(super) fn look_again(&mut self, index: u32, now: Millis) {
        self.waiting(index, now);
    }

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
