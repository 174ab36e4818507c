//! Two httpds behind a third one, as apache-conf/examples has them: balanced, drained, stopped.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::{Config, Connection, Gate, Request, Server, settings, wait_for};

const APPLICATION: &str = "
import os, sys
sys.path.insert(0, os.path.dirname(__file__))
import gate
def application(environ, start_response):
    if 'gate=' in environ['QUERY_STRING']:
        gate.wait(environ)
    body = '%s %s' % (os.environ['MACHINE'], environ['REMOTE_ADDR'])
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body.encode()]
";

const READY: &str = "
def application(environ, start_response):
    start_response('204 No Content', [])
    return []
";

fn example(name: &str) -> String {
    fs::read_to_string(settings().repository.join("apache-conf/examples").join(name)).unwrap()
}

fn backend(name: &str) -> Server {
    Config::new()
        .module("rewrite")
        .environment("MACHINE", name)
        .file("application.wsgi", APPLICATION)
        .file("ready.wsgi", READY)
        .line("Define SITE {apps}\nDefine BALANCER 127.0.0.1\nDefine DRAIN {root}/scratch/drain")
        .line(&example("backend.conf"))
        .start()
}

fn front(one: &Server, two: &Server) -> Server {
    let members =
        format!("Define ONE http://{}\nDefine TWO http://{}", one.address(), two.address());
    const MODULES: [&str; 7] = [
        "proxy",
        "proxy_http",
        "slotmem_shm",
        "proxy_balancer",
        "lbmethod_bybusyness",
        "watchdog",
        "proxy_hcheck",
    ];
    (MODULES.into_iter().fold(Config::new(), Config::module))
        .line(&members)
        .line(&example("balancer.conf"))
        .line("LogLevel notice wsgi:info proxy_hcheck:info")
        // Health checks of the machine that was stopped.
        .expect_log("AH00957")
        .start()
}

/// Which machines answer, out of a few requests; each of them must be answered.
fn answering(front: &Server) -> BTreeSet<String> {
    (0..8).map(|_| front.text("/").split(' ').next().unwrap().to_owned()).collect()
}

/// Takes a machine out of turn, and waits until the balancer knows.
fn drain(front: &Server, machine: &Server) {
    let log = front.log().cursor();
    fs::write(machine.scratch("drain"), "").unwrap();
    log.wait_for(&format!("DISABLING http://{}", machine.address()));
}

fn undrain(front: &Server, machine: &Server) {
    let log = front.log().cursor();
    fs::remove_file(machine.scratch("drain")).unwrap();
    log.wait_for(&format!("ENABLING http://{}", machine.address()));
}

fn both_answer(front: &Server) {
    wait_for("answers of both machines", || (answering(front).len() == 2).then_some(()));
}

/// Tells the clients to end, however the test does.
struct End<'t>(&'t AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_machine_is_drained_and_stopped_while_nobody_notices() {
    let (one, mut two) = (backend("one"), backend("two"));
    let front = front(&one, &two);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = End(&done);
        let client = || {
            let mut connection = Connection::open(front.address()).unwrap();
            let mut served = 0;
            while !done.load(Ordering::Relaxed) {
                connection.exchange(&Request::get("/")).unwrap().expect(200);
                served += 1;
            }
            served
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(client)).collect();
        both_answer(&front);

        // A request that runs on the machine that is to be stopped: the other one is out of turn
        // for as long as it takes to get there.
        drain(&front, &one);
        assert_eq!(answering(&front), BTreeSet::from(["two".to_owned()]));
        let gate = Gate::open();
        let mut long = front.connect();
        let request = Request::get(&format!("/?{}", gate.query()));
        long.send(&request.header("X-Forwarded-For", "192.0.2.7")).unwrap();
        let visitor = gate.visitor();
        undrain(&front, &one);
        both_answer(&front);

        drain(&front, &two);
        assert_eq!(answering(&front), BTreeSet::from(["one".to_owned()]));
        let processes = two.processes();
        two.signal("WINCH");
        two.log().wait_for("AH00492");
        visitor.release();
        let head = long.head().unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(long.body(&head).unwrap(), b"two 192.0.2.7");
        two.wait_for_end(&processes);
        assert_eq!(answering(&front), BTreeSet::from(["one".to_owned()]));

        drop(end);
        for client in clients {
            assert!(client.join().unwrap() > 0, "a client that was never served");
        }
    });
}
