//! What a daemon is: the configured user's process, with nothing of httpd's in it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::harness::{Config, Process, Server, program, settings};
use crate::{ours_only, skip};

const PID: &str = "
import os
def run(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
";

fn daemon(server: &Server) -> Process {
    Process::find(server.text(&program(PID)).parse().unwrap()).unwrap()
}

#[test]
fn a_daemon_is_the_configured_user_and_nobody_else() {
    if settings().user.is_none() {
        skip!("only root may choose the user of a daemon");
    }
    let server = Config::serving("program.wsgi", "user=games group=daemon umask=0027").start();
    let process = daemon(&server);
    let (user, group) = (id("-u", "games"), "1");
    assert_eq!(process.status("Uid"), [user.as_str(); 4].join(" "));
    assert_eq!(process.status("Gid"), [group; 4].join(" "));
    // initgroups of the user, with the group given: no group of root's or of httpd's.
    assert!(!process.status("Groups").split(' ').any(|group| group == "0" || group == "33"));
    for capabilities in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(process.status(capabilities), "0000000000000000", "{capabilities}");
    }
}

#[test]
fn supplementary_groups_are_those_given() {
    if settings().user.is_none() {
        skip!("only root may choose the groups of a daemon");
    }
    let server =
        Config::serving("program.wsgi", "user=games group=daemon supplementary-groups=lp,mail")
            .start();
    let groups = daemon(&server).status("Groups");
    let mut groups: Vec<_> = groups.split(' ').collect();
    groups.retain(|group| *group != "1");
    assert_eq!(groups, ["7", "8"]);
}

#[test]
fn a_daemon_has_no_descriptor_and_no_library_of_httpds() {
    ours_only!("mod_wsgi forks its daemons from httpd");
    let server = Config::serving("program.wsgi", "").start();
    let process = daemon(&server);
    // The log takes what a daemon prints outside of requests; no other file is open.
    let log = server.root().join("error.log").display().to_string();
    let files: Vec<_> =
        process.descriptors().into_iter().filter(|target| target.starts_with('/')).collect();
    let known = |target: &String| *target == log || target == "/dev/null";
    assert!(files.iter().all(known), "{files:?}");
    let inode = listening_socket(server.address().port());
    for process in [Some(process), server.supervisor()].into_iter().flatten() {
        let descriptors = process.descriptors();
        assert!(!descriptors.contains(&inode), "{} listens: {descriptors:?}", process.pid);
        let maps = process.maps();
        for library in ["libapr", "apache2", "httpd", "mod_wsgi.so"] {
            assert!(!maps.contains(library), "{} maps {library}", process.pid);
        }
    }
    assert!(!server.supervisor().unwrap().maps().contains("python"));
    for child in server.children() {
        assert!(!child.maps().contains("python"), "httpd maps Python");
    }
}

