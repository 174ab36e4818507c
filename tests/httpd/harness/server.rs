//! One private httpd: started in a folder of its own, stopped and examined at the end of a test.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net as unix;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::config::StartFailure;
use super::{Config, Connection, Log, PATIENCE, Process, Request, Response, settings};

/// The variable by which the processes of one server are recognised, whoever their parent is.
const MARK: &str = "MOD_WSGI_TEST_SERVER";

pub(crate) struct Server {
    folder: Option<TempDir>,
    root: PathBuf,
    port: u16,
    httpd: Child,
    declared: Vec<String>,
    logs: Vec<String>,
    /// Set once the test has stopped httpd itself.
    stopped: bool,
}

impl Server {
    #[track_caller]
    pub(super) fn start(config: Config) -> Self {
        let mut server = Self::launch(&config);
        let deadline = Instant::now() + PATIENCE;
        while Connection::open(server.address()).is_err() {
            if let Some(status) = server.httpd.try_wait().unwrap() {
                panic!("httpd did not start ({status}):\n{}", server.last_logged());
            }
            assert!(Instant::now() < deadline, "httpd does not answer");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    #[track_caller]
    pub(super) fn fail(config: Config) -> StartFailure {
        let mut server = Self::launch(&config);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = server.httpd.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline || Connection::open(server.address()).is_ok() {
                panic!("httpd started, which it should not:\n{}", server.last_logged());
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert!(!status.success(), "httpd left with success");
        server.declared.push("[".to_owned());
        StartFailure { output: server.logged(usize::MAX) }
    }

    fn launch(config: &Config) -> Self {
        let settings = settings();
        let (folder, port) = Self::prepare(config);
        let root = folder.path().to_owned();
        let console = File::create(root.join("console.log")).unwrap();
        let httpd = Command::new(&settings.httpd)
            .args([config.foreground(), "-d"])
            .arg(&root)
            .arg("-f")
            .arg(root.join("httpd.conf"))
            .env(MARK, &root)
            .envs(config.environment_variables(&root))
            .stdin(Stdio::null())
            // The prefork MPM ends with a signal to its whole process group.
            .process_group(0)
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let mut logs = vec!["error.log".to_owned()];
        logs.extend(config.vhost_logs());
        let declared = config.declared().to_vec();
        Self { folder: Some(folder), root, port, httpd, declared, logs, stopped: false }
    }

    /// A folder with everything that httpd needs to run, and the port for it.
    pub(super) fn prepare(config: &Config) -> (TempDir, u16) {
        let settings = settings();
        let folder = tempfile::Builder::new().prefix("mod_wsgi-test-").tempdir().unwrap();
        let root = folder.path().to_owned();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        for name in ["apps", "htdocs", "run", "scratch"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::set_permissions(root.join("scratch"), Permissions::from_mode(0o777)).unwrap();
        copy_folder(&settings.apps, &root.join("apps"));
        for (name, text) in config.files() {
            let path = root.join("apps").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for name in config.private_files() {
            let path = root.join("apps").join(name);
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
        let module = reachable_module(&root, config.has_own_module());
        let port = free_port();
        fs::write(root.join("httpd.conf"), config.render(&root, &module, port)).unwrap();
        (folder, port)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The server's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file of that name in the applications' folder.
    pub(crate) fn app(&self, name: &str) -> PathBuf {
        self.root.join("apps").join(name)
    }

    /// A file of that name in a folder that everybody may write to.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.root.join("scratch").join(name)
    }

    /// httpd's parent process.
    pub(crate) fn pid(&self) -> u32 {
        self.httpd.id()
    }

    /// The main error log.
    pub(crate) fn log(&self) -> Log {
        Log::new(self.root.join("error.log"))
    }

    /// The log of a virtual host.
    pub(crate) fn vhost_log(&self, name: &str) -> Log {
        Log::new(self.root.join(format!("{name}.log")))
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address()).unwrap()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn request(&self, request: &Request) -> Response {
        self.connect().exchange(request).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.request(&Request::get(target))
    }

    /// The body of a page that must be a 200.
    #[track_caller]
    pub(crate) fn text(&self, target: &str) -> String {
        self.get(target).expect(200).text()
    }

    /// Every process of the server but httpd's parent.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let mut found = Process::descendants(self.pid());
        for process in Process::with_environment(&format!("{MARK}={}", self.root.display())) {
            if process.pid != self.pid() && !found.contains(&process) {
                found.push(process);
            }
        }
        found
    }

    /// httpd's children that serve requests.
    pub(crate) fn children(&self) -> Vec<Process> {
        let httpd = Process::find(self.pid()).and_then(|parent| parent.executable());
        self.processes()
            .into_iter()
            .filter(|process| process.is_child_of(self.pid()) && process.executable() == httpd)
            .collect()
    }

    /// The supervisor of the daemons.
    pub(crate) fn supervisor(&self) -> Option<Process> {
        self.processes().into_iter().find(|process| process.name().starts_with("wsgi-supervisor"))
    }

    /// The supervisor's program in a server with a module of its own.
    pub(crate) fn supervisor_program(&self) -> PathBuf {
        self.root.join("module/mod_wsgi/wsgi-supervisor")
    }

    /// Sends httpd's parent a signal such as "USR1" (graceful restart).
    pub(crate) fn signal(&self, signal: &str) {
        if let Some(parent) = Process::find(self.pid()) {
            parent.signal(signal);
        }
    }

    /// Stops httpd as a service manager does and checks that nothing is left of it.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.settle();
        let processes = self.processes();
        self.signal("TERM");
        self.wait_for_end(&processes);
    }

    /// Waits, but not for long, until httpd's children are done with the connections that the
    /// test has closed: the event MPM may crash when it is told to stop in the middle of that
    /// (its main thread closes sockets of connections that a thread is just freeing).
    fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && !self.children().iter().all(Process::is_at_rest) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end of httpd and of `processes`, kills what is left and fails the test then.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self, processes: &[Process]) {
        self.stopped = true;
        let deadline = Instant::now() + PATIENCE;
        let mut running = true;
        let mut strays;
        loop {
            running = running && self.httpd.try_wait().unwrap().is_none();
            strays = self.processes();
            strays.extend(
                processes
                    .iter()
                    .filter(|p| p.is_alive() && !strays.contains(p))
                    .copied()
                    .collect::<Vec<_>>(),
            );
            if (!running && strays.is_empty()) || Instant::now() > deadline {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let names: Vec<_> = strays.iter().map(|p| format!("{} {}", p.pid, p.name())).collect();
        for process in &strays {
            process.signal("KILL");
        }
        if running {
            // The only process that is certainly ours: no number can be mistaken here.
            let _ = self.httpd.kill();
            let _ = self.httpd.wait();
        }
        assert!(!running, "httpd did not stop");
        assert!(names.is_empty(), "left running after httpd's end: {names:?}");
    }

    /// The end of every log with its name, for the message of a failed test. It is cut because the
    /// test's own message comes before it and must not scroll away; `KEEP=1` keeps the whole logs.
    fn last_logged(&self) -> String {
        self.logged(40)
    }

    /// Every log with its name, or its last lines, at most so many.
    fn logged(&self, most: usize) -> String {
        let mut text = String::new();
        for name in self.logs.iter().map(String::as_str).chain(["console.log"]) {
            let content = fs::read(self.root.join(name)).unwrap_or_default();
            let content = String::from_utf8_lossy(&content);
            let lines: Vec<&str> = content.lines().collect();
            let last = &lines[lines.len().saturating_sub(most)..];
            text.push_str(&format!("--- {name}, {} lines\n{}\n", lines.len(), last.join("\n")));
        }
        text
    }

    fn examine_logs(&self) {
        let names = self.logs.iter().map(String::as_str).chain(["console.log"]);
        for log in names.map(|name| Log::new(self.root.join(name))) {
            let crashes = log.crashes();
            assert!(crashes.is_empty(), "traces of a crash: {crashes:#?}");
            let undeclared = log.undeclared(&self.declared);
            assert!(undeclared.is_empty(), "logged without the test's leave: {undeclared:#?}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if settings().keep {
            let kept = self.folder.take().map(TempDir::keep);
            eprintln!("kept {kept:?}");
        }
        if thread::panicking() {
            eprintln!("{}", self.last_logged());
            let processes = self.processes();
            self.signal("TERM");
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && matches!(self.httpd.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = self.httpd.kill();
            let _ = self.httpd.wait();
            processes.iter().filter(|process| process.is_alive()).for_each(|p| p.signal("KILL"));
            return;
        }
        if !self.stopped {
            self.stop();
        }
        self.examine_logs();
    }
}

/// The module where httpd's user can reach it: a repository below a private home is copied.
fn reachable_module(root: &Path, copied: bool) -> PathBuf {
    let module = &settings().module;
    if !copied && settings().can_be_reached(module) {
        return module.clone();
    }
    let copy = root.join("module");
    fs::create_dir(&copy).unwrap();
    copy_folder(module.parent().unwrap(), &copy);
    copy.join(module.file_name().unwrap())
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// A free port below those that the kernel gives to clients, and this process' own until it ends:
/// another run of the suite may look for one at the same moment.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + (std::process::id() % 500) as u16 * 20;
    (0..2000)
        .map(|_| base + NEXT.fetch_add(1, Ordering::Relaxed))
        .find(|&port| take_port(port).is_ok())
        .expect("a free port")
}

fn take_port(port: u16) -> io::Result<()> {
    // A name that one process at a time can have, and that leaves nothing behind.
    let name = unix::SocketAddr::from_abstract_name(format!("mod_wsgi-test-port-{port}"))?;
    let claim = unix::UnixListener::bind_addr(&name)?;
    TcpListener::bind(("127.0.0.1", port))?;
    std::mem::forget(claim);
    Ok(())
}
