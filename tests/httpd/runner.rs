//! `wsgi-httpd`: an application served by one command.

use std::fs::{self, File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::harness::{Connection, Process, Request, free_port, settings, wait_for};
use crate::venv::Venv;
use crate::{ours_only, skip};

const HELLO: &str = "
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'hello ' + environ['PATH_INFO'].encode()]
";

/// A folder with an application, and `wsgi-httpd` in front of it.
struct Runner {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    libraries: Option<String>,
}

fn program() -> PathBuf {
    settings().module.with_file_name("bin").join("wsgi-httpd")
}

impl Runner {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("mod_wsgi-runner-").tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self { folder, port: free_port(), child: None, libraries: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that is `age` seconds younger than now.
    fn write(&self, name: &str, text: &str, age: u64) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let time = SystemTime::now() + Duration::from_secs(age);
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        path
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg(verb);
        if verb != "module" {
            command.args(["--port", &self.port.to_string(), "--mpm", settings().mpm.name()]);
        }
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("VIRTUAL_ENV");
        if let Some(path) = &self.libraries {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    #[track_caller]
    fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).output().unwrap()
    }

    /// Serves in the background, until it answers.
    #[track_caller]
    fn serve(&mut self, arguments: &[&str]) {
        let output = File::create(self.path("output.txt")).unwrap();
        let mut command = self.command("serve", arguments);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = self.child.insert(command.spawn().unwrap());
        let (address, output) = (address(self.port), self.folder.path().join("output.txt"));
        wait_for("an answer", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(&output).unwrap());
            Connection::open(address).ok()
        });
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path("output.txt")).unwrap_or_default()
    }

    #[track_caller]
    fn text(&self, target: &str) -> String {
        let mut connection = Connection::open(address(self.port)).unwrap();
        connection.exchange(&Request::get(target)).unwrap().expect(200).text()
    }

    /// Sends a signal and waits for the end, which must be a good one.
    #[track_caller]
    fn end(&mut self, signal: &str) {
        let mut child = self.child.take().unwrap();
        let below = Process::descendants(child.id());
        assert!(below.len() > 2, "httpd, children, supervisor");
        Process::find(child.id()).unwrap().signal(signal);
        let status = wait_for("the end", || child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.output());
        wait_for("the end of all", || (!below.iter().any(Process::is_alive)).then_some(()));
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            eprintln!("{}", self.output());
            // httpd is told when its parent ends, whatever becomes of that.
            Process::find(child.id()).unwrap().signal("TERM");
            let _ = wait_for("the end", || child.try_wait().ok().flatten());
        }
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn one_command_serves_a_file_until_it_is_interrupted() {
    ours_only!("it has another command");
    let mut runner = Runner::new();
    runner.write("app.py", HELLO, 0);
    runner.write("assets/site.css", "p {}", 0);
    runner.serve(&[
        "app.py",
        "--static=/assets=assets",
        "--static=/robots.txt=assets/site.css",
        "--option=request-timeout=30",
        "--max-clients=8",
        "--processes=1-2",
    ]);
    assert_eq!(runner.text("/some/where"), "hello /some/where");
    assert_eq!(runner.text("/assets/site.css"), "p {}");
    assert_eq!(runner.text("/robots.txt"), "p {}");
    wait_for("the lines of the logs", || {
        let output = runner.output();
        let all = ["serving app.py", "MWR3010", "\"GET /some/where HTTP/1.1\" 200"];
        all.iter().all(|part| output.contains(part)).then_some(())
    });
    let output = runner.output();
    let made = output.split_whitespace().find(|word| word.ends_with("/httpd.conf")).unwrap();
    let made = Path::new(made).parent().unwrap().to_owned();
    assert!(made.is_dir());
    runner.end("INT");
    assert!(!made.exists(), "{} is left", made.display());
}

#[test]
fn a_changed_module_is_reloaded_and_a_broken_one_is_not() {
    ours_only!("it has another command");
    let page = |text: &str| {
        format!(
            "def make(environ, start_response):
    start_response('200 OK', [])
    return [b'{text}']
"
        )
    };
    let mut runner = Runner::new();
    runner.write("shop/__init__.py", "", 0);
    runner.write("shop/pages.py", &page("first"), 0);
    runner.write("shop/main.py", "from shop.pages import make\n", 0);
    runner.serve(&["--reload", "shop.main:make"]);
    assert_eq!(runner.text("/"), "first");
    let broken = runner.write("shop/pages.py", "raise KeyError('broken')\n", 5);
    wait_for("the error", || runner.output().contains("KeyError: 'broken'").then_some(()));
    assert_eq!(runner.text("/"), "first");
    fs::remove_file(broken).unwrap();
    runner.write("shop/pages.py", &page("second"), 10);
    wait_for("the second version", || (runner.text("/") == "second").then_some(()));
    runner.end("TERM");
}

