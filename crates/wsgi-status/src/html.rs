//! The status page: one HTML document without scripts and without anything to load.

use std::fmt::Write as _;

use wsgi_sys::table::{Incident, PoolState, Tally};

use crate::snapshot::{Current, Pool, Process, Snapshot, State, Work};

/// Content-Type of the page.
pub const MEDIA_TYPE: &str = "text/html; charset=utf-8";

const STYLE: &str = include_str!("page.css");

/// What is told of a pool's processes, if it has happened.
const TALLIES: [(Tally, &str); 6] = [
    (Tally::Started, "started"),
    (Tally::Stopped, "stopped"),
    (Tally::Killed, "killed"),
    (Tally::Died, "died"),
    (Tally::Failed, "failed to start"),
    (Tally::Reloaded, "reloaded"),
];

/// Second, minute, hour and day in seconds.
const SPANS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];

/// The page. Browsers load it anew every `refresh` seconds, unless that is 0.
pub fn page(snapshot: &Snapshot, refresh: u32) -> String {
    let mut out = String::with_capacity(32 * 1024);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"robots\" content=\"noindex\">\n");
    // Else browsers ask the application for one.
    out.push_str("<link rel=\"icon\" href=\"data:,\">\n");
    if refresh > 0 {
        let _ = writeln!(out, "<meta http-equiv=\"refresh\" content=\"{refresh}\">");
    }
    let _ = write!(out, "<title>WSGI status</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n");
    header(&mut out, snapshot, refresh);
    tiles(&mut out, snapshot);
    requests(&mut out, snapshot);
    for pool in &snapshot.pools {
        section(&mut out, snapshot, pool);
    }
    incidents(&mut out, snapshot);
    out.push_str("</body>\n</html>\n");
    out
}

fn header(out: &mut String, snapshot: &Snapshot, refresh: u32) {
    let supervisor = &snapshot.supervisor;
    let _ = write!(out, "<header>\n<h1>WSGI status</h1>\n<p class=\"faint\">mod_wsgi ");
    escape(out, snapshot.version);
    if supervisor.alive {
        let _ = write!(out, " · supervisor {} for ", supervisor.pid);
        age(out, snapshot, supervisor.since);
    } else {
        out.push_str(" · <span class=\"state failed\">the supervisor is not running</span>");
    }
    let _ = write!(out, " · generation {} for ", supervisor.generation);
    age(out, snapshot, supervisor.configured);
    out.push_str(
        "</p>\n<p><a href=\"?json\">JSON</a> · <a href=\"?openmetrics\">OpenMetrics</a> · ",
    );
    if refresh > 0 {
        let _ = write!(out, "every {refresh} s, <a href=\"?refresh=0\">stop</a>");
    } else {
        out.push_str("<a href=\"?refresh=5\">refresh every 5 s</a>");
    }
    out.push_str("</p>\n</header>\n");
}

fn tiles(out: &mut String, snapshot: &Snapshot) {
    let pools = &snapshot.pools;
    let sum = |value: fn(&Pool) -> u64| pools.iter().map(value).sum::<u64>();
    let busy: usize = pools.iter().map(|pool| pool.count(Work::Busy)).sum();
    let idle: usize = pools.iter().map(|pool| pool.count(Work::Idle)).sum();
    out.push_str("<ul class=\"tiles\">\n");
    let mut tile = |value: &str, name: &str| {
        let _ = writeln!(out, "<li><b>{value}</b> {name}</li>");
    };
    tile(&busy.to_string(), "threads busy");
    tile(&idle.to_string(), "threads idle");
    tile(&sum(|pool| pool.queue.depth.into()).to_string(), "requests wait");
    tile(&sum(|pool| pool.processes.len() as u64).to_string(), "processes");
    tile(&sum(|pool| pool.served).to_string(), "requests served");
    tile(&size(sum(Pool::resident)), "resident");
    out.push_str("</ul>\n");
}

