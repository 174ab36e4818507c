//! Datagrams for a collector of mod_wsgi 6's telemetry: WSGITelemetryService.
//!
//! A datagram is a head of 24 bytes and fields, little-endian:
//!
//! ```text
//! head   "WSGI", u8 version (1), u8 kind, u16 flags (0), u32 pid, u32 sequence, f64 time
//! field  u16 number, u8 type, then by type
//!        1: u64   2: f64   4: u16 length, bytes   5: u16 count, i32 each   6: u16 count, f64 each
//! ```
//!
//! They are made of two snapshots: nothing is counted for them that the status page does not have.
//! So there are no histograms, and no figures about the GIL or about bytes.
//!
//! *Runs in:* supervisor.

use std::collections::HashMap;

use wsgi_sys::table::ProcessState;

use crate::snapshot::{Current, Pool, Process, Snapshot, Work};

/// What does not change.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// Version of this software.
    pub version: String,
    /// Version of httpd.
    pub apache: String,
    /// Name of its MPM.
    pub mpm: String,
    /// Name of this machine.
    pub host: String,
    /// Seconds between two reports.
    pub interval: f64,
    /// Least threshold of slow requests in seconds; none if there is none.
    pub slow: Option<f64>,
}

/// Kinds of datagrams.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Figures = 2,
    SlowRequest = 4,
    Started = 5,
    Stopping = 6,
    Stopped = 7,
}

/// A process at the last report.
#[derive(Debug)]
struct Seen {
    process: Process,
    group: String,
    /// Datagrams about it so far.
    sequence: u32,
    largest: u64,
    /// Its slow requests.
    slow: Vec<(u32, Current)>,
}

/// Makes datagrams of one snapshot after the other.
#[derive(Debug, Default)]
pub struct Reporter {
    taken: u64,
    seen: HashMap<(i32, u64), Seen>,
}

impl Reporter {
    /// What is to be sent about a snapshot, given the last one.
    pub fn report(&mut self, sender: &Sender, snapshot: &Snapshot) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let period =
            snapshot.taken.saturating_sub(std::mem::replace(&mut self.taken, snapshot.taken));
        let mut before = std::mem::take(&mut self.seen);
        for pool in &snapshot.pools {
            // One that starts has not said yet which Python it is.
            let known = |process: &&Process| process.pid > 0 && !process.python.version.is_empty();
            for process in pool.processes.iter().filter(known) {
                let id = (process.pid, process.started);
                let mut seen = Seen {
                    process: process.clone(),
                    group: pool.process_group.clone(),
                    sequence: 0,
                    largest: process.resident.unwrap_or(0),
                    slow: Vec::new(),
                };
                match before.remove(&id) {
                    None => out.push(started(sender, &mut seen, snapshot.taken)),
                    Some(last) => {
                        seen.sequence = last.sequence;
                        seen.largest = seen.largest.max(last.largest);
                        let change = Change { last: &last.process, period };
                        out.push(figures(sender, pool, &mut seen, change, snapshot.taken));
                        slow_requests(sender, &mut seen, &last.slow, snapshot.taken, &mut out);
                        if leaves(process) && !leaves(&last.process) {
                            out.push(stopping(sender, &mut seen, snapshot.taken));
                        }
                    }
                }
                self.seen.insert(id, seen);
            }
        }
        for mut gone in before.into_values() {
            out.push(stopped(sender, &mut gone, snapshot.taken));
        }
        out
    }
}

/// What a process was like a while ago.
#[derive(Clone, Copy)]
struct Change<'s> {
    last: &'s Process,
    /// Microseconds since.
    period: u64,
}

fn leaves(process: &Process) -> bool {
    matches!(process.state, ProcessState::Draining | ProcessState::Stopping)
}

fn started(sender: &Sender, seen: &mut Seen, now: u64) -> Vec<u8> {
    let mut datagram = Datagram::new(Kind::Started, seen, now);
    datagram.identity(sender, seen);
    datagram.bytes
}

fn figures(sender: &Sender, pool: &Pool, seen: &mut Seen, change: Change<'_>, now: u64) -> Vec<u8> {
    let mut datagram = Datagram::new(Kind::Figures, seen, now);
    datagram.identity(sender, seen);
    let (process, last) = (&seen.process, change.last);
    let period = seconds(change.period).max(1e-6);
    let requests = process.served.saturating_sub(last.served);
    let busy = busy(process, change, now);
    let capacity = busy.iter().sum::<f64>() / (period * f64::from(pool.threads.max(1)));
    datagram.f64(10, period).f64(11, sender.interval);
    if let Some(slow) = sender.slow {
        datagram.f64(12, slow);
    }
    datagram.u64(20, requests).f64(21, count(requests) / period).f64(22, capacity);
    if let (Some(cpu), Some(before)) = (process.cpu, last.cpu) {
        let all = seconds(cpu.saturating_sub(before)) / period;
        let user = process.user.unwrap_or(0).saturating_sub(last.user.unwrap_or(0));
        let user = seconds(user) / period;
        datagram.f64(30, user).f64(31, (all - user).max(0.0)).f64(32, all);
    }
    datagram.u64(40, process.resident.unwrap_or(0)).u64(41, seen.largest);
    let active = process.slots.iter().filter(|thread| thread.work == Work::Busy).count();
    let threads = process.slots.len() as u64;
    datagram.u64(50, pool.threads.into()).u64(51, threads).u64(52, active as u64);
    if requests > 0 {
        let mean = seconds(process.spent.saturating_sub(last.spent)) / count(requests);
        datagram.f64(63, mean);
    }
    let pairs = process.slots.iter().zip(&last.slots);
    let completed = pairs.map(|(now, then)| now.served.saturating_sub(then.served));
    let completed: Vec<i32> = completed.map(|it| i32::try_from(it).unwrap_or(i32::MAX)).collect();
    let running = process.slots.iter().map(|thread| {
        thread.request.as_ref().map_or(0.0, |request| seconds(now.saturating_sub(request.since)))
    });
    let running: Vec<f64> = running.collect();
    datagram.i32s(110, &completed).f64s(111, &busy).f64s(113, &running);
    datagram.bytes
}

