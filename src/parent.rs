//! The supervisor as httpd's parent sees it: started once in httpd's life,
//! configured once a generation, replaced when it dies, stopped with httpd.
//!
//! *Runs in:* httpd's parent, which has one thread. Nothing here may panic or
//! leave state in a `static`: the module's code is unloaded at each restart.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wsgi_proto::VERSION;
use wsgi_proto::control::{
    Begin, Cleared, Commit, GenerationEnded, Group, Stop, ToParent, ToSupervisor,
};
use wsgi_sys::process::{self, Launch};
use wsgi_sys::socket;
use wsgi_sys::table::Table;

use crate::apache::pool::Pool;
use crate::apache::retained::{Kept, retained};

/// How long the supervisor may take to answer a configuration.
const ANSWER: Duration = Duration::from_secs(5);

/// How often in a row a supervisor is started that dies at once.
const ATTEMPTS: u32 = 5;

/// Most looks between two further attempts; one comes every ten seconds or so.
const MOST_LOOKS: u32 = 6;

/// How long a stopping supervisor may take beyond its daemons' shutdown-timeout.
const STOP_MARGIN: Duration = Duration::from_secs(1);

/// What outlives the configuration and the module's code.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Who started the supervisor; a forked process has another pid.
    owner: u32,
    pid: i32,
    /// [`VERSION`] of the module that started it.
    version: u32,
    pidfd: Kept,
    /// One of another release, which serves children of an old generation.
    former: i32,
    former_pidfd: Kept,
    control: Kept,
    /// Both ends of the mailbox, so that a successor serves children that live.
    mailbox_child: Kept,
    mailbox_supervisor: Kept,
    table: Kept,
    /// It runs the present configuration.
    configured: bool,
    /// Attempts to have it do so that failed in a row.
    failures: u32,
    /// Looks until the next attempt.
    looks: u32,
}

/// A group's record and the descriptor of its virtual host's error log.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) group: Group,
    pub(crate) log: BorrowedFd<'static>,
}

/// The supervisor, by the record in the process's pool.
#[derive(Clone, Copy)]
pub(crate) struct Supervisor {
    record: &'static Cell<Record>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("record", &self.record.get()).finish()
    }
}

impl Supervisor {
    /// The supervisor of this httpd, started or not.
    pub(crate) fn of(process_pool: Pool<'static>) -> Self {
        let empty = Record {
            owner: std::process::id(),
            pid: 0,
            version: 0,
            pidfd: Kept::NONE,
            former: 0,
            former_pidfd: Kept::NONE,
            control: Kept::NONE,
            mailbox_child: Kept::NONE,
            mailbox_supervisor: Kept::NONE,
            table: Kept::NONE,
            configured: false,
            failures: 0,
            looks: 0,
        };
        Self { record: retained(process_pool, c"mod_wsgi supervisor 3", empty) }
    }

    pub(crate) fn pid(self) -> i32 {
        self.record.get().pid
    }

    /// Pid of a supervisor of another release that still serves children of an old generation;
    /// 0 if there is none.
    pub(crate) fn former(self) -> i32 {
        self.record.get().former
    }

    /// What a child inherits: the mailbox and the slot table.
    pub(crate) fn for_child(self) -> Option<(BorrowedFd<'static>, BorrowedFd<'static>)> {
        let record = self.record.get();
        Some((record.mailbox_child.get()?, record.table.get()?))
    }

    /// Has the supervisor run a configuration. Starts one if none runs, and another
    /// if the one that runs does not answer or is of another version. `window` is where daemons
    /// ask for the scoreboard.
    ///
    /// # Errors
    /// It could not be started, or does not take the configuration.
    pub(crate) fn configure(
        self,
        directory: &Path,
        log: BorrowedFd<'_>,
        begin: &Begin,
        window: Option<BorrowedFd<'_>>,
        members: &[Member],
    ) -> Result<(), String> {
        self.upgrade(directory);
        let mut outcome = Err(String::new());
        if self.is_alive() {
            outcome = self.try_configure(begin, window, members);
        }
        // One that dies while it is configured is followed by another at once. When
        // that has failed a few times it is tried now and then: see `is_due`.
        let failures = self.record.get().failures;
        let attempts = if failures == 0 { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            if outcome.is_ok() {
                break;
            }
            self.discard();
            outcome = self
                .start(directory, log)
                .and_then(|()| self.try_configure(begin, window, members));
        }
        if outcome.is_err() {
            // httpd would not know whose child it was.
            self.discard();
        }
        let failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
        self.record.set(Record {
            configured: outcome.is_ok(),
            failures,
            looks: failures.min(MOST_LOOKS),
            ..self.record.get()
        });
        outcome
    }

