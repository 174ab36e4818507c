#![allow(clippy::unwrap_used)]
use super::*;
use crate::socket;
use std::os::fd::AsFd;
use std::time::Duration;

/// Runs a shell with a pipe as its output; returns what it wrote and its end.
fn shell(script: &str, change: impl FnOnce(&mut Launch)) -> Result<(String, Exit), LaunchError> {
    let mut plan = Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..Launch::default()
    };
    change(&mut plan);
    let (output, end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let input = File::open("/dev/null").unwrap();
    let process = launch(&plan, &[input.as_fd(), end.as_fd()])?;
    drop(end);
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    Ok((text, wait(&process)))
}

fn wait(process: &Process) -> Exit {
    let ended =
        socket::wait_readable(&[process.pidfd.as_fd()], Some(Duration::from_secs(10))).unwrap();
    assert_eq!(ended, [true], "the process did not end");
    reap(process.pid).unwrap().unwrap()
}

fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test}: skipped, as it needs root");
    }
    root
}

#[test]
fn a_program_runs_with_exactly_the_given_environment() {
    let (text, exit) = shell("/usr/bin/env; exit 3", |plan| {
        plan.program = "/usr/bin/env".into();
        plan.arguments = Vec::new();
        plan.environment = vec![("ONE".into(), "1 1".into()), ("TWO".into(), "".into())];
    })
    .unwrap();
    assert_eq!((text.as_str(), exit), ("ONE=1 1\nTWO=\n", Exit::Status(0)));
}

#[test]
fn only_the_given_descriptors_are_open() {
    // Leaks on purpose: not close-on-exec, in the way of the places.
    let _leaks: Vec<_> = (0..20).map(|_| nix::unistd::pipe2(OFlag::empty()).unwrap()).collect();
    // `ls` itself opens the directory as the next free one.
    let (text, _) = shell("exec ls /proc/self/fd", |_| {}).unwrap();
    assert_eq!(text, "0\n1\n2\n3\n");
}

#[test]
fn descriptors_that_overlap_their_places_arrive_in_order() {
    let files: Vec<_> = (0..6)
        .map(|index| {
            let file = tempfile::tempfile().unwrap();
            std::os::unix::fs::FileExt::write_at(&file, format!("{index}").as_bytes(), 0).unwrap();
            file
        })
        .collect();
    let (output, end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let mut given = vec![files[0].as_fd(), end.as_fd(), files[0].as_fd()];
    given.extend(files.iter().rev().map(AsFd::as_fd));
    let plan = Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), "cat /proc/self/fd/[3-8]".into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..Launch::default()
    };
    let process = launch(&plan, &given).unwrap();
    drop(end);
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    wait(&process);
    assert_eq!(text, "543210");
}

#[test]
fn descriptors_are_closed_one_by_one_on_an_old_kernel() {
    assert_eq!(close_singly(), None, "this kernel is old itself");
    let leak = nix::unistd::pipe2(OFlag::empty()).unwrap();
    let devnull = File::open("/dev/null").unwrap();
    let (output, end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let plan = Launch {
        program: "/bin/ls".into(),
        arguments: vec!["/proc/self/fd".into()],
        ..Launch::default()
    };
    let mut prepared = prepare(&plan, &[devnull.as_fd(), end.as_fd()], &devnull).unwrap();
    // Beyond those that other tests hold open.
    prepared.close_singly = Some(leak.1.as_raw_fd() + 1024);
    // SAFETY: as in `launch`.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        child::run(&mut prepared, end.as_raw_fd());
    }
    drop(end);
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    while reap(forked).unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(text, "0\n1\n2\n3\n");
}

#[test]
fn signals_are_as_in_a_fresh_process() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    // Rust programs ignore SIGPIPE.
    let (text, _) = shell(script, |_| {}).unwrap();
    assert_eq!(text.matches("0000000000000000").count(), 2, "{text}");
}

#[test]
fn a_missing_program_is_an_error_of_exec() {
    let error = shell("", |plan| plan.program = "/no/such/program".into()).unwrap_err();
    assert_eq!(error.step, Step::Exec);
    assert_eq!(error.error.raw_os_error(), Some(libc::ENOENT));
    assert_eq!(
        error.to_string(),
        "the program can't be executed: execve: No such file or directory (os error 2)"
    );
}

#[test]
fn a_missing_directory_is_named_as_such() {
    let error = shell("", |plan| plan.directory = Some("/no/such/place".into())).unwrap_err();
    assert_eq!((error.step, error.error.kind()), (Step::Directory, io::ErrorKind::NotFound));
}

#[test]
fn umask_limits_priority_session_and_directory_are_set() {
    let script = "umask; ulimit -d; ulimit -v; ulimit -t; ulimit -Ht; nice; pwd; \
                  ps -o sid= -p $$ | tr -d ' ' | grep -c \"^$$\\$\"";
    let (text, _) = shell(script, |plan| {
        plan.umask = Some(0o027);
        plan.memory_limit = Some(1 << 30);
        plan.virtual_memory_limit = Some(1 << 31);
        plan.cpu_time_limit = Some((100, 200));
        plan.priority = Some(7);
        plan.new_session = true;
        plan.directory = Some("/usr".into());
    })
    .unwrap();
    assert_eq!(text, "0027\n1048576\n2097152\n100\n200\n7\n/usr\n1\n");
}

