//! The options of WSGIDaemonProcess: one table for the parser and for the manual.

use std::time::Duration;

use wsgi_sys::user::{self, User};

use super::DaemonGroup;
use crate::config::choice::{Choice, flag, one_of, positive};
use crate::config::problem::{self, Problem};

/// The options of WSGIDaemonProcess.
pub static OPTIONS: &[Choice<DaemonGroup>] = &[
    Choice::new(
        "user",
        "name|#uid",
        "Apache's User",
        "User that the processes run as; never root. Needs httpd to be started as root.",
        |group, text, _| put(&mut group.user, account(text).map(Some)),
    ),
    Choice::new(
        "group",
        "name|#gid",
        "Apache's Group",
        "Primary group of the processes; not taken from the user.",
        |group, text, _| {
            let gid = user_group(text)?;
            put(&mut group.group, not_root(gid, text).map(Some))
        },
    ),
    Choice::new(
        "supplementary-groups",
        "name,#gid,…",
        "those of the user",
        "Further groups of the processes.",
        |group, text, _| {
            let names = text.split(',').filter(|name| !name.is_empty());
            put(
                &mut group.supplementary_groups,
                names.map(user_group).collect::<Result<_, _>>().map(Some),
            )
        },
    ),
    Choice::new(
        "processes",
        "number|min-max",
        "1",
        "Processes of each application group. Giving it at all makes `wsgi.multiprocess` True. \
         With a range, not known to mod_wsgi, there are as many as requests need.",
        |group, text, reading| {
            group.processes_explicit = true;
            // Spaces or a sign are no range, but a number for better or worse.
            let range = text.split_once('-').filter(|(least, _)| !least.trim().is_empty());
            let Some((least, most)) = range else {
                group.processes_max = None;
                return put(&mut group.processes, reading.number(text, 1..=4096));
            };
            let least: u32 = reading.number(least, 1..=4096)?;
            put(&mut group.processes, Ok(least))?;
            let most = reading.number(most, i64::from(least)..=4096);
            put(&mut group.processes_max, most.map(Some))
        },
    ),
    Choice::new(
        "processes-cap",
        "number",
        "4 × processes, at least 16",
        "Processes of all application groups of the group together. Where one more is needed, an \
         idle one of another application group makes room; 0 sets no limit. Not known to mod_wsgi.",
        |group, text, reading| {
            put(&mut group.processes_cap, reading.number(text, 0..=16384).map(Some))
        },
    ),
    Choice::new(
        "threads",
        "number",
        "15",
        "Requests that a process serves at a time; 0 for a process that only runs WSGIImportScript.",
        |group, text, reading| put(&mut group.threads, reading.number(text, 0..=65533)),
    ),
    Choice::new("umask", "octal", "inherited", "File mode creation mask.", |group, text, _| {
        match u32::from_str_radix(text, 8) {
            Ok(umask) if umask <= 0o777 => put(&mut group.umask, Ok(Some(umask))),
            _ => Err(Problem::new(
                problem::NOT_A_NUMBER,
                format!("'{text}' is not an octal number between 0 and 777"),
            )),
        }
    }),
    Choice::new(
        "chroot",
        "directory",
        "none",
        "Root directory of the processes, which must hold the interpreter and the scripts. Needs \
         httpd to be started as root.",
        |group, text, reading| put(&mut group.chroot, Ok(reading.path(text))),
    ),
    Choice::new(
        "home",
        "directory",
        "the user's home, or `/`",
        "Working directory; also the first entry of `sys.path`.",
        |group, text, reading| put(&mut group.home, Ok(reading.path(text))),
    ),
    Choice::new("lang", "locale", "inherited", "Value of `LANG`.", |group, text, _| {
        put(&mut group.lang, word(text))
    }),
    Choice::new("locale", "locale", "inherited", "Value of `LC_ALL`.", |group, text, _| {
        put(&mut group.locale, word(text))
    }),
    Choice::new(
        "display-name",
        "text",
        "the interpreter's path",
        "What `ps` shows, in full length; `%{GROUP}` stands for `(wsgi:NAME)`.",
        |group, text, _| put(&mut group.display_name, word(text)),
    ),
    Choice::new(
        "python",
        "file",
        "from python-home",
        "The Python interpreter that runs the group, of any version that is supported. Not known \
         to mod_wsgi.",
        |group, text, reading| put(&mut group.python, Ok(reading.path(text))),
    ),
    Choice::new(
        "python-home",
        "directory",
        "WSGIPythonHome",
        "Virtual environment, or prefix of an installation, whose `bin/python` runs the group.",
        |group, text, reading| put(&mut group.python_home, Ok(reading.path(text))),
    ),
    Choice::new(
        "worker",
        "auto|pure",
        "auto",
        "`pure` has the worker in Python alone serve the group, also where the interpreter could \
         have the native one. Not known to mod_wsgi.",
        |group, text, _| {
            put(&mut group.pure_worker, one_of(text, &[("auto", false), ("pure", true)]))
        },
    ),
    Choice::new(
        "python-path",
        "directory:…",
        "none",
        "Directories in front of `sys.path`; their `.pth` files are processed.",
        |group, text, reading| put(&mut group.python_path, Ok(reading.paths(text))),
    ),
    Choice::new(
        "python-eggs",
        "directory",
        "`~/.python-eggs`",
        "Value of `PYTHON_EGG_CACHE`.",
        |group, text, reading| put(&mut group.python_eggs, Ok(reading.path(text))),
    ),
    Choice::new(
        "switch-interval",
        "seconds",
        "Python's",
        "Time after which a thread is asked to release the GIL; a fraction above 0.",
        |group, text, _| put(&mut group.switch_interval, positive(text).map(Some)),
    ),
    Choice::new(
        "stack-size",
        "bytes",
        "the system's",
        "Stack of a thread that serves requests.",
        |group, text, reading| put(&mut group.stack_size, reading.number(text, 1..=i64::MAX)),
    ),
    Choice::new(
        "maximum-requests",
        "number",
        "0",
        "Requests after which a process is replaced, its successor first.",
        |group, text, reading| put(&mut group.maximum_requests, reading.number(text, 0..=i64::MAX)),
    ),
    Choice::new(
        "maximum-requests-jitter",
        "per cent",
        "10 if there are several processes",
        "How much lower than maximum-requests the limit of a process may be, at random, so that \
         processes are not replaced together. Not known to mod_wsgi.",
        |group, text, reading| {
            put(&mut group.maximum_requests_jitter, reading.number(text, 0..=90).map(Some))
        },
    ),
    Choice::new(
        "restart-interval",
        "seconds",
        "0",
        "Age at which a process is replaced, its successor first.",
        |group, text, reading| put(&mut group.restart_interval, reading.seconds(text)),
    ),
    Choice::new(
        "inactivity-timeout",
        "seconds",
        "0",
        "Time without requests after which a process ends; the next request starts one.",
        |group, text, reading| put(&mut group.inactivity_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "idle-timeout",
        "seconds",
        "600",
        "The same for processes that were started because requests needed them: all of \
         application groups that httpd does not start by itself, and those above the minimum of \
         `processes=`; 0 keeps them. Not known to mod_wsgi.",
        |group, text, reading| put(&mut group.idle_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "startup-timeout",
        "seconds",
        "0",
        "Time that loading the script may take before the process is replaced.",
        |group, text, reading| put(&mut group.startup_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "deadlock-timeout",
        "seconds",
        "300",
        "Time that the GIL may be held without a break before the process is replaced.",
        |group, text, reading| put(&mut group.deadlock_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "request-timeout",
        "seconds",
        "0",
        "Time that a request may take before it is interrupted or its process is replaced; with n \
         threads it is multiplied by 1 + ln n (2.6 for 5, 3.7 for 15).",
        |group, text, reading| put(&mut group.request_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "interrupt-timeout",
        "seconds",
        "0",
        "Time that a request has to end after `mod_wsgi.RequestTimeout` was raised in it; 0 \
         raises nothing.",
        |group, text, reading| put(&mut group.interrupt_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "graceful-timeout",
        "seconds",
        "15",
        "Time that running requests have to end when a process is replaced, once its successor \
         serves. After a graceful restart of httpd there is no limit but that a later restart may \
         need the room.",
        |group, text, reading| put(&mut group.graceful_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "eviction-timeout",
        "seconds",
        "graceful-timeout",
        "The same when a process is replaced because of SIGUSR1.",
        |group, text, reading| put(&mut group.eviction_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "shutdown-timeout",
        "seconds",
        "5",
        "Time that a stopping process has for requests and `atexit` functions.",
        |group, text, reading| put(&mut group.shutdown_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "cpu-time-limit",
        "seconds",
        "0",
        "CPU time after which a process is replaced.",
        |group, text, reading| put(&mut group.cpu_time_limit, reading.seconds(text)),
    ),
    Choice::new(
        "cpu-priority",
        "number",
        "0",
        "Nice value of the processes, -20 to 20.",
        |group, text, reading| put(&mut group.cpu_priority, reading.number(text, -20..=20)),
    ),
    Choice::new(
        "memory-limit",
        "bytes",
        "0",
        "Limit of a process' data segment.",
        |group, text, reading| put(&mut group.memory_limit, reading.number(text, 0..=i64::MAX)),
    ),
    Choice::new(
        "virtual-memory-limit",
        "bytes",
        "0",
        "Limit of a process' address space.",
        |group, text, reading| {
            put(&mut group.virtual_memory_limit, reading.number(text, 0..=i64::MAX))
        },
    ),
    Choice::new(
        "resident-memory-limit",
        "bytes",
        "0",
        "Resident memory at which a process is replaced, its successor first; looked at once a \
         second. Not known to mod_wsgi.",
        |group, text, reading| {
            put(&mut group.resident_memory_limit, reading.number(text, 0..=i64::MAX))
        },
    ),
    Choice::new(
        "listen-backlog",
        "number",
        "100",
        "Length of the socket's queue.",
        |_, text, reading| reading.number::<u32>(text, 0..=i64::from(u32::MAX)).map(drop),
    )
    .without_effect("processes have no listening socket; requests wait in httpd, in order"),
    Choice::new(
        "connect-timeout",
        "seconds",
        "15",
        "Time that a request waits for a process, unless queue-timeout is given, before it is \
         answered with 503.",
        |group, text, reading| put(&mut group.connect_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "socket-timeout",
        "seconds",
        "Apache's Timeout",
        "Time that an exchange between httpd and a process may stall.",
        |group, text, reading| put(&mut group.socket_timeout, reading.seconds(text).map(Some)),
    ),
    Choice::new(
        "queue-timeout",
        "seconds",
        "0",
        "Time that a request waits for a free thread before it is answered with 504.",
        |group, text, reading| put(&mut group.queue_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "queue-depth",
        "number",
        "0",
        "Requests of an application that may wait for a free thread, each of which keeps a thread \
         of httpd; further ones are answered with 503 and `Retry-After` at once. 0 sets no limit. \
         Not known to mod_wsgi.",
        |group, text, reading| put(&mut group.queue_depth, reading.number(text, 0..=8192)),
    ),
    Choice::new(
        "socket-user",
        "name|#uid",
        "Apache's User",
        "Owner of the socket file.",
        |_, text, _| account(text).map(drop),
    )
    .without_effect("there are no socket files"),
    Choice::new(
        "send-buffer-size",
        "bytes",
        "0",
        "Send buffer of the channels, 0 or at least 512.",
        |group, text, reading| {
            put(&mut group.send_buffer_size, reading.bytes(text, 512, i64::from(i32::MAX)))
        },
    ),
    Choice::new(
        "receive-buffer-size",
        "bytes",
        "0",
        "Receive buffer of the channels, 0 or at least 512.",
        |group, text, reading| {
            put(&mut group.receive_buffer_size, reading.bytes(text, 512, i64::from(i32::MAX)))
        },
    ),
    Choice::new(
        "header-buffer-size",
        "bytes",
        "0",
        "Longest response header field that is accepted, name and value together, 0 or at least \
         8192; a response with a longer one becomes a 500. If it is 0, the value of a field has 1 \
         MiB at most.",
        |group, text, reading| {
            put(&mut group.header_buffer_size, reading.bytes(text, 8192, i64::from(i32::MAX)))
        },
    ),
    Choice::new(
        "response-buffer-size",
        "bytes",
        "8388608",
        "How far a response is read ahead of a slow client, so that the thread is free; 0 or at \
         least 65536.",
        |group, text, reading| {
            put(&mut group.response_buffer_size, reading.bytes(text, 65536, i64::MAX))
        },
    ),
    Choice::new(
        "response-socket-timeout",
        "seconds",
        "Apache's Timeout",
        "Time that a write to the client may stall before its connection is given up; not for \
         HTTP/2.",
        |group, text, reading| put(&mut group.response_socket_timeout, reading.seconds(text)),
    ),
    Choice::new(
        "response-flush-delay",
        "milliseconds",
        "0",
        "Wait for more output before what is there is sent to the client; 0 sends at once.",
        |group, text, reading| {
            let delay = reading.number(text, 0..=i64::from(u32::MAX)).map(Duration::from_millis);
            put(&mut group.response_flush_delay, delay)
        },
    ),
    Choice::new(
        "script-user",
        "name|#uid",
        "any",
        "Owner that scripts and their directories must have; otherwise requests get 403.",
        |group, text, _| put(&mut group.script_user, account(text).map(|user| Some(user.uid))),
    ),
    Choice::new(
        "script-group",
        "name|#gid",
        "any",
        "Group that scripts and their directories must have; excludes script-user.",
        |group, text, _| put(&mut group.script_group, user_group(text).map(Some)),
    ),
    Choice::new(
        "server-metrics",
        "On|Off",
        "Off",
        "Whether `mod_wsgi.server_metrics()` may be called.",
        |group, text, _| put(&mut group.server_metrics, flag(text)),
    ),
    Choice::new("newrelic-config-file", "file", "none", "Removed in mod_wsgi 6.0.", |_, _, _| {
        Ok(())
    })
    .without_effect(NEW_RELIC),
    Choice::new("newrelic-environment", "name", "none", "Removed in mod_wsgi 6.0.", |_, _, _| {
        Ok(())
    })
    .without_effect(NEW_RELIC),
];

const NEW_RELIC: &str = "mod_wsgi 6.0 removed it; initialise the agent in the script";

fn put<T>(field: &mut T, value: Result<T, Problem>) -> Result<(), Problem> {
    *field = value?;
    Ok(())
}

fn word(text: &str) -> Result<Option<String>, Problem> {
    Ok(Some(text.to_owned()).filter(|word| !word.is_empty()))
}

/// A user other than root.
fn account(text: &str) -> Result<User, Problem> {
    let user = user::user(text).map_err(|error| unreadable(&error))?;
    let user = user
        .ok_or_else(|| Problem::new(problem::UNKNOWN_USER, format!("there is no user '{text}'")))?;
    not_root(user.uid, text)?;
    Ok(user)
}

fn user_group(text: &str) -> Result<u32, Problem> {
    let gid = user::group(text).map_err(|error| unreadable(&error))?;
    gid.ok_or_else(|| Problem::new(problem::UNKNOWN_GROUP, format!("there is no group '{text}'")))
}

fn not_root(id: u32, text: &str) -> Result<u32, Problem> {
    match id {
        0 => Err(Problem::new(
            problem::ROOT,
            format!("'{text}': WSGI process blocked from running as root; name another account"),
        )),
        id => Ok(id),
    }
}

fn unreadable(error: &std::io::Error) -> Problem {
    Problem::new(problem::USER_DATABASE, format!("the user database cannot be read: {error}"))
}
