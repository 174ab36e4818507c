//! What a handler sets of its response, and of its connection.

use std::ffi::{CStr, c_int};

use super::request::Request;
use super::sys;

impl<'r> Request<'r> {
    pub(crate) fn set_status(self, status: u16, line: Option<&'r CStr>) {
        // SAFETY: the record is alive, the line lives in its pool.
        unsafe {
            (*self.raw()).status = c_int::from(status);
            (*self.raw()).status_line = line.map_or(std::ptr::null(), CStr::as_ptr);
        }
    }

    /// Content-Type of the response. httpd refuses one that splits headers.
    pub(crate) fn set_content_type(self, content_type: &'r CStr) {
        // SAFETY: the request is alive, the string lives in its pool. 0: the value
        // comes from outside.
        unsafe { sys::ap_set_content_type_ex(self.raw(), content_type.as_ptr(), 0) };
    }

    /// Content-Length of the response.
    pub(crate) fn set_content_length(self, length: i64) {
        // SAFETY: the request is alive.
        unsafe { sys::ap_set_content_length(self.raw(), length) };
    }

    /// Sends a part of the body. A client that is gone is noticed elsewhere.
    pub(crate) fn print(self, text: &[u8]) {
        // httpd takes no more at once.
        for part in text.chunks(1 << 20) {
            let length = c_int::try_from(part.len()).unwrap_or(0);
            // SAFETY: the request is alive, the part valid during the call.
            unsafe { sys::ap_rwrite(part.as_ptr().cast(), length, self.raw()) };
        }
    }

    /// Serves a local URL in place of this request, as GET.
    pub(crate) fn redirect_internally(self, uri: &'r CStr) {
        // SAFETY: the record is alive; M_GET is 0 in all of httpd 2.x.
        unsafe {
            (*self.raw()).method = c"GET".as_ptr();
            (*self.raw()).method_number = 0;
            sys::apr_table_unset((*self.raw()).headers_in, c"Content-Length".as_ptr());
            sys::ap_internal_redirect_handler(uri.as_ptr(), self.raw());
        }
    }

    /// Ends the connection after this response.
    pub(crate) fn close_connection(self) {
        // SAFETY: the connection outlives the request.
        unsafe { sys::wsgi_connection_close(self.connection()) };
    }
}
