//! Reloading, recycling and restarting while requests go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::harness::{Config, Gate, Process, Request, Server, program, wait_for};
use crate::ours_only;

fn versioned(version: &str) -> String {
    format!(
        "import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'{version} %d' % os.getpid()]
"
    )
}

fn change(server: &Server, version: &str, seconds: u64) {
    replace(server, "site.wsgi", &versioned(version), seconds);
}

fn replace(server: &Server, name: &str, text: &str, seconds: u64) {
    let path = server.app(name);
    // A new file in its place: nobody may read half a script.
    let fresh = server.app("site.new");
    fs::write(&fresh, text).unwrap();
    let time = SystemTime::now() + Duration::from_secs(seconds);
    File::options().write(true).open(&fresh).unwrap().set_modified(time).unwrap();
    fs::rename(fresh, path).unwrap();
}

fn pid(server: &Server) -> u32 {
    let source = "
        import os
        def run(environ, start_response):
            start_response('200 OK', [])
            return [str(os.getpid()).encode()]
        ";
    server.text(&program(source)).parse().unwrap()
}

#[test]
fn a_changed_script_is_served_by_a_new_process() {
    let server = Config::serving("site.wsgi", "").file("site.wsgi", &versioned("first")).start();
    let before = server.text("/");
    assert!(before.starts_with("first "));
    change(&server, "second", 5);
    let after = wait_for("the second version", || {
        Some(server.text("/")).filter(|text| text.starts_with("second "))
    });
    assert_ne!(before.split(' ').nth(1), after.split(' ').nth(1));
    // No return to the old one.
    for _ in 0..20 {
        assert!(server.text("/").starts_with("second "));
    }
}

#[test]
fn script_reloading_can_be_switched_off() {
    let server = Config::serving("site.wsgi", "")
        .file("site.wsgi", &versioned("first"))
        .line("WSGIScriptReloading Off")
        .start();
    let before = server.text("/");
    change(&server, "second", 5);
    for _ in 0..10 {
        assert_eq!(server.text("/"), before);
    }
}

#[test]
fn a_graceful_restart_lets_requests_finish() {
    ours_only!("mod_wsgi kills its daemons after three seconds");
    let server = Config::serving("program.wsgi", "").expect_log("AH00558").start();
    let gate = Gate::open();
    let source = "
        def run(environ, start_response):
            start_response('200 OK', [])
            yield b'first'
            gate.wait(environ)
            yield b'second'
        ";
    let target = format!("{}&{}", program(source), gate.query());
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    let head = connection.head().unwrap();
    let visitor = gate.visitor();
    let log = server.log().cursor();
    server.signal("USR1");
    log.wait_for("resuming normal operations");
    let next = program(
        "
        def run(environ, start_response):
            start_response('200 OK', [])
            return [b'served']
        ",
    );
    assert_eq!(server.text(&next), "served");
    visitor.release();
    assert_eq!(connection.body(&head).unwrap(), b"firstsecond");
}

#[test]
fn requests_outlast_graceful_restarts_whatever_the_timeouts() {
    ours_only!("mod_wsgi kills its daemons after three seconds");
    let options = "threads=3 graceful-timeout=1 shutdown-timeout=1";
    let server = Config::serving("program.wsgi", options).start();
    let source = "
        def run(environ, start_response):
            door = gate.Gate(environ)
            start_response('200 OK', [])
            for _ in range(3):
                yield b'x' * 100000
                door.wait()
        ";
    let gate = Gate::open();
    let target = format!("{}&{}", program(source), gate.query());
    let mut connection = server.connect();
    connection.send(&Request::get(&target)).unwrap();
    let mut visitor = gate.visitor();
    let head = connection.head().unwrap();
    let old = Process::find(visitor.pid()).unwrap();
    let mut serving = old.pid;
    for _ in 0..2 {
        let log = server.log().cursor();
        server.signal("USR1");
        log.wait_for("resuming normal operations");
        wait_for("the successor", || (pid(&server) != serving).then_some(()));
        serving = pid(&server);
        // Longer than graceful-timeout and shutdown-timeout together.
        thread::sleep(Duration::from_millis(2_300));
        assert!(old.is_alive());
        visitor = visitor.release_until_next();
    }
    visitor.release();
    assert_eq!(connection.body(&head).unwrap().len(), 300_000);
    wait_for("the end of the old process", || (!old.is_alive()).then_some(()));
}