#[test]
fn the_identity_is_dropped_for_good() {
    if !is_root("the_identity_is_dropped_for_good") {
        return;
    }
    let script = "grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr -s '\\t ' ' '";
    let (text, _) = shell(script, |plan| {
        plan.identity = Some(Drop { uid: 12_345, gid: 23_456, groups: vec![9, 5, 23_456] });
        plan.parent_death_signal = Some(libc::SIGTERM);
    })
    .unwrap();
    let expected = "Uid: 12345 12345 12345 12345\nGid: 23456 23456 23456 23456\n\
                    Groups: 5 9 23456 \n";
    assert_eq!(text, expected);
}

#[test]
fn the_root_directory_is_changed_before_the_program_is_looked_up() {
    if !is_root("the_root_directory_is_changed_before_the_program_is_looked_up") {
        return;
    }
    let cage = tempfile::tempdir().unwrap();
    let error = shell("", |plan| plan.chroot = Some(cage.path().into())).unwrap_err();
    assert_eq!((error.step, error.error.kind()), (Step::Exec, io::ErrorKind::NotFound));
    let (text, _) = shell("pwd", |plan| plan.chroot = Some("/".into())).unwrap();
    assert_eq!(text, "/\n");
}

#[test]
fn the_parent_s_end_is_the_process_s_end() {
    let root = nix::unistd::geteuid().is_root();
    let (output, end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let plan = Launch {
        program: "/bin/sleep".into(),
        arguments: vec!["60".into()],
        identity: root.then(|| Drop { uid: 12_345, gid: 23_456, groups: Vec::new() }),
        parent_death_signal: Some(libc::SIGKILL),
        ..Launch::default()
    };
    // SAFETY: the C library's allocator works after a fork; the child ends
    // without the test harness's handlers.
    let parent = unsafe { libc::fork() };
    if parent == 0 {
        let started = launch(&plan, &[end.as_fd(), end.as_fd()]);
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(started.is_err())) };
    }
    drop(end);
    // The end of the stream comes when the sleeper is gone.
    let ended = socket::wait_readable(&[output.as_fd()], Some(Duration::from_secs(10)));
    assert_eq!(ended.unwrap(), [true]);
    let exit = (0..2_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        reap(parent).unwrap()
    });
    assert_eq!(exit, Some(Exit::Status(0)));
}

#[test]
fn root_is_no_identity() {
    let error = shell("", |plan| {
        plan.identity = Some(Drop { uid: 0, gid: 5, groups: Vec::new() });
    })
    .unwrap_err();
    assert_eq!(error.step, Step::Uid);
}

#[test]
fn a_directory_closed_to_the_user_is_an_error_of_chdir() {
    if !is_root("a_directory_closed_to_the_user_is_an_error_of_chdir") {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    let only_root = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(closed.path(), only_root).unwrap();
    let error = shell("", |plan| {
        plan.identity = Some(Drop { uid: 12_345, gid: 23_456, groups: Vec::new() });
        plan.directory = Some(closed.path().into());
    })
    .unwrap_err();
    assert_eq!(
        (error.step, error.error.kind()),
        (Step::Directory, io::ErrorKind::PermissionDenied)
    );
}

#[test]
fn a_signal_reaches_the_process_and_explains_its_end() {
    let plan =
        Launch { program: "/bin/sleep".into(), arguments: vec!["60".into()], ..Launch::default() };
    let process = launch(&plan, &[]).unwrap();
    assert_eq!(reap(process.pid).unwrap(), None);
    assert!(start_time(process.pid).unwrap() > 0);
    signal(process.pidfd.as_fd(), libc::SIGTERM).unwrap();
    let exit = wait(&process);
    assert_eq!(exit, Exit::Signal(libc::SIGTERM, false));
    assert_eq!(exit.to_string(), "killed by signal 15 (SIGTERM)");
    assert!(signal(process.pidfd.as_fd(), 0).is_err());
    assert!(start_time(i32::MAX).is_err());
}

#[test]
fn strays_are_reaped_and_known_children_are_not() {
    // In a process of its own: the other tests' children would be strays here.
    // SAFETY: the child uses system calls alone.
    let tester = unsafe { libc::fork() };
    if tester == 0 {
        let child = || {
            // SAFETY: ends at once.
            match unsafe { libc::fork() } {
                // SAFETY: as above.
                0 => unsafe { libc::_exit(4) },
                pid => pid,
            }
        };
        let stray = child();
        std::thread::sleep(Duration::from_millis(50));
        let known = child();
        std::thread::sleep(Duration::from_millis(50));
        reap_strays(&[known]);
        let gone = reap(stray).is_err();
        let kept = matches!(reap(known), Ok(Some(Exit::Status(4))));
        // SAFETY: ends without the test harness's handlers.
        unsafe { libc::_exit(i32::from(!(gone && kept))) };
    }
    let mut exit = None;
    for _ in 0..2_000 {
        exit = reap(tester).unwrap();
        if exit.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(exit, Some(Exit::Status(0)));
}
