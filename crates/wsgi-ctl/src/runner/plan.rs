//! Everything about a private httpd that its configuration says.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::application::{Application, absolute};
use super::directory::Directory;
use super::httpd::Httpd;
use crate::arguments::Given;

/// Ports that are tried if none is given.
const PORTS: std::ops::Range<u16> = 8000..8100;
/// The interpreter that the module was built for.
const BUILT_FOR: Option<&str> = option_env!("MOD_WSGI_PYTHON");

/// The plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) application: Application,
    pub(super) account: Option<Account>,
    /// `mod_wsgi.so`, where the application's user can reach its companions.
    pub(super) module: PathBuf,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) server_name: Option<String>,
    pub(super) mount: String,
    /// Options of WSGIDaemonProcess.
    pub(super) options: Vec<(String, String)>,
    pub(super) tls: Option<Tls>,
    pub(super) http2: bool,
    pub(super) logs: Logs,
    pub(super) access_log: bool,
    pub(super) log_level: String,
    pub(super) mpm: String,
    pub(super) max_clients: Option<u64>,
    pub(super) limit_request_body: Option<u64>,
    pub(super) includes: Vec<PathBuf>,
}

/// HTTPS.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) port: u16,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// HTTP is redirected.
    pub(super) only: bool,
}

/// Where the logs are.
#[derive(Debug)]
pub(super) enum Logs {
    /// On standard output and standard error.
    Terminal,
    /// In this directory.
    Directory(PathBuf),
}

impl Plan {
    /// Decides everything that the options leave open. `serving`: in the foreground,
    /// from now on.
    ///
    /// # Errors
    /// Options that contradict each other, or something that is not there.
    pub(super) fn make(
        given: &Given,
        httpd: &Httpd,
        directory: &mut Directory,
        serving: bool,
    ) -> Result<Self, String> {
        let account = Account::find(given)?;
        let (mut options, interpreter) = python(given)?;
        let application = Application::find(given, account.as_ref(), &interpreter, directory)?;
        let home = application.home.to_string_lossy().into_owned();
        let mut paths = vec![home.clone()];
        for path in given.values("--python-path") {
            paths.push(absolute(path)?.to_string_lossy().into_owned());
        }
        options.insert(0, ("display-name".into(), "%{GROUP}".into()));
        options.push(("home".into(), home));
        options.push(("python-path".into(), paths.join(":")));
        for option in given.values("--option") {
            let (name, value) =
                option.split_once('=').ok_or_else(|| format!("--option {option} has no '='"))?;
            options.push((name.to_owned(), value.to_owned()));
        }
        let host = given.value("--host").unwrap_or("127.0.0.1").to_owned();
        let port = match given.number("--port", 1)? {
            Some(port) => u16::try_from(port).map_err(|_| format!("there is no port {port}"))?,
            None => free_port(&host)?,
        };
        let mount = given.value("--mount").unwrap_or("/").to_owned();
        if !mount.starts_with('/') {
            return Err(format!("--mount {mount}: a URL path begins with '/'"));
        }
        let logs = match given.value("--log-directory") {
            Some(path) => Logs::Directory(existing(path)?),
            None if serving => Logs::Terminal,
            None => Logs::Directory(directory.path().to_owned()),
        };
        let mut plan = Self {
            module: reachable(httpd, account.as_ref(), directory)?,
            application,
            account,
            host,
            port,
            server_name: given.value("--server-name").map(str::to_owned),
            mount,
            options,
            tls: tls(given)?,
            http2: given.has("--http2"),
            logs,
            access_log: !given.has("--no-access-log"),
            log_level: given.value("--log-level").unwrap_or("notice wsgi:info").to_owned(),
            mpm: mpm(given, httpd)?,
            max_clients: given.number("--max-clients", 1)?,
            limit_request_body: given.number("--limit-request-body", 0)?,
            includes: given.values("--include").map(existing).collect::<Result<_, _>>()?,
        };
        for entry in given.values("--static") {
            let (url, path) = entry
                .split_once('=')
                .filter(|(url, _)| url.starts_with('/'))
                .ok_or_else(|| format!("--static {entry} is not of the form /URL=PATH"))?;
            plan.application.statics.push((url.to_owned(), existing(path)?));
        }
        Ok(plan)
    }