/// Seconds of the period that each thread spent on requests, as far as can be told.
fn busy(process: &Process, change: Change<'_>, now: u64) -> Vec<f64> {
    let pairs = process.slots.iter().zip(&change.last.slots);
    let times = pairs.map(|(thread, last)| {
        let running = thread.request.as_ref().map_or(0, |it| now.saturating_sub(it.since));
        let done = thread.spent.saturating_sub(last.spent);
        seconds(done.saturating_add(running).min(change.period))
    });
    times.collect()
}

/// Those that are slow now, and those that were and are over.
fn slow_requests(
    sender: &Sender,
    seen: &mut Seen,
    before: &[(u32, Current)],
    now: u64,
    out: &mut Vec<Vec<u8>>,
) {
    let Some(threshold) = sender.slow else { return };
    let running = seen.process.slots.iter().filter_map(|thread| {
        let request = thread.request.as_ref()?;
        let slow = seconds(now.saturating_sub(request.since)) >= threshold;
        slow.then(|| (thread.number, request.clone()))
    });
    let running: Vec<(u32, Current)> = running.collect();
    let over = before.iter().filter(|slow| !running.contains(slow)).map(|slow| (1, slow));
    let reports: Vec<_> = running.iter().map(|slow| (0, slow)).chain(over).collect();
    for (state, (thread, request)) in reports {
        let duration = seconds(now.saturating_sub(request.since));
        let mut datagram = Datagram::new(Kind::SlowRequest, seen, now);
        datagram.u64(200, state).f64(201, seconds(request.since)).f64(202, duration);
        datagram.u64(203, u64::from(*thread));
        // The collector tells requests apart by it.
        datagram.text(204, &format!("{}-{thread}-{}", seen.process.pid, request.since));
        datagram.text(210, &request.method).text(212, &request.host).text(213, "");
        datagram.text(214, &request.uri).text(216, &request.client);
        datagram.f64(223, duration);
        out.push(datagram.bytes);
    }
    seen.slow = running;
}

fn stopping(sender: &Sender, seen: &mut Seen, now: u64) -> Vec<u8> {
    let mut datagram = Datagram::new(Kind::Stopping, seen, now);
    datagram.text(5, &sender.host).text(6, &seen.group).text(130, &seen.process.leaving);
    let active = seen.process.slots.iter().filter(|thread| thread.work == Work::Busy).count();
    datagram.u64(133, active as u64);
    datagram.bytes
}

fn stopped(sender: &Sender, seen: &mut Seen, now: u64) -> Vec<u8> {
    let mut datagram = Datagram::new(Kind::Stopped, seen, now);
    datagram.text(5, &sender.host).text(6, &seen.group);
    datagram.f64(131, seconds(now.saturating_sub(seen.process.started)));
    datagram.u64(132, seen.process.served);
    datagram.bytes
}

/// A datagram that is being written.
struct Datagram {
    bytes: Vec<u8>,
}

impl Datagram {
    fn new(kind: Kind, seen: &mut Seen, now: u64) -> Self {
        seen.sequence = seen.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"WSGI");
        bytes.extend_from_slice(&[1, kind as u8, 0, 0]);
        bytes.extend_from_slice(&seen.process.pid.to_le_bytes());
        bytes.extend_from_slice(&seen.sequence.to_le_bytes());
        bytes.extend_from_slice(&seconds(now).to_le_bytes());
        Self { bytes }
    }

    fn identity(&mut self, sender: &Sender, seen: &Seen) {
        self.text(1, &sender.version).text(2, &seen.process.python.version);
        self.text(3, &sender.apache).text(4, &sender.mpm).text(5, &sender.host);
        self.text(6, &seen.group).u64(7, std::process::id().into());
    }

    fn field(&mut self, number: u16, kind: u8) -> &mut Vec<u8> {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.push(kind);
        &mut self.bytes
    }

    fn u64(&mut self, number: u16, value: u64) -> &mut Self {
        self.field(number, 1).extend_from_slice(&value.to_le_bytes());
        self
    }

    fn f64(&mut self, number: u16, value: f64) -> &mut Self {
        self.field(number, 2).extend_from_slice(&value.to_le_bytes());
        self
    }

    fn text(&mut self, number: u16, text: &str) -> &mut Self {
        let length = u16::try_from(text.len()).unwrap_or(0);
        let bytes = self.field(number, 4);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&text.as_bytes()[..length.into()]);
        self
    }

    fn i32s(&mut self, number: u16, values: &[i32]) -> &mut Self {
        let length = u16::try_from(values.len()).unwrap_or(0);
        let bytes = self.field(number, 5);
        bytes.extend_from_slice(&length.to_le_bytes());
        let values = values.iter().take(length.into());
        bytes.extend(values.flat_map(|value| value.to_le_bytes()));
        self
    }

    fn f64s(&mut self, number: u16, values: &[f64]) -> &mut Self {
        let length = u16::try_from(values.len()).unwrap_or(0);
        let bytes = self.field(number, 6);
        bytes.extend_from_slice(&length.to_le_bytes());
        let values = values.iter().take(length.into());
        bytes.extend(values.flat_map(|value| value.to_le_bytes()));
        self
    }
}

/// Microseconds as seconds.
fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

/// A number of requests.
fn count(requests: u64) -> f64 {
    u32::try_from(requests).unwrap_or(u32::MAX).into()
}
