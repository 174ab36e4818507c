//! Asks the interpreters of the process groups who they are, before daemons need them.
//!
//! A file may be executable and no Python, one for another machine, one that is too
//! old, or one whose library is gone: only running it tells. It runs as the group's
//! user, as its daemons will.
//!
//! *Runs in:* parent, before daemons are started.

use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use wsgi_proto::control::{Group, Identity};
use wsgi_sys::process::{self, Drop, Exit, Launch, LaunchError, Process, Step};
use wsgi_sys::socket;

use crate::config::problem::{self, Problem};

/// How long all of them together may take. One that takes longer is left to the
/// supervisor's own limits.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of what one says that are read: an error of Python's comes with a page of paths.
const LENGTH: usize = 16 * 1024;

/// Any Python can run it, the oldest ones too.
const QUESTION: &str = "import sys; sys.stdout.write('mod_wsgi %s %s.%s.%s %s\\n' % (\
                        ('CPython', 'PyPy')[hasattr(sys, 'pypy_version_info')],\
                        sys.version_info[0], sys.version_info[1], sys.version_info[2],\
                        sys.executable))";

/// What an interpreter said about itself, such as `CPython 3.11.2 at /usr/bin/python3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Python {
    implementation: String,
    version: (u32, u32, u32),
    executable: String,
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, micro) = self.version;
        write!(f, "{} {major}.{minor}.{micro} at {}", self.implementation, self.executable)
    }
}

/// The answer of a group's interpreter; None if it did not answer in time, or could
/// not be asked.
pub(crate) type Answer = Option<Result<Python, Problem>>;

/// Asks the interpreter of each group, those that are the same once. The answers are
/// in the order of the groups.
pub(crate) fn ask<'a>(groups: impl Iterator<Item = &'a Group>) -> Vec<Answer> {
    let mut inquiries: Vec<Inquiry<'a>> = Vec::new();
    let indices: Vec<usize> = groups
        .map(|group| match inquiries.iter().position(|other| other.is_about(group)) {
            Some(index) => index,
            None => {
                inquiries.push(Inquiry::begin(group));
                inquiries.len() - 1
            }
        })
        .collect();
    let deadline = Instant::now() + PATIENCE;
    let answers: Vec<Answer> =
        inquiries.into_iter().map(|inquiry| inquiry.answer(deadline)).collect();
    indices.into_iter().map(|index| answers.get(index).cloned().flatten()).collect()
}

/// An interpreter that runs.
struct Inquiry<'a> {
    group: &'a Group,
    running: Result<(Process, PipeReader), LaunchError>,
}

impl<'a> Inquiry<'a> {
    fn begin(group: &'a Group) -> Self {
        Self { group, running: start(group) }
    }

    fn is_about(&self, group: &Group) -> bool {
        let user = |identity: &Option<Identity>| {
            identity.as_ref().map(|who| (who.uid, who.gid, who.groups.clone()))
        };
        self.group.python == group.python
            && self.group.chroot == group.chroot
            && user(&self.group.identity) == user(&group.identity)
    }

    fn answer(self, deadline: Instant) -> Answer {
        let python = &self.group.python;
        match self.running {
            Ok((process, output)) => {
                let said = collect(&output, deadline);
                let exit = end(&process, deadline, said.is_some());
                Some(judge(python, &String::from_utf8_lossy(&said?), exit?))
            }
            Err(LaunchError { step: Step::Exec, error }) => {
                Some(Err(not_executable(python, &error)))
            }
            // Nothing that the interpreter is to blame for: its daemons will meet it again.
            Err(_) => None,
        }
    }
}

fn start(group: &Group) -> Result<(Process, PipeReader), LaunchError> {
    let failed = |error| LaunchError { step: Step::Fork, error };
    let (output, theirs) = io::pipe().map_err(failed)?;
    let null = File::open("/dev/null").map_err(failed)?;
    let launch = Launch {
        program: group.python.clone(),
        // No site module: an environment's own code has no part in this.
        arguments: vec!["-S".into(), "-c".into(), QUESTION.into()],
        environment: std::env::vars_os().collect(),
        chroot: group.chroot.clone(),
        identity: group.identity.as_ref().map(|identity| Drop {
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups.clone(),
        }),
        directory: Some("/".into()),
        ..Launch::default()
    };
    let process = process::launch(&launch, &[null.as_fd(), theirs.as_fd(), theirs.as_fd()])?;
    Ok((process, output))
}

