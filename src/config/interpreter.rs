//! Settings of Python interpreters, for the server and for some of its groups.

use std::path::PathBuf;

/// Which interpreters a `<WSGIInterpreterOptions>` section is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `process-group=`, `%{GLOBAL}` as "".
    pub process_group: Option<String>,
    /// `application-group=`, `%{GLOBAL}` as "".
    pub application_group: Option<String>,
}

impl Selector {
    fn selects(&self, process_group: &str, application_group: Option<&str>) -> bool {
        let is = |wanted: &Option<String>, given: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == given)
        };
        is(&self.process_group, Some(process_group))
            && is(&self.application_group, application_group)
    }

    /// Whether it selects any interpreter of a process group.
    pub(super) fn may_select(&self, process_group: &str) -> bool {
        self.process_group.as_deref().is_none_or(|wanted| wanted == process_group)
    }

    /// How many conditions it makes: more win over fewer.
    fn specificity(&self) -> u8 {
        u8::from(self.process_group.is_some()) + u8::from(self.application_group.is_some())
    }
}

/// A `<WSGIInterpreterOptions>` section, or what stands outside of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterpreterOptions {
    /// For whom.
    pub selector: Selector,
    /// WSGIPythonPath
    pub python_path: Vec<PathBuf>,
    /// WSGISwitchInterval, in seconds.
    pub switch_interval: Option<f64>,
    /// WSGIFreeThreading
    pub free_threading: Option<bool>,
    /// WSGIRestrictStdin
    pub restrict_stdin: Option<bool>,
    /// WSGIRestrictStdout
    pub restrict_stdout: Option<bool>,
    /// WSGIRestrictSignal
    pub restrict_signal: Option<bool>,
}

/// What holds for one interpreter.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpreterSettings {
    /// Directories for `site.addsitedir`, those of the most specific section first.
    pub python_path: Vec<PathBuf>,
    /// Argument of `sys.setswitchinterval`, in seconds; none for Python's default.
    pub switch_interval: Option<f64>,
    /// Whether threads may run Python at the same time; none to leave it to the
    /// interpreter.
    pub free_threading: Option<bool>,
    /// Whether `sys.stdin` is blocked.
    pub restrict_stdin: bool,
    /// Whether `sys.stdout` is blocked.
    pub restrict_stdout: bool,
    /// Whether `signal.signal` is blocked.
    pub restrict_signal: bool,
}

impl InterpreterSettings {
    /// Merges the sections that select an interpreter: the most specific wins for
    /// each setting, the later of equals; paths add up. Paths outside of all
    /// sections are for the empty process group alone, as mod_wsgi's daemons
    /// have `python-path=` instead. Without an application group, sections that
    /// select one are left out.
    #[must_use]
    pub fn select(
        sections: &[InterpreterOptions],
        process_group: &str,
        application_group: Option<&str>,
    ) -> Self {
        let mut chosen: Vec<_> = sections
            .iter()
            .filter(|section| section.selector.selects(process_group, application_group))
            .collect();
        chosen.sort_by_key(|section| section.selector.specificity());
        chosen.reverse();

        fn first<T>(
            chosen: &[&InterpreterOptions],
            setting: fn(&InterpreterOptions) -> Option<T>,
        ) -> Option<T> {
            chosen.iter().find_map(|section| setting(section))
        }
        Self {
            python_path: chosen
                .iter()
                .filter(|section| section.selector.specificity() > 0 || process_group.is_empty())
                .flat_map(|section| section.python_path.iter().cloned())
                .collect(),
            switch_interval: first(&chosen, |section| section.switch_interval),
            free_threading: first(&chosen, |section| section.free_threading),
            restrict_stdin: first(&chosen, |section| section.restrict_stdin).unwrap_or(false),
            restrict_stdout: first(&chosen, |section| section.restrict_stdout).unwrap_or(false),
            restrict_signal: first(&chosen, |section| section.restrict_signal).unwrap_or(true),
        }
    }
}

/// Settings that are the same for all interpreters of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PythonSettings {
    /// WSGIPythonHome: of groups without `python-home=`.
    pub home: Option<PathBuf>,
    /// WSGIPythonEggs: of the empty process group.
    pub eggs: Option<PathBuf>,
    /// WSGIPythonOptimize: how many `-O`.
    pub optimize: u8,
    /// WSGIDontWriteBytecode
    pub dont_write_bytecode: bool,
    /// WSGIPythonWarnings
    pub warnings: Vec<String>,
    /// WSGIPythonHashSeed; none for a random one.
    pub hash_seed: Option<u32>,
}

impl PythonSettings {
    /// The interpreter's command line flags.
    #[must_use]
    pub fn flags(&self, free_threading: Option<bool>) -> Vec<String> {
        let mut flags: Vec<String> = vec!["-O".to_owned(); usize::from(self.optimize.min(2))];
        if self.dont_write_bytecode {
            flags.push("-B".to_owned());
        }
        flags.extend(self.warnings.iter().map(|warning| format!("-W{warning}")));
        // `-Xgil=0` is fatal for an interpreter that has a GIL, so On is left to
        // the interpreter: one that can do without a GIL does so.
        if free_threading == Some(false) {
            flags.push("-Xgil=1".to_owned());
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(process_group: Option<&str>, application_group: Option<&str>) -> InterpreterOptions {
        InterpreterOptions {
            selector: Selector {
                process_group: process_group.map(str::to_owned),
                application_group: application_group.map(str::to_owned),
            },
            ..InterpreterOptions::default()
        }
    }

    #[test]
    fn the_most_specific_section_wins() {
        let mut all = section(None, None);
        all.restrict_stdout = Some(true);
        all.python_path = vec!["/all".into()];
        all.switch_interval = Some(0.5);
        let mut group = section(Some("g"), None);
        group.restrict_stdout = Some(false);
        group.python_path = vec!["/group".into()];
        let mut later = section(Some("g"), None);
        later.restrict_stdin = Some(true);
        let mut both = section(Some("g"), Some(""));
        both.restrict_stdin = Some(false);
        both.python_path = vec!["/both".into()];
        let sections = [all, both, group, later];

        let settings = InterpreterSettings::select(&sections, "g", Some(""));
        assert!(!settings.restrict_stdout && !settings.restrict_stdin && settings.restrict_signal);
        assert_eq!(settings.python_path, [PathBuf::from("/both"), "/group".into()]);
        assert_eq!(settings.switch_interval, Some(0.5));

        let settings = InterpreterSettings::select(&sections, "g", Some("other"));
        assert!(settings.restrict_stdin);

        let settings = InterpreterSettings::select(&sections, "", Some(""));
        assert!(settings.restrict_stdout);
        assert_eq!(settings.python_path, [PathBuf::from("/all")]);
        assert_eq!(settings.switch_interval, Some(0.5));
    }

    #[test]
    fn the_later_of_equal_sections_wins() {
        let mut one = section(Some("g"), None);
        one.restrict_signal = Some(true);
        let mut two = one.clone();
        two.restrict_signal = Some(false);
        assert!(!InterpreterSettings::select(&[one, two], "g", Some("")).restrict_signal);
    }

    #[test]
    fn settings_become_flags() {
        let settings = PythonSettings {
            optimize: 2,
            dont_write_bytecode: true,
            warnings: vec!["error".to_owned(), "ignore::UserWarning".to_owned()],
            ..PythonSettings::default()
        };
        assert_eq!(
            settings.flags(Some(false)),
            ["-O", "-O", "-B", "-Werror", "-Wignore::UserWarning", "-Xgil=1"]
        );
        assert!(PythonSettings::default().flags(Some(true)).is_empty());
    }
}
