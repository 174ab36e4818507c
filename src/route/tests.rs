use std::sync::Arc;

use super::*;
use crate::config::expand::tests::Request;
use crate::config::{Owner, Place};

const HERE: ServerId = ServerId(1);

const NONE: [Option<&Overrides>; 2] = [None, None];

fn process(text: &str) -> Option<Name> {
    Some(Name::parse(text, Kind::ProcessGroup))
}

fn application(text: &str) -> Option<Name> {
    Some(Name::parse(text, Kind::ApplicationGroup))
}

fn callable(text: &str) -> Option<Name> {
    Some(Name::parse(text, Kind::CallableObject))
}

/// Groups `main` of the main server, `own` of this server, `same` of another one
/// of the same name, and `foreign`.
fn globals() -> Globals {
    let mut globals = Globals::default();
    for (name, owner) in [
        ("main", None),
        ("own", Some((HERE, "www.example.org"))),
        ("same", Some((ServerId(2), "www.example.org"))),
        ("foreign", Some((ServerId(3), "other.example.org"))),
    ] {
        let mut group = DaemonGroup::new(name, Place::default());
        group.owner = owner.map(|(id, name)| Owner { id, server_name: name.to_owned() });
        globals.add_group(group).unwrap();
    }
    globals
}

/// `process|application|callable`, or status and code.
fn outcome(
    globals: &Globals,
    overrides: [Option<&Overrides>; 2],
    directory: &DirectoryConfig,
    request: &Request,
) -> Result<String, (u16, u16)> {
    match route(globals, HERE, overrides, directory, request) {
        Ok(route) => {
            assert_eq!(route.group.map_or("", |group| group.name.as_str()), route.process_group);
            Ok([route.process_group, route.application_group, route.callable_object].join(" "))
        }
        Err(refusal) => Err((refusal.status, refusal.code)),
    }
}

#[test]
fn a_process_group_must_be_there_for_this_server() {
    let globals = globals();
    for (group, expected) in [
        ("main", Ok("main")),
        ("own", Ok("own")),
        ("same", Ok("same")),
        ("%{GLOBAL}", Ok("")),
        ("%{ENV:group}", Ok("own")),
        ("%{ENV:global}", Ok("")),
        ("foreign", Err((500, FOREIGN))),
        ("none", Err((500, UNKNOWN))),
        ("%{ENV:unset}", Err((500, UNKNOWN))),
        ("%{SERVER}", Err((500, UNKNOWN))),
    ] {
        let directory = DirectoryConfig {
            process_group: process(group),
            application_group: application("%{GLOBAL}"),
            ..DirectoryConfig::default()
        };
        let request =
            Request { env: vec![("group", "own"), ("global", "%{GLOBAL}")], ..Request::default() };
        let expected = expected.map(|name| format!("{name}  application"));
        assert_eq!(outcome(&globals, NONE, &directory, &request), expected, "{group}");
    }
}

#[test]
fn restrictions_hold_for_the_expanded_name() {
    let mut globals = globals();
    let mut directory = DirectoryConfig {
        restrict_process: Some(Arc::new(vec!["own".to_owned()])),
        ..DirectoryConfig::default()
    };
    let request = Request { env: vec![("group", "own")], ..Request::default() };
    let status = |directory: &DirectoryConfig, globals: &Globals| {
        outcome(globals, NONE, directory, &request).map(drop)
    };
    assert_eq!(status(&directory, &globals), Err((500, RESTRICTED)));
    directory.process_group = process("%{ENV:group}");
    assert_eq!(status(&directory, &globals), Ok(()));
    directory.restrict_process = Some(Arc::new(vec![String::new()]));
    assert_eq!(status(&directory, &globals), Err((500, RESTRICTED)));
    directory.process_group = None;
    assert_eq!(status(&directory, &globals), Ok(()));
    globals.restrict_embedded = true;
    assert_eq!(status(&directory, &globals), Err((500, NOT_EMBEDDED)));
}

