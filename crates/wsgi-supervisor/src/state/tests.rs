//! The decisions, with a loop and a clock played by the test.

#![allow(clippy::unwrap_used, clippy::panic)]

mod configurations;
mod faults;
mod patrol;
mod record;
mod recycling;
mod slow;
mod starting;
mod steering;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wsgi_proto::VERSION;
use wsgi_proto::control::{Begin, Commit, Group, Preload};
use wsgi_proto::daemon::ToDaemon;
use wsgi_sys::process::Exit;
use wsgi_sys::table::ProcessState;

use super::{Action, ChildId, DaemonId, End, Event, Level, Millis, Sight, Supervisor};

/// A loop that does what it is told, and daemons that do nothing unasked.
struct Stage {
    state: Supervisor,
    now: Millis,
    /// Slots that a child holds.
    busy: BTreeSet<u32>,
    /// Everything done so far.
    done: Vec<Action>,
    /// First slot and threads of each living daemon.
    living: BTreeMap<DaemonId, (u32, u32)>,
    states: BTreeMap<DaemonId, ProcessState>,
    launch_error: Option<&'static str>,
}

impl Stage {
    fn new(cores: usize) -> Self {
        Self {
            state: Supervisor::new(cores),
            now: 1_000,
            busy: BTreeSet::new(),
            done: Vec::new(),
            living: BTreeMap::new(),
            states: BTreeMap::new(),
            launch_error: None,
        }
    }

    /// With one configuration of these groups.
    fn configured(cores: usize, groups: &[Group]) -> Self {
        let mut stage = Self::new(cores);
        stage.configure(1, groups);
        stage
    }

    fn configure(&mut self, generation: u32, groups: &[Group]) -> Vec<Action> {
        self.feed(Event::Begin(Begin { version: VERSION, generation, ..Begin::default() }));
        for group in groups {
            self.feed(Event::Group(group.clone()));
        }
        self.feed(Event::Commit(Commit { generation }))
    }

    /// Handles an event and the loop's own answers; returns all actions.
    fn feed(&mut self, event: Event) -> Vec<Action> {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            for action in self.state.handle(event, self.now) {
                match &action {
                    Action::Launch { daemon, group, first_slot, .. } => {
                        events.push_back(match self.launch_error {
                            Some(why) => {
                                Event::LaunchFailed { daemon: *daemon, why: why.to_owned() }
                            }
                            None => {
                                self.living.insert(*daemon, (*first_slot, group.threads));
                                let pid = i32::try_from(daemon.0).unwrap() + 100;
                                Event::Launched { daemon: *daemon, pid }
                            }
                        });
                    }
                    Action::RetireSlot { slot } if !self.busy.contains(slot) => {
                        events.push_back(Event::SlotRetired { slot: *slot });
                    }
                    Action::ProcessState { daemon, state, .. } => {
                        self.states.insert(*daemon, *state);
                    }
                    Action::Forget { daemon } => {
                        self.living.remove(daemon);
                        self.states.remove(daemon);
                    }
                    _ => {}
                }
                actions.push(action);
            }
        }
        self.done.extend(actions.iter().cloned());
        actions
    }

    /// Lets time go by, tick by tick as the state asks for it.
    fn pass(&mut self, span: Millis) -> Vec<Action> {
        let end = self.now + span;
        let mut actions = Vec::new();
        let mut ticks = 0;
        while let Some(at) = self.state.next_deadline(self.now).filter(|&at| at <= end) {
            ticks += 1;
            assert!(ticks < 100_000, "the clock stands still at {}", self.now);
            self.now = self.now.max(at);
            actions.extend(self.feed(Event::Tick));
        }
        self.now = end;
        actions
    }

    fn hello(&mut self, daemon: DaemonId) -> Vec<Action> {
        self.feed(Event::Hello { daemon, version: VERSION })
    }

    fn ready(&mut self, daemon: DaemonId) -> Vec<Action> {
        self.hello(daemon);
        self.feed(Event::Ready { daemon, loaded: true })
    }

    /// Makes ready whatever starts, until nothing does.
    fn settle(&mut self) {
        while let Some(daemon) = self.starting().first().copied() {
            self.ready(daemon);
        }
    }

    fn exit(&mut self, daemon: DaemonId, exit: Exit) -> Vec<Action> {
        let end = End { exit: Some(exit), served: 5, ..End::default() };
        self.feed(Event::Exited { daemon, end })
    }

    fn kill(&mut self, daemon: DaemonId) -> Vec<Action> {
        self.exit(daemon, Exit::Signal(libc::SIGKILL, false))
    }

    fn open(&mut self, group: &str, application: &str) -> Vec<Action> {
        self.feed(Event::OpenPool {
            child: ChildId(1),
            sequence: 7,
            group: group.to_owned(),
            application: application.to_owned(),
            script: "/srv/app.wsgi".into(),
        })
    }

    fn in_state(&self, state: ProcessState) -> Vec<DaemonId> {
        self.states.iter().filter(|(_, s)| **s == state).map(|(&id, _)| id).collect()
    }

    fn starting(&self) -> Vec<DaemonId> {
        self.in_state(ProcessState::Starting)
    }

    fn serving(&self) -> Vec<DaemonId> {
        self.in_state(ProcessState::Ready)
    }
}

fn group(name: &str, processes: u32, threads: u32) -> Group {
    Group {
        name: name.to_owned(),
        processes,
        processes_max: processes,
        threads,
        graceful_timeout: 15,
        shutdown_timeout: 5,
        ..Group::default()
    }
}

fn preloading(name: &str, processes: u32, applications: &[&str]) -> Group {
    let preload = applications.iter().map(|application| Preload {
        application_group: (*application).to_owned(),
        script: "/srv/app.wsgi".into(),
    });
    Group { preload: preload.collect(), ..group(name, processes, 2) }
}

fn launched(actions: &[Action]) -> Vec<DaemonId> {
    let launches = actions.iter().filter_map(|action| match action {
        Action::Launch { daemon, .. } => Some(*daemon),
        _ => None,
    });
    launches.collect()
}

fn stopped(actions: &[Action]) -> Vec<DaemonId> {
    let stops = actions.iter().filter_map(|action| match action {
        Action::Send { daemon, record: ToDaemon::Stop(_) } => Some(*daemon),
        _ => None,
    });
    stops.collect()
}

fn freed(actions: &[Action]) -> Vec<(u32, u32)> {
    let slots = actions.iter().filter_map(|action| match action {
        Action::FreeSlot { slot, epoch, .. } => Some((*slot, *epoch)),
        _ => None,
    });
    slots.collect()
}

/// The codes of the errors and warnings written.
fn complaints(actions: &[Action]) -> Vec<String> {
    let lines = actions.iter().filter_map(|action| match action {
        Action::Log { level: Level::Error | Level::Warning, text, .. } => {
            Some(text.split(':').next().unwrap_or_default().to_owned())
        }
        _ => None,
    });
    lines.collect()
}
