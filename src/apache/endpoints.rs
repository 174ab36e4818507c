//! The ends of the connection that a request came over: the server's, and the client's.

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use super::request::Request;
use super::server::bytes;
use super::sys;

impl<'r> Request<'r> {
    /// Whether the request came over TLS.
    pub(crate) fn is_https(self) -> bool {
        // SAFETY: the connection outlives the request.
        unsafe { sys::wsgi_connection_is_https(self.connection()) != 0 }
    }

    /// What a module for TLS knows under one of its names; none for nothing.
    pub(crate) fn tls_variable(self, name: &CStr) -> Option<&'r [u8]> {
        // SAFETY: request, connection and server are alive, and so is the pool that the
        // answer is in.
        let value = bytes(unsafe {
            sys::ap_ssl_var_lookup(
                self.pool().raw(),
                self.field(|r| r.server),
                self.connection(),
                self.raw(),
                name.as_ptr(),
            )
        });
        (!value.is_empty()).then_some(value)
    }

    /// The scheme by httpd.
    pub(crate) fn scheme(self) -> &'r [u8] {
        // SAFETY: the request is alive; the answer is a constant or in its pool.
        bytes(unsafe { sys::ap_run_http_scheme(self.raw()) })
    }

    /// Name of the server as UseCanonicalName says, with `<>&"` escaped as in CGI.
    pub(crate) fn server_name(self) -> &'r [u8] {
        // SAFETY: the request is alive; both strings are in its pool or longer-lived.
        bytes(unsafe {
            let name = sys::ap_get_server_name(self.raw());
            sys::ap_escape_html2(self.pool().raw(), name, 0)
        })
    }

    /// Port of the server as UseCanonicalPhysicalPort and UseCanonicalName say.
    pub(crate) fn server_port(self) -> u16 {
        // SAFETY: the request is alive.
        unsafe { sys::ap_get_server_port(self.raw()) }
    }

    /// ServerTokens' text.
    pub(crate) fn server_software() -> &'static [u8] {
        // SAFETY: the string lives as long as the configuration.
        bytes(unsafe { sys::ap_get_server_banner() })
    }

    /// The client's address, after mod_remoteip.
    pub(crate) fn client_ip(self) -> &'r [u8] {
        bytes(self.field(|r| r.useragent_ip))
    }

    /// The client's name as HostnameLookups says, else its address.
    pub(crate) fn remote_name(self) -> &'r [u8] {
        #[allow(clippy::cast_possible_wrap)] // a small number
        const NAME: c_int = sys::REMOTE_NAME as c_int;
        // SAFETY: the request is alive; the answer is in its or the connection's pool.
        bytes(unsafe { sys::ap_get_useragent_host(self.raw(), NAME, std::ptr::null_mut()) })
    }

    /// The client's port.
    pub(crate) fn client_port(self) -> u16 {
        let address = self.connection_field(|c| c.client_addr);
        // SAFETY: a connection's addresses live as long as it.
        NonNull::new(address).map_or(0, |address| unsafe { address.as_ref() }.port)
    }

    /// The address at which httpd took the connection.
    pub(crate) fn local_ip(self) -> &'r [u8] {
        bytes(self.connection_field(|c| c.local_ip))
    }

    /// The port at which httpd took the connection.
    pub(crate) fn local_port(self) -> u16 {
        let address = self.connection_field(|c| c.local_addr);
        // SAFETY: a connection's addresses live as long as it.
        NonNull::new(address).map_or(0, |address| unsafe { address.as_ref() }.port)
    }

    /// httpd's log id of the connection, if it was made already.
    pub(crate) fn connection_id(self) -> &'r [u8] {
        bytes(self.connection_field(|c| c.log_id))
    }

    pub(crate) fn connection_number(self) -> i64 {
        self.connection_field(|c| c.id)
    }
}
