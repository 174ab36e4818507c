//! What is looked at before a configuration runs, and instead of running it.
//!
//! *Runs in:* httpd's parent, on each pass over the configuration and for `httpd -t`.

use super::members::{implicit_group, implicit_member, member, members};
use super::{Limits, globals, report, server_name};
use crate::apache::log::{Level, Loggable};
use crate::apache::pool::Pool;
use crate::apache::server::Server;
use crate::apache::{Status, hooks, mpm, probe, statements};
use crate::config::{Globals, QUESTIONS};
use crate::configcheck::{self, Report, Trial, Verdict};
use crate::handler::explain;
use crate::interpreters;
use crate::parent::{self, Member};

/// Checks what only the whole configuration shows.
pub(crate) fn check_config(pconf: Pool<'static>, server: Server<'static>) -> Status {
    // Whatever became of interpreters and users since it was started.
    if mpm::is_called_to_stop() {
        return Status::OK;
    }
    let mut globals = globals(pconf).borrow_mut();
    let result =
        globals.finish(&|id| server_name(server, id)).and_then(|()| members(&globals, server));
    if mpm::is_defined(configcheck::DEFINE) {
        return configcheck(&globals, server, result);
    }
    let result = result.and_then(|members| {
        if mpm::is_first_pass() && !probe::is_explaining() {
            check_interpreters(&members)
        } else {
            Ok(())
        }
    });
    report(server, result)
}

/// Reports on the configuration instead of running it.
fn configcheck(
    globals: &Globals,
    server: Server<'static>,
    members: Result<Vec<(Member, Limits)>, Vec<String>>,
) -> Status {
    let mut report = Report::of_lines(globals);
    report.add_htaccess(&statements::all());
    let Some(directory) = parent::directory(hooks::module_path()) else {
        return Status::INTERNAL_SERVER_ERROR;
    };
    let mut trials = Vec::new();
    match members {
        Ok(members) => trials.extend(members.into_iter().map(|(member, _)| member.group)),
        Err(errors) => {
            errors.iter().for_each(|text| report.say("configuration", Verdict::Error, text));
        }
    }
    // Nobody wants these if no script is theirs.
    for name in ["", QUESTIONS] {
        if globals.group(name).is_none() && !configcheck::scripts(globals, name).is_empty() {
            match member(globals, &implicit_group(&mpm::mpm()), server) {
                Ok((Member { mut group, .. }, _)) => {
                    name.clone_into(&mut group.name);
                    trials.push(group);
                }
                Err(error) => report.say("implicit process group", Verdict::Error, &error),
            }
        }
    }
    for group in trials {
        let scripts = configcheck::scripts(globals, &group.name);
        report.add(&Trial::new(&group, &scripts, &directory));
    }
    if report.print() { Status::INTERNAL_SERVER_ERROR } else { Status::OK }
}

/// At httpd's start, and for `httpd -t`. A restart must not end an httpd that serves
/// because of one group: there the log tells it ([`tell_interpreters`]).
fn check_interpreters(members: &[(Member, Limits)]) -> Result<(), Vec<String>> {
    let answers = interpreters::ask(members.iter().map(|(member, _)| &member.group));
    let problems = members.iter().zip(answers).filter_map(|((member, _), answer)| {
        let problem = answer?.err()?;
        Some(problem.of(subject(member)).to_string())
    });
    let problems: Vec<_> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Logs what each group's interpreter is.
pub(super) fn tell_interpreters(members: &[(Member, Limits)], server: Server<'static>) {
    let answers = interpreters::ask(members.iter().map(|(member, _)| &member.group));
    for ((member, _), answer) in members.iter().zip(answers) {
        let subject = subject(member);
        match answer {
            Some(Ok(python)) => server.log(Level::Info, format_args!("{subject}: {python}")),
            Some(Err(problem)) => server.log(Level::Error, problem.of(subject)),
            None => server.log(
                Level::Info,
                format_args!("{subject}: its interpreter did not answer the question who it is"),
            ),
        }
    }
}

fn subject(member: &Member) -> String {
    format!("WSGIDaemonProcess '{}' at {}", member.group.name, member.group.origin)
}

/// Prints, for `httpd -t -D WSGI_EXPLAIN`, who would serve the URLs that the environment
/// names, each as if it had come in at the address in front of it, if there is one.
pub(crate) fn explain(pconf: Pool<'static>, server: Server<'static>) {
    let urls = std::env::var(probe::NAME).unwrap_or_default();
    if !probe::is_explaining() || urls.is_empty() {
        return;
    }
    let globals = globals(pconf).borrow();
    let mut members = members(&globals, server).unwrap_or_default();
    if globals.group("").is_none() {
        members.extend(implicit_member(&globals, server, &mpm::mpm()));
    }
    let groups: Vec<_> = members.into_iter().map(|(member, _)| member.group).collect();
    if !probe::begin(pconf, server) {
        return server.log(Level::Error, "MWR1616: the rights of User and Group can't be taken on");
    }
    for line in urls.lines() {
        let (address, url) = line.split_once(' ').unwrap_or(("", line));
        print!("{}", explain::explain(pconf, server, &globals, &groups, address, url));
    }
}