/// What comes until the end; None if that does not come in time.
fn collect(mut output: &PipeReader, deadline: Instant) -> Option<Vec<u8>> {
    let mut said = vec![0; LENGTH];
    let mut length = 0;
    while length < LENGTH {
        let left = deadline.saturating_duration_since(Instant::now());
        if socket::wait_readable(&[output.as_fd()], Some(left)).ok()? != [true] {
            return None;
        }
        match output.read(said.get_mut(length..)?) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    said.truncate(length);
    Some(said)
}

/// How the process ends; it is killed if it does not.
fn end(process: &Process, deadline: Instant, ends: bool) -> Option<Exit> {
    let left = deadline.saturating_duration_since(Instant::now());
    let ended = ends
        && socket::wait_readable(&[process.pidfd.as_fd()], Some(left))
            .is_ok_and(|readable| readable == [true]);
    if !ended {
        let _ = process::signal(process.pidfd.as_fd(), libc::SIGKILL);
        let _ = socket::wait_readable(&[process.pidfd.as_fd()], Some(PATIENCE));
    }
    process::reap(process.pid).ok().flatten().filter(|_| ended)
}

fn judge(python: &Path, said: &str, exit: Exit) -> Result<Python, Problem> {
    let Some(answer) = said.lines().find_map(parse) else {
        let words = telling_line(said)
            .map_or_else(|| "it said nothing".to_owned(), |line| format!("it said: {line}"));
        return Err(Problem::new(
            problem::NOT_PYTHON,
            format!(
                "{} does not run as a Python interpreter: {exit}, {words}; name a Python by \
                 python=, python-home= or WSGIPythonHome, or make the virtual environment anew",
                python.display()
            ),
        ));
    };
    match answer.version {
        (2, 7, _) | (3, 6.., _) | (4.., ..) => Ok(answer),
        _ => Err(Problem::new(
            problem::TOO_OLD,
            format!(
                "{} is {answer}, but applications can be served by 2.7 and from 3.6 on; name \
                 another interpreter by python=, python-home= or WSGIPythonHome",
                python.display()
            ),
        )),
    }
}

fn parse(line: &str) -> Option<Python> {
    let mut words = line.strip_prefix("mod_wsgi ")?.splitn(3, ' ');
    let implementation = words.next()?.to_owned();
    let mut numbers = words.next()?.split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some(Python { implementation, version, executable: words.next()?.to_owned() })
}

/// The line that says most: Python surrounds its error with paths.
fn telling_line(said: &str) -> Option<&str> {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next();
    lines.find(|line| line.to_ascii_lowercase().contains("error")).or(first)
}

fn not_executable(python: &Path, error: &io::Error) -> Problem {
    let advice = match error.raw_os_error() {
        Some(libc::ENOEXEC) => {
            "it is no program, or one for another kind of machine; name one for this machine"
        }
        Some(libc::ENOENT) if matches!(python.try_exists(), Ok(false)) => {
            "create the virtual environment, or name another interpreter"
        }
        Some(libc::ENOENT) => {
            "the program that should run it, its #! line or its dynamic linker, is not there; \
             install it, or name another interpreter"
        }
        Some(libc::EACCES) => {
            "a directory on the way is closed, its file system is mounted with noexec, or the #! \
             line of a script names what the user may not run; permit it, or name another"
        }
        _ => "name another interpreter",
    };
    Problem::new(
        problem::NOT_PYTHON,
        format!(
            "the interpreter {} can't be executed: {error}; {advice} by python=, python-home= or \
             WSGIPythonHome",
            python.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_version() {
        let python = Path::new("/opt/python");
        let judge = |line: &str| judge(python, line, Exit::Status(0));
        let old = "noise\nmod_wsgi CPython 3.5.2 /opt/my python\n";
        let problem = judge(old).unwrap_err();
        assert_eq!(problem.code, problem::TOO_OLD);
        assert!(problem.text.contains("CPython 3.5.2 at /opt/my python"), "{}", problem.text);
        for version in ["2.6.9", "1.5.2", "3.0.1"] {
            assert!(judge(&format!("mod_wsgi CPython {version} /x\n")).is_err());
        }
        for version in ["2.7.18", "3.6.0", "3.20.1", "4.0.0"] {
            let shown = judge(&format!("mod_wsgi PyPy {version} /x\n")).unwrap().to_string();
            assert_eq!(shown, format!("PyPy {version} at /x"));
        }
    }

    #[test]
    fn what_is_no_answer_is_quoted() {
        let fatal = "Python path configuration:\n  PYTHONHOME = ''\nFatal Python error: no codec\n";
        let problem = judge(Path::new("/x"), fatal, Exit::Status(1)).unwrap_err();
        assert_eq!(problem.code, problem::NOT_PYTHON);
        assert!(
            problem.text.contains("it said: Fatal Python error: no codec;"),
            "{}",
            problem.text
        );
        for nonsense in ["", "mod_wsgi", "mod_wsgi CPython x.y.z /x", "mod_wsgi CPython 3.11 /x"] {
            assert!(judge(Path::new("/x"), nonsense, Exit::Status(0)).is_err(), "{nonsense}");
        }
    }
}
