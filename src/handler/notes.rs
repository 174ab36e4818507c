//! Notes about a request for the access log: `%{wsgi-queue}n` and its kind.
//!
//! Written only where WSGILogNotes asks for them. Times are microseconds, as `%D` has them.
//!
//! *Runs in:* httpd child.

use std::ffi::CStr;
use std::time::Duration;

use wsgi_proto::channel::End;
use wsgi_sys::table::Table;

use super::reserve::{Patience, Slot};
use super::target::Target;
use crate::apache::request::Request;
use crate::config::LogNotes;
use crate::environ::Decimal;

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
        self.note(c"wsgi-queue", micros(patience.waited()));
        if let Some(seat) = table.seat(slot.index()) {
            self.note(c"wsgi-process", seat.pid.unsigned_abs().into());
            self.note(c"wsgi-thread", seat.thread.into());
            self.note(c"wsgi-generation", seat.generation.into());
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

    /// Writes a note, once in a request: it is added without a look for one of its name.
    fn note(self, name: &'static CStr, value: u64) {
        let value = self.request.pool().string(Decimal::new(value).as_bytes());
        self.request.notes().add(name, value);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