#[test]
fn dispatch_wins_over_the_alias_and_the_alias_over_directives() {
    let globals = globals();
    let directory = DirectoryConfig {
        process_group: process("main"),
        application_group: application("directory"),
        callable_object: callable("directory"),
        pass_authorization: Some(false),
        ..DirectoryConfig::default()
    };
    let alias = Overrides {
        process_group: process("own"),
        application_group: application("alias"),
        pass_authorization: Some(true),
        ..Overrides::default()
    };
    let dispatched = Overrides { application_group: application("script"), ..Overrides::default() };
    let request = Request::default();
    let outcome = |overrides| outcome(&globals, overrides, &directory, &request);
    let (alias, dispatched) = (Some(&alias), Some(&dispatched));
    assert_eq!(outcome(NONE).unwrap(), "main directory directory");
    assert_eq!(outcome([None, alias]).unwrap(), "own alias directory");
    assert_eq!(outcome([dispatched, alias]).unwrap(), "own script directory");
    let route = route(&globals, HERE, [None, alias], &directory, &request).unwrap();
    assert!(route.pass_authorization && route.script_reloading);
}

#[test]
fn without_directives_the_resource_names_the_application_group() {
    let directory = DirectoryConfig::default();
    let request = Request { port: 8080, ..Request::default() };
    let mut globals = Globals::default();
    let route = |globals: &Globals| outcome(globals, NONE, &directory, &request).unwrap();
    assert_eq!(route(&globals), " www.example.org:8080|/App application");
    globals.case_insensitive = true;
    assert_eq!(route(&globals), " www.example.org:8080|/app application");
}

#[test]
fn what_is_not_set_keeps_its_text_except_the_callable() {
    let directory = DirectoryConfig {
        application_group: application("%{ENV:unset}"),
        callable_object: callable("%{ENV:unset}"),
        ..DirectoryConfig::default()
    };
    let outcome = outcome(&Globals::default(), NONE, &directory, &Request::default());
    assert_eq!(outcome.unwrap(), " %{ENV:unset} application");
}

const OPEN: Gates<'_> = Gates {
    handler: Handler::Script,
    exec_cgi: true,
    filename: b"/srv/app.wsgi",
    file: FileKind::File,
    path_info: b"",
    reject_path_info: false,
    transfer_encoding: None,
    content_length: None,
    chunked_request: false,
    limit_request_body: 0,
};

#[test]
fn gates_refuse_with_the_right_status() {
    use FileKind::{Directory, Missing};
    use Handler::{Alias, HandlerScript};
    let chunked = Some(&b"Chunked"[..]);
    for (gates, expected) in [
        (OPEN, None),
        (Gates { exec_cgi: false, ..OPEN }, Some((403, NO_EXEC))),
        (Gates { exec_cgi: false, file: Missing, ..OPEN }, Some((403, NO_EXEC))),
        (Gates { exec_cgi: false, handler: Alias, ..OPEN }, None),
        (Gates { exec_cgi: false, handler: HandlerScript, file: Missing, ..OPEN }, None),
        (Gates { file: Missing, ..OPEN }, Some((404, NOT_FOUND))),
        (Gates { file: Missing, handler: Alias, ..OPEN }, Some((404, NOT_FOUND))),
        (Gates { file: Directory, ..OPEN }, Some((403, DIRECTORY))),
        (Gates { reject_path_info: true, ..OPEN }, None),
        (Gates { reject_path_info: true, path_info: b"/x", ..OPEN }, Some((404, PATH_INFO))),
        (Gates { path_info: b"/x", ..OPEN }, None),
        (Gates { transfer_encoding: Some(b"gzip"), ..OPEN }, Some((501, ENCODING))),
        (Gates { transfer_encoding: chunked, ..OPEN }, Some((411, CHUNKED))),
        (Gates { transfer_encoding: chunked, chunked_request: true, ..OPEN }, None),
        (Gates { content_length: Some(b"10"), ..OPEN }, None),
        (Gates { content_length: Some(b""), ..OPEN }, Some((400, LENGTH))),
        (Gates { content_length: Some(b"-1"), ..OPEN }, Some((400, LENGTH))),
        (Gates { content_length: Some(b"+1"), ..OPEN }, Some((400, LENGTH))),
        (Gates { content_length: Some(b"9223372036854775807"), ..OPEN }, None),
        (Gates { content_length: Some(b"9223372036854775808"), ..OPEN }, Some((400, LENGTH))),
        (Gates { content_length: Some(b"10"), limit_request_body: 10, ..OPEN }, None),
        (
            Gates { content_length: Some(b"11"), limit_request_body: 10, ..OPEN },
            Some((413, TOO_LARGE)),
        ),
    ] {
        let refused = gate(&gates).map(|refusal| (refusal.status, refusal.code));
        assert_eq!(refused, expected, "{gates:?}");
    }
}
