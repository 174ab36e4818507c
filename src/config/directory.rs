//! Settings of servers and of directories, and how they are merged.
//!
//! httpd keeps the settings of a server's own level as those of a directory
//! above all, so one rule serves both: what is set nearer to the file wins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::alias::{self, Alias, Mapped};
use super::expand::Name;
use super::network::Network;

/// What belongs to the main server or to a virtual host as a whole.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Aliases in the order in which they are tried.
    pub aliases: Vec<Arc<Alias>>,
}

impl ServerConfig {
    /// A virtual host's settings over those of the main server: its own aliases
    /// are tried first.
    #[must_use]
    pub fn merge(base: &Self, own: &Self) -> Self {
        Self { aliases: own.aliases.iter().chain(&base.aliases).cloned().collect() }
    }

    /// The file for a decoded URL path, by the first alias that matches.
    #[must_use]
    pub fn translate<'a>(&'a self, uri: &'a [u8]) -> Option<Mapped<'a>> {
        alias::translate(&self.aliases, uri)
    }
}

/// Settings of the alias or of the handler that a request came by. They win over
/// all directives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `process-group=`
    pub process_group: Option<Name>,
    /// `application-group=`
    pub application_group: Option<Name>,
    /// `callable-object=`
    pub callable_object: Option<Name>,
    /// `pass-authorization=`
    pub pass_authorization: Option<bool>,
}

/// WSGIMapHEADToGET.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapHead {
    /// The application sees HEAD.
    Off,
    /// The application sees GET.
    On,
    /// The application sees GET if a filter needs the response's body.
    #[default]
    Auto,
}

/// WSGILogNotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogNotes {
    /// None.
    #[default]
    Off,
    /// What is known anyway.
    On,
    /// And CPU time, which has to be measured.
    Cpu,
}

/// WSGISpoolRequestBody: which bodies are read before the application is called, and
/// how many bytes they may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spooling {
    /// None.
    #[default]
    Off,
    /// Those that come in chunks, without a length.
    Chunked(u64),
    /// All.
    On(u64),
}

/// An access, authentication or dispatch script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Absolute path.
    pub path: PathBuf,
    /// Where it runs.
    pub application_group: Name,
}

/// WSGIHandlerScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerScript {
    /// Absolute path of the script that holds `handle_request`.
    pub path: PathBuf,
    /// The options.
    pub overrides: Overrides,
}

/// Declares settings whose nearer value wins.
macro_rules! settings {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: Option<$type>,)*
        }

        impl $name {
            /// Every setting of `own` that is set, else that of `base`.
            fn nearest(base: &Self, own: &Self) -> Self {
                Self { $($field: own.$field.as_ref().or(base.$field.as_ref()).cloned(),)* }
            }
        }
    };
}

settings! {
    /// What may differ from directory to directory. None: not set here.
    ///
    /// httpd merges these for each request that such a section applies to, so
    /// texts and lists are shared, not copied.
    pub struct DirectoryConfig {
        /// WSGIProcessGroup
        process_group: Name,
        /// WSGIApplicationGroup
        application_group: Name,
        /// WSGICallableObject
        callable_object: Name,
        /// WSGIRestrictProcess: the groups that may be used, `%{GLOBAL}` as "".
        restrict_process: Arc<Vec<String>>,
        /// WSGIScriptReloading
        script_reloading: bool,
        /// WSGIPassAuthorization
        pass_authorization: bool,
        /// WSGIChunkedRequest
        chunked_request: bool,
        /// WSGISpoolRequestBody
        spooling: Spooling,
        /// WSGIErrorOverride
        error_override: bool,
        /// WSGIMapHEADToGET
        map_head_to_get: MapHead,
        /// WSGIEnableSendfile
        enable_sendfile: bool,
        /// WSGIIgnoreActivity
        ignore_activity: bool,
        /// WSGISlowRequests; 0 for none.
        slow_requests: Duration,
        /// WSGILogNotes
        log_notes: LogNotes,
        /// WSGITrustedProxyHeaders, in lower case.
        trusted_proxy_headers: Arc<Vec<String>>,
        /// WSGITrustedProxies
        trusted_proxies: Arc<Vec<Network>>,
        /// WSGIHandlerScript by handler name.
        handler_scripts: Arc<BTreeMap<String, Arc<HandlerScript>>>,
        /// WSGIDispatchScript
        dispatch_script: Arc<Script>,
        /// WSGIAccessScript
        access_script: Arc<Script>,
        /// WSGIAuthUserScript
        auth_user_script: Arc<Script>,
        /// WSGIAuthGroupScript
        auth_group_script: Arc<Script>,
    }
}

