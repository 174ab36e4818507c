//! Who is let in, and what may be run: the scripts that decide it, and the owners
//! that scripts must have.
//!
//! Whatever goes wrong, nobody is let in. Messages never hold a password.
//!
//! *Runs in:* httpd child, on the thread that httpd gave the request.

pub(crate) mod answer;
mod groups;
pub(crate) mod ownership;

use std::sync::Arc;

use crate::apache::Status;
use crate::apache::configuration::of_request;
use crate::apache::log::{Level, Loggable};
use crate::apache::providers::{Membership, Password, RealmHash};
use crate::apache::request::Request;
use crate::child::Child;
use crate::config::{DirectoryConfig, Script};
use crate::handler::ask::{Question, ask};
use crate::site::Settings;

use answer::Answer;

/// Where questions are answered; none in a child that could not set itself up.
pub(crate) type Home = Option<(&'static Settings, &'static Child)>;

/// The script of a directive that applies to a request.
fn script(
    request: Request<'_>,
    pick: fn(&DirectoryConfig) -> Option<Arc<Script>>,
) -> Option<Arc<Script>> {
    of_request::<DirectoryConfig>(request)?.nearest(pick)
}

/// Calls one function of a script; none if that failed, which was logged.
fn call(
    home: Home,
    request: Request<'_>,
    script: &Script,
    function: &str,
    arguments: &[&[u8]],
) -> Option<Answer> {
    let Some((settings, child)) = home else {
        let text = "MWR1307: it can't be asked, as this child has no daemon processes: script";
        request.log(Level::Error, format_args!("{text} {}", script.path.display()));
        return None;
    };
    let question = Question { script, functions: &[function], environment: false, arguments };
    match ask(settings, child, request, &question) {
        Ok(answers) => answers.into_iter().next(),
        Err(why) => {
            request.log(Level::Error, why);
            None
        }
    }
}

/// Logs that a function returned what it must not.
fn misfit(request: Request<'_>, script: &Script, function: &str, answer: &Answer, wanted: &str) {
    let path = script.path.display();
    request.log(
        Level::Error,
        format_args!(
            "MWR1302: {function}() of script {path} returned {answer}; it has to return {wanted}"
        ),
    );
}

/// WSGIAccessScript.
pub(crate) fn access_checker(home: Home, request: Request<'_>) -> Status {
    const FUNCTION: &str = "allow_access";
    let Some(script) = script(request, |directory| directory.access_script.clone()) else {
        return Status::DECLINED;
    };
    match call(home, request, &script, FUNCTION, &[request.remote_name()]) {
        Some(Answer::Bool(true)) => Status::OK,
        Some(Answer::None) => Status::DECLINED,
        Some(Answer::Bool(false)) => {
            let path = script.path.display();
            request.log(
                Level::Error,
                format_args!(
                    "MWR1303: the client is denied access by {FUNCTION}() of script {path}"
                ),
            );
            Status::http(403)
        }
        Some(answer) => {
            misfit(request, &script, FUNCTION, &answer, "True, False or None");
            Status::INTERNAL_SERVER_ERROR
        }
        None => Status::INTERNAL_SERVER_ERROR,
    }
}

/// `AuthBasicProvider wsgi`.
pub(crate) fn check_password(
    home: Home,
    request: Request<'_>,
    user: &[u8],
    password: &[u8],
) -> Password {
    const FUNCTION: &str = "check_password";
    let Some(script) = user_script(request, "AuthBasicProvider") else { return Password::Failed };
    match call(home, request, &script, FUNCTION, &[user, password]) {
        Some(Answer::Bool(true)) => Password::Right,
        Some(Answer::Bool(false)) => Password::Wrong,
        Some(Answer::None) => Password::UnknownUser,
        Some(Answer::Text(name)) if !name.is_empty() => {
            request.set_user(request.pool().string(&name));
            Password::Right
        }
        Some(answer) => {
            let wanted = "True, False, None or the name of the user";
            misfit(request, &script, FUNCTION, &answer, wanted);
            Password::Failed
        }
        None => Password::Failed,
    }
}

/// `AuthDigestProvider wsgi`.
pub(crate) fn realm_hash<'r>(
    home: Home,
    request: Request<'r>,
    user: &[u8],
    realm: &[u8],
) -> RealmHash<'r> {
    const FUNCTION: &str = "get_realm_hash";
    let Some(script) = user_script(request, "AuthDigestProvider") else { return RealmHash::Failed };
    match call(home, request, &script, FUNCTION, &[user, realm]) {
        Some(Answer::None) => RealmHash::UnknownUser,
        Some(Answer::Text(hash)) if !hash.is_empty() => {
            RealmHash::Known(request.pool().string(&hash))
        }
        Some(answer) => {
            misfit(request, &script, FUNCTION, &answer, "None or a hash in hexadecimal");
            RealmHash::Failed
        }
        None => RealmHash::Failed,
    }
}

fn user_script(request: Request<'_>, directive: &str) -> Option<Arc<Script>> {
    let script = script(request, |directory| directory.auth_user_script.clone());
    if script.is_none() {
        let text = "is used without WSGIAuthUserScript; nobody is let in";
        request.log(Level::Error, format_args!("MWR1304: {directive} wsgi {text}"));
    }
    script
}

/// `Require wsgi-group`.
pub(crate) fn check_groups(home: Home, request: Request<'_>, required: &[u8]) -> Membership {
    const FUNCTION: &str = "groups_for_user";
    let Some(user) = request.user() else { return Membership::Nobody };
    let Some(script) = script(request, |directory| directory.auth_group_script.clone()) else {
        let text = "is used without WSGIAuthGroupScript; nobody is let in";
        request.log(Level::Error, format_args!("MWR1305: Require wsgi-group {text}"));
        return Membership::Failed;
    };
    match call(home, request, &script, FUNCTION, &[user]) {
        Some(Answer::Items(known)) => {
            if groups::names(required).any(|group| known.iter().any(|own| own == group)) {
                return Membership::Member;
            }
            let (user, required) =
                (String::from_utf8_lossy(user), String::from_utf8_lossy(required));
            let text = format!("MWR1306: user '{user}' is in none of the groups {required}");
            request.log(Level::Error, text);
            Membership::Stranger
        }
        Some(answer) => {
            misfit(request, &script, FUNCTION, &answer, "an iterable of names of groups");
            Membership::Failed
        }
        None => Membership::Failed,
    }
}
