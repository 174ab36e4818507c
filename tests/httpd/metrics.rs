//! What an application can learn of its own requests: events and metrics, from either worker.

use std::str::FromStr;

use crate::harness::{Config, Request, Server};
use crate::ours_only;

const OBSERVER: &str = "
import json, os, time
import mod_wsgi

finished = []
before = mod_wsgi.request_metrics(), mod_wsgi.process_metrics(), mod_wsgi.server_metrics()

def listen(name, **event):
    if name == 'request_finished':
        finished.append(event)

def burn(seconds):
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        sum(range(1000))

def application(environ, start_response):
    path, answer = environ['PATH_INFO'], 'done'
    if path == '/listen':
        mod_wsgi.subscribe_events(listen)
    elif path == '/record':
        mod_wsgi.start_recording_metrics()
        mod_wsgi.start_recording_metrics()
    elif path == '/before':
        answer = before
    elif path == '/finished':
        answer = len(finished)
    elif path == '/last':
        answer = [event for event in finished if event['input_length'] == 9]
    elif path == '/request':
        answer = mod_wsgi.request_metrics()
    elif path == '/process':
        answer = mod_wsgi.process_metrics()
    elif path == '/sleep':
        time.sleep(1.249)
    elif path == '/raise':
        raise LookupError('on purpose')
    elif path == '/work':
        stream = environ['wsgi.input']
        while stream.read(4):
            pass
        burn(0.1)
        write = start_response('201 Created', [])
        write(b'one')
        return (piece for piece in [b'two', b'', b'three'])
    start_response('200 OK', [])
    return [json.dumps(answer).encode()]
";

fn server(worker: &str) -> Server {
    Config::serving("observer.wsgi", "threads=2")
        .file("observer.wsgi", OBSERVER)
        .environment("MOD_WSGI_WORKER", worker)
        .expect_errors()
        .start()
}

/// The number behind a name in a JSON text.
#[track_caller]
fn number(json: &str, name: &str) -> f64 {
    value(json, name).parse().unwrap_or_else(|_| panic!("{name} is no number in {json}"))
}

/// The count behind a name in a JSON text.
#[track_caller]
fn count(json: &str, name: &str) -> u64 {
    value(json, name).parse().unwrap_or_else(|_| panic!("{name} is no count in {json}"))
}

#[track_caller]
fn value<'j>(json: &'j str, name: &str) -> &'j str {
    let marker = format!("\"{name}\": ");
    let at = json.find(&marker).unwrap_or_else(|| panic!("no {name} in {json}")) + marker.len();
    let text = &json[at..];
    &text[..text.find([',', '}', ']']).unwrap()]
}

/// The list behind a name in a JSON text.
fn list<T: FromStr>(json: &str, name: &str) -> Vec<T> {
    let marker = format!("\"{name}\": [");
    let text = &json[json.find(&marker).unwrap() + marker.len()..];
    let items = &text[..text.find(']').unwrap()];
    items.split(", ").filter_map(|item| item.parse().ok()).collect()
}

fn events_tell_costs(worker: &str) {
    let server = server(worker);
    server.text("/listen");
    assert_eq!(
        server.request(&Request::post("/work", "123456789")).expect(201).text(),
        "onetwothree"
    );
    let event = server.text("/last");
    assert_eq!(count(&event, "input_length"), 9, "{event}");
    // The read behind the end costs nothing and does not count.
    assert_eq!(count(&event, "input_reads"), 3, "{event}");
    assert_eq!(count(&event, "output_length"), 11, "{event}");
    assert_eq!(count(&event, "output_writes"), 3, "{event}");
    assert_eq!(count(&event, "status"), 201, "{event}");
    assert!(number(&event, "input_time") > 0.0 && number(&event, "output_time") > 0.0, "{event}");
    assert!(number(&event, "cpu_time") > 0.01, "{event}");
    assert!(number(&event, "cpu_user_time") > 0.01, "{event}");
    assert!(number(&event, "cpu_system_time") >= 0.0, "{event}");
    assert!(number(&event, "application_time") >= 0.1, "{event}");
    let waits = count(&event, "gil_wait_count");
    // Nobody can count them in Python.
    assert!(if worker == "pure" { waits == 0 } else { waits >= 4 }, "{event}");
    assert!(number(&event, "gil_wait_time") >= 0.0, "{event}");
}

