//! `wsgi-httpd`: one command from a file to a served application, by an httpd of its
//! own whose configuration can be kept.
//!
//! *Runs in:* a process of its own, the parent of httpd's parent. *Threads:* the main
//! one waits for signals; others copy httpd's output and look whether it answers.

mod account;
mod application;
mod configuration;
mod directory;
mod foreground;
mod httpd;
pub mod options;
mod plan;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::arguments::Given;
use directory::Directory;
use httpd::Httpd;
use options::PROGRAM;
use plan::Plan;

/// Runs the program with the arguments given. The exit status of `serve` is httpd's.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given = match PROGRAM.ask(words) {
        Ok(given) => given,
        Err(status) => return status,
    };
    let done = match given.command.name {
        "serve" => serve(&given),
        "setup" => setup(&given),
        _ => module(&given),
    };
    done.unwrap_or_else(|message| {
        eprintln!("wsgi-httpd: {message}");
        ExitCode::FAILURE
    })
}

/// Serves until a signal comes.
fn serve(given: &Given) -> Result<ExitCode, String> {
    let httpd = Httpd::find(given)?;
    let mut directory = Directory::for_serving(given.value("--root"))?;
    let plan = Plan::make(given, &httpd, &mut directory, true)?;
    directory.write("httpd.conf", &configuration::text(&plan, &httpd, &directory)?)?;
    foreground::serve(&plan, &httpd, &directory)
}

/// Writes a directory that an httpd can be started from.
fn setup(given: &Given) -> Result<ExitCode, String> {
    let httpd = Httpd::find(given)?;
    let root = given.value("--root").ok_or("setup needs --root, the directory to write to")?;
    let mut directory = Directory::to_keep(root)?;
    let plan = Plan::make(given, &httpd, &mut directory, false)?;
    directory.write("httpd.conf", &configuration::text(&plan, &httpd, &directory)?)?;
    let control = configuration::control(&httpd, &directory);
    directory.write_program("apachectl", &control)?;
    let root = directory.path().display();
    println!(
        "httpd's configuration: {root}/httpd.conf\nstart it:              {root}/apachectl start"
    );
    Ok(ExitCode::SUCCESS)
}

/// Prints the line of a configuration that loads the module.
fn module(given: &Given) -> Result<ExitCode, String> {
    let httpd = Httpd::find(given)?;
    println!("LoadModule wsgi_module {}", configuration::quoted(&httpd.module.to_string_lossy())?);
    Ok(ExitCode::SUCCESS)
}
