//! Directives of mod_wsgi 4 and 5 that 6.0 removed, and that configurations still hold.

use super::{Arguments, Context, Directive};

pub(super) const DIRECTIVES: &[Directive] = &[
    removed(
        c"WSGILazyInitialization",
        Context::Global,
        "On|Off",
        "httpd's own processes hold no Python",
    ),
    removed(c"WSGIPy3kWarningFlag", Context::Global, "On|Off", "Python 3 has no such flag"),
    removed(
        c"WSGINewRelicConfigFile",
        Context::Global,
        "file",
        "mod_wsgi 6.0 removed it; initialise the agent in the script",
    ),
    removed(
        c"WSGINewRelicEnvironment",
        Context::Global,
        "name",
        "mod_wsgi 6.0 removed it; initialise the agent in the script",
    ),
    removed(
        c"WSGIUserAuthoritative",
        Context::AuthConfig,
        "On|Off",
        "httpd 2.4 has AuthBasicAuthoritative and AuthDigestProvider",
    ),
];

const fn removed(
    name: &'static std::ffi::CStr,
    context: Context,
    usage: &'static str,
    why: &'static str,
) -> Directive {
    let arguments = Arguments::words(1, 1, usage);
    Directive::new(name, context, arguments, "none", "Removed in mod_wsgi 6.0.", |_, _| Ok(()))
        .without_effect(why)
}
