//! The lines of httpd's configuration on their way to [`directives`].
//!
//! *Runs in:* httpd's parent; a child for .htaccess files.

use crate::Module;
use crate::apache::commands::{Allowed, Command, Commands, Table};
use crate::apache::configuration::Merge;
use crate::apache::mpm;
use crate::apache::pool::Pool;
use crate::apache::probe;
use crate::apache::regex::Regex;
use crate::config::{
    self, Captures, DirectoryConfig, Entry, Globals, Place, RegexCompiler, ServerConfig, ServerId,
    VirtualHost,
};
use crate::configcheck;
use crate::directives::table::TABLE as DIRECTIVES;
use crate::directives::{Context, Scope};
use crate::handler::explain;
use crate::site;

/// Entries of the command table, its end included.
pub(crate) const COUNT: usize = DIRECTIVES.len() + 1;

/// The command table: one entry for each directive.
pub(crate) static TABLE: Table<COUNT> = {
    let mut table = Table::new();
    let mut index = 0;
    while index < DIRECTIVES.len() {
        let allowed = match DIRECTIVES[index].context {
            Context::Global | Context::Server => Allowed::Server,
            Context::Directory => Allowed::ServerAndSections,
            Context::FileInfo => Allowed::FileInfo,
            Context::AuthConfig => Allowed::AuthConfig,
        };
        table = table.with::<Module>(index, DIRECTIVES[index].name, allowed);
        index += 1;
    }
    table
};

impl Commands for Module {
    type Server = ServerConfig;
    type Directory = DirectoryConfig;

    fn apply(
        command: &Command<'_>,
        server: &mut ServerConfig,
        directory: &mut DirectoryConfig,
    ) -> Result<(), String> {
        let Some(directive) = DIRECTIVES.get(command.index) else {
            return Err("MWR1902: unknown directive".into());
        };
        let pconf = command.server().config_pool().filter(|_| !command.is_in_htaccess());
        let shared = pconf.map(site::globals);
        let mut scratch = Globals::default();
        let place = place(command);
        let compiler = Compiler(command.pool());
        {
            let mut borrowed = shared.map(std::cell::RefCell::borrow_mut);
            let globals = borrowed.as_deref_mut().unwrap_or(&mut scratch);
            let mut scope = Scope::new(globals, server, directory, &place, &compiler);
            directive.apply(&mut scope, command.text)?;
            if !command.is_in_htaccess() && mpm::is_defined(configcheck::DEFINE) {
                let directive = directive.name();
                let text = command.text.to_owned();
                globals.entries.push(Entry { place: place.clone(), directive, text });
            }
        }
        if probe::is_explaining() {
            explain::note(directory, directive.name(), command.text, &place);
        }
        if directive.arguments.container {
            let applied = command.apply_section();
            if let Some(shared) = shared {
                shared.borrow_mut().leave_interpreter_options();
            }
            applied?;
        }
        Ok(())
    }
}

fn place(command: &Command<'_>) -> Place {
    let (file, line) = command.origin();
    let server = command.server();
    Place {
        file: file.into_owned(),
        line,
        server_root: mpm::server_root(),
        virtual_host: server.is_virtual().then(|| VirtualHost {
            id: ServerId(server.id()),
            server_name: server.hostname().to_owned(),
            port: server.port(),
        }),
        in_directory: command.is_in_section(),
        in_htaccess: command.is_in_htaccess(),
    }
}

impl Merge for ServerConfig {
    fn merge(&self, inner: &Self) -> Self {
        Self::merge(self, inner)
    }
}

impl Merge for DirectoryConfig {
    fn merge(&self, inner: &Self) -> Self {
        Self::merge(self, inner)
    }
}

/// httpd's regular expressions, compiled in the configuration's pool.
struct Compiler<'p>(Pool<'p>);

impl RegexCompiler for Compiler<'_> {
    fn compile(&self, pattern: &str) -> Result<Box<dyn config::Regex>, String> {
        match Regex::compile(self.0, pattern) {
            Some(regex) => Ok(Box::new(regex)),
            None => Err(format!("'{pattern}' is not a regular expression")),
        }
    }
}

impl config::Regex for Regex {
    fn captures(&self, subject: &[u8]) -> Option<Captures> {
        Self::captures(self, subject)
    }
}
