//! A snapshot as text for a terminal.

use std::fmt::Write as _;

use wsgi_status::{Pool, Process, Snapshot, State, Work};

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// The snapshot; with rates since `before`, if there is one.
pub(super) fn text(now: &Snapshot, before: Option<&Snapshot>) -> String {
    let mut out = String::new();
    let supervisor = &now.supervisor;
    let _ = writeln!(
        out,
        "mod_wsgi {}, supervisor {}, generation {} for {}",
        now.version,
        supervisor.pid,
        supervisor.generation,
        span(now.taken.saturating_sub(supervisor.configured)),
    );
    for pool in &now.pools {
        let same = |other: &&Pool| {
            other.process_group == pool.process_group
                && other.application_group == pool.application_group
        };
        let rate = before.and_then(|before| {
            let other = before.pools.iter().find(same)?;
            let micros = now.taken.saturating_sub(before.taken).max(1);
            let per_second = |new: u64, old: u64| {
                u128::from(new.saturating_sub(old)) * 10 * u128::from(SECOND) / u128::from(micros)
            };
            let requests = per_second(pool.served, other.served);
            // Tenths of a CPU second in a second are per cent, divided by ten.
            let cpu = per_second(pool.cpu, other.cpu) * 10 / u128::from(SECOND);
            Some(format!(", {}.{} requests/s, {cpu} % CPU", requests / 10, requests % 10))
        });
        group(&mut out, pool, now.taken, &rate.unwrap_or_default());
    }
    if let Some(latest) = now.incidents.first() {
        let age = span(now.taken.saturating_sub(latest.at));
        let _ =
            writeln!(out, "\nlatest: {} {} ago: {}", latest.kind.word(), age, plain(&latest.text));
    }
    out
}

fn group(out: &mut String, pool: &Pool, taken: u64, rate: &str) {
    let name = if pool.process_group.is_empty() { "%{GLOBAL}" } else { &pool.process_group };
    let _ = writeln!(
        out,
        "\n{} / {}: {}, {} busy, {} idle, {} waiting, {} served{rate}",
        plain(name),
        plain(pool.application()),
        pool.state.word(),
        pool.count(Work::Busy),
        pool.count(Work::Idle),
        pool.queue.depth,
        pool.served,
    );
    for process in &pool.processes {
        row(out, process, taken);
    }
}

fn row(out: &mut String, process: &Process, taken: u64) {
    let busy = process.slots.iter().filter(|thread| thread.work == Work::Busy).count();
    let mebibytes =
        process.resident.map_or("?".to_owned(), |bytes| (bytes / 1024 / 1024).to_string());
    let _ = write!(
        out,
        "  {:>8}  {:<9} {:>7}  {busy}/{} threads  {} served  {mebibytes} MiB  CPU {}  Python {} ({})",
        process.pid,
        process.state.word(),
        span(taken.saturating_sub(process.started)),
        process.slots.len(),
        process.served,
        process.cpu.map_or("?".to_owned(), span),
        plain(&process.python.version),
        plain(&process.python.worker),
    );
    let leaving = &process.leaving;
    let _ = match leaving.is_empty() {
        true => writeln!(out),
        false => writeln!(out, "  leaving: {}", plain(leaving)),
    };
    for thread in &process.slots {
        let Some(request) = &thread.request else { continue };
        let _ = writeln!(
            out,
            "            thread {:>3} {:>7}  {} {}{}  from {}",
            thread.number,
            span(taken.saturating_sub(request.since)),
            plain(&request.method),
            plain(&request.host),
            plain(&request.uri),
            plain(&request.client),
        );
    }
}

/// Words of clients, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Microseconds as people say them.
fn span(micros: u64) -> String {
    match micros / SECOND {
        0..10 => format!("{}.{} s", micros / SECOND, micros % SECOND / (SECOND / 10)),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (micros, text) in [
            (1_250_000, "1.2 s"),
            (75_000_000, "75 s"),
            (600_000_000, "10 min"),
            (7_200_000_000, "2 h"),
            (864_000_000_000, "10 d"),
        ] {
            assert_eq!(span(micros), text);
        }
    }

    #[test]
    fn a_client_can_not_write_on_the_terminal() {
        assert_eq!(plain("/a\u{1b}[2J\n"), "/a?[2J?");
    }
}