impl DirectoryConfig {
    /// A section's settings over those around it.
    #[must_use]
    pub fn merge(base: &Self, own: &Self) -> Self {
        let mut merged = Self::nearest(base, own);
        if let (Some(inherited), Some(defined)) = (&base.handler_scripts, &own.handler_scripts) {
            let mut scripts = BTreeMap::clone(inherited);
            scripts.extend(defined.iter().map(|(name, script)| (name.clone(), script.clone())));
            merged.handler_scripts = Some(Arc::new(scripts));
        }
        merged
    }

    /// The script of a handler that WSGIHandlerScript defined.
    #[must_use]
    pub fn handler_script(&self, handler: &str) -> Option<&Arc<HandlerScript>> {
        self.handler_scripts.as_ref()?.get(handler)
    }

    /// WSGIScriptReloading or its default, On.
    #[must_use]
    pub fn script_reloading(&self) -> bool {
        self.script_reloading.unwrap_or(true)
    }

    /// WSGIChunkedRequest or its default, Off.
    #[must_use]
    pub fn chunked_request(&self) -> bool {
        self.chunked_request.unwrap_or(false)
    }

    /// WSGIErrorOverride or its default, Off.
    #[must_use]
    pub fn error_override(&self) -> bool {
        self.error_override.unwrap_or(false)
    }

    /// WSGISpoolRequestBody or its default, Off.
    #[must_use]
    pub fn spooling(&self) -> Spooling {
        self.spooling.unwrap_or_default()
    }

    /// WSGIMapHEADToGET or its default, Auto.
    #[must_use]
    pub fn map_head_to_get(&self) -> MapHead {
        self.map_head_to_get.unwrap_or_default()
    }

    /// WSGIEnableSendfile or its default, Off.
    #[must_use]
    pub fn enable_sendfile(&self) -> bool {
        self.enable_sendfile.unwrap_or(false)
    }

    /// WSGISlowRequests; none if no request is slow.
    #[must_use]
    pub fn slow_requests(&self) -> Option<Duration> {
        self.slow_requests.filter(|limit| !limit.is_zero())
    }

    /// WSGILogNotes or its default, Off.
    #[must_use]
    pub fn log_notes(&self) -> LogNotes {
        self.log_notes.unwrap_or_default()
    }

    /// WSGIIgnoreActivity or its default, Off.
    #[must_use]
    pub fn ignore_activity(&self) -> bool {
        self.ignore_activity.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::expand::Kind;
    use crate::config::place::Place;

    fn handler(path: &str) -> Arc<HandlerScript> {
        Arc::new(HandlerScript { path: path.into(), overrides: Overrides::default() })
    }

    fn handlers(of: &[(&str, &str)]) -> DirectoryConfig {
        let scripts = of.iter().map(|(name, path)| ((*name).to_owned(), handler(path))).collect();
        DirectoryConfig { handler_scripts: Some(Arc::new(scripts)), ..DirectoryConfig::default() }
    }

    #[test]
    fn the_nearer_setting_wins() {
        let name = |text| Some(Name::parse(text, Kind::ProcessGroup));
        let base = DirectoryConfig {
            process_group: name("outer"),
            chunked_request: Some(true),
            ..DirectoryConfig::default()
        };
        let own = DirectoryConfig {
            process_group: name("inner"),
            script_reloading: Some(false),
            ..DirectoryConfig::default()
        };
        let merged = DirectoryConfig::merge(&base, &own);
        assert_eq!(merged.process_group, name("inner"));
        assert!(merged.chunked_request());
        assert!(!merged.script_reloading());
        assert!(!merged.error_override());
        assert_eq!(merged.map_head_to_get(), MapHead::Auto);
    }

    #[test]
    fn handlers_overlay_each_other_by_name() {
        let base = handlers(&[("a", "/a"), ("b", "/b")]);
        let merged = DirectoryConfig::merge(&base, &handlers(&[("b", "/new")]));
        let path = |name| merged.handler_script(name).map(|script| script.path.clone());
        assert_eq!(path("a"), Some("/a".into()));
        assert_eq!(path("b"), Some("/new".into()));
        assert_eq!(path("c"), None);
        let inherited = DirectoryConfig::merge(&base, &DirectoryConfig::default());
        assert!(inherited.handler_script("a").is_some());
    }

    #[test]
    fn a_virtual_hosts_aliases_come_first() {
        let server = |target: &str| ServerConfig {
            aliases: vec![Arc::new(Alias {
                pattern: alias::Pattern::Path("/".to_owned()),
                target: target.to_owned(),
                overrides: Overrides::default(),
                place: Place::default(),
            })],
        };
        let merged = ServerConfig::merge(&server("/base"), &server("/own"));
        assert_eq!(merged.aliases.len(), 2);
        assert_eq!(merged.translate(b"/x").unwrap().filename.concat(), b"/own/x");
    }
}