#[test]
fn a_django_project_is_served_with_its_static_files() {
    ours_only!("it has another command");
    let Some(venv) = Venv::find() else { skip!("no virtual environment") };
    let mut runner = Runner::new();
    runner.libraries = venv.libraries();
    runner.write(
        "manage.py",
        "import os, sys
if __name__ == '__main__':
    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_settings')
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
",
        0,
    );
    runner.write(
        "site_settings.py",
        "import os
SECRET_KEY = 'x'
ALLOWED_HOSTS = ['*']
ROOT_URLCONF = 'urls'
WSGI_APPLICATION = 'site_wsgi.application'
STATIC_URL = '/static/'
STATIC_ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'collected')
",
        0,
    );
    runner.write(
        "site_wsgi.py",
        "from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
",
        0,
    );
    runner.write(
        "urls.py",
        "from django.http import HttpResponse
from django.urls import re_path
urlpatterns = [re_path('^hello$', lambda request: HttpResponse('hello from django'))]
",
        0,
    );
    runner.write("collected/site.css", "p {}", 0);
    runner.serve(&["manage.py", "--python", venv.home.to_str().unwrap()]);
    assert_eq!(runner.text("/hello"), "hello from django");
    assert_eq!(runner.text("/static/site.css"), "p {}");
    runner.end("INT");
}

#[test]
fn a_configuration_can_be_kept_and_run_by_httpd_itself() {
    ours_only!("it has another command");
    let runner = Runner::new();
    runner.write("app.py", HELLO, 0);
    let output = runner.run("setup", &["--root", "server", "--mount=/app", "app.py"]);
    assert!(output.status.success(), "{output:?}");
    let control = |verb: &str| {
        let output = Command::new(runner.path("server/apachectl")).arg(verb).output().unwrap();
        assert!(output.status.success(), "{verb}: {output:?}");
    };
    control("configtest");
    control("start");
    let pid = || fs::read_to_string(runner.path("server/run/httpd.pid")).ok()?.trim().parse().ok();
    let parent = wait_for("httpd", || Process::find(pid()?));
    wait_for("an answer", || Connection::open(address(runner.port)).ok());
    assert_eq!(runner.text("/app/x"), "hello /x");
    control("graceful");
    assert_eq!(runner.text("/app/y"), "hello /y");
    control("stop");
    wait_for("its end", || (!parent.is_alive()).then_some(()));
    let log = fs::read_to_string(runner.path("server/access.log")).unwrap();
    assert!(log.contains("GET /app/x"), "{log}");
}

#[test]
fn https_is_served_and_http_leads_there() {
    ours_only!("it has another command");
    let mut runner = Runner::new();
    runner.write("app.py", HELLO, 0);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(runner.folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let port = free_port().to_string();
    runner.serve(&[
        "app.py",
        &format!("--https-port={port}"),
        "--certificate=cert.pem",
        "--key=key.pem",
        "--https-only",
        "--server-name=localhost",
        "--http2",
    ]);
    let mut connection = Connection::open(address(runner.port)).unwrap();
    let response = connection.exchange(&Request::get("/x")).unwrap().expect(301);
    let target = format!("https://localhost:{port}/x");
    assert_eq!(response.header("Location"), Some(target.as_str()));
    let fetched = Command::new("curl").args(["-sk", "--http2", &target]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&fetched.stdout), "hello /x", "{fetched:?}");
    runner.end("INT");
}

#[test]
fn mistakes_are_explained_before_httpd_starts() {
    ours_only!("it has another command");
    let runner = Runner::new();
    runner.write("app.py", HELLO, 0);
    runner.write("private/app.py", HELLO, 0);
    fs::set_permissions(runner.path("private"), Permissions::from_mode(0o700)).unwrap();
    let fails = |arguments: &[&str], message: &str| {
        let output = runner.run("serve", arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(message), "{arguments:?}: {said}");
    };
    fails(&["none.py/x"], "there is no file none.py/x");
    fails(&["app.py", "--url-alias=/a=b"], "use --static URL=PATH");
    fails(&["app.py", "--https-port=1"], "--https-port needs --certificate");
    fails(&["app.py", "--python=/none"], "there is no /none");
    fails(&["app.py", "--mpm=winnt"], "no MPM winnt");
    fails(&["app.py", "--option=a"], "has no '='");
    if settings().user.is_some() {
        fails(&["private/app.py"], "private is closed to them");
    } else {
        fails(&["app.py", "--user=root"], "only root");
    }
    let printed = runner.run("module", &[]);
    let line = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(line.starts_with("LoadModule wsgi_module \""), "{line}");
}
