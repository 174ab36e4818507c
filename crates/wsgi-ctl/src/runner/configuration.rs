//! The text of a private httpd's configuration, for its reader as much as for httpd.

use std::fmt::Write as _;
use std::path::Path;

use super::directory::Directory;
use super::httpd::Httpd;
use super::plan::{Logs, Plan, bracketed};

/// Types of static files where the system has no list of them.
const TYPES: &[(&str, &str)] = &[
    ("text/html", "html htm"),
    ("text/css", "css"),
    ("text/javascript", "js mjs"),
    ("text/plain", "txt"),
    ("application/json", "json map"),
    ("application/wasm", "wasm"),
    ("application/pdf", "pdf"),
    ("image/svg+xml", "svg"),
    ("image/png", "png"),
    ("image/jpeg", "jpg jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/x-icon", "ico"),
    ("font/woff2", "woff2"),
    ("font/woff", "woff"),
];

/// The system's list of them.
const MIME_TYPES: &str = "/etc/mime.types";

/// A word of httpd's configuration.
///
/// # Errors
/// It has what can't be written there.
pub(super) fn quoted(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) || text.contains("${") {
        return Err(format!("{text:?} can't be written into httpd's configuration"));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn path(path: &Path) -> Result<String, String> {
    quoted(path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?)
}

/// The configuration.
///
/// # Errors
/// A module of httpd is missing, or something can't be written in it.
pub(super) fn text(plan: &Plan, httpd: &Httpd, directory: &Directory) -> Result<String, String> {
    let mut conf = Configuration::default();
    let shown = &plan.application.shown;
    conf.heading(&format!("A private httpd that serves {shown}; written by wsgi-httpd"));
    conf.line("ServerRoot", &path(directory.path())?);
    conf.line("DefaultRuntimeDir", "run");
    conf.line("PidFile", "run/httpd.pid");
    conf.line("ServerName", plan.server_name.as_deref().unwrap_or("localhost"));
    conf.line("Listen", &format!("{}:{}", bracketed(&plan.host), plan.port));
    if let Some(tls) = &plan.tls {
        conf.line("Listen", &format!("{}:{}", bracketed(&plan.host), tls.port));
    }
    if let Some(account) = &plan.account {
        conf.line("User", &quoted(&account.name)?);
        conf.line("Group", &format!("#{}", account.gid));
    }

    conf.heading("Modules");
    for name in modules(plan, httpd) {
        if let Some(file) = httpd.to_load(&name)? {
            conf.line("LoadModule", &format!("{name}_module {}", path(&file)?));
        }
    }
    conf.line("LoadModule", &format!("wsgi_module {}", path(&plan.module)?));

    conf.heading("Logs");
    logs(&mut conf, plan)?;

    conf.heading("Requests");
    if let Some(most) = plan.max_clients {
        workers(&mut conf, &plan.mpm, most);
    }
    if let Some(bytes) = plan.limit_request_body {
        conf.line("LimitRequestBody", &bytes.to_string());
    }
    if plan.http2 {
        conf.line("Protocols", "h2 h2c http/1.1");
    }
    conf.line("WSGIPassAuthorization", "On");

    conf.heading("Files: nothing is served that is not named below");
    conf.line("DocumentRoot", "htdocs");
    conf.text("<Directory />\n    AllowOverride None\n    Require all denied\n</Directory>\n");
    statics(&mut conf, plan)?;

    conf.heading("The application");
    application(&mut conf, plan)?;
    if plan.tls.is_some() {
        conf.heading("HTTPS");
        tls(&mut conf, plan)?;
    }
    if !plan.includes.is_empty() {
        conf.heading("More");
        for file in &plan.includes {
            conf.line("Include", &path(file)?);
        }
    }
    Ok(conf.0)
}

/// The program that starts and stops what `setup` wrote.
pub(super) fn control(httpd: &Httpd, directory: &Directory) -> String {
    let word = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"));
    let (program, root) = (word(&httpd.program), word(directory.path()));
    format!(
        "#!/bin/sh\n\
         # Starts, stops and checks the httpd of this directory; written by wsgi-httpd.\n\
         # usage: apachectl start|stop|restart|graceful|graceful-stop|configtest|OPTIONS-OF-HTTPD\n\
         cd {root} || exit\n\
         [ ! -f envvars ] || . ./envvars\n\
         case $1 in\n\
         start|stop|restart|graceful|graceful-stop)\n    \
         action=$1; shift; set -- -k \"$action\" \"$@\" ;;\n\
         configtest) set -- -t ;;\n\
         esac\n\
         exec {program} -d {root} -f {root}/httpd.conf \"$@\"\n"
    )
}

#[derive(Default)]
struct Configuration(String);

impl Configuration {
    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "{}# {text}", if self.0.is_empty() { "" } else { "\n" });
    }

    fn line(&mut self, directive: &str, arguments: &str) {
        let _ = writeln!(self.0, "{directive} {arguments}");
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// Names of the modules to load.
fn modules(plan: &Plan, httpd: &Httpd) -> Vec<String> {
    let mut names = vec![format!("mpm_{}", plan.mpm)];
    let mut add = |more: &[&str]| names.extend(more.iter().map(|name| (*name).to_owned()));
    add(&["authz_core", "unixd", "log_config", "mime", "alias"]);
    // Closes connections on which nothing arrives.
    if httpd.has("reqtimeout") {
        add(&["reqtimeout"]);
    }
    if plan.tls.is_some() {
        add(&["ssl"]);
    }
    if plan.http2 {
        add(&["http2"]);
    }
    names
}

fn logs(conf: &mut Configuration, plan: &Plan) -> Result<(), String> {
    let (errors, access) = match &plan.logs {
        Logs::Terminal => ("/dev/stderr".to_owned(), "/dev/stdout".to_owned()),
        Logs::Directory(directory) => {
            (path(&directory.join("error.log"))?, path(&directory.join("access.log"))?)
        }
    };
    conf.line("ErrorLog", &errors);
    conf.line("LogLevel", &plan.log_level);
    if plan.access_log {
        conf.line("LogFormat", r#""%h %l %u %t \"%r\" %>s %b %{ms}Tms" requests"#);
        conf.line("CustomLog", &format!("{access} requests"));
    }
    Ok(())
}

fn workers(conf: &mut Configuration, mpm: &str, most: u64) {
    if mpm == "prefork" {
        conf.line("ServerLimit", &most.to_string());
    } else {
        let threads = most.min(25);
        conf.line("ThreadsPerChild", &threads.to_string());
        conf.line("ServerLimit", &most.div_ceil(threads).to_string());
    }
    conf.line("MaxRequestWorkers", &most.to_string());
}

fn statics(conf: &mut Configuration, plan: &Plan) -> Result<(), String> {
    if Path::new(MIME_TYPES).is_file() {
        conf.line("TypesConfig", MIME_TYPES);
    } else {
        conf.line("TypesConfig", "/dev/null");
        for (name, endings) in TYPES {
            conf.line("AddType", &format!("{name} {endings}"));
        }
    }
    let mut statics: Vec<_> = plan.application.statics.iter().collect();
    // The first alias that matches wins.
    statics.sort_by_key(|(url, _)| std::cmp::Reverse(url.len()));
    for (url, target) in statics {
        let directory = target.is_dir();
        // Both with a final slash or both without: else httpd joins names.
        let url = match url.trim_end_matches('/') {
            "" => "/",
            url => url,
        };
        conf.line("Alias", &format!("{} {}", quoted(url)?, path(target)?));
        grant(conf, target, directory)?;
    }
    Ok(())
}

/// Lets everybody have a directory or a single file.
fn grant(conf: &mut Configuration, target: &Path, directory: bool) -> Result<(), String> {
    if directory {
        let name = path(target)?;
        conf.text(&format!("<Directory {name}>\n    Require all granted\n</Directory>\n"));
        return Ok(());
    }
    let folder = path(target.parent().unwrap_or(Path::new("/")))?;
    let name = path(Path::new(target.file_name().unwrap_or_default()))?;
    conf.text(&format!(
        "<Directory {folder}>\n    <Files {name}>\n        Require all granted\n    </Files>\n\
         </Directory>\n"
    ));
    Ok(())
}

fn application(conf: &mut Configuration, plan: &Plan) -> Result<(), String> {
    let mut options = String::new();
    for (name, value) in &plan.options {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Err(format!("--option: '{name}' is no name of an option"));
        }
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "%{}/._:-+,".contains(c));
        let value = if plain && !value.is_empty() && !value.contains("${") {
            value.clone()
        } else {
            quoted(value)?
        };
        let _ = write!(options, " \\\n    {name}={value}");
    }
    conf.line("WSGIDaemonProcess", &format!("application{options}"));
    let (script, mount) = (&plan.application.script, quoted(&plan.mount)?);
    let callable = match plan.application.callable.as_str() {
        "application" => String::new(),
        name => format!(" \\\n    callable-object={}", quoted(name)?),
    };
    let script_path = path(script)?;
    conf.line(
        "WSGIScriptAlias",
        &format!(
            "{mount} {script_path} \\\n    process-group=application \
             application-group=%{{GLOBAL}}{callable}"
        ),
    );
    grant(conf, script, false)
}

fn tls(conf: &mut Configuration, plan: &Plan) -> Result<(), String> {
    let Some(tls) = &plan.tls else { return Ok(()) };
    conf.text(&format!(
        "<VirtualHost *:{}>\n    SSLEngine On\n    SSLCertificateFile {}\n    \
         SSLCertificateKeyFile {}\n</VirtualHost>\n",
        tls.port,
        path(&tls.certificate)?,
        path(&tls.key)?,
    ));
    if tls.only {
        let name = plan.server_name.as_deref().unwrap_or("localhost");
        let port = if tls.port == 443 { String::new() } else { format!(":{}", tls.port) };
        let target = quoted(&format!("https://{name}{port}/"))?;
        conf.text(&format!(
            "<VirtualHost *:{}>\n    Redirect permanent / {target}\n</VirtualHost>\n",
            plan.port
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_what_httpd_reads() {
        assert_eq!(quoted(r#"/a "b"\c"#).unwrap(), r#""/a \"b\"\\c""#);
        for text in ["a\nServerName evil", "${HOME}", "\0"] {
            assert!(quoted(text).is_err(), "{text:?}");
        }
    }
}
