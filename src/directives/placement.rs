//! Which processes run an application.

use std::sync::Arc;

use super::{Arguments, Context, Directive, mapping, name};
use crate::config::choice::flag;
use crate::config::expand::{Kind, Name};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIProcessGroup",
        Context::Directory,
        Arguments::words(1, 1, "name|%{GLOBAL}|%{SERVER}|%{HOST}|%{ENV:variable}"),
        "%{GLOBAL}",
        "Process group that runs applications. `%{GLOBAL}` is the implicit group, whose processes \
         run as Apache's User and are shaped like the MPM. A name that is not defined, or is \
         defined in a virtual host of another ServerName, is answered with 500.",
        |scope, line| {
            let group = Name::parse(name(line.word(0))?, Kind::ProcessGroup);
            scope.directory.process_group = Some(group);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIApplicationGroup",
        Context::Directory,
        Arguments::words(1, 1, "name|%{GLOBAL}|%{RESOURCE}|%{SERVER}|%{HOST}|%{ENV:variable}"),
        "%{RESOURCE}",
        "Application group that runs applications. Each one has processes of its own in the \
         process group, and always Python's main interpreter.",
        |scope, line| {
            let group = Name::parse(name(line.word(0))?, Kind::ApplicationGroup);
            scope.directory.application_group = Some(group);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIRestrictProcess",
        Context::Directory,
        Arguments::words(1, usize::MAX, "name|%{GLOBAL} …"),
        "any",
        "Process groups that may be used. Any other is answered with 500.",
        |scope, line| {
            let names = line.words.iter().map(|text| mapping::literal(text));
            scope.directory.restrict_process = Some(Arc::new(names.collect::<Result<_, _>>()?));
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIRestrictEmbedded",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On answers requests for the implicit process group with 500 and never starts it.",
        |scope, line| {
            scope.globals.restrict_embedded = flag(line.word(0))?;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPassApacheRequest",
        Context::Directory,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "Read and ignored: applications do not run inside of httpd, so there is no \
         `apache.request_rec` to pass.",
        |scope, line| {
            if flag(line.word(0))? {
                scope.note("has no effect: applications do not run inside of httpd");
            }
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIScriptReloading",
        Context::FileInfo,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "Whether a changed script is noticed: its processes are replaced, successors first.",
        |scope, line| {
            scope.directory.script_reloading = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
];