    /// Where a browser finds it.
    pub(super) fn url(&self) -> String {
        let host = match self.server_name.as_deref().unwrap_or(&self.host) {
            "0.0.0.0" | "::" => "localhost",
            host => host,
        };
        let host = bracketed(host);
        match &self.tls {
            Some(tls) => format!("https://{host}:{}{}", tls.port, self.mount),
            None => format!("http://{host}:{}{}", self.port, self.mount),
        }
    }
}

/// An IPv6 address in brackets, any other host as it is.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Options that name the interpreter and shape the group, and the interpreter.
fn python(given: &Given) -> Result<(Vec<(String, String)>, PathBuf), String> {
    let mut options = Vec::new();
    let active = std::env::var("VIRTUAL_ENV").ok();
    let interpreter = match given.value("--python").or(active.as_deref()) {
        Some(named) => {
            let path = existing(named)?;
            let directory = path.is_dir();
            let option = if directory { "python-home" } else { "python" };
            options.push((option.to_owned(), path.to_string_lossy().into_owned()));
            if directory { path.join("bin/python") } else { path }
        }
        None => PathBuf::from(BUILT_FOR.unwrap_or("/usr/bin/python3")),
    };
    for name in ["processes", "threads"] {
        if let Some(value) = given.value(&format!("--{name}")) {
            options.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok((options, interpreter))
}

fn existing(path: &str) -> Result<PathBuf, String> {
    let absolute = absolute(path)?;
    if absolute.exists() { Ok(absolute) } else { Err(format!("there is no {path}")) }
}

fn free_port(host: &str) -> Result<u16, String> {
    let free = |port: &u16| TcpListener::bind((host, *port)).is_ok();
    PORTS.into_iter().find(free).ok_or_else(|| {
        format!(
            "no port from {} to {} is free on {host}; name one by --port",
            PORTS.start,
            PORTS.end - 1
        )
    })
}

fn tls(given: &Given) -> Result<Option<Tls>, String> {
    let Some(port) = given.number("--https-port", 1)? else {
        let without = ["--certificate", "--key", "--https-only"];
        return match without.into_iter().find(|name| given.has(name)) {
            Some(name) => Err(format!("{name} needs --https-port")),
            None => Ok(None),
        };
    };
    let file = |name: &str| {
        given.value(name).ok_or_else(|| format!("--https-port needs {name}")).and_then(existing)
    };
    if given.has("--https-only") && !given.has("--server-name") {
        return Err("--https-only needs --server-name, to redirect to".to_owned());
    }
    Ok(Some(Tls {
        port: u16::try_from(port).map_err(|_| format!("there is no port {port}"))?,
        certificate: file("--certificate")?,
        key: file("--key")?,
        only: given.has("--https-only"),
    }))
}

fn mpm(given: &Given, httpd: &Httpd) -> Result<String, String> {
    let has = |name: &&str| httpd.has(&format!("mpm_{name}"));
    match given.value("--mpm") {
        Some(name) if has(&name) => Ok(name.to_owned()),
        Some(name) => Err(format!("this httpd has no MPM {name}")),
        None => ["event", "worker", "prefork"]
            .into_iter()
            .find(has)
            .map(str::to_owned)
            .ok_or_else(|| "this httpd has neither event nor worker nor prefork".to_owned()),
    }
}

/// The module where the application's user can reach what lies beside it: a copy, if
/// it was built below a private directory.
fn reachable(
    httpd: &Httpd,
    account: Option<&Account>,
    directory: &Directory,
) -> Result<PathBuf, String> {
    let companions = httpd.module.with_file_name("mod_wsgi");
    if Account::may_read(account, &companions.join("boot.py")) {
        return Ok(httpd.module.clone());
    }
    directory.copy(&companions, "module/mod_wsgi")?;
    let name = httpd.module.file_name().map_or(Path::new("mod_wsgi.so"), Path::new);
    let copy = directory.path().join("module").join(name);
    std::fs::copy(&httpd.module, &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    Ok(copy)
}
