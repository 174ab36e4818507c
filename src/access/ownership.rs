//! `script-user=` and `script-group=`: whose a script must be that a process group
//! may run.
//!
//! Script and directory must belong to the user (the group), and nobody else may be
//! able to write to either.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::DaemonGroup;

const GROUP_MAY_WRITE: u32 = 0o020;
const WORLD_MAY_WRITE: u32 = 0o002;

/// Why the group must not run the script, if it must not: a line for the log.
pub(crate) fn objection(group: &DaemonGroup, script: &Path) -> Option<String> {
    let (user, owners) = (group.script_user, group.script_group);
    if user.is_none() && owners.is_none() {
        return None;
    }
    let parent = script.parent().unwrap_or(Path::new("/"));
    [("script", script), ("directory", parent)].into_iter().find_map(|(what, path)| {
        let why = match facts(path) {
            Ok(facts) => facts.objection(user, owners)?,
            Err(error) => format!("can't be looked at: {error}"),
        };
        let (name, path) = (&group.name, path.display());
        Some(format!("MWR1310: process group '{name}' must not run it, as {what} {path} {why}"))
    })
}

/// What matters of a file.
#[derive(Clone, Copy, Debug)]
struct Facts {
    user: u32,
    group: u32,
    mode: u32,
}

fn facts(path: &Path) -> io::Result<Facts> {
    fs::metadata(path).map(|metadata| Facts {
        user: metadata.uid(),
        group: metadata.gid(),
        mode: metadata.mode(),
    })
}

impl Facts {
    fn objection(self, user: Option<u32>, group: Option<u32>) -> Option<String> {
        let Self { user: owner, group: owners, mode } = self;
        if user.is_some_and(|user| user != owner) {
            return Some(format!("belongs to uid {owner}, not to script-user"));
        }
        if group.is_some_and(|group| group != owners) {
            return Some(format!("belongs to gid {owners}, not to script-group"));
        }
        if mode & WORLD_MAY_WRITE != 0 {
            return Some("can be written by everybody".to_owned());
        }
        (user.is_some() && mode & GROUP_MAY_WRITE != 0)
            .then(|| format!("can be written by the group with gid {owners}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(facts: (u32, u32, u32), user: Option<u32>, group: Option<u32>) -> bool {
        let (owner, owners, mode) = facts;
        Facts { user: owner, group: owners, mode }.objection(user, group).is_some()
    }

    #[test]
    fn a_script_must_be_the_users_and_closed_to_others() {
        assert!(!objects((7, 8, 0o100_644), Some(7), None));
        assert!(objects((0, 8, 0o100_644), Some(7), None));
        assert!(objects((7, 8, 0o100_664), Some(7), None));
        assert!(objects((7, 8, 0o100_646), Some(7), None));
    }

    #[test]
    fn a_script_must_be_the_groups_and_closed_to_the_world() {
        assert!(!objects((7, 8, 0o100_664), None, Some(8)));
        assert!(objects((7, 9, 0o100_644), None, Some(8)));
        assert!(objects((7, 8, 0o100_666), None, Some(8)));
    }

    #[test]
    fn what_is_not_there_is_not_run() {
        let mut group = DaemonGroup::new("g", crate::config::Place::default());
        let missing = Path::new("/nonexistent/app.wsgi");
        assert_eq!(objection(&group, missing), None);
        group.script_user = Some(7);
        assert!(objection(&group, missing).is_some_and(|line| line.starts_with("MWR1310: ")));
    }
}
