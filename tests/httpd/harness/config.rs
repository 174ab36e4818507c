//! The builder of a server's httpd.conf.

use std::fmt::Write as _;
use std::path::Path;

use super::{Check, Mpm, Server, settings};

/// What a test wants its httpd to be.
///
/// In every line `{root}`, `{apps}`, `{port}` and `{user}` stand for the server's folder, the
/// applications' folder in it, the main port, and the user that httpd's children run as.
#[derive(Clone, Default)]
pub(crate) struct Config {
    modules: Vec<&'static str>,
    lines: Vec<String>,
    vhosts: Vec<(String, Vec<String>)>,
    declared: Vec<String>,
    files: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    one_process: bool,
    own_module: bool,
    private: Vec<String>,
}

/// What httpd said when it did not start.
#[derive(Debug)]
pub(crate) struct StartFailure {
    /// Its standard error and the error log together.
    pub(crate) output: String,
}

impl Config {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A server whose whole URL space is one application of `tests/apps`, in a daemon group
    /// named `app` with these options.
    pub(crate) fn serving(script: &str, options: &str) -> Self {
        Self::new().daemon("app", options).line("WSGIProcessGroup app").mount("/", script)
    }

    /// Loads a module of httpd's, such as "ssl".
    pub(crate) fn module(mut self, name: &'static str) -> Self {
        self.modules.push(name);
        self
    }

    /// Adds a line or several to the main server.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Defines a daemon group.
    pub(crate) fn daemon(self, name: &str, options: &str) -> Self {
        self.line(&format!("WSGIDaemonProcess {name} {options}"))
    }

    /// Maps a URL to an application of `tests/apps` or one written by [`Self::file`].
    pub(crate) fn mount(self, url: &str, script: &str) -> Self {
        self.line(&format!("WSGIScriptAlias {url} {{apps}}/{script}"))
    }

    /// Adds a name-based virtual host with an error log of its own, `{root}/NAME.log`.
    pub(crate) fn vhost(mut self, name: &str, lines: &[&str]) -> Self {
        self.vhosts.push((name.to_owned(), lines.iter().map(|&line| line.to_owned()).collect()));
        self
    }

    /// Writes an application or another file into `{apps}`.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Sets a variable in httpd's own environment; `{root}` may stand in its value.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs httpd as `httpd -X`: one process that is parent and child.
    pub(crate) fn one_process(mut self) -> Self {
        self.one_process = true;
        self
    }

    /// Has the server run a copy of the module, which the test may change.
    pub(crate) fn own_module(mut self) -> Self {
        self.own_module = true;
        self
    }

    /// Declares that lines with this text belong to the test, whatever their level.
    pub(crate) fn expect_log(mut self, pattern: &str) -> Self {
        self.declared.push(pattern.to_owned());
        self
    }

    /// Declares that the module complains, as it does when the application misbehaves.
    pub(crate) fn expect_errors(self) -> Self {
        self.expect_log("[wsgi:error]").expect_log("[wsgi:warn]")
    }

    /// Starts httpd and waits until it answers.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        Server::start(self)
    }

    /// Starts httpd, which must refuse to run.
    #[track_caller]
    pub(crate) fn fail(self) -> StartFailure {
        Server::fail(self)
    }

    /// Takes everybody's rights to a file of `{apps}` away but root's.
    pub(crate) fn private(mut self, name: &str) -> Self {
        self.private.push(name.to_owned());
        self
    }

    /// Has `wsgi-configcheck` look at the configuration.
    pub(crate) fn check(self) -> Check {
        Check::of(&self)
    }

    pub(super) fn private_files(&self) -> &[String] {
        &self.private
    }

    /// How httpd stays in the foreground.
    pub(super) fn foreground(&self) -> &'static str {
        if self.one_process { "-X" } else { "-DFOREGROUND" }
    }

    pub(super) fn has_own_module(&self) -> bool {
        self.own_module
    }

    pub(super) fn declared(&self) -> &[String] {
        &self.declared
    }

    pub(super) fn files(&self) -> &[(String, String)] {
        &self.files
    }

    pub(super) fn environment_variables(&self, root: &Path) -> Vec<(&str, String)> {
        let root = root.display().to_string();
        let expand = |entry| variable(entry, &root);
        self.environment.iter().map(expand).collect()
    }

    /// Names of the logs of the virtual hosts.
    pub(super) fn vhost_logs(&self) -> impl Iterator<Item = String> {
        self.vhosts.iter().map(|(name, _)| format!("{name}.log"))
    }

    /// The text of httpd.conf.
    pub(super) fn render(&self, root: &Path, module: &Path, port: u16) -> String {
        let mut text = preamble(module, port, &self.modules);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        for (name, lines) in &self.vhosts {
            let _ = write!(
                text,
                "<VirtualHost 127.0.0.1:{port}>\nServerName {name}\nErrorLog {{root}}/{name}.log\n\
                 {}\n</VirtualHost>\n",
                lines.join("\n"),
            );
        }
        let user = settings().user.unwrap_or("nobody");
        text.replace("{root}", &root.display().to_string())
            .replace("{apps}", &root.join("apps").display().to_string())
            .replace("{port}", &port.to_string())
            .replace("{user}", user)
    }
}