    /// Whether the last attempt to have a supervisor run the configuration failed, and
    /// it is time for another. Asked at each look.
    pub(crate) fn is_due(self) -> bool {
        let mut record = self.record.get();
        if record.configured {
            return false;
        }
        record.looks = record.looks.saturating_sub(1);
        self.record.set(record);
        record.looks == 0
    }

    /// Parts with a supervisor that was started from other files than those on the disk. Its
    /// successor adopts the daemons, unless they are of another release: then it goes on for the
    /// children that know it.
    fn upgrade(self, directory: &Path) {
        let record = self.record.get();
        let fits = record.table.get().is_none_or(|table| Table::map(table).is_ok());
        if !fits || record.pid > 0 && record.version != VERSION {
            self.leave();
        }
        let record = self.record.get();
        let file = |path: &Path| path.metadata().map(|data| (data.dev(), data.ino())).ok();
        let runs = file(Path::new(&format!("/proc/{}/exe", record.pid)));
        if self.is_alive() && runs != file(&program(directory)) {
            self.discard();
        }
    }

    /// Hangs up. The supervisor notices, and ends when the children that it serves have. They have
    /// its mailbox and its table; those of this module are made anew.
    fn leave(self) {
        let mut record = self.record.get();
        if let Some(control) = record.control.get() {
            let _ = socket::hang_up(control);
            // Its end is closed when the path of wsgictl's socket is free.
            let _ = socket::wait_readable(&[control], Some(ANSWER));
        }
        record.control.close();
        record.table.close();
        record.mailbox_child.close();
        record.mailbox_supervisor.close();
        if record.pid > 0 {
            record.former_pidfd.close();
            (record.former, record.former_pidfd) = (record.pid, record.pidfd);
            (record.pid, record.pidfd) = (0, Kept::NONE);
        }
        self.record.set(record);
    }

    /// Whether it runs. Reaps it if it has ended.
    fn is_alive(self) -> bool {
        let pid = self.pid();
        pid > 0 && matches!(process::reap(pid), Ok(None))
    }

