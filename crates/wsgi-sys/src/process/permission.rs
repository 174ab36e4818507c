//! What the kernel lets somebody else execute.
//!
//! *Runs in:* parent, while it reads the configuration.

use std::path::Path;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Drop, Launch, LaunchError, start};

/// Whether somebody may execute a program, by the kernel's word: a process becomes who that is
/// and asks. So access control lists, mount options and security modules count. `false` as well
/// if the caller may not change users.
#[must_use]
pub fn may_execute(program: &Path, who: &Drop) -> bool {
    let launch = Launch {
        program: program.to_owned(),
        identity: Some(who.clone()),
        directory: Some("/".into()),
        ..Launch::default()
    };
    let allowed = |pid: i32| -> Result<bool, LaunchError> {
        Ok(matches!(waitpid(Pid::from_raw(pid), None), Ok(WaitStatus::Exited(_, 0))))
    };
    start(&launch, &[], true).and_then(|process| allowed(process.pid)).unwrap_or(false)
}
