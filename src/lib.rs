//! mod_wsgi: hosts Python WSGI applications in daemon processes of httpd.
//!
//! This file holds the module record and the hooks. One request's story begins in
//! [`handler`]; the parent's in [`site`]; ARCHITECTURE.md is the map.

// Unit tests link without httpd, so what only httpd calls is unused there.
#![cfg_attr(test, allow(dead_code, unused_imports))]

#[deny(unsafe_code)]
mod access;
mod apache;
#[deny(unsafe_code)]
mod child;
#[deny(unsafe_code)]
pub mod config;
#[deny(unsafe_code)]
mod configcheck;
#[deny(unsafe_code)]
pub mod directives;
#[deny(unsafe_code)]
mod environ;
#[deny(unsafe_code)]
mod handler;
#[deny(unsafe_code)]
mod interpreters;
#[deny(unsafe_code)]
mod lines;
#[deny(unsafe_code)]
mod parent;
#[deny(unsafe_code)]
mod proxies;
#[deny(unsafe_code)]
pub mod route;
#[deny(unsafe_code)]
mod scratch;
#[deny(unsafe_code)]
mod site;
#[deny(unsafe_code)]
mod status;
#[deny(unsafe_code)]
mod window;

use std::sync::OnceLock;

use apache::Status;
use apache::hooks::Hooks;
use apache::log::{Level, Loggable};
use apache::pool::Pool;
use apache::providers::{Membership, Password, Providers, RealmHash};
use apache::request::Request;
use apache::server::Server;
use child::Child;
use site::Settings;

/// What httpd knows this module by.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub static mut wsgi_module: apache::sys::module =
    apache::module::record::<Module, { lines::COUNT }>(&lines::TABLE);

/// The module: hooks here, directives in [`lines`].
#[derive(Debug)]
struct Module;

/// An httpd child's state. Set in the child only, which never reloads this module.
static CHILD: OnceLock<(&'static Settings, Child)> = OnceLock::new();

/// Where this child asks scripts, if it could set itself up.
fn home() -> access::Home {
    CHILD.get().map(|(settings, child)| (*settings, child))
}

impl Providers for Module {
    fn check_password(request: Request<'_>, user: &[u8], password: &[u8]) -> Password {
        access::check_password(home(), request, user, password)
    }

    fn realm_hash<'r>(request: Request<'r>, user: &[u8], realm: &[u8]) -> RealmHash<'r> {
        access::realm_hash(home(), request, user, realm)
    }

    fn check_groups(request: Request<'_>, groups: &[u8]) -> Membership {
        access::check_groups(home(), request, groups)
    }
}

impl Hooks for Module {
    fn check_config(pconf: Pool<'static>, server: Server<'static>) -> Status {
        site::check_config(pconf, server)
    }

    fn test_config(pconf: Pool<'static>, server: Server<'static>) {
        site::explain(pconf, server);
    }

    fn post_config(pconf: Pool<'static>, server: Server<'static>) -> Status {
        site::post_config(pconf, server)
    }

    fn child_init(pool: Pool<'static>, server: Server<'static>) {
        let Some(site) = site::of(server) else { return };
        if let Some(window) = site.window()
            && let Err(error) = window::attend(window, pool)
        {
            server.log(
                Level::Error,
                format_args!("MWR1615: this child can't tell httpd's scoreboard: {error}"),
            );
        }
        match Child::init(site) {
            Ok(child) => drop(CHILD.set((&site.settings, child))),
            Err(error) => server.log(
                Level::Critical,
                format_args!("MWR1613: this child can't reach the daemon processes: {error}"),
            ),
        }
    }

    fn end_generation(server: Server<'static>, generation: i32) {
        if let (Some(site), Ok(generation)) = (site::of(server), u32::try_from(generation)) {
            site.supervisor().generation_ended(generation);
        }
    }

    fn monitor(server: Server<'static>) {
        if let Some(site) = site::of(server) {
            site.look_after();
        }
    }

    fn translate_name(request: Request<'_>) -> Status {
        handler::translate_name(request)
    }

    fn map_to_storage(request: Request<'_>) -> Status {
        handler::map_to_storage(CHILD.get().map(|(_, child)| child), request)
    }

    fn access_checker(request: Request<'_>) -> Status {
        access::access_checker(home(), request)
    }

    fn handler(request: Request<'_>) -> Status {
        let (answer, child) = match CHILD.get() {
            Some((settings, child)) => (handler::handle(settings, child, request), Some(child)),
            None => (handler::without_daemons(request), None),
        };
        if answer == Status::DECLINED { status::handle(child, request) } else { answer }
    }

    fn status(request: Request<'_>, short: bool, extended: bool) {
        if let Some((_, child)) = CHILD.get() {
            status::extend(child, request, short, extended);
        }
    }
}