    fn start(self, directory: &Path, log: BorrowedFd<'_>) -> Result<(), String> {
        let program = program(directory);
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            format!("MWR1600: the supervisor {} can't be started: {what}{error}", program.display())
        };
        let io_failed = |error: io::Error| failed("", &error);
        let mut record = self.record.get();
        if record.table.get().is_none() {
            let (table, _mapping) = Table::create().map_err(io_failed)?;
            record.table = Kept::new(table);
        }
        if record.mailbox_child.get().is_none() {
            let (child, supervisor) = socket::datagram_pair().map_err(io_failed)?;
            record.mailbox_child = Kept::new(child);
            record.mailbox_supervisor = Kept::new(supervisor);
        }
        self.record.set(record);
        let (Some(mailbox), Some(table)) = (record.mailbox_supervisor.get(), record.table.get())
        else {
            return Err(failed("its descriptors are gone", &""));
        };
        let (control, theirs) = socket::seqpacket_pair().map_err(io_failed)?;
        socket::send_timeout(control.as_fd(), ANSWER).map_err(io_failed)?;
        let null = File::open("/dev/null").map_err(io_failed)?;
        let launch = Launch {
            program: program.clone(),
            arguments: vec!["--version-of-links".into(), VERSION.to_string().into()],
            environment: std::env::vars_os().collect::<Vec<(OsString, OsString)>>(),
            ..Launch::default()
        };
        let descriptors = [null.as_fd(), log, log, theirs.as_fd(), mailbox, table];
        let started = process::launch(&launch, &descriptors).map_err(|error| failed("", &error))?;
        record.owner = std::process::id();
        record.pid = started.pid;
        record.version = VERSION;
        record.pidfd = Kept::new(started.pidfd);
        record.control = Kept::new(control);
        self.record.set(record);
        Ok(())
    }

    fn try_configure(
        self,
        begin: &Begin,
        window: Option<BorrowedFd<'_>>,
        members: &[Member],
    ) -> Result<(), String> {
        let control = self.record.get().control.get().ok_or("MWR1601: no supervisor")?;
        let send = |message: &ToSupervisor, descriptors: &[i32]| {
            let datagram = message
                .encode()
                .map_err(|error| format!("MWR1602: the configuration is too large: {error}"))?;
            socket::send(control, &[io::IoSlice::new(&datagram)], descriptors, true)
                .map(drop)
                .map_err(|error| format!("MWR1603: the supervisor can't be reached: {error}"))
        };
        let window: Vec<i32> = window.iter().map(AsRawFd::as_raw_fd).collect();
        send(&ToSupervisor::Begin(begin.clone()), &window)?;
        for member in members {
            send(&ToSupervisor::Group(member.group.clone()), &[member.log.as_raw_fd()])?;
        }
        send(&ToSupervisor::Commit(Commit { generation: begin.generation }), &[])?;
        Self::await_answer(control, begin.generation)
    }

    fn await_answer(control: BorrowedFd<'_>, generation: u32) -> Result<(), String> {
        let deadline = Instant::now() + ANSWER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = socket::wait_readable(&[control], Some(left)).unwrap_or_default();
            if !ready.first().copied().unwrap_or(false) {
                return Err("MWR1604: the supervisor does not answer".into());
            }
            let mut datagram = [0; 256];
            let length = socket::receive_bytes(control, &mut datagram, false).unwrap_or(0);
            match datagram.get(..length).map(ToParent::decode) {
                Some(Ok(ToParent::Committed(committed))) if committed.version != VERSION => {
                    return Err(format!(
                        "MWR1605: the supervisor speaks version {}, this module {VERSION}; \
                         install both from the same build",
                        committed.version
                    ));
                }
                // An answer to an earlier configuration may be left over.
                Some(Ok(ToParent::Committed(committed))) if committed.generation == generation => {
                    return Ok(());
                }
                Some(Ok(_)) => {}
                _ => return Err("MWR1606: the supervisor ended while it was configured".into()),
            }
        }
    }

    /// Relays that the last child of a generation has ended.
    pub(crate) fn generation_ended(self, generation: u32) {
        self.tell(&ToSupervisor::GenerationEnded(GenerationEnded { generation }));
    }

    /// Tells that the configuration is thrown away.
    pub(crate) fn cleared(self) {
        if self.record.get().owner == std::process::id() {
            self.tell(&ToSupervisor::Cleared(Cleared {}));
        }
    }

    fn tell(self, message: &ToSupervisor) {
        if let (Some(control), Ok(datagram)) = (self.record.get().control.get(), message.encode()) {
            // A supervisor that is gone has nothing to be told.
            let _ = socket::send(control, &[io::IoSlice::new(&datagram)], &[], false);
        }
    }

    /// Has the supervisor stop all daemons and waits until it has: a service manager
    /// kills whatever is left when the parent is gone. Only in the process that
    /// started it. `patience` is the daemons' longest shutdown-timeout.
    pub(crate) fn stop(self, patience: Duration) {
        let record = self.record.get();
        if record.owner != std::process::id() {
            return;
        }
        if let Some(former) = record.former_pidfd.get() {
            // Nobody knows which records it understands.
            let _ = process::signal(former, libc::SIGTERM);
        }
        self.tell(&ToSupervisor::Stop(Stop {}));
        for (pid, pidfd) in [(record.pid, record.pidfd), (record.former, record.former_pidfd)] {
            let Some(pidfd) = pidfd.get() else { continue };
            let wait = patience + STOP_MARGIN;
            let ended = socket::wait_readable(&[pidfd], Some(wait)).unwrap_or_default();
            if !ended.first().copied().unwrap_or(false) {
                let _ = process::signal(pidfd, libc::SIGKILL);
                let _ = socket::wait_readable(&[pidfd], Some(STOP_MARGIN));
            }
            let _ = process::reap(pid);
        }
        self.forget();
        self.forget_former();
    }

    /// Kills the supervisor, whose daemons go on: its successor adopts them.
    fn discard(self) {
        let record = self.record.get();
        if record.pid <= 0 || record.owner != std::process::id() {
            return;
        }
        if let Some(pidfd) = record.pidfd.get() {
            let _ = process::signal(pidfd, libc::SIGKILL);
            let _ = socket::wait_readable(&[pidfd], Some(STOP_MARGIN));
        }
        let _ = process::reap(record.pid);
        self.forget();
    }

    /// Forgets a supervisor that has ended and was reaped.
    pub(crate) fn forget(self) {
        let mut record = self.record.get();
        record.pid = 0;
        record.configured = false;
        record.pidfd.close();
        record.control.close();
        self.record.set(record);
    }

    /// The same for [`Self::former`].
    pub(crate) fn forget_former(self) {
        let mut record = self.record.get();
        record.former = 0;
        record.former_pidfd.close();
        self.record.set(record);
    }
}

fn program(directory: &Path) -> PathBuf {
    directory.join("wsgi-supervisor")
}

/// Where supervisor and worker are installed: beside the module's file.
pub(crate) fn directory(module: Option<PathBuf>) -> Option<PathBuf> {
    Some(module?.parent()?.join("mod_wsgi"))
}