#[test]
fn the_end_of_a_request_is_told_with_its_costs() {
    events_tell_costs("native");
}

#[test]
fn the_worker_in_python_alone_tells_them_too() {
    ours_only!("it has one worker");
    events_tell_costs("pure");
}

fn metrics_are_recorded(worker: &str) {
    let server = server(worker);
    assert_eq!(server.text("/before"), "[null, null, null]");
    assert_eq!(server.text("/request"), "null");
    server.text("/record");
    server.text("/request");
    assert_eq!(server.get("/nowhere").status(), 200);
    server.text("/sleep");
    assert_eq!(server.get("/raise").status(), 500);
    server.request(&Request::post("/work", "123456789")).expect(201);
    let sample = server.text("/request");
    // The request that took the last sample ended in this one.
    assert_eq!(count(&sample, "request_count"), 5, "{sample}");
    assert_eq!(count(&sample, "status_2xx"), 4, "{sample}");
    assert_eq!(count(&sample, "status_5xx"), 1, "{sample}");
    assert_eq!(count(&sample, "input_bytes"), 9, "{sample}");
    let classes = list::<u64>(&sample, "application_time_buckets");
    assert_eq!((classes.len(), classes.iter().sum::<u64>()), (65, 5), "{sample}");
    let longest = count(&sample, "application_time_max_us");
    assert!(longest >= 1_249_000, "{sample}");
    // Class 40 is from 1,024 to 1,280 ms; each doubling from 1 ms on has four equal steps.
    let doublings = (longest / 1_000).ilog2();
    let class = u64::from(doublings) * 4 + longest * 4 / (1_000 << doublings) - 4;
    assert!(classes[usize::try_from(class).unwrap()] >= 1, "{longest} µs: {sample}");
    assert!(number(&sample, "request_time") >= number(&sample, "application_time"), "{sample}");
    assert!(number(&sample, "sample_period") >= 1.249, "{sample}");
    assert!(number(&sample, "capacity_utilization") > 0.01, "{sample}");
    assert!(number(&sample, "memory_rss") > 1e6, "{sample}");
    let completed = list::<u64>(&sample, "request_threads_completed");
    assert_eq!((completed.len(), completed.iter().sum::<u64>()), (2, 5), "{sample}");
    let elapsed = list::<f64>(&sample, "request_threads_current_elapsed");
    assert_eq!(elapsed.iter().filter(|&&seconds| seconds > 0.0).count(), 1, "{sample}");

    assert_eq!(count(&server.text("/request"), "request_count"), 1);
    let process = server.text("/process");
    assert!(count(&process, "request_count") >= 7, "{process}");
    assert_eq!(count(&process, "active_requests"), 1, "{process}");
    assert_eq!(count(&process, "request_threads"), 2, "{process}");
    assert!(number(&process, "cpu_time") > 0.0 && number(&process, "memory_max_rss") > 1e6);
    assert!(number(&process, "request_busy_time") > 1.249, "{process}");
}

#[test]
fn metrics_are_recorded_when_asked_for() {
    ours_only!("its count of threads is another one");
    metrics_are_recorded("native");
}

#[test]
fn the_worker_in_python_alone_records_them_too() {
    ours_only!("it has one worker");
    metrics_are_recorded("pure");
}

#[test]
fn access_scripts_are_asked_by_the_worker_in_python_alone() {
    ours_only!("it has one worker");
    let script = "
def allow_access(environ, host):
    return environ['PATH_INFO'] != '/closed'
";
    let server = Config::serving("observer.wsgi", "")
        .file("observer.wsgi", OBSERVER)
        .file("access.wsgi", script)
        .line("<Location />\nWSGIAccessScript {apps}/access.wsgi\n</Location>")
        .environment("MOD_WSGI_WORKER", "pure")
        .expect_errors()
        .start();
    assert_eq!(server.get("/open").status(), 200);
    assert_eq!(server.get("/closed").status(), 403);
    server.log().wait_for("MWR3100");
}
