//! httpd's parent and children, as far as the supervisor can tell.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wsgi_proto::VERSION;
use wsgi_proto::control::{
    Begin, Commit, Group, Preload, Stop, ToParent, ToSupervisor as FromParent,
};
use wsgi_proto::mailbox::{
    ChannelBroken, FetchChannel, OpenPool, Register, ToChild, ToSupervisor as FromChild,
};
use wsgi_sys::process::{self, Exit, Launch, Process};
use wsgi_sys::table::{Attempt, PoolRef, ProcessState, Reservation, Table};
use wsgi_sys::{descriptor, socket};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Waits for a condition.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process runs, and is no zombie.
pub(crate) fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")))
}

/// Kills a process of this test.
pub(crate) fn kill(pid: i32) {
    if let Ok(pidfd) = process::open_pidfd(pid) {
        let _ = process::signal(pidfd.as_fd(), 9);
    }
}

/// A group that runs the fake daemon.
pub(crate) fn group(name: &str, processes: u32, threads: u32) -> Group {
    Group {
        name: name.to_owned(),
        origin: "httpd.conf:1".to_owned(),
        processes,
        processes_max: processes,
        threads,
        python: "/usr/bin/python3".into(),
        home: Some("/".into()),
        graceful_timeout: 15,
        shutdown_timeout: 5,
        socket_timeout: 60,
        log_level: 6,
        ..Group::default()
    }
}

/// httpd's parent.
pub(crate) struct Parent {
    directory: TempDir,
    control: OwnedFd,
    pub(crate) mailbox_for_children: OwnedFd,
    mailbox: OwnedFd,
    pub(crate) memory: OwnedFd,
    pub(crate) supervisor: Process,
    logs: BTreeMap<String, PathBuf>,
    stopped: bool,
}

impl Parent {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.path().join("boot.py"), include_str!("../fake_daemon.py")).unwrap();
        let (mailbox_for_children, mailbox) = socket::datagram_pair().unwrap();
        let (memory, _) = Table::create().unwrap();
        let (control, supervisor) = start(&directory, &mailbox, &memory);
        let logs = BTreeMap::new();
        Self {
            directory,
            control,
            mailbox_for_children,
            mailbox,
            memory,
            supervisor,
            logs,
            stopped: false,
        }
    }

    /// As httpd's parent does when its supervisor dies.
    pub(crate) fn replace_killed_supervisor(&mut self) {
        process::signal(self.supervisor.pidfd.as_fd(), 9).unwrap();
        until("the supervisor is reaped", || process::reap(self.supervisor.pid).unwrap().is_some());
        (self.control, self.supervisor) = start(&self.directory, &self.mailbox, &self.memory);
    }

    fn tell(&self, record: &FromParent, descriptors: &[BorrowedFd<'_>]) {
        let bytes = record.encode().unwrap();
        let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        socket::send(self.control.as_fd(), &[IoSlice::new(&bytes)], &raw, true).unwrap();
    }

    /// Sends a configuration; returns the generation that was confirmed.
    pub(crate) fn configure(&mut self, generation: u32, groups: &[Group]) -> u32 {
        self.tell(
            &FromParent::Begin(Begin {
                version: VERSION,
                generation,
                worker_directory: self.directory.path().to_owned(),
                ..Begin::default()
            }),
            &[],
        );
        for group in groups {
            let path = self.directory.path().join(format!("{}.log", group.name));
            let log = OpenOptions::new().create(true).append(true).open(&path).unwrap();
            self.logs.insert(group.name.clone(), path);
            self.tell(&FromParent::Group(group.clone()), &[log.as_fd()]);
        }
        self.tell(&FromParent::Commit(Commit { generation }), &[]);
        let mut buffer = [0; 256];
        socket::receive_timeout(self.control.as_fd(), LIMIT).unwrap();
        let length = socket::receive_bytes(self.control.as_fd(), &mut buffer, true).unwrap();
        let ToParent::Committed(answer) = ToParent::decode(&buffer[..length]).unwrap();
        assert_eq!(answer.version, VERSION);
        answer.generation
    }

    pub(crate) fn log(&self, group: &str) -> String {
        self.logs.get(group).map_or_else(String::new, |path| fs::read_to_string(path).unwrap())
    }

    /// Warnings and errors in a group's log.
    pub(crate) fn complaints(&self, group: &str) -> Vec<String> {
        let log = self.log(group);
        let grave = |line: &&str| ["[wsgi:error]", "[wsgi:warn]"].iter().any(|l| line.contains(l));
        log.lines().filter(grave).map(str::to_owned).collect()
    }

    /// Renames a group's log, as logrotate does.
    pub(crate) fn rotate(&self, group: &str) {
        let path = &self.logs[group];
        fs::rename(path, path.with_extension("old")).unwrap();
    }

    /// Descriptors that the supervisor has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.supervisor.pid)).unwrap().count()
    }

    /// Stops the supervisor; returns its exit status and how long it took.
    pub(crate) fn stop(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        self.tell(&FromParent::Stop(Stop {}), &[]);
        let mut exit = None;
        until("the supervisor ends", || {
            exit = process::reap(self.supervisor.pid).unwrap();
            exit.is_some()
        });
        self.stopped = true;
        let main = fs::read_to_string(self.directory.path().join("main.log")).unwrap();
        assert_eq!(main, "", "nothing is to be said about the supervisor");
        match exit {
            Some(Exit::Status(status)) => (Some(status), start.elapsed()),
            _ => (None, start.elapsed()),
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        if !self.stopped {
            let _ = process::signal(self.supervisor.pidfd.as_fd(), 15);
            let _ = socket::wait_readable(&[self.supervisor.pidfd.as_fd()], Some(LIMIT));
            let _ = process::signal(self.supervisor.pidfd.as_fd(), 9);
            let _ = process::reap(self.supervisor.pid);
            if std::thread::panicking() {
                for group in self.logs.keys() {
                    eprintln!("--- log of {group}\n{}", self.log(group));
                }
                let main = fs::read_to_string(self.directory.path().join("main.log"));
                eprintln!("--- main log\n{}", main.unwrap_or_default());
            }
        }
    }
}

