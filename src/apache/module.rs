//! The module record that httpd finds in the shared object.

use std::ffi::c_int;
use std::mem::MaybeUninit;

use super::commands::{Commands, Table};
use super::configuration::{create_directory, create_server, merge_directories, merge_servers};
use super::hooks::{Hooks, register};
use super::providers::Providers;
use super::sys;

/// The record; what STANDARD20_MODULE_STUFF is in C.
pub(crate) const fn record<M: Hooks + Providers + Commands, const N: usize>(
    commands: &'static Table<N>,
) -> sys::module {
    // SAFETY: every field is a number, a pointer or an optional function: zero is a
    // value of each.
    let mut record: sys::module = unsafe { MaybeUninit::zeroed().assume_init() };
    record.version = sys::MODULE_MAGIC_NUMBER_MAJOR as c_int;
    record.minor_version = sys::MODULE_MAGIC_NUMBER_MINOR as c_int;
    record.module_index = -1;
    // Configurations say <IfModule mod_wsgi.c>.
    record.name = c"mod_wsgi.c".as_ptr();
    record.magic = sys::MODULE_MAGIC_COOKIE as _;
    record.create_dir_config = Some(create_directory::<M::Directory>);
    record.merge_dir_config = Some(merge_directories::<M::Directory>);
    record.create_server_config = Some(create_server::<M::Server>);
    record.merge_server_config = Some(merge_servers::<M::Server>);
    record.cmds = commands.as_ptr();
    record.register_hooks = Some(register::<M>);
    record
}
