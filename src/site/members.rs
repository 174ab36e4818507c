//! What the process groups of the configuration are for the supervisor, and for requests.
//!
//! *Runs in:* httpd's parent, once a pass.

use std::time::Duration;

use wsgi_sys::table::MAX_TICKETS;

use super::{Limits, error_log, servers};
use crate::apache::log::{Level, Loggable};
use crate::apache::mpm::{self, Mpm};
use crate::apache::server::Server;
use crate::config::{self, DaemonGroup, Globals, ServerDefaults, ServerId};
use crate::parent::Member;

/// The process groups of WSGIDaemonProcess as the supervisor runs them.
pub(super) fn members(
    globals: &Globals,
    server: Server<'static>,
) -> Result<Vec<(Member, Limits)>, Vec<String>> {
    let mut members = Vec::new();
    let mut errors = Vec::new();
    for group in globals.groups() {
        match member(globals, group, server) {
            Ok(member) => members.push(member),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(members) } else { Err(errors) }
}

/// The group of the empty name.
pub(super) fn implicit_member(
    globals: &Globals,
    server: Server<'static>,
    mpm: &Mpm,
) -> Option<(Member, Limits)> {
    // Nobody may use it: then an error is no reason not to start.
    member(globals, &implicit_group(mpm), server)
        .map_err(|error| server.log(Level::Info, error))
        .ok()
}

pub(super) fn implicit_group(mpm: &Mpm) -> DaemonGroup {
    let workers = mpm.max_children.saturating_mul(if mpm.threaded { mpm.threads } else { 1 });
    let shape = config::Mpm { name: &mpm.name, threaded: mpm.threaded, max_workers: workers };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DaemonGroup::implicit(&shape, u32::try_from(cores).unwrap_or(1))
}

pub(super) fn member(
    globals: &Globals,
    group: &DaemonGroup,
    base: Server<'static>,
) -> Result<(Member, Limits), String> {
    let owner = group.owner.as_ref().map(|owner| owner.id);
    let host = servers(base).find(|server| Some(ServerId(server.id())) == owner).unwrap_or(base);
    let (uid, gid) = mpm::child_identity();
    let timeout = Duration::from_micros(host.timeout());
    let defaults = ServerDefaults {
        uid,
        gid,
        is_root: mpm::is_root(),
        default_python: env!("MOD_WSGI_PYTHON").into(),
        timeout,
        // The implicit group is left out if it can't run.
        must_run: mpm::is_first_pass() || group.name.is_empty(),
        log_level: u8::try_from(Loggable::level(&host).clamp(0, 7)).unwrap_or(4),
    };
    let resolved = globals.resolve(group, &defaults)?;
    let limits = Limits {
        queue: Some(group.queue_timeout).filter(|timeout| !timeout.is_zero()),
        queue_depth: if group.queue_depth == 0 { MAX_TICKETS } else { group.queue_depth },
        connect: group.connect_timeout,
        socket: group.socket_timeout.unwrap_or(timeout),
        response_buffer: usize::try_from(group.response_buffer_size).unwrap_or(usize::MAX),
        header: match group.header_buffer_size {
            0 => usize::MAX,
            bytes => bytes as usize,
        },
        client: Some(group.response_socket_timeout).filter(|timeout| !timeout.is_zero()),
        flush_delay: group.response_flush_delay,
    };
    Ok((Member { group: resolved, log: error_log(host) }, limits))
}
