//! The commands and options of `wsgictl`.

use crate::arguments::{Choice, Command, Program};

const fn choice(name: &'static str, value: &'static str, summary: &'static str) -> Choice {
    Choice { name, value, summary }
}

const SOCKET: Choice = choice(
    "--socket",
    "PATH",
    "The supervisor's socket, wsgictl.sock in httpd's DefaultRuntimeDir; needed only if several \
     httpds run. WSGICTL_SOCKET in the environment does the same.",
);
const JSON: Choice = choice("--json", "", "Prints JSON.");
const ALL: Choice = choice("--all", "", "All process groups.");
const NO_WAIT: Choice = choice("--no-wait", "", "Returns when the order was taken.");
const TIMEOUT: Choice =
    choice("--timeout", "SECONDS", "How long to wait for the end; 120 if not given.");

const ORDER: &[Choice] = &[ALL, NO_WAIT, TIMEOUT, JSON, SOCKET];
const GROUP: &str = "GROUP|--all";

/// The program's command line.
pub const PROGRAM: Program = Program {
    name: "wsgictl",
    summary: "shows and steers the WSGI daemon processes of a running httpd.",
    commands: &[
        Command {
            name: "status",
            operands: "",
            arity: (0, 0),
            summary: "Shows groups, processes and the requests that they run.",
            options: &[JSON, SOCKET],
        },
        Command {
            name: "top",
            operands: "",
            arity: (0, 0),
            summary: "Shows the same again and again, with rates, until Ctrl-C.",
            options: &[
                choice("--interval", "SECONDS", "Between two looks; 2 if not given."),
                choice("--count", "N", "Ends after so many looks."),
                SOCKET,
            ],
        },
        Command {
            name: "stacks",
            operands: GROUP,
            arity: (0, 1),
            summary: "Has all threads of a group write their Python stacks into the error log, \
                      and shows them.",
            options: &[ALL, SOCKET],
        },
        Command {
            name: "explain",
            operands: "URL …",
            arity: (1, usize::MAX),
            summary: "Tells who would serve a URL, by the configuration files as they are now: \
                      virtual host, script, groups, interpreter, user, and the directives that \
                      decide it. Needs httpd 2.4.49.",
            options: &[
                choice(
                    "--address",
                    "IP",
                    "Where the request comes in; if not given, the URL's own address, else the \
                     one that httpd listens on, 127.0.0.1 if it listens on all.",
                ),
                JSON,
                SOCKET,
            ],
        },
        Command {
            name: "reload",
            operands: GROUP,
            arity: (0, 1),
            summary: "Replaces the processes of a group, each successor first.",
            options: ORDER,
        },
        Command {
            name: "scale",
            operands: "GROUP N|configured",
            arity: (2, 2),
            summary: "Gives a group another number of processes, until httpd stops or the group \
                      is configured otherwise.",
            options: &[NO_WAIT, TIMEOUT, JSON, SOCKET],
        },
        Command {
            name: "drain",
            operands: GROUP,
            arity: (0, 1),
            summary: "Lets requests end and then the processes; answers others with 503, until \
                      resume.",
            options: ORDER,
        },
        Command {
            name: "resume",
            operands: GROUP,
            arity: (0, 1),
            summary: "Takes a drained group into service again.",
            options: ORDER,
        },
    ],
    elsewhere: &[],
};
