//! Users, groups, and what they may execute.
//!
//! *Runs in:* parent (while it reads the configuration), supervisor. May load
//! NSS modules, so never between fork and exec.

use std::collections::VecDeque;
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, Uid};

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

/// By login name, or `#uid`. None if there is no such user.
pub fn user(name: &str) -> io::Result<Option<User>> {
    match numeric(name) {
        Some(uid) => user_by_id(uid),
        None => entry(unistd::User::from_name(name)),
    }
}

/// By user id. None if there is no such user.
pub fn user_by_id(uid: u32) -> io::Result<Option<User>> {
    entry(unistd::User::from_uid(Uid::from_raw(uid)))
}

fn entry(found: nix::Result<Option<unistd::User>>) -> io::Result<Option<User>> {
    Ok(absent_is_none(found)?.map(|user| User {
        name: user.name,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        home: user.dir,
    }))
}

/// Group id by name, or `#gid` (which need not be in the database).
pub fn group(name: &str) -> io::Result<Option<u32>> {
    if let Some(gid) = numeric(name) {
        return Ok(Some(gid));
    }
    Ok(absent_is_none(Group::from_name(name))?.map(|group| group.gid.as_raw()))
}

/// The groups that `initgroups` would set for the user, `gid` among them.
pub fn groups_of(user: &str, gid: u32) -> io::Result<Vec<u32>> {
    let user = CString::new(user)?;
    let groups = unistd::getgrouplist(&user, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

/// `#1000`, as httpd's User and Group directives take it.
fn numeric(name: &str) -> Option<u32> {
    name.strip_prefix('#')?.parse().ok()
}

/// Some name services say "no such file" or "no such process" for a name that
/// they do not know (getpwnam_r(3)).
fn absent_is_none<T>(found: nix::Result<Option<T>>) -> io::Result<Option<T>> {
    match found {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        found => Ok(found?),
    }
}

/// Why a user may not execute a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Nothing there (this component of the path, after symbolic links).
    Missing(PathBuf),
    /// A directory that the user may not search.
    Directory(PathBuf),
    /// The file itself is not executable for the user, or is no regular file.
    File(PathBuf),
}

/// Symbolic links that one path may lead through, as in the kernel.
const MAX_LINKS: u32 = 40;

/// Whether the user may execute the file, by mode bits, following symbolic
/// links and naming the component that stops it. A relative path counts from
/// the current directory.
///
/// Access control lists, mount options and security modules are not asked:
/// [`process::may_execute`](crate::process::may_execute) does. This names what is in
/// the way.
pub fn may_execute(path: &Path, uid: u32, gids: &[u32]) -> Result<(), Blocked> {
    let path = std::path::absolute(path).map_err(|_| Blocked::Missing(path.to_owned()))?;
    let mut ahead = names(&path);
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        let Ok(directory) = fs::symlink_metadata(&place) else {
            return Err(Blocked::Missing(place));
        };
        if !directory.is_dir() {
            return Err(Blocked::Missing(place.join(name)));
        }
        if !executable(&directory, uid, gids) {
            return Err(Blocked::Directory(place));
        }
        if name == ".." {
            place.pop();
            continue;
        }
        let next = place.join(name);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() => {
                links += 1;
                let target = fs::read_link(&next).unwrap_or_default();
                if links > MAX_LINKS || target.as_os_str().is_empty() {
                    return Err(Blocked::Missing(next));
                }
                if target.is_absolute() {
                    place = PathBuf::from("/");
                }
                let mut through = names(&target);
                through.append(&mut ahead);
                ahead = through;
            }
            Ok(_) => place = next,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Blocked::Directory(place));
            }
            Err(_) => return Err(Blocked::Missing(next)),
        }
    }
    match fs::symlink_metadata(&place) {
        Ok(file) if file.is_file() && executable(&file, uid, gids) => Ok(()),
        Ok(_) => Err(Blocked::File(place)),
        Err(_) => Err(Blocked::Missing(place)),
    }
}

/// The components still to walk; `.` and the leading `/` say nothing.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// Exactly one class of mode bits counts: the first one that the user is in.
fn executable(file: &fs::Metadata, uid: u32, gids: &[u32]) -> bool {
    let bits = if uid == 0 {
        if file.is_dir() { 0o7777 } else { 0o111 }
    } else if file.uid() == uid {
        0o100
    } else if gids.contains(&file.gid()) {
        0o010
    } else {
        0o001
    };
    file.mode() & bits != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn root_is_found_by_name_and_number() {
        let root = user("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user("#0").unwrap().unwrap(), root);
        assert_eq!(user_by_id(0).unwrap().unwrap(), root);
        assert_eq!(group("#4242").unwrap(), Some(4242));
        assert!(groups_of("root", 0).unwrap().contains(&0));
    }

    #[test]
    fn an_unknown_name_is_none_and_not_an_error() {
        assert_eq!(user("no-such-user-here").unwrap(), None);
        assert_eq!(user("#4294967000").unwrap(), None);
        assert_eq!(group("no-such-group-here").unwrap(), None);
        assert_eq!(user("nul\0byte").unwrap(), None);
    }

    /// A stranger, who owns nothing here and is in no group of ours.
    const STRANGER: u32 = 54_321;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_component_that_stops_a_stranger_is_named() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path().canonicalize().unwrap();
        mode(&base, 0o755);
        let (closed, tool, link) = (base.join("closed"), base.join("tool"), base.join("link"));
        fs::create_dir(&closed).unwrap();
        fs::write(&tool, "").unwrap();
        mode(&tool, 0o755);
        symlink("./closed/../tool", &link).unwrap();
        let check = |path: &Path| may_execute(path, STRANGER, &[]);

        mode(&closed, 0o755);
        assert_eq!(check(&tool), Ok(()));
        assert_eq!(check(&link), Ok(()));
        mode(&closed, 0o700);
        assert_eq!(check(&link), Err(Blocked::Directory(closed)));
        mode(&tool, 0o744);
        assert_eq!(check(&tool), Err(Blocked::File(tool.clone())));
        assert_eq!(may_execute(&tool, 0, &[]), Ok(()));
        assert_eq!(check(&base), Err(Blocked::File(base.clone())));
        assert_eq!(check(&tool.join("in")), Err(Blocked::Missing(tool.join("in"))));
        assert_eq!(check(&base.join("none")), Err(Blocked::Missing(base.join("none"))));
    }

    #[test]
    fn only_the_first_class_that_fits_counts() {
        let base = tempfile::tempdir().unwrap();
        mode(base.path(), 0o755);
        let tool = base.path().join("tool");
        fs::write(&tool, "").unwrap();
        mode(&tool, 0o701);
        let gid = fs::metadata(&tool).unwrap().gid();
        assert_eq!(may_execute(&tool, STRANGER, &[]), Ok(()));
        assert!(matches!(may_execute(&tool, STRANGER, &[gid]), Err(Blocked::File(_))));
    }

    #[test]
    fn a_ring_of_links_ends() {
        let base = tempfile::tempdir().unwrap();
        mode(base.path(), 0o755);
        let link = base.path().join("ring");
        symlink(&link, &link).unwrap();
        assert_eq!(may_execute(&link, STRANGER, &[]), Err(Blocked::Missing(link)));
    }
}
