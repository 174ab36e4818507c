//! Application groups that appear with their requests, and the cap of their processes.

use std::time::{Duration, Instant};

use crate::harness::{Config, Gate, Request, Server, wait_for};
use crate::ours_only;

const SITE: &str = "
import gate, os
def application(environ, start_response):
    if environ['QUERY_STRING']:
        gate.wait(environ)
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

/// An application group for each mount, of which none starts with httpd.
fn serving(options: &str, mounts: &[&str]) -> Config {
    let config = Config::new()
        .daemon("app", &format!("{options} home={{apps}}"))
        .line("WSGIProcessGroup app")
        .file("site.wsgi", SITE);
    mounts.iter().fold(config, |config, mount| config.mount(mount, "site.wsgi"))
}

/// The daemons that run.
fn daemons(server: &Server) -> Vec<u32> {
    let supervisor = server.supervisor().unwrap().pid;
    let processes = server.processes().into_iter();
    processes.filter(|process| process.is_child_of(supervisor)).map(|daemon| daemon.pid).collect()
}

#[test]
fn at_the_cap_the_process_that_is_idle_for_longest_makes_room() {
    ours_only!("mod_wsgi has an interpreter for each application group");
    let options = "threads=2 processes-cap=4 idle-timeout=30";
    let server = serving(options, &["/first", "/old", "/older", "/busy", "/new"]).start();
    let pid = |mount: &str| server.text(mount).parse::<u32>().unwrap();
    let (first, older, old, busy) = (pid("/first"), pid("/older"), pid("/old"), pid("/busy"));
    assert_eq!(daemons(&server).len(), 4);
    // A look each second tells who is idle; one of them is used for a second longer.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        if began.elapsed() < Duration::from_millis(1_500) {
            assert_eq!(pid("/old"), old);
        }
        assert_eq!(pid("/busy"), busy);
    }
    let log = server.log().cursor();
    let new = pid("/new");
    log.wait_for(&format!("daemon process {older} of group 'app'"));
    let mut expected = [first, old, busy, new];
    expected.sort_unstable();
    wait_for("four processes", || {
        let mut now = daemons(&server);
        now.sort_unstable();
        (now == expected).then_some(())
    });
    // Who had to leave is back with its next request, in the place of the next one.
    assert!(!expected.contains(&pid("/older")));
    assert_eq!((pid("/first"), pid("/busy")), (first, busy));
    wait_for("four processes", || (daemons(&server).len() == 4).then_some(()));
    assert!(!daemons(&server).contains(&old));
}

#[test]
fn an_application_without_a_process_gets_one_beyond_the_cap_if_all_are_busy() {
    ours_only!("mod_wsgi has an interpreter for each application group");
    let server =
        serving("threads=1 processes-cap=2", &["/a", "/b", "/c"]).expect_log("MWR2031").start();
    let gate = Gate::open();
    let send = |mount: &str| {
        let mut connection = server.connect();
        let request = Request::get(&format!("{mount}?{}", gate.query()));
        connection.send(&request).unwrap();
        (connection, gate.visitor())
    };
    let held = ["/a", "/b", "/c"].map(send);
    server.log().wait_for("MWR2031");
    assert_eq!(daemons(&server).len(), 3);
    for (mut connection, visitor) in held {
        visitor.release();
        assert_eq!(connection.head().unwrap().status, 200);
    }
}
