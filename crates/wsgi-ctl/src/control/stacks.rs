//! Python stacks of running processes, by way of their error log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use wsgi_proto::admin::{Stacks, ToControl, ToSupervisor};

use super::link::Link;
use crate::arguments::Given;

/// How long processes may take to write.
const PATIENCE: Duration = Duration::from_secs(3);
/// A log that has not grown for so long is complete.
const QUIET: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(50);

/// Asks for stacks, and shows what the logs grow by.
///
/// # Errors
/// The supervisor refuses, or can't be asked.
pub(super) fn run(given: &Given) -> Result<(), String> {
    let group = super::group(given)?;
    let snapshot = Link::open(given)?.table()?.snapshot();
    let meant = |name: &str| group.as_ref().is_none_or(|group| group == name);
    let pids: Vec<i32> = snapshot
        .pools
        .iter()
        .filter(|pool| meant(&pool.process_group))
        .flat_map(|pool| pool.processes.iter().map(|process| process.pid))
        .collect();
    let mut logs = logs(&pids);
    let link = Link::open(given)?;
    link.send(&ToSupervisor::Stacks(Stacks { group }))?;
    match link.receive(PATIENCE)? {
        ToControl::Done(done) if done.processes.is_empty() => {
            return Err("the group has no process".to_owned());
        }
        ToControl::Done(done) => {
            let pids: Vec<String> = done.processes.iter().map(u32::to_string).collect();
            println!("processes {}: {}", pids.join(", "), done.text);
        }
        ToControl::Failed(failed) => return Err(failed.text),
        _ => return Err("the supervisor's answer makes no sense".to_owned()),
    }
    show(&mut logs)
}

/// The error logs of processes, each at its end; those that are files.
fn logs(pids: &[i32]) -> Vec<File> {
    let mut logs = BTreeMap::new();
    for pid in pids {
        let Ok(mut log) = File::open(format!("/proc/{pid}/fd/2")) else { continue };
        let Ok(metadata) = log.metadata() else { continue };
        if metadata.is_file() && log.seek(SeekFrom::End(0)).is_ok() {
            logs.insert((metadata.dev(), metadata.ino()), log);
        }
    }
    logs.into_values().collect()
}

/// Copies what is written until it is quiet.
fn show(logs: &mut [File]) -> Result<(), String> {
    let (began, mut last) = (Instant::now(), Instant::now());
    let mut some = false;
    while !logs.is_empty() && began.elapsed() < PATIENCE && (!some || last.elapsed() < QUIET) {
        std::thread::sleep(LOOK);
        for log in logs.iter_mut() {
            let mut text = Vec::new();
            if log.read_to_end(&mut text).is_ok_and(|length| length > 0) {
                (some, last) = (true, Instant::now());
                io::stdout().write_all(&text).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}