#[test]
fn the_tls_key_is_in_no_page_of_daemon_and_supervisor() {
    ours_only!("mod_wsgi's daemons are copies of httpd");
    if settings().user.is_none() {
        skip!("only root may read the memory of httpd");
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let server = Config::serving("program.wsgi", "")
        .module("socache_shmcb")
        .module("ssl")
        .line(&format!(
            "<VirtualHost 127.0.0.2:{{port}}>\nServerName localhost\nSSLEngine On\nSSLCertificateKeyFile {}\n\
             SSLCertificateFile {}\n</VirtualHost>\n",
            key.display(),
            certificate.display()
        ))
        .expect_log("[ssl:warn]")
        .start();
    let process = daemon(&server);
    let secret = first_prime(&key);
    let child = server.children()[0];
    assert!(memory_contains(&child, &secret), "the search does not find what is there");
    assert!(!memory_contains(&process, &secret), "the daemon has the key");
    assert!(!memory_contains(&server.supervisor().unwrap(), &secret), "the supervisor has the key");
}

#[test]
fn a_daemons_name_is_shown_in_full() {
    ours_only!("mod_wsgi cuts it to the length of httpd's path");
    let name = "a-rather-long-name-of-a-group-that-nobody-would-ever-choose-but-somebody-did";
    let server = Config::new()
        .daemon(name, "display-name=%{GROUP}")
        .line(&format!("WSGIProcessGroup {name}"))
        .mount("/", "program.wsgi")
        .start();
    let process = daemon(&server);
    let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    assert_eq!(line.trim_end(), format!("(wsgi:{name})"));
}

#[test]
fn home_language_and_folder_are_those_of_the_daemon() {
    if settings().user.is_none() {
        skip!("only root may choose the user of a daemon");
    }
    let server = Config::serving(
        "program.wsgi",
        "user=games group=games home={root}/scratch lang=C.UTF-8 locale=C.UTF-8",
    )
    .start();
    let target = program(
        "
        import os, sys
        def run(environ, start_response):
            names = ('HOME', 'LANG', 'LC_ALL')
            values = [os.environ.get(name, '-') for name in names] + [os.getcwd()]
            start_response('200 OK', [])
            return ['|'.join(values).encode()]
        ",
    );
    let scratch = server.scratch("");
    let scratch = scratch.display().to_string();
    let scratch = scratch.trim_end_matches('/');
    let expected = format!("/usr/games|C.UTF-8|C.UTF-8|{scratch}");
    assert_eq!(server.text(&target), expected);
}

fn id(option: &str, user: &str) -> String {
    let output = Command::new("id").arg(option).arg(user).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// How /proc/PID/fd shows the socket that listens on a port: "socket:[inode]".
fn listening_socket(port: u16) -> String {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{port:04X}");
    let line = table.lines().find(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|address| address.ends_with(&local))
            && fields.nth(1) == Some("0A")
    });
    format!("socket:[{}]", line.unwrap().split_whitespace().nth(9).unwrap())
}

/// Bytes of an RSA key's first prime as OpenSSL's big numbers hold them: least significant first.
fn first_prime(key: &std::path::Path) -> Vec<u8> {
    let output = Command::new("openssl").args(["rsa", "-text", "-noout", "-in"]).arg(key).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let digits = text.split("prime1:").nth(1).unwrap().split("prime2:").next().unwrap();
    let bytes: Vec<u8> = digits
        .split([':', ' ', '\n'])
        .filter(|digits| !digits.is_empty())
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .rev()
        .collect();
    bytes[16..80].to_vec()
}

fn memory_contains(process: &Process, needle: &[u8]) -> bool {
    let memory = File::open(format!("/proc/{}/mem", process.pid)).unwrap();
    process.maps().lines().any(|line| {
        let mut fields = line.split_whitespace();
        let (range, access) = (fields.next().unwrap(), fields.next().unwrap());
        if !access.starts_with("rw") || line.ends_with("[vvar]") {
            return false;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) =
            (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Guard pages and device memory can't be read; the rest of the map can.
        memory.read_exact_at(&mut bytes, from).is_ok() && contains(&bytes, needle)
    })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == needle[0]) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[test]
fn limits_priority_and_mask_are_those_of_the_group() {
    let options = "umask=0027 cpu-priority=5 memory-limit=900000000 \
                   virtual-memory-limit=4000000000 cpu-time-limit=1000 stack-size=524288";
    let server = Config::serving("program.wsgi", options).start();
    let seen = server.text(&program(
        "
        import os, resource, threading
        def run(environ, start_response):
            mask = os.umask(0)
            os.umask(mask)
            limit = lambda name: resource.getrlimit(getattr(resource, name))[0]
            seen = [oct(mask), os.getpriority(os.PRIO_PROCESS, 0), limit('RLIMIT_DATA'),
                    limit('RLIMIT_AS'), limit('RLIMIT_CPU')]
            start_response('200 OK', [])
            return [' '.join(map(str, seen)).encode()]
        ",
    ));
    assert_eq!(seen, "0o27 5 900000000 4000000000 1000");
}

#[test]
fn a_group_may_have_a_root_directory_of_its_own() {
    if settings().user.is_none() {
        println!("SKIPPED: chroot needs root");
        return;
    }
    // The real root, as a Python of its own would fill a folder; the steps are the same.
    let server = Config::serving("program.wsgi", "chroot=/").start();
    let target = program(
        "
        import os
        def run(environ, start_response):
            start_response('200 OK', [])
            return [os.getcwd().encode()]
        ",
    );
    assert!(server.text(&target).starts_with('/'));
}
