use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::{Import, InterpreterOptions, Place, Selector};

/// A directory that is gone after the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("resolve-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// A file of mode 755, with the directories to it.
    fn file(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn group(name: &str) -> DaemonGroup {
    let place = Place { file: "httpd.conf".to_owned(), line: 7, ..Place::default() };
    DaemonGroup::new(name, place)
}

fn defaults() -> ServerDefaults {
    ServerDefaults {
        default_python: "/bin/sh".into(),
        timeout: Duration::from_secs(60),
        must_run: true,
        ..ServerDefaults::default()
    }
}

/// As root, with user daemon as Apache's User.
fn root() -> ServerDefaults {
    ServerDefaults { uid: 1, gid: 1, is_root: true, ..defaults() }
}

#[test]
fn defaults_are_those_of_the_server() {
    let resolved = Globals::default().resolve(&group("x"), &defaults()).unwrap();
    assert_eq!(resolved.origin, "httpd.conf:7");
    assert_eq!(resolved.python, Path::new("/bin/sh"));
    assert_eq!((resolved.processes, resolved.processes_max, resolved.threads), (1, 1, 15));
    assert_eq!((resolved.socket_timeout, resolved.shutdown_timeout), (60, 5));
    assert!(!resolved.multiprocess && resolved.restrict_signal && resolved.identity.is_none());
    assert_eq!(resolved.display_name, None);
}

#[test]
fn a_display_name_holds_the_groups_name() {
    let mut group = group("x");
    group.display_name = Some("a %{GROUP}".to_owned());
    let resolved = Globals::default().resolve(&group, &defaults()).unwrap();
    assert_eq!(resolved.display_name.as_deref(), Some("a (wsgi:x)"));
}

#[test]
fn the_interpreter_comes_from_the_nearest_setting() {
    let directory = Directory::new();
    let venv_python = directory.file("venv/bin/python");
    directory.file("venv/bin/python3");
    directory.file("venv/pyvenv.cfg");
    directory.file("prefix/bin/python");
    let prefix_python3 = directory.file("prefix/bin/python3");
    let other = directory.file("prefix/bin/python3.13");
    let mut globals = Globals::default();
    let mut group = group("x");
    let python = |globals: &Globals, group: &DaemonGroup| {
        let resolved = globals.resolve(group, &defaults()).unwrap();
        assert_eq!(resolved.python_home, None);
        resolved.python
    };
    globals.python.home = Some(directory.0.join("prefix"));
    assert_eq!(python(&globals, &group), prefix_python3);
    group.python_home = Some(directory.0.join("venv"));
    assert_eq!(python(&globals, &group), venv_python);
    group.python = Some(other.clone());
    assert_eq!(python(&globals, &group), other);
}

#[test]
fn a_missing_interpreter_is_named() {
    let directory = Directory::new();
    let mut group = group("x");
    let home = directory.0.join("gone");
    group.python_home = Some(home.clone());
    for defaults in [defaults(), root()] {
        let message = Globals::default().resolve(&group, &defaults).unwrap_err();
        let expected = format!(
            "MWR1022: WSGIDaemonProcess 'x' at httpd.conf:7: option 'python-home' {home}: there is \
             no Python interpreter {home}/bin/python: ",
            home = home.display()
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    let mut globals = Globals::default();
    globals.python.home = group.python_home.take();
    let message = globals.resolve(&group, &defaults()).unwrap_err();
    assert!(message.contains("WSGIPythonHome"), "{message}");
}

#[test]
fn an_interpreter_out_of_reach_names_the_directory() {
    let directory = Directory::new();
    let python = directory.file("closed/venv/bin/python");
    directory.file("closed/venv/pyvenv.cfg");
    let closed = directory.0.join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut group = group("x");
    group.python_home = Some(closed.join("venv"));
    // The test's own user owns the directory, so another one must be asked for.
    let uid = if running_as_root() { 1 } else { 65_534 };
    group.user = Some(User { name: "someone".to_owned(), uid, gid: uid, home: "/".into() });
    group.supplementary_groups = Some(Vec::new());
    let message = Globals::default().resolve(&group, &root()).unwrap_err();
    assert!(message.starts_with("MWR1023"), "{message}");
    let expected = format!("user 'someone' may not enter {}", closed.display());
    assert!(message.contains(&expected), "{message}");

    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o644)).unwrap();
    let message = Globals::default().resolve(&group, &root()).unwrap_err();
    assert!(message.contains("may not execute"), "{message}");
}

#[test]
fn a_chroot_is_where_the_interpreter_is_looked_for() {
    let directory = Directory::new();
    directory.file("root/venv/pyvenv.cfg");
    fs::create_dir_all(directory.0.join("root/venv/bin")).unwrap();
    symlink("/usr/bin/python3", directory.0.join("root/venv/bin/python")).unwrap();
    let mut group = group("x");
    group.python_home = Some("/venv".into());
    group.chroot = Some(directory.0.join("root"));
    let resolved = Globals::default().resolve(&group, &root()).unwrap();
    assert_eq!(resolved.python, Path::new("/venv/bin/python"));
    assert_eq!(resolved.chroot, group.chroot);
    group.python_home = Some("/other".into());
    let message = Globals::default().resolve(&group, &root()).unwrap_err();
    assert!(message.contains("inside of the chroot"), "{message}");
}

#[test]
fn identities_are_complete_and_never_root() {
    let mut group = group("x");
    let resolved = Globals::default().resolve(&group, &root()).unwrap();
    let identity = resolved.identity.unwrap();
    assert_eq!((identity.name.as_str(), identity.uid, identity.gid), ("daemon", 1, 1));
    assert!(identity.groups.contains(&1));
    group.supplementary_groups = Some(vec![5, 6]);
    group.group = Some(7);
    let identity = Globals::default().resolve(&group, &root()).unwrap().identity.unwrap();
    assert_eq!((identity.gid, identity.groups), (7, vec![5, 6]));
    group.group = None;
    let apache_is_root = ServerDefaults { uid: 0, ..root() };
    let message = Globals::default().resolve(&group, &apache_is_root).unwrap_err();
    assert!(message.starts_with("MWR1013"), "{message}");
}

#[test]
fn scripts_and_interpreter_settings_reach_their_group() {
    let import = |script: &str, process_group: &str, application_group: &str| Import {
        script: script.into(),
        process_group: process_group.to_owned(),
        application_group: application_group.to_owned(),
        directive: "WSGIImportScript",
        place: Place::default(),
    };
    let mut globals = Globals::default();
    globals.imports = vec![
        import("/a", "x", ""),
        import("/b", "y", ""),
        import("/c", "x", "c"),
        import("/a", "x", ""),
    ];
    globals.python.eggs = Some("/eggs".into());
    globals.interpreters = vec![
        InterpreterOptions { python_path: vec!["/all".into()], ..InterpreterOptions::default() },
        InterpreterOptions {
            selector: Selector { process_group: Some("x".to_owned()), application_group: None },
            python_path: vec!["/section".into()],
            restrict_signal: Some(false),
            switch_interval: Some(0.5),
            ..InterpreterOptions::default()
        },
    ];
    let mut x = group("x");
    x.python_path = vec!["/option".into()];
    let resolved = globals.resolve(&x, &defaults()).unwrap();
    let scripts: Vec<_> = resolved.preload.iter().map(|preload| preload.script.clone()).collect();
    assert_eq!(scripts, [Path::new("/a"), Path::new("/c")]);
    assert_eq!(resolved.python_path, [Path::new("/section"), Path::new("/option")]);
    assert!(!resolved.restrict_signal && resolved.python_eggs.is_none());
    assert!((resolved.switch_interval - 0.5).abs() < f64::EPSILON);

    let implicit = globals.resolve(&group(""), &defaults()).unwrap();
    assert_eq!(implicit.python_path, [Path::new("/all")]);
    assert_eq!(implicit.python_eggs.as_deref(), Some(Path::new("/eggs")));
}

fn running_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| {
        use std::os::unix::fs::MetadataExt;
        metadata.uid() == 0
    })
}
