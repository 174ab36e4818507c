//! What is told of requests.

use std::path::PathBuf;
use std::time::Duration;

use super::{Arguments, Context, Directive, Scope, docs};
use crate::config::LogNotes;
use crate::config::Telemetry;
use crate::config::choice::{Choice, flag, fraction, one_of};
use crate::config::options::Line;
use crate::config::problem::{self, Problem};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIServerMetrics",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "Whether `mod_wsgi.server_metrics()` may be called in the implicit process group.",
        |scope, line| {
            scope.globals.server_metrics = flag(line.word(0))?;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGITelemetryService",
        Context::Global,
        Arguments::options(1, "unix:path [interval=seconds]"),
        "none",
        "Sends figures to a socket, as datagrams for mod_wsgi's collector.",
        telemetry,
    )
    .with_options(|| docs(INTERVAL)),
    Directive::new(
        c"WSGISlowRequests",
        Context::Directory,
        Arguments::words(1, 1, "seconds"),
        "0",
        "Logs requests that run longer while they do, with the Python stack of their thread; 0 \
         logs none.",
        |scope, line| {
            let limit = Duration::try_from_secs_f64(fraction(line.word(0))?);
            let limit = limit.unwrap_or(Duration::MAX);
            scope.directory.slow_requests = Some(limit);
            if !limit.is_zero() {
                let least = scope.globals.slow_requests.map_or(limit, |least| least.min(limit));
                scope.globals.slow_requests = Some(least);
            }
            Ok(())
        },
    ),
    Directive::new(
        c"WSGILogNotes",
        Context::Directory,
        Arguments::words(1, 1, "On|Off|CPU"),
        "Off",
        "On gives the access log notes about each request, such as `%{wsgi-queue}n`; CPU also \
         measures its CPU time.",
        |scope, line| {
            let choices = [("Off", LogNotes::Off), ("On", LogNotes::On), ("CPU", LogNotes::Cpu)];
            scope.directory.log_notes = Some(one_of(line.word(0), &choices)?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGITelemetryOptions",
        Context::Global,
        Arguments::words(1, usize::MAX, "[+|-]CaptureUserAgent|None|All …"),
        "None",
        "What is told beside the figures.",
        |scope, line| {
            for word in &line.words {
                scope.globals.capture_user_agent = captures(word)?;
            }
            Ok(())
        },
    )
    .without_effect("the User-Agent of slow requests is not kept"),
];

/// Least time between two datagrams, in seconds.
const LEAST_INTERVAL: f64 = 0.5;

static INTERVAL: &[Choice<Telemetry>] = &[Choice::new(
    "interval",
    "seconds",
    "1.0",
    "Time between two reports, at least 0.5.",
    |telemetry, text, _| {
        telemetry.interval = fraction(text)?;
        match telemetry.interval >= LEAST_INTERVAL {
            true => Ok(()),
            false => Err(Problem::new(
                problem::OUT_OF_RANGE,
                format!("'{text}' is less than {LEAST_INTERVAL} seconds"),
            )),
        }
    },
)];

fn telemetry(scope: &mut Scope<'_>, line: &Line) -> Result<(), Problem> {
    let target = line.word(0);
    let socket = target.strip_prefix("unix:").map(PathBuf::from).filter(|path| path.is_absolute());
    let socket = socket.ok_or_else(|| {
        Problem::new(
            problem::TELEMETRY,
            format!("'{target}' is not of the form unix:/path; there is no other kind of target"),
        )
    })?;
    let mut telemetry = Telemetry { socket, interval: 1.0 };
    scope.options(INTERVAL, &mut telemetry, line)?;
    scope.globals.telemetry = Some(telemetry);
    Ok(())
}

fn captures(word: &str) -> Result<bool, Problem> {
    let (wanted, name) = match word.strip_prefix('-') {
        Some(name) => (false, name),
        None => (true, word.strip_prefix('+').unwrap_or(word)),
    };
    match name.to_ascii_lowercase().as_str() {
        "captureuseragent" => Ok(wanted),
        "all" if name == word => Ok(true),
        "none" if name == word => Ok(false),
        _ => Err(Problem::new(
            problem::NOT_A_CHOICE,
            format!("'{word}' must be one of: [+|-]CaptureUserAgent | None | All"),
        )),
    }
}
