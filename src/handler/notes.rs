//! Notes about a request for the access log: `%{wsgi-queue}n` and its kind.
//!
//! Written only where WSGILogNotes asks for them. Times are microseconds, as `%D` has them.
//!
//! *Runs in:* httpd child.

use std::ffi::CStr;

use wsgi_proto::channel::End;
use wsgi_sys::table::Table;

use super::reserve::{Patience, Slot};
use super::target::Target;
use crate::apache::request::Request;
use crate::config::LogNotes;

/// Notes of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notes<'r> {
    request: Request<'r>,
    wanted: LogNotes,
}

impl<'r> Notes<'r> {
    pub(super) fn new(request: Request<'r>, target: &Target<'_>) -> Self {
        Self { request, wanted: target.log_notes() }
    }

    /// It got a worker thread.
    pub(super) fn reserved(self, table: &Table, slot: &Slot<'_>, patience: &Patience) {
        if self.wanted == LogNotes::Off {
            return;
        }
        self.note(c"wsgi-queue", patience.waited().as_micros());
        if let Some(seat) = table.seat(slot.index()) {
            self.note(c"wsgi-process", seat.pid);
            self.note(c"wsgi-thread", seat.thread);
            self.note(c"wsgi-generation", seat.generation);
        }
    }

    /// The worker says that it is over.
    pub(super) fn ended(self, end: End) {
        if self.wanted == LogNotes::Off {
            return;
        }
        self.note(c"wsgi-application", end.application_time);
        if self.wanted == LogNotes::Cpu {
            self.note(c"wsgi-cpu", end.cpu_time);
        }
    }

    fn note(self, name: &'static CStr, value: impl ToString) {
        let value = self.request.pool().string(value.to_string().as_bytes());
        // A retried request has only the last attempt's.
        self.request.notes().set(name, value);
    }
}
