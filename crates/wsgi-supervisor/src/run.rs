//! The loop around the decisions: waits, reads, and carries out.
//!
//! Nothing in here blocks but the one wait: what can't be sent at once waits in
//! an [`outbox`](link::Link) or is dropped.
//!
//! *Runs in:* supervisor. *Threads:* one.

mod adoption;
mod channels;
mod children;
mod departure;
mod desk;
mod launching;
mod libraries;
mod link;
mod logs;
mod memory;
mod parent;
mod perform;
mod slow;
mod telemetry;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::limits::MAX_DATAGRAM;
use wsgi_sys::table::{PoolRef, Table};
use wsgi_sys::{descriptor, process, socket};

use crate::state::{ChildId, DaemonId, Event, Millis, Supervisor, VisitorId};
use channels::Channel;
use children::Child;
use departure::Departure;
use desk::Desk;
use logs::Logs;
use worker::Worker;

/// Records read from one socket before the others get their turn.
const TURN: usize = 32;
/// How soon a full outbox is tried again.
const OUTBOX_RETRY: Duration = Duration::from_millis(5);

/// What can become readable.
#[derive(Clone, Copy, Debug)]
enum Source {
    Control,
    Mailbox,
    Signals,
    Parent,
    ChildLink(ChildId),
    ChildEnd(ChildId),
    WorkerLink(DaemonId),
    WorkerEnd(DaemonId),
    Desk,
    Visitor(VisitorId),
}

/// The supervisor with everything that it holds open.
pub(crate) struct Loop {
    state: Supervisor,
    events: VecDeque<Event>,
    table: Table,
    table_descriptor: OwnedFd,
    control: Option<OwnedFd>,
    mailbox: OwnedFd,
    parent: Option<OwnedFd>,
    signals: SignalFd,
    children: BTreeMap<ChildId, Child>,
    next_child: u64,
    workers: BTreeMap<DaemonId, Worker>,
    /// The children's ends of the channels, by slot.
    channels: BTreeMap<u32, Channel>,
    pools: BTreeMap<u32, PoolRef>,
    logs: Logs,
    telemetry: Option<telemetry::Telemetry>,
    /// Where administrators come.
    desk: Desk,
    /// Directory of `boot.py`, and the uid of httpd's children.
    setting: parent::Setting,
    departure: Departure,
    /// When pools of an earlier supervisor were found, or looked after last, and how often.
    took_over: Option<(Instant, u32)>,
    /// What the kernel has killed for want of memory, when it was read last.
    kills: Option<u64>,
    began: Instant,
    buffer: Vec<u8>,
    finished: bool,
}

impl Loop {
    /// Takes over the descriptors, becomes independent of httpd's session and
    /// signals, and finds what an earlier supervisor left.
    ///
    /// # Errors
    /// A descriptor is missing, or the slot table has another layout.
    pub(crate) fn open() -> io::Result<Self> {
        let parent_id = std::os::unix::process::parent_id().cast_signed();
        let control = named("control socket", descriptor::inherited(3))?;
        let mailbox = named("mailbox", descriptor::inherited(4))?;
        let table_descriptor = named("slot table", descriptor::inherited(5))?;
        let table = named("slot table", Table::map(table_descriptor.as_fd()))?;
        socket::pass_credentials(mailbox.as_fd())?;
        // Fails for the leader of a process group, which is as independent.
        let _ = nix::unistd::setsid();
        process::become_subreaper()?;
        let signals = take_signals()?;
        process::set_parent_death_signal(libc::SIGTERM)?;
        let parent = process::open_pidfd(parent_id).ok();
        let mut work = Self {
            state: Supervisor::new(std::thread::available_parallelism().map_or(1, usize::from)),
            events: VecDeque::new(),
            table,
            table_descriptor,
            control: Some(control),
            mailbox,
            parent,
            signals,
            children: BTreeMap::new(),
            next_child: 0,
            workers: BTreeMap::new(),
            channels: BTreeMap::new(),
            pools: BTreeMap::new(),
            logs: Logs::open()?,
            telemetry: None,
            desk: Desk::default(),
            setting: parent::Setting::default(),
            departure: Departure::default(),
            took_over: None,
            kills: memory::kills(),
            began: Instant::now(),
            buffer: vec![0; HEAD_LEN + MAX_DATAGRAM as usize],
            finished: false,
        };
        if std::os::unix::process::parent_id().cast_signed() != parent_id {
            work.events.push_back(Event::Stop);
        }
        work.adopt();
        Ok(work)
    }

