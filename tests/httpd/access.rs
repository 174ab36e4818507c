//! Who is let in, and whose scripts are run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Config, Server, settings};
use crate::skip;

/// Makes script and directory those of this user and group, with these modes.
fn give(server: &Server, owner: (u32, u32), modes: (u32, u32)) {
    let script = server.app("own/hello.wsgi");
    let folder = script.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::copy(server.app("hello.wsgi"), &script).unwrap();
    for (path, mode) in [(folder, modes.0), (&script, modes.1)] {
        chown(path, Some(owner.0), Some(owner.1)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn only_scripts_of_script_user_are_run() {
    if settings().user.is_none() {
        skip!("only root may give files away");
    }
    let server = Config::serving("own/hello.wsgi", "script-user=games").expect_errors().start();
    let games = 5;
    // owner, modes of directory and script → status
    for (owner, modes, status) in [
        ((games, 0), (0o755, 0o644), 200),
        ((0, 0), (0o755, 0o644), 403),
        ((games, 0), (0o755, 0o664), 403),
        ((games, 0), (0o755, 0o646), 403),
        ((games, 0), (0o775, 0o644), 403),
        ((games, 0), (0o757, 0o644), 403),
        ((games, 0), (0o755, 0o644), 200),
    ] {
        give(&server, owner, modes);
        assert_eq!(server.get("/").status(), status, "{owner:?} {modes:?}");
    }
}

#[test]
fn only_scripts_of_script_group_are_run() {
    if settings().user.is_none() {
        skip!("only root may give files away");
    }
    let server = Config::serving("own/hello.wsgi", "script-group=daemon").expect_errors().start();
    for (owner, modes, status) in [
        ((0, 1), (0o775, 0o664), 200),
        ((0, 2), (0o755, 0o644), 403),
        ((0, 1), (0o755, 0o646), 403),
        ((0, 1), (0o757, 0o644), 403),
    ] {
        give(&server, owner, modes);
        assert_eq!(server.get("/").status(), status, "{owner:?} {modes:?}");
    }
}
