//! Scripts that decide who may do what.

use super::mapping::{SCRIPT, script};
use super::{Arguments, Context, Directive, docs};
use crate::config::choice::flag;

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        c"WSGIAccessScript",
        Context::AuthConfig,
        Arguments::options(1, "file [application-group=name]"),
        "none",
        "`allow_access(environ, host)` of the script decides whether a client is let in.",
        |scope, line| {
            scope.directory.access_script = Some(script(scope, line)?);
            Ok(())
        },
    )
    .with_options(|| docs(SCRIPT)),
    Directive::new(
        c"WSGIAuthUserScript",
        Context::AuthConfig,
        Arguments::options(1, "file [application-group=name]"),
        "none",
        "`check_password` of the script serves `AuthBasicProvider wsgi`, `get_realm_hash` serves \
         `AuthDigestProvider wsgi`.",
        |scope, line| {
            scope.directory.auth_user_script = Some(script(scope, line)?);
            Ok(())
        },
    )
    .with_options(|| docs(SCRIPT)),
    Directive::new(
        c"WSGIAuthGroupScript",
        Context::AuthConfig,
        Arguments::options(1, "file [application-group=name]"),
        "none",
        "`groups_for_user` of the script serves `Require wsgi-group`.",
        |scope, line| {
            scope.directory.auth_group_script = Some(script(scope, line)?);
            Ok(())
        },
    )
    .with_options(|| docs(SCRIPT)),
    Directive::new(
        c"WSGIGroupAuthoritative",
        Context::AuthConfig,
        Arguments::words(1, 1, "On|Off"),
        "On",
        "Whether others were asked for groups too, with httpd 2.2.",
        |_, line| flag(line.word(0)).map(drop),
    )
    .without_effect("httpd 2.4 has AuthMerging and <RequireAny>"),
];