fn start(directory: &TempDir, mailbox: &OwnedFd, memory: &OwnedFd) -> (OwnedFd, Process) {
    let (here, there) = socket::seqpacket_pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let path = directory.path().join("main.log");
    let main = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let launch = Launch {
        program: env!("CARGO_BIN_EXE_wsgi-supervisor").into(),
        arguments: vec!["--version-of-links".into(), VERSION.to_string().into()],
        environment: std::env::vars_os().collect(),
        ..Launch::default()
    };
    let descriptors =
        [null.as_fd(), main.as_fd(), main.as_fd(), there.as_fd(), mailbox.as_fd(), memory.as_fd()];
    (here, process::launch(&launch, &descriptors).unwrap())
}

/// An httpd child.
pub(crate) struct Child {
    pub(crate) table: Table,
    pub(crate) lease: u32,
    link: OwnedFd,
    sequence: u32,
}

impl Child {
    pub(crate) fn register(parent: &Parent) -> Self {
        Self::register_with(parent.mailbox_for_children.as_fd(), parent.memory.as_fd())
    }

    fn register_with(mailbox: BorrowedFd<'_>, memory: BorrowedFd<'_>) -> Self {
        let table = Table::map(memory).unwrap();
        let (link, there) = socket::seqpacket_pair().unwrap();
        let register = Register { version: VERSION, generation: 1, lease: 0 };
        let bytes = FromChild::Register(register).encode().unwrap();
        socket::send(mailbox, &[IoSlice::new(&bytes)], &[there.as_raw_fd()], false).unwrap();
        let mut child = Self { table, lease: 0, link, sequence: 0 };
        socket::receive_timeout(child.link.as_fd(), LIMIT).unwrap();
        let (ToChild::Registered(registered), _) = child.hear() else { panic!("no lease") };
        child.lease = registered.lease;
        child
    }

    fn say(&self, record: &FromChild) {
        let bytes = record.encode().unwrap();
        socket::send(self.link.as_fd(), &[IoSlice::new(&bytes)], &[], false).unwrap();
    }

    fn hear(&self) -> (ToChild, Vec<OwnedFd>) {
        let mut buffer = [0; 4096];
        let received = socket::receive(self.link.as_fd(), &mut buffer, true).unwrap();
        (ToChild::decode(&buffer[..received.length]).unwrap(), received.descriptors)
    }

    pub(crate) fn open_pool(&mut self, group: &str, application: &str) -> Result<PoolRef, String> {
        self.sequence += 1;
        self.say(&FromChild::OpenPool(OpenPool {
            sequence: self.sequence,
            process_group: group.to_owned(),
            application_group: application.to_owned(),
            script: "/srv/app.wsgi".into(),
            callable_object: "application".to_owned(),
        }));
        match self.hear().0 {
            ToChild::Pool(pool) => {
                assert_eq!(pool.sequence, self.sequence);
                Ok(PoolRef { index: pool.index, serial: pool.serial })
            }
            ToChild::Refused(refused) => Err(refused.reason),
            other => panic!("{other:?}"),
        }
    }

    /// Reserves a slot, waiting for the pool to start.
    pub(crate) fn reserve(&self, pool: PoolRef) -> Reservation {
        let mut reservation = None;
        until("a slot is reserved", || match self.table.reserve(pool, self.lease) {
            Attempt::Reserved(slot) => {
                reservation = Some(slot);
                true
            }
            Attempt::Full => false,
            other => panic!("{other:?}"),
        });
        reservation.unwrap()
    }

    /// Asks for a slot's channel; none if the supervisor has none of its epoch.
    pub(crate) fn try_fetch(&mut self, slot: Reservation) -> Option<UnixStream> {
        self.sequence += 1;
        let question = FetchChannel { sequence: self.sequence, slot: slot.slot };
        self.say(&FromChild::FetchChannel(question));
        match self.hear() {
            (ToChild::Channel(channel), mut descriptors) if channel.epoch == slot.epoch => {
                Some(UnixStream::from(descriptors.remove(0)))
            }
            _ => None,
        }
    }

