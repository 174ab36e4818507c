//! The snapshot in OpenMetrics' text format, for Prometheus and its like.
//!
//! Counters belong to the names of process group and application group, and go on over restarts
//! of processes, reloads and graceful restarts of httpd.

use std::fmt::Write as _;

use wsgi_sys::table::{PoolState, ProcessState, Tally};

use crate::json::seconds;
use crate::snapshot::{Pool, Snapshot, State, Work};

/// Content-Type of the exposition.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label and tally of each end of a process.
const ENDS: [(&str, Tally); 4] = [
    ("stopped", Tally::Stopped),
    ("killed", Tally::Killed),
    ("died", Tally::Died),
    ("failed", Tally::Failed),
];

/// The snapshot as an exposition.
pub fn exposition(snapshot: &Snapshot) -> String {
    let mut out = Exposition { out: String::with_capacity(8 * 1024), pools: &snapshot.pools };
    let supervisor = &snapshot.supervisor;
    out.family("wsgi", "info", "", "This software.");
    out.sample("wsgi_info", &[("version", snapshot.version)], "1");
    out.family("wsgi_supervisor_up", "gauge", "", "Whether the supervisor lives.");
    out.sample("wsgi_supervisor_up", &[], if supervisor.alive { "1" } else { "0" });
    out.family(
        "wsgi_supervisor_replacements",
        "counter",
        "",
        "Supervisors that had to be replaced.",
    );
    out.sample("wsgi_supervisor_replacements_total", &[], &supervisor.replaced.to_string());
    out.family("wsgi_configurations", "counter", "", "Configurations taken since httpd started.");
    out.sample("wsgi_configurations_total", &[], &supervisor.configurations.to_string());
    out.per_pool("wsgi_pool_up", "gauge", "", "Whether a process can serve.", |pool| {
        u8::from(pool.state == PoolState::Ready).to_string()
    });
    out.per_pool("wsgi_requests", "counter", "", "Requests served.", |pool| {
        pool.served.to_string()
    });
    out.per_pool(
        "wsgi_application_seconds",
        "counter",
        "seconds",
        "Time that requests took in the application.",
        |pool| {
            let mut text = String::new();
            seconds(&mut text, pool.spent);
            text
        },
    );
    out.per_pool(
        "wsgi_cpu_seconds",
        "counter",
        "seconds",
        "CPU time of processes, user and system.",
        |pool| {
            let mut text = String::new();
            seconds(&mut text, pool.cpu);
            text
        },
    );
    out.per_pool(
        "wsgi_resident_memory_bytes",
        "gauge",
        "bytes",
        "Resident memory of processes.",
        |pool| pool.resident().to_string(),
    );
    out.per_pool("wsgi_queue_depth", "gauge", "", "Requests that wait for a thread.", |pool| {
        pool.queue.depth.to_string()
    });
    out.per_pool("wsgi_queue_waits", "counter", "", "Waits for a thread that are over.", |pool| {
        pool.queue.waited.to_string()
    });
    out.per_pool(
        "wsgi_queue_wait_seconds",
        "counter",
        "seconds",
        "Time that requests have waited for a thread.",
        |pool| {
            let mut text = String::new();
            seconds(&mut text, pool.queue.total);
            text
        },
    );
    out.per_pool("wsgi_queue_timeouts", "counter", "", "Waits that were in vain.", |pool| {
        pool.queue.expired.to_string()
    });
    out.per_pool(
        "wsgi_queue_refusals",
        "counter",
        "",
        "Requests that found the queue full.",
        |pool| pool.queue.refused.to_string(),
    );
    out.per_pool(
        "wsgi_longest_request_seconds",
        "gauge",
        "seconds",
        "Age of the oldest request that runs, 0 if none does.",
        |pool| {
            let age = |since: u64| snapshot.taken.saturating_sub(since);
            let oldest = pool.requests().map(|request| age(request.since)).max();
            let mut text = String::new();
            seconds(&mut text, oldest.unwrap_or(0));
            text
        },
    );
    out.per_state(
        "wsgi_threads",
        "Worker threads by what they do.",
        &[Work::Idle, Work::Busy, Work::Replacing, Work::Leaving, Work::Starting],
        |pool, work| pool.count(*work),
    );
    out.per_state(
        "wsgi_processes",
        "Processes by how far they have come.",
        &[
            ProcessState::Starting,
            ProcessState::Ready,
            ProcessState::Draining,
            ProcessState::Stopping,
        ],
        |pool, state| pool.processes.iter().filter(|process| process.state == *state).count(),
    );
    out.per_pool("wsgi_process_starts", "counter", "", "Processes started.", |pool| {
        pool.tally(Tally::Started).to_string()
    });
    out.family("wsgi_process_ends", "counter", "", "Processes that ended, by cause.");
    for pool in &snapshot.pools {
        for (cause, tally) in ENDS {
            let labels = [group(pool), application(pool), ("cause", cause)];
            out.sample("wsgi_process_ends_total", &labels, &pool.tally(tally).to_string());
        }
    }
    out.per_pool("wsgi_reloads", "counter", "", "Changes of scripts that were followed.", |pool| {
        pool.tally(Tally::Reloaded).to_string()
    });
    out.out.push_str("# EOF\n");
    out.out
}

fn group(pool: &Pool) -> (&'static str, &str) {
    ("process_group", &pool.process_group)
}

fn application(pool: &Pool) -> (&'static str, &str) {
    ("application_group", &pool.application_group)
}

/// An exposition that is being written.
struct Exposition<'s> {
    out: String,
    pools: &'s [Pool],
}

impl Exposition<'_> {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let _ = writeln!(self.out, "# TYPE {name} {kind}");
        if !unit.is_empty() {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.out, "# HELP {name} {help}");
    }

    fn per_pool(
        &mut self,
        name: &str,
        kind: &str,
        unit: &str,
        help: &str,
        value: impl Fn(&Pool) -> String,
    ) {
        self.family(name, kind, unit, help);
        let suffix = if kind == "counter" { "_total" } else { "" };
        for pool in self.pools {
            self.sample(
                &format!("{name}{suffix}"),
                &[group(pool), application(pool)],
                &value(pool),
            );
        }
    }

    fn per_state<S: State>(
        &mut self,
        name: &str,
        help: &str,
        states: &[S],
        value: impl Fn(&Pool, &S) -> usize,
    ) {
        self.family(name, "gauge", "", help);
        for pool in self.pools {
            for state in states {
                let labels = [group(pool), application(pool), ("state", state.word())];
                self.sample(name, &labels, &value(pool, state).to_string());
            }
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.out.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"", if place == 0 { '{' } else { ',' });
            for character in text.chars() {
                match character {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    other => self.out.push(other),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }
}
