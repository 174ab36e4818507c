//! Many Pythons in one httpd: the native worker and the one in Python alone, side by side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::harness::{Config, Request, Server, settings};
use crate::{ours_only, skip};

/// Where everybody can read what lies in a private home.
pub(super) const COPIES: &str = "/var/tmp/mod_wsgi-test-pythons";

/// Leaves out what a server does not need: a tenth of the size remains.
const COPY: &str = "tar -C \"$1\" --exclude='lib/python*/test' --exclude='*.a' \
                    --exclude='lib/python*/site-packages' --exclude=__pycache__ -cf - bin lib \
                    | tar -C \"$2\" -xf -";

/// An interpreter that httpd's user can run.
pub(super) struct Python {
    /// Its name for a group, and for people.
    pub(super) name: String,
    pub(super) program: PathBuf,
    library: Option<PathBuf>,
}

impl Python {
    /// The line that makes a group of that name with this interpreter.
    pub(super) fn group(&self, options: &str) -> String {
        format!("WSGIDaemonProcess {} python={} {options}", self.name, self.program.display())
    }

    /// A folder for `python-home=`.
    pub(super) fn home(&self) -> &Path {
        self.program.ancestors().nth(2).unwrap()
    }

    fn is_native(&self) -> bool {
        let minor = self.name.strip_prefix("3.").and_then(|rest| rest.split('.').next());
        minor.and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor >= 9)
    }
}

/// The one of these that is Python 2.7.
pub(super) fn python_2() -> Option<Python> {
    pythons().into_iter().find(|python| python.name.starts_with("2.7"))
}

/// pyenv's Pythons and PyPy, as far as they are there.
pub(super) fn pythons() -> Vec<Python> {
    // Tests that begin at the same moment would copy the same.
    static COPYING: Mutex<()> = Mutex::new(());
    let _copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    let versions = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let mut found = Vec::new();
    for entry in versions.and_then(|path| std::fs::read_dir(path).ok()).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_plain_version(&name) {
            continue;
        }
        let copy = Path::new(COPIES).join(&name);
        let binary = if name.starts_with('2') { "bin/python2" } else { "bin/python3" };
        if !copy.join(binary).exists() {
            copy_interpreter(&entry.path(), &copy);
        }
        found.push(Python { name, program: copy.join(binary), library: Some(copy.join("lib")) });
    }
    if let Some(program) = first(&["/usr/bin/pypy3", "/usr/local/bin/pypy3"]) {
        found.push(Python { name: "pypy3".to_owned(), program, library: None });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    for wanted in ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "pypy3"] {
        if !found.iter().any(|python| python.name.starts_with(wanted)) {
            eprintln!("skipped: Python {wanted}, which is not installed");
        }
    }
    found
}

/// True for 2.7.18, and not for environments or other implementations.
fn is_plain_version(name: &str) -> bool {
    name.split('.').count() == 3 && name.split('.').all(|part| part.parse::<u32>().is_ok())
}

fn first(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.exists())
}

fn copy_interpreter(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let status = Command::new("sh").args(["-c", COPY, "sh"]).arg(from).arg(to).status().unwrap();
    assert!(status.success(), "copying {}", from.display());
}

/// The copies are not where they were built for: their libraries must be found otherwise.
pub(super) fn with_libraries(config: Config, pythons: &[Python]) -> Config {
    config.environment("LD_LIBRARY_PATH", &library_path(pythons))
}

/// The folders of all shared libraries of these Pythons.
pub(super) fn library_path(pythons: &[Python]) -> String {
    let libraries: Vec<_> = pythons
        .iter()
        .filter_map(|python| python.library.as_ref())
        .map(|library| library.display().to_string())
        .collect();
    libraries.join(":")
}

/// An httpd with a group for each Python, whose script is at `/NAME`.
fn serve(pythons: &[Python], options: &str, script: &str) -> Server {
    serving(pythons, options, script).start()
}