#[test]
fn a_full_restart_and_a_stop_leave_nothing_behind() {
    let mut server = Config::serving("hello.wsgi", "processes=2").start();
    server.text("/");
    let log = server.log().cursor();
    server.signal("HUP");
    log.wait_for("resuming normal operations");
    assert_eq!(server.text("/"), "Hello, World!\n");
    server.stop();
}

#[test]
fn maximum_requests_replaces_the_process_without_a_failure() {
    let server = Config::serving("site.wsgi", "threads=2 maximum-requests=10")
        .file("site.wsgi", &versioned("only"))
        .start();
    let mut pages: Vec<_> = (0..60).map(|_| server.text("/")).collect();
    pages.dedup();
    let (least, most) = if crate::harness::settings().reference { (2, 61) } else { (3, 12) };
    assert!((least..=most).contains(&pages.len()), "{} processes for 60 requests", pages.len());
}

#[test]
fn stopping_httpd_does_not_wait_for_a_request_without_end() {
    let mut server = Config::serving("program.wsgi", "shutdown-timeout=1")
        .expect_errors()
        .expect_log("AH")
        .start();
    let gate = Gate::open();
    let source = "
        import time
        def run(environ, start_response):
            gate.wait(environ)
            time.sleep(3600)
        ";
    let mut connection = server.connect();
    let target = format!("{}&{}", program(source), gate.query());
    connection.send(&Request::get(&target)).unwrap();
    gate.visitor().release();
    server.stop();
}

/// What clients saw that asked for `/` as fast as they could.
struct Load {
    /// How often each page came.
    pages: BTreeMap<String, usize>,
    slowest: Duration,
}

/// Has `clients` ask for `/` on connections that stay open while `work` goes on. Every
/// response must be a 200.
fn under_load(server: &Server, clients: usize, work: impl FnOnce()) -> Load {
    let load = Mutex::new(Load { pages: BTreeMap::new(), slowest: Duration::ZERO });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let (mut pages, mut slowest) = (BTreeMap::new(), Duration::ZERO);
                while !over.load(Ordering::Relaxed) {
                    let mut connection = server.connect();
                    for _ in 0..50 {
                        let began = Instant::now();
                        let page = connection.exchange(&Request::get("/")).unwrap();
                        slowest = slowest.max(began.elapsed());
                        *pages.entry(page.expect(200).text()).or_insert(0) += 1;
                    }
                }
                let mut load = load.lock().unwrap();
                load.slowest = load.slowest.max(slowest);
                for (page, count) in pages {
                    *load.pages.entry(page).or_insert(0) += count;
                }
            });
        }
        work();
        over.store(true, Ordering::Relaxed);
    });
    load.into_inner().unwrap()
}

#[test]
fn scripts_change_under_load_without_a_failed_or_a_slow_request() {
    ours_only!("mod_wsgi is away while the script loads");
    // Nobody waits for this long for a request's own sake, not even on a busy machine.
    const LOADING: Duration = Duration::from_millis(1_500);
    let version = |number: u64| {
        let sleep = format!("import time\ntime.sleep({})\n", LOADING.as_secs_f32());
        format!("{}{}", if number == 0 { "" } else { &sleep }, versioned(&number.to_string()))
    };
    for options in ["processes=1 threads=5", "processes=3 threads=3"] {
        let server = Config::serving("site.wsgi", options)
            .file("site.wsgi", &version(0))
            // What still loads when httpd stops.
            .expect_log("MWR2021")
            .start();
        server.text("/");
        let load = under_load(&server, 4, || {
            for number in 1..=2 {
                replace(&server, "site.wsgi", &version(number), number);
                let begin = format!("{number} ");
                wait_for("the next version", || server.text("/").starts_with(&begin).then_some(()));
            }
        });
        assert!(load.pages.len() >= 3, "{:?}", load.pages);
        eprintln!(
            "{options}: slowest of {} was {:?}",
            load.pages.values().sum::<usize>(),
            load.slowest
        );
        assert!(load.slowest < LOADING, "{:?}", load.slowest);
    }
}

