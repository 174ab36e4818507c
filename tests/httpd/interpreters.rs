//! Interpreters of all layouts, and what is said of those that can't be used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Config, Server, copy_program, settings};
use crate::pythons::pythons;
use crate::venv::Venv;
use crate::{ours_only, skip};

/// A folder that everybody may enter.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("mod_wsgi-python-").tempdir().unwrap();
    let path = folder.path().to_owned();
    mode(&path, 0o755);
    (folder, path)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn program(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    mode(path, 0o755);
}

/// httpd must refuse the option, with a message that has the directive and these words.
#[track_caller]
fn refused(option: &str, words: &[&str]) {
    let output = Config::serving("hello.wsgi", option).fail().output;
    let line = output.lines().find(|line| line.contains("WSGIDaemonProcess 'app' at "));
    let line = line.unwrap_or_else(|| panic!("no message about the directive:\n{output}"));
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
}

#[test]
fn a_virtual_environment_whose_base_is_gone_is_refused() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let (_folder, root) = folder();
    let venv = root.join("venv");
    fs::create_dir_all(venv.join("bin")).unwrap();
    symlink(root.join("base/bin/python3"), venv.join("bin/python")).unwrap();
    fs::write(venv.join("pyvenv.cfg"), format!("home = {}/base/bin\n", root.display())).unwrap();
    let home = format!("python-home={}", venv.display());
    let base = format!("{}/base/bin, which is gone; make it anew", root.display());
    refused(&home, &["MWR1022", "option 'python-home'", &base]);
    // The same with a copy of the interpreter.
    fs::remove_file(venv.join("bin/python")).unwrap();
    copy_program(Path::new("/bin/sh"), &venv.join("bin/python"));
    refused(&home, &["MWR1022", &base]);
}

#[test]
fn what_the_daemons_user_can_not_reach_is_named() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    if settings().user.is_none() {
        skip!("only root has another user's daemons");
    }
    let (_folder, root) = folder();
    let python = root.join("private/bin/python3");
    program(&python, "#!/bin/sh\n");
    mode(&root.join("private"), 0o700);
    let option = format!("python={}", python.display());
    let closed = format!("may not enter {}/private", root.display());
    refused(&option, &["MWR1023", "option 'python'", &closed]);
    mode(&root.join("private"), 0o755);
    mode(&python, 0o700);
    refused(&option, &["MWR1023", "may not execute", &python.display().to_string()]);
}

#[test]
fn a_program_for_another_machine_is_refused() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let (_folder, root) = folder();
    let mut program_of_vax = b"\x7fELF\x02\x01\x01".to_vec();
    program_of_vax.resize(64, 0);
    program_of_vax[16..20].copy_from_slice(&[2, 0, 75, 0]);
    program(&root.join("python"), program_of_vax);
    let option = format!("python={}/python", root.display());
    refused(&option, &["MWR1026", "one for another kind of machine"]);
}

#[test]
fn a_program_that_is_no_python_is_refused() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    refused("python=/bin/true", &["MWR1026", "/bin/true does not run as a Python", "said nothing"]);
    refused("python=/bin/ls", &["MWR1026", "it said: "]);
    refused("python=/usr/bin", &["/usr/bin"]);
    let (_folder, root) = folder();
    program(&root.join("python"), "#!/no/such/interpreter\n");
    refused(&format!("python={}/python", root.display()), &["MWR1026", "its #! line"]);
    refused("python=/no/such/python", &["MWR1022", "/no does not exist"]);
}

#[test]
fn a_python_that_is_too_old_is_refused() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let (_folder, root) = folder();
    for version in ["2.6.6", "3.5.10"] {
        let path = root.join(format!("python{version}"));
        program(&path, format!("#!/bin/sh\necho mod_wsgi CPython {version} $0\n"));
        let option = format!("python={}", path.display());
        refused(&option, &["MWR1027", &format!("is CPython {version} at "), "2.7 and from 3.6 on"]);
    }
}

#[test]
fn a_python_without_its_library_is_refused_with_its_own_words() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let pythons = pythons();
    let Some(python) = pythons.iter().find(|python| python.name.starts_with("3.")) else {
        skip!("no shared Python of pyenv's");
    };
    // A copy of a shared Python, which nobody told where its library is now.
    refused(
        &format!("python={}", python.program.display()),
        &["MWR1026", "error while loading shared libraries: libpython3"],
    );
}

#[test]
fn a_restart_tells_of_a_broken_interpreter_and_goes_on() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let (_folder, root) = folder();
    let python = root.join("python");
    program(&python, "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n");
    let server = Config::new()
        .daemon("app", "")
        .line("WSGIProcessGroup app")
        .daemon("other", &format!("python={}", python.display()))
        .line("WSGIScriptAlias /other {apps}/hello.wsgi process-group=other")
        .mount("/", "hello.wsgi")
        .expect_errors()
        .start();
    assert_eq!(server.text("/"), "Hello, World!\n");
    program(&python, "#!/bin/sh\necho broken\n");
    server.signal("USR1");
    server.log().wait_for("python does not run as a Python interpreter");
    fs::remove_file(&python).unwrap();
    server.signal("USR1");
    server.log().wait_for("python can't be executed: No such file");
    assert_eq!(server.text("/"), "Hello, World!\n");
    assert_eq!(server.get("/other").status(), 503);
}

