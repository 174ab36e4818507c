//! The end of a supervisor whose httpd goes on: the module was taken out of the configuration, or
//! is of another release now, which has a supervisor of its own.
//!
//! Children of httpd that are still there know this one alone. So it goes on until the last of
//! those that had requests has ended.

use std::time::{Duration, Instant};

use super::Loop;
use super::desk::Desk;
use crate::state::Event;

/// How long httpd may take to read its next configuration. One that comes later, to a
/// supervisor that has ended, starts another.
const NEXT: Duration = Duration::from_secs(10);

/// What is known of the next configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Departure {
    /// There is one, or none is missed yet.
    #[default]
    None,
    /// The last one was thrown away then.
    Cleared(Instant),
    /// There will be none.
    Certain,
    /// All children that had requests have ended too.
    Done,
}

impl Loop {
    /// httpd has thrown its configuration away: the next one follows, unless it does without
    /// the module.
    pub(super) fn cleared(&mut self) {
        if matches!(self.departure, Departure::None) {
            self.departure = Departure::Cleared(Instant::now());
        }
    }

    /// httpd's parent has hung up: what it loads now does not want this supervisor. The
    /// successor's desk is where this one's was.
    pub(super) fn left(&mut self) {
        self.desk = Desk::default();
        self.depart("its configuration is run by a supervisor of another release now");
    }

    /// Ends what is due to end.
    pub(super) fn look_at_departure(&mut self) {
        if self.next_departure().is_some_and(|wait| wait.is_zero()) {
            self.depart("its configuration does without this module now");
        }
        let served = !self.children.is_empty() || self.next_look().is_some();
        if matches!(self.departure, Departure::Certain) && !served {
            self.departure = Departure::Done;
            self.events.push_back(Event::Stop);
        }
    }

    /// Time until the next configuration is missed.
    pub(super) fn next_departure(&self) -> Option<Duration> {
        match self.departure {
            Departure::Cleared(since) => Some(NEXT.saturating_sub(since.elapsed())),
            _ => None,
        }
    }

    fn depart(&mut self, why: &str) {
        self.departure = Departure::Certain;
        self.events.push_back(Event::Left);
        let text = format!(
            "httpd goes on, but {why}: this supervisor and its daemon processes end when the last \
             of httpd's processes that need them has ended"
        );
        self.logs.own(5, &text);
    }
}