    pub(crate) fn fetch(&mut self, slot: Reservation) -> UnixStream {
        self.try_fetch(slot).unwrap()
    }

    pub(crate) fn report_broken(&self, slot: Reservation) {
        let broken = ChannelBroken { slot: slot.slot, epoch: slot.epoch };
        self.say(&FromChild::ChannelBroken(broken));
    }

    pub(crate) fn exchange(&mut self, slot: Reservation, text: &str) -> (i32, String) {
        exchange(&self.fetch(slot), text)
    }

    /// One request: the daemon's pid, and what it said.
    pub(crate) fn echo(&mut self, pool: PoolRef, text: &str) -> (i32, String) {
        let start = Instant::now();
        loop {
            let slot = self.reserve(pool);
            if let Some(channel) = self.try_fetch(slot) {
                let answer = exchange(&channel, text);
                self.table.release(pool, slot, self.lease);
                return answer;
            }
            // A slot of an earlier supervisor's daemon.
            self.report_broken(slot);
            assert!(start.elapsed() < LIMIT, "no slot has a channel");
        }
    }

    /// How many of a pool's processes take requests.
    pub(crate) fn ready(&self, pool: PoolRef) -> usize {
        let (_, _, shape) = self.table.pool(pool.index).unwrap();
        let entries = shape.first_process..shape.first_process + shape.processes;
        entries.filter(|&entry| self.table.process(entry).0 == ProcessState::Ready).count()
    }

    /// pids of a pool's processes.
    pub(crate) fn daemons(&self, pool: PoolRef) -> Vec<i32> {
        let (_, _, shape) = self.table.pool(pool.index).unwrap();
        let entries = shape.first_process..shape.first_process + shape.processes;
        entries.map(|entry| self.table.process(entry).1).filter(|&pid| pid != 0).collect()
    }
}

/// Sends a line and reads the answer.
pub(crate) fn exchange(mut channel: &UnixStream, text: &str) -> (i32, String) {
    channel.write_all(format!("{text}\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(channel).read_line(&mut answer).unwrap();
    let (pid, text) = answer.trim_end().split_once(' ').unwrap();
    (pid.parse().unwrap(), text.to_owned())
}

/// Who is played by another process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Played {
    /// A child that reserves two slots of group `g`.
    Child,
    /// A parent with a daemon.
    Parent,
}

/// A process that plays a part until it is killed.
pub(crate) struct Player {
    process: Process,
    lines: BufReader<File>,
}

impl Player {
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn kill(&mut self) {
        process::signal(self.process.pidfd.as_fd(), 9).unwrap();
        until("it is reaped", || process::reap(self.process.pid).unwrap().is_some());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = process::signal(self.process.pidfd.as_fd(), 9);
        let _ = process::reap(self.process.pid);
    }
}

/// Starts this test program again in a part; descriptors come from 4 on.
pub(crate) fn play(part: Played, descriptors: &[BorrowedFd<'_>]) -> Player {
    let (here, there) = socket::stream_pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    let mut environment: Vec<_> = std::env::vars_os().collect();
    environment.push(("PART".into(), format!("{part:?}").into()));
    let launch = Launch {
        program: std::env::current_exe().unwrap(),
        arguments: ["--ignored", "--exact", "played", "--nocapture"].map(Into::into).to_vec(),
        environment,
        ..Launch::default()
    };
    let stderr = std::io::stderr();
    let mut all = vec![null.as_fd(), null.as_fd(), stderr.as_fd(), there.as_fd()];
    all.extend(descriptors);
    let process = process::launch(&launch, &all).unwrap();
    Player { process, lines: BufReader::new(File::from(here)) }
}

/// Plays a part, in the process that [`play`] started.
pub(crate) fn played() {
    let Ok(part) = std::env::var("PART") else { return };
    let mut report = File::from(descriptor::inherited(3).unwrap());
    if part == "Child" {
        let mailbox = descriptor::inherited(4).unwrap();
        let memory = descriptor::inherited(5).unwrap();
        let mut child = Child::register_with(mailbox.as_fd(), memory.as_fd());
        let pool = child.open_pool("g", "").unwrap();
        let (one, two) = (child.reserve(pool), child.reserve(pool));
        let _channel = child.fetch(one);
        writeln!(report, "{} {}", one.slot, two.slot).unwrap();
        std::thread::sleep(Duration::from_secs(30));
    } else {
        let mut parent = Parent::start();
        let mut preloading = group("g", 1, 2);
        let preload = Preload { script: "/srv/app.wsgi".into(), ..Preload::default() };
        preloading.preload.push(preload);
        parent.configure(1, &[preloading]);
        let mut child = Child::register(&parent);
        let pool = child.open_pool("g", "").unwrap();
        let (daemon, _) = child.echo(pool, "x");
        writeln!(report, "{} {daemon}", parent.supervisor.pid).unwrap();
        std::thread::sleep(Duration::from_secs(30));
    }
}
