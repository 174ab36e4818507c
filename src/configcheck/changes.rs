//! Directives that do their job in another way than with mod_wsgi.

use crate::config::options::Line;

use crate::config::Entry;

/// How a line's effect differs from what it had with mod_wsgi; none if it does not.
/// docs/compatibility.md tells more.
pub(super) fn of(entry: &Entry) -> Option<&'static str> {
    let line = Line::words(&entry.text).unwrap_or_default();
    let first = line.word(0);
    let is = |word: &str| first.eq_ignore_ascii_case(word);
    Some(match entry.directive {
        "WSGIProcessGroup" if first == "%{GLOBAL}" => {
            "runs in daemon processes of Apache's user, not inside of httpd"
        }
        "WSGIApplicationGroup" if first != "%{GLOBAL}" => {
            "each application group has processes of its own, in Python's main interpreter"
        }
        "WSGIRestrictEmbedded" if is("On") => {
            "requests for the implicit process group get 500; httpd holds no Python in any case"
        }
        "WSGIPythonHashSeed" if is("random") => "the seed is random in each process",
        "WSGIAccessScript"
        | "WSGIAuthUserScript"
        | "WSGIAuthGroupScript"
        | "WSGIDispatchScript" => {
            "the script runs in the process group 'wsgi-access'; an error in it is a 500"
        }
        "WSGIScriptReloading" if is("On") => {
            "a changed script is noticed without a request; the new processes are ready before the \
             old ones end"
        }
        "WSGIErrorOverride" if is("On") => "holds for the implicit process group, too",
        _ => return None,
    })
}
