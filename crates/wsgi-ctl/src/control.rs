//! `wsgictl`: what runs in an httpd's daemon processes, and orders to their supervisor.
//!
//! What is shown is read from the slot table, which the supervisor lends, and from
//! `/proc`: Python is not asked, and the supervisor only once. What a URL comes to is
//! asked of another httpd that only checks its configuration.
//!
//! *Runs in:* a process of its own, as root or as whoever runs httpd. *Threads:* one.

mod explain;
mod json;
mod link;
pub mod options;
mod stacks;
mod top;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use wsgi_proto::admin::{Drain, Reload, Resume, Scale, ToControl, ToSupervisor};

use crate::arguments::Given;
use link::Link;
use options::PROGRAM;

/// Seconds that an order may take before nobody waits for it any more.
const PATIENCE: u64 = 120;

/// Runs the program with the arguments given.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given = match PROGRAM.ask(words) {
        Ok(given) => given,
        Err(status) => return status,
    };
    let done = match given.command.name {
        "status" => status(&given),
        "top" => top::run(&given),
        "stacks" => stacks::run(&given),
        "explain" => explain::run(&given),
        _ => order_of(&given).and_then(|order| carry_out(&given, &order)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            match given.has("--json") {
                true => println!("{}", json::object(&[("error", json::text(&message))])),
                false => eprintln!("wsgictl: {message}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn status(given: &Given) -> Result<(), String> {
    let snapshot = Link::open(given)?.table()?.snapshot();
    match given.has("--json") {
        true => println!("{}", wsgi_status::document(&snapshot).trim_end()),
        false => print!("{}", view::text(&snapshot, None)),
    }
    Ok(())
}

/// The group that an order is for; none for all.
fn group(given: &Given) -> Result<Option<String>, String> {
    match (given.operands.first(), given.has("--all")) {
        (Some(name), false) => Ok(Some(named(name))),
        (None, true) => Ok(None),
        _ => Err("name a process group, or say --all".to_owned()),
    }
}

/// A group as administrators write it: the implicit one has no other name.
fn named(name: &str) -> String {
    if name == "%{GLOBAL}" { String::new() } else { name.to_owned() }
}

fn order_of(given: &Given) -> Result<ToSupervisor, String> {
    Ok(match given.command.name {
        "reload" => ToSupervisor::Reload(Reload { group: group(given)? }),
        "drain" => ToSupervisor::Drain(Drain { group: group(given)? }),
        "resume" => ToSupervisor::Resume(Resume { group: group(given)? }),
        _ => {
            let [name, count] = &given.operands[..] else {
                return Err("name a process group and a number".to_owned());
            };
            let processes = match count.as_str() {
                "configured" => 0,
                count => count.parse().ok().filter(|&count| count > 0).ok_or_else(|| {
                    format!("'{count}' is no number of processes; to have none, use drain")
                })?,
            };
            ToSupervisor::Scale(Scale { group: named(name), processes })
        }
    })
}

/// Gives an order and waits until it was carried out.
fn carry_out(given: &Given, order: &ToSupervisor) -> Result<(), String> {
    let patience = Duration::from_secs(given.number("--timeout", 1)?.unwrap_or(PATIENCE));
    let link = Link::open(given)?;
    link.send(order)?;
    let done = loop {
        match link.receive(patience)? {
            ToControl::Begun(begun) if given.has("--no-wait") => break (begun.text, Vec::new()),
            ToControl::Begun(_) | ToControl::Attached(_) => {}
            ToControl::Done(done) => break (done.text, done.processes),
            ToControl::Failed(failed) => return Err(failed.text),
        }
    };
    let (text, processes) = done;
    match given.has("--json") {
        true => {
            let members = [("text", json::text(&text)), ("processes", json::numbers(&processes))];
            println!("{}", json::object(&members));
        }
        false => println!("{text}"),
    }
    Ok(())
}