const FACTS: &str = "
import sys
def application(environ, start_response):
    assert environ['mod_wsgi.python_executable'] == sys.executable
    assert environ['mod_wsgi.python_version'] == '%d.%d.%d' % sys.version_info[:3]
    start_response('200 OK', [])
    text = '%s %s %s' % (sys.prefix, sys.executable, environ['mod_wsgi.python_version'])
    return [text.encode()]
";

/// An httpd whose application tells prefix, interpreter and version.
fn serve(config: Config, options: &str) -> Server {
    config
        .file("facts.wsgi", FACTS)
        .line("LogLevel wsgi:info")
        .daemon("app", options)
        .line("WSGIProcessGroup app")
        .mount("/", "facts.wsgi")
        .start()
}

#[track_caller]
fn uses(server: &Server, home: &Path) {
    let facts = server.text("/");
    let mut words = facts.split(' ');
    assert_eq!(words.next(), home.to_str(), "{facts}");
    let executable = words.next().unwrap();
    assert!(Path::new(executable).starts_with(home.join("bin")), "{facts}");
    // The log told it at the start.
    let version = words.next().unwrap();
    server.log().wait_for("WSGIDaemonProcess 'app' at ");
    server.log().wait_for(&format!("CPython {version} at {executable}"));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

#[test]
fn a_virtual_environment_is_used_whether_linked_or_copied() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let (_folder, root) = folder();
    for how in ["--symlinks", "--copies"] {
        let home = root.join(how);
        let mut command = Command::new("/usr/bin/python3");
        run(command.args(["-m", "venv", "--without-pip", how]).arg(&home));
        let server = serve(Config::new(), &format!("python-home={}", home.display()));
        uses(&server, &home);
    }
}

#[test]
fn an_environment_of_virtualenv_is_used() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let Some(venv) = Venv::find() else { skip!("no virtual environment") };
    let (_folder, root) = folder();
    let home = root.join("env");
    let build = settings().repository.join("build/venv/bin/python");
    run(Command::new(if build.exists() { build } else { venv.home.join("bin/python") })
        .args(["-m", "virtualenv", "--quiet", "--no-download", "--no-pip"])
        .args(["--python", "/usr/bin/python3"])
        .arg(&home));
    let server = serve(Config::new(), &format!("python-home={}", home.display()));
    uses(&server, &home);
}

/// A prefix of its own, moved after it was built, as conda's environments are.
#[test]
fn a_relocated_prefix_is_used() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let pythons = pythons();
    let Some(python) = pythons.iter().find(|python| python.name.starts_with("3.12")) else {
        skip!("no Python 3.12 of pyenv's");
    };
    let (_folder, root) = folder();
    let home = root.join("environment");
    fs::create_dir_all(home.join("conda-meta")).unwrap();
    for part in ["bin", "lib"] {
        run(Command::new("cp").arg("-a").arg(python.home().join(part)).arg(&home));
    }
    let libraries = home.join("lib").display().to_string();
    let config = Config::new().environment("LD_LIBRARY_PATH", &libraries);
    uses(&serve(config, &format!("python-home={}", home.display())), &home);
}

#[test]
fn a_private_home_is_for_its_own_user() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    if settings().user.is_none() {
        skip!("only root has another user's daemons");
    }
    let (_folder, root) = folder();
    let home = root.join("games/venv");
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(&home));
    let private = root.join("games");
    mode(&private, 0o700);
    let id = |what| {
        let output = Command::new("id").args([what, "games"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
    };
    chown(&private, Some(id("-u")), Some(id("-g"))).unwrap();
    let option = format!("python-home={}", home.display());
    uses(&serve(Config::new(), &format!("{option} user=games group=games")), &home);
    refused(&option, &["MWR1023", &format!("may not enter {}", private.display())]);
}

#[test]
fn an_access_control_list_lets_the_daemons_user_in() {
    ours_only!("mod_wsgi has the Python that it was linked with");
    let Some(user) = settings().user else { skip!("only root has another user's daemons") };
    let (_folder, root) = folder();
    let home = root.join("listed/venv");
    run(Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(&home));
    let listed = root.join("listed");
    mode(&listed, 0o700);
    let option = format!("python-home={}", home.display());
    refused(&option, &["MWR1023", &format!("may not enter {}", listed.display())]);
    // What `setfacl -m u:USER:rx` does: the owner, the user, the group, the mask, others.
    let list = "
import os, pwd, struct, sys
def entry(tag, permissions, number=0xffffffff):
    return struct.pack('<HHI', tag, permissions, number)
user = pwd.getpwnam(sys.argv[2]).pw_uid
os.setxattr(sys.argv[1], 'system.posix_acl_access', struct.pack('<I', 2) + entry(1, 7)
            + entry(2, 5, user) + entry(4, 0) + entry(16, 5) + entry(32, 0))
";
    let set = Command::new("/usr/bin/python3").args(["-c", list]).arg(&listed).arg(user).output();
    if !set.unwrap().status.success() {
        skip!("the file system has no access control lists");
    }
    uses(&serve(Config::new(), &option), &home);
}
