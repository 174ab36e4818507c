//! The commands and options of `wsgi-httpd`.

use crate::arguments::{Choice, Command, Program};

const fn choice(name: &'static str, value: &'static str, summary: &'static str) -> Choice {
    Choice { name, value, summary }
}

const APPLICATION: &[Choice] = &[
    choice("--host", "ADDRESS", "Address to listen on; 127.0.0.1 if not given."),
    choice("--port", "N", "Port for HTTP; if not given, the first free one from 8000."),
    choice("--server-name", "NAME", "Name of the server; localhost if not given."),
    choice("--processes", "N", "Processes of the application; MIN-MAX for as many as needed."),
    choice("--threads", "N", "Threads of a process that serve requests; 15 if not given."),
    choice(
        "--python",
        "PATH",
        "An interpreter, or a virtual environment; if not given, the active one, else the \
         interpreter that the module was built for.",
    ),
    choice("--python-path", "DIR", "Directory for sys.path; may be repeated."),
    choice(
        "--working-directory",
        "DIR",
        "Where the application runs, also put into sys.path; if not given, the directory of its \
         file, or the present one.",
    ),
    choice("--callable", "NAME", "Name of the application in its file; application if not given."),
    choice("--mount", "PATH", "URL path of the application; / if not given."),
    choice(
        "--option",
        "NAME=VALUE",
        "Any option of WSGIDaemonProcess, such as request-timeout=60; may be repeated.",
    ),
    choice("--static", "URL=PATH", "Serves a directory or file by httpd itself; may be repeated."),
    choice("--https-port", "N", "Port for HTTPS; needs --certificate and --key."),
    choice("--certificate", "FILE", "The certificate, with the chain, in PEM."),
    choice("--key", "FILE", "Its private key, in PEM."),
    choice("--https-only", "", "Redirects HTTP to HTTPS; needs --server-name."),
    choice("--http2", "", "Offers HTTP/2."),
    choice("--reload", "", "Replaces processes when a module that they have imported changes."),
    choice("--user", "NAME", "Whom httpd and the application run as if root starts it."),
    choice("--group", "NAME", "The same for the group; the user's own if not given."),
    choice(
        "--log-directory",
        "DIR",
        "Writes error.log and access.log there; if not given, serve writes to the terminal and \
         setup to the directory.",
    ),
    choice("--log-level", "LEVEL", "LogLevel of httpd; notice wsgi:info if not given."),
    choice("--no-access-log", "", "Logs no requests."),
    choice("--max-clients", "N", "Requests that httpd takes at a time (MaxRequestWorkers)."),
    choice("--limit-request-body", "BYTES", "Largest body of a request (LimitRequestBody)."),
    choice("--include", "FILE", "Includes a file at the configuration's end; may be repeated."),
    choice("--mpm", "NAME", "event, worker or prefork; the first one there is if not given."),
    choice("--root", "DIR", "Directory for the configuration; serve makes and removes its own."),
    HTTPD,
    MODULES,
    MODULE,
];

const HTTPD: Choice = choice("--httpd", "FILE", "The httpd program.");
const MODULES: Choice = choice("--modules", "DIR", "Directory of httpd's modules.");
const MODULE: Choice = choice("--module", "FILE", "mod_wsgi.so.");

const OPERANDS: &str = "FILE|MODULE[:NAME]|manage.py";

/// The program's command line.
pub const PROGRAM: Program = Program {
    name: "wsgi-httpd",
    summary: "serves a WSGI application with an httpd of its own.",
    commands: &[
        Command {
            name: "serve",
            operands: OPERANDS,
            arity: (1, 1),
            summary: "Serves the application in the foreground until Ctrl-C.",
            options: APPLICATION,
        },
        Command {
            name: "setup",
            operands: OPERANDS,
            arity: (1, 1),
            summary: "Writes the configuration that serve would use into --root, to be kept.",
            options: APPLICATION,
        },
        Command {
            name: "module",
            operands: "",
            arity: (0, 0),
            summary: "Prints the line that loads the module into any httpd.",
            options: &[HTTPD, MODULES, MODULE],
        },
    ],
    elsewhere: &[
        ("--callable-object", "--callable"),
        ("--url-alias", "--static URL=PATH"),
        ("--mount-point", "--mount"),
        ("--reload-on-changes", "--reload"),
        ("--log-to-terminal", "serve without --log-directory"),
        ("--server-root", "--root"),
        ("--setup-only", "the command setup"),
        ("--ssl-certificate-file", "--certificate"),
        ("--ssl-certificate-key-file", "--key"),
        ("--ssl-certificate", "--certificate and --key"),
        ("--application-type", "FILE, MODULE:NAME or manage.py"),
        ("--entry-point", "FILE, MODULE:NAME or manage.py"),
        ("--include-file", "--include"),
        ("--server-mpm", "--mpm"),
        ("--httpd-executable", "--httpd"),
        ("--modules-directory", "--modules"),
        ("--request-timeout", "--option request-timeout=SECONDS"),
        ("--startup-timeout", "--option startup-timeout=SECONDS"),
        ("--shutdown-timeout", "--option shutdown-timeout=SECONDS"),
        ("--graceful-timeout", "--option graceful-timeout=SECONDS"),
        ("--queue-timeout", "--option queue-timeout=SECONDS"),
        ("--maximum-requests", "--option maximum-requests=N"),
        ("--setenv", "a variable of your environment, which processes inherit"),
    ],
};
