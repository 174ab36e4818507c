//! WSGIDaemonProcess.

use super::{Arguments, Context, Directive, Scope, docs, name};
use crate::config::options::Line;
use crate::config::problem::{self, Problem};
use crate::config::{DaemonGroup, GROUP_OPTIONS};

pub(super) const DIRECTIVES: &[Directive] = &[Directive::new(
    c"WSGIDaemonProcess",
    Context::Server,
    Arguments::options(1, "name [option=value …]"),
    "none",
    "Defines a process group. A group of a virtual host logs to that host's ErrorLog and may be \
     used from virtual hosts of the same ServerName; one of the main server may be used from \
     everywhere.",
    daemon_process,
)
.with_options(|| docs(GROUP_OPTIONS))];

fn daemon_process(scope: &mut Scope<'_>, line: &Line) -> Result<(), Problem> {
    let mut group = DaemonGroup::new(name(line.word(0))?, scope.place.clone());
    scope.options(GROUP_OPTIONS, &mut group, line)?;
    if group.script_user.is_some() && group.script_group.is_some() {
        return Err(Problem::new(
            problem::EXCLUSIVE,
            "options 'script-user' and 'script-group' exclude each other",
        ));
    }
    scope.globals.add_group(group)
}
