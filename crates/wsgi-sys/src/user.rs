//! Users, groups, and what they may execute.
use std::io;
use std::path::{Path, PathBuf};

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User { /// login
    pub name: String, /// uid
    pub uid: u32, /// primary gid
    pub gid: u32, /// home
    pub home: PathBuf }

/// By name, or `#uid`. None if there is no such user.
pub fn user(_name: &str) -> io::Result<Option<User>> { todo!() }
/// By uid.
pub fn user_by_id(_uid: u32) -> io::Result<Option<User>> { todo!() }
/// gid of a group by name, or `#gid`.
pub fn group(_name: &str) -> io::Result<Option<u32>> { todo!() }
/// The groups that initgroups would set (getgrouplist).
pub fn groups_of(_user: &str, _gid: u32) -> io::Result<Vec<u32>> { todo!() }

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

/// Whether the user may execute the file, by mode bits, following symbolic links and naming the component that stops it.
pub fn may_execute(_path: &Path, _uid: u32, _gids: &[u32]) -> Result<(), Blocked> { todo!() }
