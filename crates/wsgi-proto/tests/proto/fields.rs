//! The lines with which `vectors/` describe a record's fields.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use wsgi_proto::channel::{Outcome, environ_name};
use wsgi_proto::daemon::{ToDaemon, ToSupervisor};

use crate::model::{EntryName, Record};

/// Keys and values, the record's name first.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// A value of the daemon link: no line for what is not set, one for each item
/// of a list, else one.
trait Show {
    fn show(&self, key: &str, lines: &mut Lines);
}

macro_rules! show_as_text {
    ($($type:ty),*) => {$(
        impl Show for $type {
            fn show(&self, key: &str, lines: &mut Lines) {
                lines.push((key.to_owned(), self.to_string().into_bytes()));
            }
        }
    )*};
}

show_as_text!(u8, u16, u32, u64, f64, bool, String);

impl Show for PathBuf {
    fn show(&self, key: &str, lines: &mut Lines) {
        lines.push((key.to_owned(), self.as_os_str().as_bytes().to_vec()));
    }
}

impl Show for Vec<u8> {
    fn show(&self, key: &str, lines: &mut Lines) {
        lines.push((key.to_owned(), self.clone()));
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, key: &str, lines: &mut Lines) {
        self.iter().for_each(|value| value.show(key, lines));
    }
}

impl Show for Vec<PathBuf> {
    fn show(&self, key: &str, lines: &mut Lines) {
        self.iter().for_each(|value| value.show(key, lines));
    }
}

macro_rules! lines {
    ($name:literal, $record:expr; $($field:ident),*) => {{
        let mut lines = vec![("record".to_owned(), $name.as_bytes().to_vec())];
        let record = $record;
        $(record.$field.show(stringify!($field), &mut lines);)*
        lines
    }};
}

pub(crate) fn to_daemon(record: &ToDaemon) -> Lines {
    match record {
        ToDaemon::Start(start) => lines!("Start", start;
            process_group, application_group, threads, processes, multiprocess, run_once, preload,
            home, python_path, display_name, locale, stack_size, switch_interval, restrict_stdin,
            restrict_stdout, restrict_signal, log_level, version, apache_version, mpm_name,
            mpm_processes, mpm_threads),
        ToDaemon::Channel(channel) => lines!("Channel", channel; thread, epoch),
        ToDaemon::Stop(stop) => lines!("Stop", stop; reason),
        ToDaemon::Probe(_) => vec![("record".to_owned(), b"Probe".to_vec())],
        ToDaemon::Trace(trace) => lines!("Trace", trace; thread, age),
        ToDaemon::Interrupt(interrupt) => lines!("Interrupt", interrupt; thread, age, raise),
    }
}

pub(crate) fn to_supervisor(record: &ToSupervisor) -> Lines {
    match record {
        ToSupervisor::Hello(hello) => {
            lines!("Hello", hello; version, worker, python_version, executable)
        }
        ToSupervisor::Ready(ready) => lines!("Ready", ready; loaded),
        ToSupervisor::ChannelReady(channel) => lines!("ChannelReady", channel; thread, epoch),
        ToSupervisor::ChannelLost(channel) => lines!("ChannelLost", channel; thread, epoch),
        ToSupervisor::Log(log) => lines!("Log", log; level, text),
        ToSupervisor::Recycle(recycle) => lines!("Recycle", recycle; reason),
        ToSupervisor::Loaded(loaded) => lines!("Loaded", loaded; script),
        ToSupervisor::Traced(traced) => lines!("Traced", traced; thread, stack),
        ToSupervisor::Alive(_) => vec![("record".to_owned(), b"Alive".to_vec())],
    }
}

pub(crate) fn channel(record: &Record) -> Lines {
    let mut lines = Lines::new();
    let name = match record {
        Record::Request(request) => {
            request.has_body.show("body", &mut lines);
            if !request.reloads {
                true.show("no_reload", &mut lines);
            }
            if request.cpu_time {
                true.show("cpu_time", &mut lines);
            }
            request.request_start.show("request_start", &mut lines);
            request.queue_start.show("queue_start", &mut lines);
            request.script.show("script", &mut lines);
            request.handler_script.show("handler_script", &mut lines);
            request.callable_object.show("callable_object", &mut lines);
            for (name, value) in &request.entries {
                let (key, name) = match name {
                    EntryName::Known(id) => ("known", environ_name(*id).unwrap().as_bytes()),
                    EntryName::Literal(name) => ("named", name.as_slice()),
                };
                lines.push((key.to_owned(), [name, value].join(&b'=')));
            }
            "REQUEST"
        }
        Record::Body(bytes) => {
            bytes.show("bytes", &mut lines);
            "BODY"
        }
        Record::BodyEnd(end) => {
            end.status.show("status", &mut lines);
            "BODY_END"
        }
        Record::Cancel => "CANCEL",
        Record::Demand(demand) => {
            demand.need.show("need", &mut lines);
            demand.window.show("window", &mut lines);
            "DEMAND"
        }
        Record::Head(head) => {
            head.status.show("status", &mut lines);
            head.reason.show("reason", &mut lines);
            for (name, value) in &head.headers {
                lines.push(("header".to_owned(), [name.as_slice(), value].join(&b'=')));
            }
            "HEAD"
        }
        Record::Data { more, bytes } => {
            more.show("more", &mut lines);
            bytes.show("bytes", &mut lines);
            "DATA"
        }
        Record::File(file) => {
            file.offset.show("offset", &mut lines);
            file.length.show("length", &mut lines);
            "FILE"
        }
        Record::Log { level, text } => {
            level.show("level", &mut lines);
            text.show("text", &mut lines);
            "LOG"
        }
        Record::End(end) => {
            let (outcome, status) = match end.outcome {
                Outcome::Complete => ("complete", None),
                Outcome::Failed(status) => ("failed", Some(status)),
                Outcome::Aborted => ("aborted", None),
            };
            outcome.to_owned().show("outcome", &mut lines);
            status.show("status", &mut lines);
            end.application_time.show("application_time", &mut lines);
            end.cpu_time.show("cpu_time", &mut lines);
            end.input.show("input", &mut lines);
            end.output.show("output", &mut lines);
            "END"
        }
    };
    lines.insert(0, ("record".to_owned(), name.as_bytes().to_vec()));
    lines
}