    /// Works until everything was stopped.
    pub(crate) fn run(&mut self) {
        loop {
            self.work_off();
            if self.finished {
                return;
            }
            for source in self.wait() {
                self.read(source);
                self.work_off();
            }
            self.tell_collector();
            if self.next_look().is_some_and(|look| look.is_zero()) {
                self.look_for_old_leases();
            }
            self.look_at_departure();
            if self.state.next_deadline(self.now()).is_some_and(|at| at <= self.now()) {
                self.events.push_back(Event::Tick);
            }
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// Decides about all events, including those that come of it.
    fn work_off(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let now = self.now();
            for action in self.state.handle(event, now) {
                self.perform(action);
            }
        }
        self.flush();
    }

    /// Waits until something can be read or is due.
    fn wait(&mut self) -> Vec<Source> {
        let now = self.now();
        let mut timeout = self.state.next_deadline(now).map(|at| {
            // A millisecond more, as the clock is rounded down.
            Duration::from_millis(at.saturating_sub(now).saturating_add(1))
        });
        for look in self.next_look().into_iter().chain(self.next_departure()) {
            timeout = Some(timeout.map_or(look, |timeout| timeout.min(look)));
        }
        if self.workers.values().any(Worker::congested) {
            timeout = Some(timeout.map_or(OUTBOX_RETRY, |timeout| timeout.min(OUTBOX_RETRY)));
        }
        if let Some(telemetry) = &self.telemetry {
            let due = telemetry.wait() + Duration::from_millis(1);
            timeout = Some(timeout.map_or(due, |timeout| timeout.min(due)));
        }
        let sources = self.sources();
        let descriptors: Vec<_> = sources.iter().map(|(_, descriptor)| *descriptor).collect();
        match socket::wait_readable(&descriptors, timeout) {
            Ok(ready) => sources
                .iter()
                .zip(ready)
                .filter_map(|((source, _), ready)| ready.then_some(*source))
                .collect(),
            Err(error) => {
                // Out of memory, perhaps: nothing is lost by waiting a little.
                let text = format!("MWR2003: poll failed: {error}; trying again");
                self.logs.own(3, &text);
                std::thread::sleep(Duration::from_millis(100));
                Vec::new()
            }
        }
    }

    /// Daemons before children: what they said before they ended is read first.
    fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut sources = vec![(Source::Signals, self.signals.as_fd())];
        // Who may register is known with the first configuration: until then those who
        // found the last supervisor dead wait.
        if self.setting.child_uid.is_some() {
            sources.push((Source::Mailbox, self.mailbox.as_fd()));
        }
        sources.extend(self.control.as_ref().map(|fd| (Source::Control, fd.as_fd())));
        sources.extend(self.parent.as_ref().map(|fd| (Source::Parent, fd.as_fd())));
        for (&id, worker) in &self.workers {
            sources.extend(worker.link().map(|fd| (Source::WorkerLink(id), fd)));
            sources.extend(worker.pidfd.as_ref().map(|fd| (Source::WorkerEnd(id), fd.as_fd())));
        }
        for (&id, child) in &self.children {
            sources.extend(child.link.as_ref().map(|fd| (Source::ChildLink(id), fd.as_fd())));
            sources.extend(child.pidfd.as_ref().map(|fd| (Source::ChildEnd(id), fd.as_fd())));
        }
        sources.extend(self.desk.listener.as_ref().map(|it| (Source::Desk, it.as_fd())));
        for (&id, visitor) in &self.desk.visitors {
            sources.push((Source::Visitor(id), visitor.as_fd()));
        }
        sources
    }

    fn read(&mut self, source: Source) {
        match source {
            Source::Control => self.read_control(),
            Source::Mailbox => self.read_mailbox(),
            Source::Signals => self.read_signals(),
            Source::Parent => {
                self.parent = None;
                self.control = None;
                self.events.push_back(Event::Stop);
            }
            Source::ChildLink(id) => self.read_child(id),
            Source::ChildEnd(id) => self.child_gone(id),
            Source::WorkerLink(id) => self.read_worker(id),
            Source::WorkerEnd(id) => self.worker_ended(id),
            Source::Desk => self.receive_visitors(),
            Source::Visitor(id) => self.read_visitor(id),
        }
    }

    fn read_signals(&mut self) {
        while let Ok(Some(information)) = self.signals.read_signal() {
            if information.ssi_signo == libc::SIGTERM.cast_unsigned() {
                self.events.push_back(Event::Stop);
            }
        }
        let known: Vec<i32> = self.workers.values().map(|worker| worker.pid).collect();
        process::reap_strays(&known);
    }
}

/// Blocks the signals that httpd's process group, its terminal and its pipes may
/// send: ignored in effect, and [`process::launch`] resets the mask. SIGTERM and
/// SIGCHLD are read from the descriptor returned.
fn take_signals() -> io::Result<SignalFd> {
    let mut blocked = SigSet::empty();
    for signal in [
        Signal::SIGPIPE,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
        Signal::SIGTERM,
        Signal::SIGCHLD,
    ] {
        blocked.add(signal);
    }
    blocked.thread_block()?;
    let mut read = SigSet::empty();
    read.add(Signal::SIGTERM);
    read.add(Signal::SIGCHLD);
    Ok(SignalFd::with_flags(&read, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Says which object an error is about.
fn named<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))
}
