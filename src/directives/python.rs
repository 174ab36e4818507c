//! Python's own settings.

use super::{Arguments, Context, Directive, docs, mapping, name};
use crate::config::Selector;
use crate::config::choice::{flag, positive};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIPythonHome",
        Context::Global,
        Arguments::words(1, 1, "directory"),
        "the interpreter chosen at installation",
        "Virtual environment or prefix of the interpreter for groups without `python-home=`.",
        |scope, line| {
            scope.globals.python.home = Some(scope.place.path(name(line.word(0))?));
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPythonPath",
        Context::Global,
        Arguments::words(1, 1, "directory:…"),
        "none",
        "Directories in front of `sys.path` of the implicit process group, or of what the section \
         around it selects; other groups have `python-path=`.",
        |scope, line| {
            let paths = scope.reading().paths(line.word(0));
            scope.globals.interpreter_options().python_path = paths;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPythonEggs",
        Context::Global,
        Arguments::words(1, 1, "directory"),
        "none",
        "`PYTHON_EGG_CACHE` of the implicit process group.",
        |scope, line| {
            scope.globals.python.eggs = Some(scope.place.path(name(line.word(0))?));
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPythonOptimize",
        Context::Global,
        Arguments::words(1, 1, "0|1|2"),
        "0",
        "How many `-O` the interpreters get.",
        |scope, line| {
            scope.globals.python.optimize = scope.reading().number(line.word(0), 0..=9)?;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIDontWriteBytecode",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On keeps the interpreters from writing `.pyc` files.",
        |scope, line| {
            scope.globals.python.dont_write_bytecode = flag(line.word(0))?;
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPythonWarnings",
        Context::Global,
        Arguments::words(1, 1, "filter"),
        "none",
        "A filter as for Python's `-W`; may be given several times.",
        |scope, line| {
            scope.globals.python.warnings.push(name(line.word(0))?.to_owned());
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPythonHashSeed",
        Context::Global,
        Arguments::words(1, 1, "random|number"),
        "random",
        "Seed of string hashes. `random` is truly so; in mod_wsgi it was the constant 0.",
        |scope, line| {
            scope.globals.python.hash_seed = match line.word(0) {
                text if text.eq_ignore_ascii_case("random") => None,
                text => Some(scope.reading().number(text, 0..=i64::from(u32::MAX))?),
            };
            Ok(())
        },
    ),
    Directive::new(
        c"WSGISwitchInterval",
        Context::Global,
        Arguments::words(1, 1, "seconds"),
        "Python's",
        "Time after which a thread is asked to release the GIL, in process groups that do not say \
         otherwise, or in those that the section around it selects.",
        |scope, line| {
            let interval = positive(line.word(0))?;
            scope.globals.interpreter_options().switch_interval = Some(interval);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIDestroyInterpreter",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "Off is read and ignored: a process that ends always runs its `atexit` functions, for \
         shutdown-timeout at most.",
        |scope, line| {
            if !flag(line.word(0))? {
                scope.note(
                    "has no effect: atexit functions are always run, for shutdown-timeout at most",
                );
            }
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIPerInterpreterGIL",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "Whether sub-interpreters of mod_wsgi had a GIL of their own.",
        |_, line| flag(line.word(0)).map(drop),
    )
    .without_effect("each application group has processes, and so GILs, of its own"),
    Directive::new(
        c"WSGIFreeThreading",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "as the interpreter was built",
        "Off gives a free-threaded interpreter its GIL back.",
        |scope, line| {
            scope.globals.interpreter_options().free_threading = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIRestrictStdin",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On makes each use of `sys.stdin` an error.",
        |scope, line| {
            scope.globals.interpreter_options().restrict_stdin = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIRestrictStdout",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "On makes each use of `sys.stdout` an error.",
        |scope, line| {
            scope.globals.interpreter_options().restrict_stdout = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIRestrictSignal",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "On makes `signal.signal` do nothing but leave a line in the log.",
        |scope, line| {
            scope.globals.interpreter_options().restrict_signal = Some(flag(line.word(0))?);
            Ok(())
        },
    ),
    Directive::new(
        c"WSGIVerboseDebugging",
        Context::Global,
        Arguments::words(1, 1, "On|Off"),
        "Off",
        "More messages, in old versions of mod_wsgi.",
        |_, line| flag(line.word(0)).map(drop),
    )
    .without_effect("use 'LogLevel wsgi:debug'"),
    Directive::new(
        c"<WSGIInterpreterOptions",
        Context::Global,
        Arguments {
            min: 0,
            max: 0,
            usage: "[process-group=name] [application-group=name]>",
            options: true,
            container: true,
        },
        "none",
        "Section in which WSGIPythonPath, WSGISwitchInterval, WSGIFreeThreading and \
         WSGIRestrictStdin, -Stdout and -Signal are for the selected groups. The section with more \
         selectors wins, the later one of equals; WSGIPythonPath adds up. WSGIFreeThreading is for \
         process groups alone.",
        |scope, line| {
            let mut selector = Selector::default();
            scope.options(mapping::SELECTOR, &mut selector, line)?;
            scope.globals.enter_interpreter_options(selector)
        },
    )
    .with_options(|| docs(mapping::SELECTOR)),
];
