//! From URLs to scripts.

use std::sync::Arc;

use super::{Arguments, Context, Directive, Scope, docs, name};
use crate::config::choice::{Choice, flag};
use crate::config::expand::{Kind, Name};
use crate::config::options::Line;
use crate::config::problem::{self, Problem};
use crate::config::{Alias, HandlerScript, Import, Overrides, Pattern, Script, Selector};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIScriptAlias",
        Context::Server,
        Arguments::options(2, "URL-path file|directory [option=value …]"),
        "none",
        "Runs the script for the URL path and what is below it. Aliases are tried in their order, \
         those of the virtual host first. The directory of the script needs `Require all granted`. \
         With both groups given as fixed names the script is loaded at start.",
        |scope, line| {
            let target = scope.place.path(line.word(1)).to_string_lossy().into_owned();
            alias(scope, line, Pattern::Path(line.word(0).to_owned()), target)
        },
    )
    .with_options(|| docs(OVERRIDES)),
    Directive::new(
        c"WSGIScriptAliasMatch",
        Context::Server,
        Arguments::options(2, "regex file [option=value …]"),
        "none",
        "The same for URL paths in which a regular expression is found; `$0` to `$9` in the file \
         name stand for its captures.",
        |scope, line| {
            let regex = scope.regex.compile(line.word(0)).map_err(|error| {
                let text = format!("regular expression '{}': {error}", line.word(0));
                Problem::new(problem::REGEX, text)
            })?;
            let target = match line.word(1) {
                target if target.starts_with('$') => target.to_owned(),
                target => scope.place.path(target).to_string_lossy().into_owned(),
            };
            alias(scope, line, Pattern::Regex(regex.into()), target)
        },
    )
    .with_options(|| docs(OVERRIDES)),
    Directive::new(
        c"WSGIHandlerScript",
        Context::Directory,
        Arguments::options(2, "handler file [option=value …]"),
        "none",
        "Defines a handler for AddHandler and SetHandler: `handle_request(environ, \
         start_response)` of the script serves the files that it is set for.",
        |scope, line| {
            let handler = name(line.word(0))?.to_owned();
            let path = scope.place.path(line.word(1));
            let mut overrides = Overrides::default();
            scope.options(handler_options(), &mut overrides, line)?;
            let scripts = scope.directory.handler_scripts.get_or_insert_default();
            Arc::make_mut(scripts).insert(handler, Arc::new(HandlerScript { path, overrides }));
            Ok(())
        },
    )
    .with_options(|| docs(handler_options())),
    Directive::new(
        c"WSGIDispatchScript",
        Context::Directory,
        Arguments::options(1, "file [application-group=name]"),
        "none",
        "Asks functions of the script, for each request, for the process group, the application \
         group and the callable object.",
        |scope, line| {
            scope.directory.dispatch_script = Some(script(scope, line)?);
            Ok(())
        },
    )
    .with_options(|| docs(SCRIPT)),
    Directive::new(
        c"WSGICallableObject",
        Context::FileInfo,
        Arguments::words(1, 1, "name|%{ENV:variable}"),
        "application",
        "Name of the application in the script.",
        |scope, line| {
            let object = Name::parse(name(line.word(0))?, Kind::CallableObject);
            scope.directory.callable_object = Some(object);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGICaseSensitivity",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "Off for file systems that ignore case: one script has one application group, however a \
         client writes its name.",
        |scope, line| {
            scope.globals.case_insensitive = !flag(line.word(0))?;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIImportScript",
        Context::Server,
        Arguments::options(1, "file process-group=name application-group=name"),
        "none",
        "Loads the script whenever a process of the group starts. Both options must be given, and \
         the process group must be defined somewhere in the configuration.",
        import,
    )
    .with_options(|| docs(SELECTOR)),
];

fn alias(
    scope: &mut Scope<'_>,
    line: &Line,
    pattern: Pattern,
    target: String,
) -> Result<(), Problem> {
    if line.word(1).is_empty() {
        return Err(Problem::new(problem::EMPTY, "the file name is empty"));
    }
    let mut overrides = Overrides::default();
    scope.options(OVERRIDES, &mut overrides, line)?;
    let fixed = |name: &Option<Name>| name.as_ref()?.fixed().map(str::to_owned);
    let groups = (fixed(&overrides.process_group), fixed(&overrides.application_group));
    if let (Some(process_group), Some(application_group)) = groups
        && !target.contains('$')
        && !target.ends_with('/')
    {
        scope.globals.imports.push(Import {
            script: target.clone().into(),
            process_group,
            application_group,
            directive: scope.directive,
            place: scope.place.clone(),
        });
    }
    scope.server.aliases.push(Arc::new(Alias {
        pattern,
        target,
        overrides,
        place: scope.place.clone(),
    }));
    Ok(())
}

fn import(scope: &mut Scope<'_>, line: &Line) -> Result<(), Problem> {
    let mut selector = Selector::default();
    scope.options(SELECTOR, &mut selector, line)?;
    let missing = |option: &str| {
        Problem::new(problem::MISSING_OPTION, format!("option '{option}' must be given"))
    };
    scope.globals.imports.push(Import {
        script: scope.place.path(name(line.word(0))?),
        process_group: selector.process_group.ok_or_else(|| missing("process-group"))?,
        application_group: selector
            .application_group
            .ok_or_else(|| missing("application-group"))?,
        directive: scope.directive,
        place: scope.place.clone(),
    });
    Ok(())
}

/// Reads an access, authentication or dispatch script.
pub(super) fn script(scope: &mut Scope<'_>, line: &Line) -> Result<Arc<Script>, Problem> {
    let path = scope.place.path(name(line.word(0))?);
    let mut script = Script { path, application_group: Name::Global };
    scope.options(SCRIPT, &mut script, line)?;
    Ok(Arc::new(script))
}

/// Options of access, authentication and dispatch scripts.
pub(super) static SCRIPT: &[Choice<Script>] = &[Choice::new(
    "application-group",
    "name|%{GLOBAL}|%{SERVER}|%{HOST}",
    "%{GLOBAL}",
    "Application group that the script runs in.",
    |script, text, _| {
        script.application_group = Name::parse(name(text)?, Kind::ProcessGroup);
        Ok(())
    },
)];

/// Options that name groups literally.
pub(super) static SELECTOR: &[Choice<Selector>] = &[
    Choice::new(
        "process-group",
        "name|%{GLOBAL}",
        "none",
        "Name of the process group.",
        |selector, text, _| {
            selector.process_group = Some(literal(text)?);
            Ok(())
        },
    ),
    Choice::new(
        "application-group",
        "name|%{GLOBAL}",
        "none",
        "Name of the application group.",
        |selector, text, _| {
            selector.application_group = Some(literal(text)?);
            Ok(())
        },
    ),
];

/// A name for which `%{GLOBAL}` alone is a variable.
pub(super) fn literal(text: &str) -> Result<String, Problem> {
    Ok(match name(text)? {
        "%{GLOBAL}" => String::new(),
        text => text.to_owned(),
    })
}

/// Options of a handler: those of an alias but for the callable object.
fn handler_options() -> &'static [Choice<Overrides>] {
    OVERRIDES.split_last().map_or(OVERRIDES, |(_, rest)| rest)
}

static OVERRIDES: &[Choice<Overrides>] = &[
    Choice::new(
        "process-group",
        "name|variable",
        "WSGIProcessGroup",
        "Process group that runs the script; wins over WSGIProcessGroup.",
        |overrides, text, _| {
            overrides.process_group = Some(Name::parse(name(text)?, Kind::ProcessGroup));
            Ok(())
        },
    ),
    Choice::new(
        "application-group",
        "name|variable",
        "WSGIApplicationGroup",
        "Application group that runs the script; wins over WSGIApplicationGroup.",
        |overrides, text, _| {
            overrides.application_group = Some(Name::parse(name(text)?, Kind::ApplicationGroup));
            Ok(())
        },
    ),
    Choice::new(
        "pass-authorization",
        "On|Off",
        "WSGIPassAuthorization",
        "Whether the application sees the Authorization header.",
        |overrides, text, _| {
            overrides.pass_authorization = Some(flag(text)?);
            Ok(())
        },
    ),
    Choice::new(
        "callable-object",
        "name|%{ENV:variable}",
        "WSGICallableObject",
        "Name of the application in the script.",
        |overrides, text, _| {
            overrides.callable_object = Some(Name::parse(name(text)?, Kind::CallableObject));
            Ok(())
        },
    ),
];