fn preamble(module: &Path, port: u16, extra: &[&str]) -> String {
    let settings = settings();
    let mut text = String::new();
    let mpm = format!("mpm_{}", settings.mpm.name());
    let usual = ["authz_core", "unixd", "alias", "mime", "dir", "env", "log_config"];
    for name in std::iter::once(mpm.as_str()).chain(usual).chain(extra.iter().copied()) {
        if settings.built_in.contains(&format!("mod_{name}.c"))
            || (name.starts_with("mpm_")
                && settings.built_in.contains(&format!("{}.c", &name[4..])))
        {
            continue;
        }
        let path = settings.httpd_modules.join(format!("mod_{name}.so"));
        let _ = writeln!(text, "LoadModule {name}_module {}", path.display());
    }
    let _ = writeln!(text, "LoadModule wsgi_module {}", module.display());
    let _ = write!(
        text,
        "ServerRoot {{root}}\nServerName localhost\nListen 127.0.0.1:{port}\n\
         DefaultRuntimeDir {{root}}/run\nPidFile {{root}}/run/httpd.pid\n\
         WSGISocketPrefix {{root}}/run/wsgi\n\
         ErrorLog {{root}}/error.log\nLogLevel notice wsgi:info\n\
         ErrorLogFormat \"[%m:%l] [pid %P] [id %-L] [client %-a] %-E: %M\"\n\
         TypesConfig /dev/null\nAcceptFilter http none\nTimeout 30\nKeepAlive On\n\
         MaxKeepAliveRequests 0\nKeepAliveTimeout 15\nGracefulShutdownTimeout 5\n\
         DocumentRoot {{root}}/htdocs\n\
         <Directory />\nAllowOverride None\nRequire all denied\n</Directory>\n\
         <Directory {{root}}/htdocs>\nRequire all granted\n</Directory>\n\
         <Directory {{apps}}>\nRequire all granted\n</Directory>\n",
    );
    if let Some(user) = settings.user {
        let _ = writeln!(text, "User {user}\nGroup #{}", group_of(user));
    }
    if let Some(home) = &settings.python_home {
        let _ = writeln!(text, "WSGIPythonHome {home}");
    }
    // Enough workers for 100 requests at once, and a steady number of children, so that
    // counting processes and descriptors means something.
    text.push_str(match settings.mpm {
        Mpm::Event | Mpm::Worker => {
            "StartServers 2\nServerLimit 4\nThreadLimit 64\nThreadsPerChild 64\n\
             MaxRequestWorkers 256\nMinSpareThreads 64\nMaxSpareThreads 256\n"
        }
        Mpm::Prefork => {
            "StartServers 8\nServerLimit 150\nMaxRequestWorkers 150\nMinSpareServers 4\n\
             MaxSpareServers 150\n"
        }
    });
    text
}

fn group_of(user: &str) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = accounts.lines().find(|line| line.starts_with(&format!("{user}:")));
    line.and_then(|line| line.split(':').nth(3)).unwrap_or("65534").to_owned()
}

fn variable<'c>((name, value): &'c (String, String), root: &str) -> (&'c str, String) {
    (name, value.replace("{root}", root))
}