#[test]
fn a_script_that_cannot_be_loaded_leaves_the_old_one_serving() {
    ours_only!("mod_wsgi answers 500 then");
    let server = Config::serving("site.wsgi", "processes=2 threads=2")
        .file("site.wsgi", &versioned("first"))
        .expect_errors()
        .start();
    let mut pages = BTreeMap::new();
    while pages.len() < 2 {
        pages.extend(under_load(&server, 3, || {}).pages);
    }
    let log = server.log().cursor();
    replace(&server, "site.wsgi", "raise KeyError('broken')\n", 5);
    log.wait_for("MWR2015");
    log.wait_for("KeyError: 'broken'");
    let load = under_load(&server, 2, || thread::sleep(Duration::from_secs(3)));
    assert!(load.pages.keys().all(|page| page.starts_with("first ")), "{:?}", load.pages);
    assert_eq!(log.lines_with("KeyError: 'broken'").len(), 1, "{}", log.text());
    change(&server, "second", 10);
    wait_for("the repaired version", || server.text("/").starts_with("second ").then_some(()));
}

#[test]
fn a_script_may_ask_for_its_reload_itself() {
    let asking = "import os
loaded = os.path.exists(__file__ + '.changed')
def reload_required(path):
    assert path == __file__, path
    open(os.path.join(os.environ['SCRATCH'], 'asked'), 'w').close()
    return os.path.exists(__file__ + '.changed') and not loaded
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'second' if loaded else b'first']
";
    let server = Config::serving("site.wsgi", "")
        .environment("SCRATCH", "{root}/scratch")
        .file("site.wsgi", asking)
        .start();
    wait_for("the question", || {
        assert_eq!(server.text("/"), "first");
        server.scratch("asked").exists().then_some(())
    });
    assert_eq!(server.text("/"), "first");
    fs::write(server.app("site.wsgi.changed"), "").unwrap();
    wait_for("the reload", || (server.text("/") == "second").then_some(()));
}

#[test]
fn every_script_of_an_application_group_is_watched_and_loaded_ahead() {
    ours_only!("mod_wsgi loads it when it is asked for");
    let slow = format!(
        "import os\nopen(os.path.join(os.environ['SCRATCH'], str(os.getpid())), 'w').close()\n{}",
        versioned("slow")
    );
    let server = Config::new()
        .daemon("app", "threads=2")
        .line("WSGIProcessGroup app\nWSGIApplicationGroup %{GLOBAL}")
        .mount("/slow", "slow.wsgi")
        .mount("/", "site.wsgi")
        .file("site.wsgi", &versioned("site"))
        .file("slow.wsgi", &slow)
        .environment("SCRATCH", "{root}/scratch")
        .start();
    let pid = |target: &str| server.text(target).split(' ').nth(1).unwrap().to_owned();
    let first = pid("/");
    assert_eq!(pid("/slow"), first);
    replace(&server, "site.wsgi", &versioned("changed"), 5);
    let next = wait_for("the next process", || Some(pid("/")).filter(|pid| *pid != first));
    assert!(server.scratch(&next).exists(), "the other script was not loaded ahead");
    assert_eq!(pid("/slow"), next);
    replace(&server, "slow.wsgi", &versioned("quick"), 10);
    wait_for("the other script", || server.text("/slow").starts_with("quick").then_some(()));
}

#[test]
fn signals_replace_a_daemon_without_a_failed_request() {
    let server =
        Config::serving("site.wsgi", "threads=5").file("site.wsgi", &versioned("x")).start();
    let pid = || server.text("/").split(' ').nth(1).unwrap().parse::<u32>().unwrap();
    for signal in ["USR1", "TERM", "INT"] {
        let before = pid();
        let load = under_load(&server, 3, || {
            Process::find(before).unwrap().signal(signal);
            wait_for("another process", || (pid() != before).then_some(()));
        });
        assert_eq!(load.pages.len(), 2, "{:?}", load.pages);
        wait_for("its end", || Process::find(before).is_none().then_some(()));
    }
}

#[test]
fn no_process_serves_more_than_the_maximum_of_requests() {
    ours_only!("mod_wsgi goes far beyond");
    let server = Config::serving("site.wsgi", "processes=2 threads=3 maximum-requests=200")
        .file("site.wsgi", &versioned("x"))
        .start();
    let mut seen = BTreeSet::new();
    let load = under_load(&server, 6, || {
        wait_for("six processes", || {
            seen.insert(server.text("/"));
            (seen.len() >= 6).then_some(())
        });
    });
    let most = load.pages.values().max().unwrap();
    assert!(*most <= 203, "{:?}", load.pages);
    eprintln!("{} processes, slowest {:?}", load.pages.len(), load.slowest);
}