/// Its configuration.
fn serving(pythons: &[Python], options: &str, script: &str) -> Config {
    let mut config = with_libraries(Config::new(), pythons).file("script.wsgi", script);
    for python in pythons {
        let name = &python.name;
        config = config
            .line(&python.group(options))
            .line(&format!("WSGIScriptAlias /{name} {{apps}}/script.wsgi process-group={name}"));
    }
    config
}

const FACTS: &str = "
import mod_wsgi, platform, sys
def application(environ, start_response):
    facts = [
        '%s %d.%d' % ((platform.python_implementation(),) + sys.version_info[:2]),
        'pure' if 'mod_wsgi_pure' in sys.modules else 'native',
        mod_wsgi.process_group, str(sys.argv), str(type(environ['PATH_INFO']) is str)]
    write = start_response('200 OK', [('X-Length', environ.get('CONTENT_LENGTH', ''))])
    write('\\n'.join(facts).encode('ascii'))
    body = environ['wsgi.input'].read()
    return [b'\\n', body[:1], str(len(body)).encode('ascii')]
";

#[test]
fn each_python_answers_for_itself() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let server = serve(&pythons, "threads=2", FACTS);
    for python in &pythons {
        let name = &python.name;
        let request = Request::post(&format!("/{name}/x"), vec![b'x'; 300_000]);
        let text = server.request(&request).expect(200).text();
        let facts: Vec<_> = text.lines().collect();
        if name == "pypy3" {
            assert!(facts[0].starts_with("PyPy 3."), "{text}");
        } else {
            let version = facts[0].strip_prefix("CPython ").expect(&text);
            assert!(name.starts_with(&format!("{version}.")), "{name}: {text}");
        }
        assert_eq!(facts[1], if python.is_native() { "native" } else { "pure" }, "{name}");
        assert_eq!(&facts[2..], [name.as_str(), "['mod_wsgi']", "True", "x300000"], "{name}");
    }
    let names: Vec<_> = pythons.iter().map(|python| python.name.as_str()).collect();
    eprintln!("served: {names:?}");
}

/// Each Python's own idea of what WSGI is, for requests of several kinds.
#[test]
fn each_pythons_validator_is_content() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let source = std::fs::read_to_string(settings().apps.join("validated.wsgi")).unwrap();
    // Python 2 validates by an older PEP, whose readline has no argument.
    let source = source.replace("readline(1000)", "readline()");
    let server = serve(&pythons, "processes=1 threads=2", &source);
    for Python { name, .. } in &pythons {
        for target in ["", "/a/b?c=d", "/%20"] {
            assert_eq!(server.text(&format!("/{name}{target}")), "valid:", "{name}");
        }
        for body in ["body\nin two lines", "one line", "\n"] {
            let response = server.request(&Request::post(&format!("/{name}"), body)).expect(200);
            assert_eq!(response.text(), format!("valid:{body}"), "{name}");
        }
    }
}

const PROCESSES: &str = "
from __future__ import print_function
import contextlib, multiprocessing, os, signal, subprocess, sys, threading

def in_child(queue):
    queue.put(os.getpid())

def fork():
    context = multiprocessing
    if hasattr(multiprocessing, 'get_context'):
        context = multiprocessing.get_context('fork')
    queue = context.Queue()
    process = context.Process(target=in_child, args=(queue,))
    process.start()
    pid = queue.get(timeout=20)
    process.join(20)
    assert process.exitcode == 0 and pid == process.pid, process.exitcode
    with contextlib.closing(context.Pool(2)) as pool:
        assert pool.map(abs, [-1, -2, 3]) == [1, 2, 3]

def spawn(method):
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]

def run():
    program = 'import sys; sys.stdout.write(str(sys.version_info[:2]))'
    output = subprocess.check_output([sys.executable, '-c', program])
    assert output.decode('ascii') == str(sys.version_info[:2]), output
    assert subprocess.call(['sh', '-c', 'kill -TERM $$']) == -signal.SIGTERM