/// Opens a table with these columns.
fn table(out: &mut String, columns: &[&str]) {
    out.push_str("<table>\n<thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn cell(out: &mut String, name: &str, write: impl FnOnce(&mut String)) {
    let _ = write!(out, "<td data-name=\"{name}\"><span>");
    write(out);
    out.push_str("</span></td>");
}

/// All requests that run, the oldest first.
fn requests(out: &mut String, snapshot: &Snapshot) {
    let mut running: Vec<(&Pool, &Process, u32, &Current)> = Vec::new();
    for pool in &snapshot.pools {
        for process in &pool.processes {
            for thread in &process.slots {
                let request = thread.request.as_ref();
                running.extend(request.map(|request| (pool, process, thread.number, request)));
            }
        }
    }
    if running.is_empty() {
        return;
    }
    running.sort_by_key(|(.., request)| request.since);
    out.push_str("<h2>Requests</h2>\n");
    table(out, &["for", "request", "client", "process", "thread", "group"]);
    for (pool, process, thread, request) in running {
        out.push_str("<tr>");
        cell(out, "for", |out| age(out, snapshot, request.since));
        cell(out, "request", |out| {
            out.push_str("<code>");
            escape(out, &request.method);
            out.push(' ');
            escape(out, &request.host);
            escape(out, &request.uri);
            out.push_str("</code>");
        });
        cell(out, "client", |out| escape(out, &request.client));
        cell(out, "process", |out| {
            let _ = write!(out, "{}", process.pid);
        });
        cell(out, "thread", |out| {
            let _ = write!(out, "{thread}");
        });
        cell(out, "group", |out| name(out, pool));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn section(out: &mut String, snapshot: &Snapshot, pool: &Pool) {
    out.push_str("<h2>");
    name(out, pool);
    out.push_str(" <span class=\"state ");
    // What has no process because nobody needs one is not ill.
    let state = match pool.state {
        PoolState::Starting if pool.processes.is_empty() => "idle",
        state => state.word(),
    };
    let _ = write!(out, "{state}\">{state}</span></h2>\n<p class=\"faint\">{} served", pool.served);
    if let Some(mean) = pool.spent.checked_div(pool.served) {
        out.push_str(" in ");
        short(out, mean);
        out.push_str(" each");
    }
    out.push_str(" · CPU ");
    seconds(out, pool.cpu);
    let queue = &pool.queue;
    let _ = write!(out, " · {} wait", queue.depth);
    if let Some(mean) = queue.total.checked_div(queue.waited) {
        let _ = write!(out, " · {} waited ", queue.waited);
        short(out, mean);
        out.push_str(" on average, ");
        short(out, queue.longest);
        let _ = write!(out, " at most, {} in vain", queue.expired);
    }
    if queue.refused > 0 {
        let _ = write!(out, " · {} sent away", queue.refused);
    }
    for (tally, what) in TALLIES {
        let count = pool.tally(tally);
        if count > 0 {
            let _ = write!(out, " · {count} {what}");
        }
    }
    out.push_str("</p>\n");
    if pool.processes.is_empty() {
        return;
    }
    table(out, &["process", "state", "age", "threads", "served", "CPU", "resident", "Python"]);
    for process in &pool.processes {
        row(out, snapshot, process);
    }
    out.push_str("</tbody>\n</table>\n");
}

fn row(out: &mut String, snapshot: &Snapshot, process: &Process) {
    out.push_str("<tr>");
    cell(out, "process", |out| {
        let _ = write!(out, "{}", process.pid);
    });
    cell(out, "state", |out| {
        let state = process.state.word();
        let _ = write!(out, "<span class=\"state {state}\">{state}</span>");
        if !process.leaving.is_empty() {
            out.push_str(" <span class=\"faint\">");
            escape(out, &process.leaving);
            out.push_str("</span>");
        }
    });
    cell(out, "age", |out| {
        age(out, snapshot, process.started);
        let _ = write!(out, " <span class=\"faint\">generation {}</span>", process.generation);
    });
    cell(out, "threads", |out| threads(out, process));
    cell(out, "served", |out| {
        let _ = write!(out, "{}", process.served);
    });
    cell(out, "CPU", |out| match process.cpu {
        Some(used) => seconds(out, used),
        None => out.push('–'),
    });
    cell(out, "resident", |out| match process.resident {
        Some(bytes) => out.push_str(&size(bytes)),
        None => out.push('–'),
    });
    cell(out, "Python", |out| {
        escape(out, &process.python.version);
        out.push_str(" <code>");
        escape(out, &process.python.executable);
        out.push_str("</code>");
        if process.python.worker == "pure" {
            out.push_str(" <span class=\"faint\">pure worker</span>");
        }
    });
    out.push_str("</tr>\n");
}

/// How many threads do what.
fn threads(out: &mut String, process: &Process) {
    let mut any = false;
    for work in [Work::Busy, Work::Idle, Work::Replacing, Work::Leaving, Work::Starting] {
        let count = process.slots.iter().filter(|thread| thread.work == work).count();
        if count > 0 {
            let word = work.word();
            let comma = if std::mem::replace(&mut any, true) { ", " } else { "" };
            let _ = write!(out, "{comma}<span class=\"{word}\">{count} {word}</span>");
        }
    }
    if !any {
        out.push_str("none");
    }
}

fn incidents(out: &mut String, snapshot: &Snapshot) {
    if snapshot.incidents.is_empty() {
        return;
    }
    out.push_str("<h2>What happened</h2>\n");
    table(out, &["ago", "what", "group", "process", "why"]);
    for incident in &snapshot.incidents {
        out.push_str("<tr>");
        cell(out, "ago", |out| age(out, snapshot, incident.at));
        cell(out, "what", |out| {
            let kind = incident.kind.word();
            let _ = write!(out, "<span class=\"state {kind}\">{kind}</span>");
        });
        cell(out, "group", |out| place(out, incident));
        cell(out, "process", |out| match incident.pid {
            0 => out.push('–'),
            pid => {
                let _ = write!(out, "{pid}");
            }
        });
        cell(out, "why", |out| escape(out, &incident.text));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn place(out: &mut String, incident: &Incident) {
    escape(out, &incident.process_group);
    if !incident.application_group.is_empty() {
        out.push_str(" · ");
        escape(out, &incident.application_group);
    }
}

fn name(out: &mut String, pool: &Pool) {
    match pool.process_group.as_str() {
        "" => out.push_str("<i>implicit group</i>"),
        group => escape(out, group),
    }
    out.push_str(" <span class=\"faint\">");
    escape(out, pool.application());
    out.push_str("</span>");
}

/// How long ago it was.
fn age(out: &mut String, snapshot: &Snapshot, since: u64) {
    seconds(out, snapshot.taken.saturating_sub(since));
}

/// Microseconds in the two units that say most.
fn seconds(out: &mut String, microseconds: u64) {
    let whole = microseconds / 1_000_000;
    let Some(first) = SPANS.iter().position(|(span, _)| whole >= *span && *span > 1) else {
        let _ = write!(out, "{whole}.{} s", microseconds % 1_000_000 / 100_000);
        return;
    };
    let ((major, name), (minor, small)) = (SPANS[first], SPANS[first + 1]);
    let _ = write!(out, "{} {name} {} {small}", whole / major, whole % major / minor);
}

/// Microseconds of a request.
fn short(out: &mut String, microseconds: u64) {
    match microseconds {
        0..1_000 => {
            let _ = write!(out, "{microseconds} µs");
        }
        1_000..10_000 => {
            let (whole, tenths) = (microseconds / 1_000, microseconds % 1_000 / 100);
            let _ = write!(out, "{whole}.{tenths} ms");
        }
        10_000..1_000_000 => {
            let _ = write!(out, "{} ms", microseconds / 1_000);
        }
        _ => seconds(out, microseconds),
    }
}

/// Bytes in MiB or GiB.
fn size(bytes: u64) -> String {
    let tenths = bytes / 1024 * 10 / 1024;
    match tenths {
        0..10_240 => format!("{}.{} MiB", tenths / 10, tenths % 10),
        _ => format!("{}.{} GiB", tenths / 10_240, tenths % 10_240 * 10 / 10_240),
    }
}

/// Text as text: nothing in it is markup, and control characters are shown.
pub(crate) fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() => out.push('\u{fffd}'),
            // These turn the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}
