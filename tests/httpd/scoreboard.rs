//! `mod_wsgi.server_metrics()`: httpd's scoreboard, as its children tell it.

use crate::harness::{Config, Gate, Process, Server, wait_for};
use crate::ours_only;

const WATCHER: &str = "
import json, os, sys, threading
import mod_wsgi

sys.path.insert(0, os.path.dirname(__file__))

def ask():
    board = mod_wsgi.server_metrics()
    if board is None:
        return None
    running = [(child['pid'], thread['status'], thread['client'], thread['request'])
               for child in board['processes'] for thread in child['workers']
               if thread['status'] not in '._']
    return {'generation': board['running_generation'], 'running': running,
            'pids': [child['pid'] for child in board['processes'] if child['pid']],
            'sane': sane(board), 'daemon': os.getpid()}

def sane(board):
    assert board['server_limit'] == len(board['processes'])
    assert all(board['thread_limit'] == len(child['workers']) for child in board['processes'])
    assert abs(board['current_time'] - board['restart_time'] - board['running_time']) < 1
    for number, child in enumerate(board['processes']):
        assert child['process_num'] == number and child['quiescing'] in (True, False)
        for thread in child['workers']:
            assert set(thread) == {'thread_num', 'generation', 'status', 'access_count',
                'bytes_served', 'start_time', 'stop_time', 'last_used', 'client', 'request',
                'vhost'}
    return 'yes'

def application(environ, start_response):
    if environ['PATH_INFO'] == '/hold':
        import gate
        gate.wait(environ)
    answer = []
    if environ['PATH_INFO'] == '/thread':
        thread = threading.Thread(target=lambda: answer.append(ask()))
        thread.start()
        thread.join()
    else:
        answer.append(ask())
    start_response('200 OK', [])
    return [json.dumps(answer[0]).encode()]
";

fn server(options: &str, worker: &str) -> Server {
    Config::serving("watcher.wsgi", &format!("threads=3 {options}"))
        .file("watcher.wsgi", WATCHER)
        .line("ExtendedStatus On")
        .environment("MOD_WSGI_WORKER", worker)
        .start()
}

fn the_scoreboard_shows_what_runs(worker: &str) {
    let server = server("server-metrics=On", worker);
    let gate = Gate::open();
    let mut connection = server.connect();
    connection.raw(format!("GET /hold?{} HTTP/1.0\r\n\r\n", gate.query()).as_bytes()).unwrap();
    let visitor = gate.visitor();
    let children: Vec<u32> = server.children().iter().map(|child| child.pid).collect();
    for path in ["/", "/thread"] {
        let board = server.text(path);
        assert!(board.contains("\"sane\": \"yes\""), "{board}");
        let held = format!("\"W\", \"127.0.0.1\", \"GET /hold?{} HTTP/1.0\"]", gate.query());
        assert!(board.contains(&held), "{board}");
        assert!(board.contains(&format!("\"W\", \"127.0.0.1\", \"GET {path} HTTP/1.1\"]")));
        let pids = &board[board.find("\"pids\": [").unwrap()..];
        assert!(children.iter().all(|pid| pids.contains(&pid.to_string())), "{board} {children:?}");
    }
    visitor.release();
}

#[test]
fn the_scoreboard_shows_what_runs_to_who_may_ask() {
    the_scoreboard_shows_what_runs("native");
}

#[test]
fn the_worker_in_python_alone_asks_for_it_too() {
    ours_only!("it has one worker");
    the_scoreboard_shows_what_runs("pure");
}

#[test]
fn nobody_else_is_told_of_the_scoreboard() {
    let server = Config::new()
        .daemon("app", "")
        .daemon("other", "server-metrics=On")
        .file("watcher.wsgi", WATCHER)
        .line("WSGIScriptAlias /app {apps}/watcher.wsgi process-group=app")
        .line("WSGIScriptAlias /other {apps}/watcher.wsgi process-group=other")
        .line("WSGIScriptAlias /implicit {apps}/watcher.wsgi process-group=%{GLOBAL}")
        .start();
    assert_eq!(server.text("/app"), "null");
    assert_eq!(server.text("/implicit"), "null");
    assert_ne!(server.text("/other"), "null");
}

#[test]
fn wsgi_server_metrics_is_for_the_group_of_the_empty_name() {
    let server = Config::new()
        .daemon("app", "")
        .file("watcher.wsgi", WATCHER)
        .line("WSGIServerMetrics On")
        .line("WSGIScriptAlias /app {apps}/watcher.wsgi process-group=app")
        .line("WSGIScriptAlias / {apps}/watcher.wsgi")
        .start();
    assert_eq!(server.text("/app"), "null");
    assert!(server.text("/").contains("\"sane\": \"yes\""));
}

#[test]
fn the_scoreboard_is_told_after_restarts_and_by_a_new_supervisor() {
    ours_only!("mod_wsgi has no supervisor, and refuses requests while it restarts");
    let server = Config::serving("watcher.wsgi", "server-metrics=On")
        .file("watcher.wsgi", WATCHER)
        .expect_errors()
        .start();
    assert!(server.text("/").contains("\"generation\": 0"));
    let held = || {
        let parent = Process::find(server.pid()).unwrap();
        [parent, server.supervisor().unwrap()].map(|process| process.descriptors().len())
    };
    let before = held();
    for generation in 1..4 {
        server.signal("USR1");
        let told = format!("\"generation\": {generation}");
        wait_for("the next generation", || server.text("/thread").contains(&told).then_some(()));
    }
    // As soon as the processes of earlier generations have ended. It may be less: a child that
    // has not asked for anything is not known to the supervisor.
    wait_for("no more than was held before", || {
        held().iter().zip(&before).all(|(now, before)| now <= before).then_some(())
    });
    let board = server.text("/");
    let daemon = board[board.find("\"daemon\": ").unwrap()..].to_owned();
    let log = server.log().cursor();
    server.supervisor().unwrap().signal("KILL");
    log.wait_for("MWR1610");
    wait_for("a process of the new supervisor's", || {
        let board = server.text("/");
        assert!(board.contains("\"sane\": \"yes\""), "{board}");
        (!board.contains(&daemon)).then_some(())
    });
}
