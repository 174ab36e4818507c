//! The configuration as plain values, with their merge rules.
//!
//! *Runs in:* parent (built there, once for each pass over the configuration
//! files) and httpd child (read only, by all threads). Nothing here knows httpd.

/// Name of the process group of access, authentication and dispatch scripts. A
/// configuration may define it; else it is shaped like the implicit one.
pub const QUESTIONS: &str = "wsgi-access";

mod alias;
pub mod choice;
mod daemon_group;
mod directory;
pub mod expand;
mod globals;
mod interpreter;
mod network;
pub mod options;
mod place;
pub mod problem;
mod resolve;

pub use alias::{Alias, Captures, Mapped, Pattern, Regex, RegexCompiler};
pub use daemon_group::{DaemonGroup, Mpm, OPTIONS as GROUP_OPTIONS, Owner};
pub use directory::{
    DirectoryConfig, HandlerScript, LogNotes, MapHead, Overrides, Script, ServerConfig, Spooling,
};
pub use globals::{Entry, Globals, Import, Notice, Telemetry};
pub use interpreter::{InterpreterOptions, InterpreterSettings, PythonSettings, Selector};
pub use network::Network;
pub use place::{Place, ServerId, VirtualHost};
pub use problem::Problem;
pub use resolve::ServerDefaults;
