//! A block for mod_status' page: a line for each pool, and if asked for the requests that run.

use std::fmt::Write as _;

use crate::html::escape;
use crate::snapshot::{Pool, Snapshot, State, Work};

/// For the page. `extended`: with the requests that run.
pub fn fragment(snapshot: &Snapshot, extended: bool) -> String {
    let mut out = String::from(
        "<hr />\n<h2>WSGI applications</h2>\n<table border=\"0\">\n<tr><th>Process group</th>\
         <th>Application group</th><th>State</th><th>Processes</th><th>Busy</th><th>Idle</th>\
         <th>Waiting</th><th>Served</th></tr>\n",
    );
    for pool in &snapshot.pools {
        out.push_str("<tr><td>");
        escape(&mut out, &pool.process_group);
        out.push_str("</td><td>");
        escape(&mut out, pool.application());
        let (busy, idle) = (pool.count(Work::Busy), pool.count(Work::Idle));
        let _ = writeln!(
            out,
            "</td><td>{}</td><td>{}</td><td>{busy}</td><td>{idle}</td><td>{}</td><td>{}</td></tr>",
            pool.state.word(),
            pool.processes.len(),
            pool.queue.depth,
            pool.served,
        );
    }
    out.push_str("</table>\n");
    if extended {
        requests(&mut out, snapshot);
    }
    out
}

fn requests(out: &mut String, snapshot: &Snapshot) {
    out.push_str(
        "<table border=\"0\">\n<tr><th>Process group</th><th>PID</th><th>Thread</th>\
         <th>Seconds</th><th>Client</th><th>Host</th><th>Request</th></tr>\n",
    );
    for pool in &snapshot.pools {
        for process in &pool.processes {
            for thread in &process.slots {
                let Some(request) = &thread.request else { continue };
                out.push_str("<tr><td>");
                escape(out, &pool.process_group);
                let age = snapshot.taken.saturating_sub(request.since) / 1_000_000;
                let _ = write!(
                    out,
                    "</td><td>{}</td><td>{}</td><td>{age}</td><td>",
                    process.pid, thread.number
                );
                escape(out, &request.client);
                out.push_str("</td><td>");
                escape(out, &request.host);
                out.push_str("</td><td>");
                escape(out, &request.method);
                out.push(' ');
                escape(out, &request.uri);
                out.push_str("</td></tr>\n");
            }
        }
    }
    out.push_str("</table>\n");
}

/// For `?auto`: a name and a value in each line.
pub fn lines(snapshot: &Snapshot) -> String {
    let sum = |value: &dyn Fn(&Pool) -> u64| snapshot.pools.iter().map(value).sum::<u64>();
    let mut out = String::new();
    for (name, value) in [
        ("WSGIPools", snapshot.pools.len() as u64),
        ("WSGIProcesses", sum(&|pool| pool.processes.len() as u64)),
        ("WSGIBusyThreads", sum(&|pool| pool.count(Work::Busy) as u64)),
        ("WSGIIdleThreads", sum(&|pool| pool.count(Work::Idle) as u64)),
        ("WSGIWaitingRequests", sum(&|pool| pool.queue.depth.into())),
        ("WSGIServedRequests", sum(&|pool| pool.served)),
    ] {
        let _ = writeln!(out, "{name}: {value}");
    }
    out
}
