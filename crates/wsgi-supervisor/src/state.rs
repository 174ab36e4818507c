//! The supervisor's decisions: events in, actions out.
//!
//! No input or output, no clock, no system call: [`run`](crate::run) carries
//! out what is decided here, and tests play both sides with a clock of their own.
//!
//! *Runs in:* supervisor. *Threads:* one.

mod action;
mod adoption;
mod configuration;
mod daemon;
mod demand;
mod ending;
mod event;
mod lifecycle;
mod message;
mod patrol;
mod pool;
mod ranges;
mod record;
mod recycling;
mod schedule;
mod slots;
mod slow;
mod steering;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use wsgi_proto::control::{Begin, Group};
use wsgi_sys::table;

pub(crate) use action::{Action, Level};
use daemon::Daemon;
pub(crate) use event::{
    ChildId, DaemonId, End, Event, Millis, OldPool, OldProcess, Sight, SlowRequest, VisitorId,
};
use pool::Pool;
use ranges::Ranges;

/// A process group as the newest configuration that names it defines it.
#[derive(Debug)]
struct Member {
    settings: Rc<Group>,
    /// The same without what was ordered since.
    configured: Rc<Group>,
    /// The last generation that has it; the present one if it still does.
    generation: u32,
}

/// A question for a pool that came before the first configuration.
#[derive(Debug)]
struct Question {
    child: ChildId,
    sequence: u32,
    group: String,
    application: String,
    script: PathBuf,
}

/// Everything that the supervisor knows.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// Imports that may run at once.
    cores: usize,
    /// The present configuration's head; none before the first.
    begin: Option<Begin>,
    groups: BTreeMap<String, Member>,
    /// The configuration that is being received.
    incoming: Option<(Begin, Vec<Group>)>,
    questions: Vec<Question>,
    pools: BTreeMap<u32, Pool>,
    daemons: BTreeMap<DaemonId, Daemon>,
    indices: Ranges,
    processes: Ranges,
    slots: Ranges,
    next_daemon: u64,
    /// When an administrator was told last that a group is over its cap.
    crowded: Option<Millis>,
    steering: steering::Steering,
    stopping: bool,
    /// Nothing was left to do, and that has been said.
    finished: bool,
    actions: Vec<Action>,
}

impl Supervisor {
    /// Knows nothing yet. `cores` bounds how many processes load scripts at once.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores: cores.max(1),
            begin: None,
            groups: BTreeMap::new(),
            incoming: None,
            questions: Vec::new(),
            pools: BTreeMap::new(),
            daemons: BTreeMap::new(),
            indices: Ranges::new(table::MAX_POOLS),
            processes: Ranges::new(table::MAX_PROCESSES),
            slots: Ranges::new(table::MAX_SLOTS),
            next_daemon: 0,
            crowded: None,
            steering: steering::Steering::default(),
            stopping: false,
            finished: false,
            actions: Vec::new(),
        }
    }

    /// A number for a daemon.
    pub(crate) fn number_daemon(&mut self) -> DaemonId {
        self.next_daemon += 1;
        DaemonId(self.next_daemon)
    }

    /// Decides what to do about an event.
    pub(crate) fn handle(&mut self, event: Event, now: Millis) -> Vec<Action> {
        match event {
            Event::Begin(begin) => self.begin(begin),
            Event::Group(group) => self.group(group),
            Event::Commit(commit) => self.commit(&commit, now),
            Event::GenerationEnded(generation) => self.generation_ended(generation, now),
            Event::Left => self.left(now),
            Event::Stop => self.stop(now),
            Event::Adopted(pool) => self.adopt(pool, now),
            Event::OpenPool { child, sequence, group, application, script } => {
                self.question(Question { child, sequence, group, application, script });
            }
            Event::ChildGone(child) => self.questions.retain(|question| question.child != child),
            Event::Waiting { pool } => self.waiting(pool, now),
            Event::Pressure { pool, waiting } => self.pressure(pool, waiting),
            Event::SlotBroken { slot, epoch } => self.slot_broken(slot, epoch, now),
            Event::SlotRetired { slot } => self.slot_retired(slot, now),
            Event::Launched { daemon, pid } => self.launched(daemon, pid),
            Event::LaunchFailed { daemon, why } => self.launch_failed(daemon, &why, now),
            Event::Hello { daemon, version } => self.hello(daemon, version, now),
            Event::Ready { daemon, loaded } => self.ready(daemon, loaded, now),
            Event::ChannelReady { daemon, thread, epoch } => {
                self.channel_ready(daemon, thread, epoch);
            }
            Event::ChannelLost { daemon, thread, epoch } => {
                self.channel_lost(daemon, thread, epoch, now);
            }
            Event::Recycle { daemon, reason } => self.reported(daemon, &reason, now),
            Event::Loaded { daemon, script } => self.loaded(daemon, script),
            Event::Alive(daemon) => self.alive(daemon, now),
            Event::Slow { daemon, requests } => self.slow(daemon, requests, now),
            Event::Traced { daemon, thread, stack } => self.traced(daemon, thread, &stack),
            Event::Seen { daemon, sight } => self.seen(daemon, &sight, now),
            Event::LinkEnded(daemon) => self.link_ended(daemon, now),
            Event::Misbehaved { daemon, what } => self.misbehaved(daemon, &what),
            Event::Served { daemon, requests } => self.served(daemon, requests, now),
            Event::Exited { daemon, end } => self.exited(daemon, end, now),
            Event::Order { visitor, order } => self.order(visitor, order, now),
            Event::VisitorGone(visitor) => self.visitor_gone(visitor),
            Event::Tick => self.tick(now),
        }
        self.schedule(now);
        self.settle_orders();
        std::mem::take(&mut self.actions)
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn log(&mut self, group: &str, level: Level, text: String) {
        self.act(Action::Log { group: group.to_owned(), level, text });
    }

    /// Daemons of a pool, oldest first.
    fn of_pool(&self, pool: u32) -> impl Iterator<Item = &Daemon> {
        self.daemons.values().filter(move |daemon| daemon.pool == pool)
    }
}
