//! The snapshot as JSON: times in seconds since 1970, memory in bytes.

use std::fmt::Write as _;

use wsgi_sys::table::{Incident, Tally};

use crate::snapshot::{Pool, Process, Snapshot, State, Thread};

/// Content-Type of the document.
pub const MEDIA_TYPE: &str = "application/json";

/// The snapshot as a JSON document.
pub fn document(snapshot: &Snapshot) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let supervisor = &snapshot.supervisor;
    object(&mut out, |json| {
        json.time("time", snapshot.taken);
        json.text("version", snapshot.version);
        json.member("supervisor", |out| {
            object(out, |json| {
                json.number("pid", supervisor.pid);
                json.flag("alive", supervisor.alive);
                json.time("since", supervisor.since);
                json.number("replaced", supervisor.replaced);
            });
        });
        json.member("configuration", |out| {
            object(out, |json| {
                json.number("generation", supervisor.generation);
                json.time("since", supervisor.configured);
                json.number("count", supervisor.configurations);
            });
        });
        json.member("pools", |out| array(out, &snapshot.pools, pool));
        json.member("incidents", |out| array(out, &snapshot.incidents, incident));
    });
    out.push('\n');
    out
}

fn pool(json: &mut Members<'_>, pool: &Pool) {
    json.text("process_group", &pool.process_group);
    json.text("application_group", &pool.application_group);
    json.text("state", pool.state.word());
    json.number("threads", pool.threads);
    json.member("queue", |out| {
        object(out, |json| {
            json.number("depth", pool.queue.depth);
            json.number("waited", pool.queue.waited);
            json.number("expired", pool.queue.expired);
            json.number("refused", pool.queue.refused);
            json.seconds("waited_seconds", pool.queue.total);
            json.seconds("longest_seconds", pool.queue.longest);
        });
    });
    json.number("requests", pool.served);
    json.seconds("application_seconds", pool.spent);
    json.seconds("cpu_seconds", pool.cpu);
    for (name, tally) in [
        ("starts", Tally::Started),
        ("ready", Tally::Ready),
        ("stopped", Tally::Stopped),
        ("killed", Tally::Killed),
        ("died", Tally::Died),
        ("failed", Tally::Failed),
        ("reloads", Tally::Reloaded),
    ] {
        json.number(name, pool.tally(tally));
    }
    json.member("processes", |out| array(out, &pool.processes, process));
}

fn process(json: &mut Members<'_>, process: &Process) {
    json.number("pid", process.pid);
    json.text("state", process.state.word());
    json.optional(
        "leaving",
        (!process.leaving.is_empty()).then_some(&process.leaving),
        |out, text| {
            string(out, text);
        },
    );
    json.time("since", process.started);
    json.number("generation", process.generation);
    json.member("python", |out| {
        object(out, |json| {
            json.text("version", &process.python.version);
            json.text("executable", &process.python.executable);
            json.text("worker", &process.python.worker);
        });
    });
    json.number("requests", process.served);
    json.seconds("application_seconds", process.spent);
    json.optional("cpu_seconds", process.cpu, seconds);
    json.optional("resident_bytes", process.resident, |out, bytes| {
        let _ = write!(out, "{bytes}");
    });
    json.member("threads", |out| array(out, &process.slots, thread));
}

fn thread(json: &mut Members<'_>, thread: &Thread) {
    json.number("thread", thread.number);
    json.text("state", thread.work.word());
    json.number("requests", thread.served);
    json.seconds("application_seconds", thread.spent);
    json.optional("request", thread.request.as_ref(), |out, request| {
        object(out, |json| {
            json.text("method", &request.method);
            json.text("host", &request.host);
            json.text("uri", &request.uri);
            json.text("client", &request.client);
            json.time("since", request.since);
        });
    });
}

fn incident(json: &mut Members<'_>, incident: &Incident) {
    json.time("time", incident.at);
    json.text("kind", incident.kind.word());
    json.optional("pid", (incident.pid > 0).then_some(incident.pid), |out, pid| {
        let _ = write!(out, "{pid}");
    });
    json.text("process_group", &incident.process_group);
    json.text("application_group", &incident.application_group);
    json.text("text", &incident.text);
}

/// The members of an object that is being written.
pub(crate) struct Members<'o> {
    out: &'o mut String,
    any: bool,
}

impl Members<'_> {
    pub(crate) fn member(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(',');
        }
        string(self.out, name);
        self.out.push(':');
        write(self.out);
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.member(name, |out| string(out, text));
    }

    pub(crate) fn number(&mut self, name: &str, number: impl std::fmt::Display) {
        self.member(name, |out| {
            let _ = write!(out, "{number}");
        });
    }

    pub(crate) fn flag(&mut self, name: &str, flag: bool) {
        self.number(name, flag);
    }

    pub(crate) fn seconds(&mut self, name: &str, microseconds: u64) {
        self.member(name, |out| seconds(out, microseconds));
    }

    /// A moment; null for one that has not come.
    fn time(&mut self, name: &str, microseconds: u64) {
        self.optional(name, (microseconds > 0).then_some(microseconds), seconds);
    }

    fn optional<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(&mut String, T)) {
        self.member(name, |out| match value {
            Some(value) => write(out, value),
            None => out.push_str("null"),
        });
    }
}

pub(crate) fn object(out: &mut String, write: impl FnOnce(&mut Members<'_>)) {
    out.push('{');
    write(&mut Members { out, any: false });
    out.push('}');
}

pub(crate) fn array<T>(out: &mut String, items: &[T], write: impl Fn(&mut Members<'_>, &T)) {
    out.push('[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        object(out, |json| write(json, item));
    }
    out.push(']');
}

/// Microseconds as seconds.
pub(crate) fn seconds(out: &mut String, microseconds: u64) {
    let _ = write!(out, "{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
}

/// A string; also safe inside of an HTML page.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control.is_control() || "<>&\u{2028}\u{2029}".contains(control) => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