def threads():
    found = []
    workers = [threading.Thread(target=found.append, args=(n,)) for n in range(20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert sorted(found) == list(range(20)), found

def application(environ, start_response):
    fork()
    run()
    threads()
    assert sys.argv == ['mod_wsgi']
    if sys.version_info[0] > 2:
        spawn('spawn')
        spawn('forkserver')
        import asyncio
        loop = asyncio.new_event_loop()
        process = getattr(asyncio, 'run', loop.run_until_complete)(asyncio.sleep(0.01, 'slept'))
        assert process == 'slept', process
        loop.close()
    start_response('200 OK', [])
    return [b'sane']
";

#[test]
fn processes_and_threads_of_an_application_are_ordinary() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let server = serve(&pythons, "processes=1 threads=2", PROCESSES);
    for Python { name, .. } in &pythons {
        for _ in 0..2 {
            assert_eq!(server.get(&format!("/{name}")).expect(200).text(), "sane", "{name}");
        }
    }
}

#[test]
fn the_end_of_a_process_runs_its_exit_handlers() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let script = "
import atexit, sys, threading, time
name = '%d.%d' % sys.version_info[:2]
def finish():
    time.sleep(0.2)
    print('thread of %s ends' % name)
def goodbye():
    print('goodbye of %s' % name)
def application(environ, start_response):
    atexit.register(goodbye)
    thread = threading.Thread(target=finish)
    # Else it would be a daemon, like the threads that serve requests.
    thread.daemon = False
    thread.start()
    start_response('200 OK', [])
    return [name.encode('ascii')]
";
    let mut server = serving(&pythons, "threads=1", script).expect_errors().start();
    let versions: Vec<_> =
        pythons.iter().map(|python| server.text(&format!("/{}", python.name))).collect();
    let log = server.log();
    server.stop();
    for version in versions {
        log.wait_for(&format!("thread of {version} ends"));
        log.wait_for(&format!("goodbye of {version}"));
    }
}

#[test]
fn passwords_are_checked_on_python_2() {
    ours_only!("mod_wsgi is linked with one Python");
    let python = pythons().into_iter().find(|python| python.name.starts_with("2.7"));
    let Some(python) = python else { skip!("no Python 2.7 of pyenv's") };
    let script = "
def check_password(environ, user, password):
    assert type(user) is type(password) is str
    if user == 'raises':
        raise ValueError('not this one: %s' % password)
    return {'me': password == 'p\\xe9'}.get(user)
";
    let modules = ["auth_basic", "authn_core", "authz_user"];
    let config = modules.into_iter().fold(Config::new(), Config::module);
    let server = with_libraries(config, std::slice::from_ref(&python))
        .file("guard.py", script)
        .file("page.html", "page")
        .line(&format!("WSGIDaemonProcess wsgi-access python={}", python.program.display()))
        .line(
            "Alias /files {apps}\n<Location /files>\nAuthType Basic\nAuthName a\n\
             AuthBasicProvider wsgi\nWSGIAuthUserScript {apps}/guard.py\nRequire valid-user\n\
             </Location>",
        )
        .expect_errors()
        .expect_log("AH0")
        .start();
    // "me" with the right password in Latin-1 and a wrong one, "raises:secret", nobody.
    for (credentials, status) in
        [("bWU6cOk=", 200), ("bWU6cA==", 401), ("cmFpc2VzOnNlY3JldA==", 500), ("eDp5", 401)]
    {
        let authorization = format!("Basic {credentials}");
        let request = Request::get("/files/page.html").header("Authorization", &authorization);
        assert_eq!(server.request(&request).status(), status, "{credentials}");
    }
    server.log().wait_for("ValueError: not this one: ********");
}

#[test]
fn every_python_is_told_the_scoreboard() {
    ours_only!("mod_wsgi is linked with one Python");
    let pythons = pythons();
    if pythons.is_empty() {
        skip!("no Python of pyenv's");
    }
    let script = "
import mod_wsgi
def application(environ, start_response):
    board = mod_wsgi.server_metrics()
    pids = [child['pid'] for child in board['processes']]
    start_response('200 OK', [])
    return [str(int(environ['mod_wsgi.server_pid']) in pids).encode('ascii')]
";
    let server = serve(&pythons, "server-metrics=On", script);
    for python in &pythons {
        assert_eq!(server.text(&format!("/{}", python.name)), "True", "{}", python.name);
    }
}
