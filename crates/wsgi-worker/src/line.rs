//! A worker thread's end of its channel, shared with the objects that it gives
//! to the application.
//!
//! *Runs in:* daemon. *Threads:* any. Two locks: the body's, then the reply's,
//! if both. No Python code runs and no Python object dies while one is held,
//! or a finalizer that prints would wait for its own thread.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::Python;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use wsgi_proto::channel::Demand;
use wsgi_sys::lanes::Lane;

use crate::body::{Body, Fault};
use crate::inbox::Lost;
use crate::meter::Meter;
use crate::reply::Reply;

/// Sends a DEMAND.
pub(crate) type SendDemand<'a> = &'a mut dyn FnMut(Demand) -> Result<(), Lost>;

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct Line {
    socket: OwnedFd,
    /// Where small requests and responses pass.
    lane: Arc<Lane>,
    /// Number of the request that runs; 0 between requests.
    serial: AtomicU64,
    /// Requests so far.
    count: AtomicU64,
    body: Mutex<Body>,
    reply: Mutex<Reply>,
    /// A DEMAND was met.
    released: Condvar,
    meter: Meter,
}

impl Line {
    pub(crate) fn new(socket: OwnedFd, lane: Arc<Lane>) -> Self {
        Self {
            reply: Mutex::new(Reply::new(Arc::clone(&lane))),
            socket,
            lane,
            serial: AtomicU64::new(0),
            count: AtomicU64::new(0),
            body: Mutex::new(Body::new()),
            released: Condvar::new(),
            meter: Meter::default(),
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// What the request that runs costs.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Begins a request: its number, by which its objects work until the next.
    pub(crate) fn begin(&self) -> u64 {
        let serial = self.count.fetch_add(1, Ordering::AcqRel) + 1;
        self.set_serial(serial);
        serial
    }

    /// Lets the objects of request `serial` work; 0 for none.
    pub(crate) fn set_serial(&self, serial: u64) {
        self.serial.store(serial, Ordering::Release);
    }

    /// True while request `serial` runs.
    pub(crate) fn runs(&self, serial: u64) -> bool {
        serial != 0 && self.serial.load(Ordering::Acquire) == serial
    }

    /// Checks that request `serial` still runs.
    ///
    /// # Errors
    /// `RuntimeError`.
    pub(crate) fn check(&self, serial: u64, what: &str) -> PyResult<()> {
        if self.runs(serial) { Ok(()) } else { Err(ended(what)) }
    }

    /// The body, for callers without the GIL.
    pub(crate) fn body(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply, for callers without the GIL.
    pub(crate) fn reply(&self) -> MutexGuard<'_, Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply when it may send: not before httpd's child has sent the body that
    /// another thread waits for. For callers without the GIL.
    pub(crate) fn free_reply(&self) -> MutexGuard<'_, Reply> {
        let mut reply = self.reply();
        while reply.is_held() {
            reply = self.released.wait(reply).unwrap_or_else(PoisonError::into_inner);
        }
        reply
    }

    /// Runs `work`, which must not block, on the reply. Waits for the lock without
    /// the GIL: its holder may be sending.
    pub(crate) fn with_reply<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Reply) -> R + Send,
    ) -> R {
        match self.reply.try_lock() {
            Ok(mut reply) => return work(&mut reply),
            Err(TryLockError::Poisoned(poisoned)) => return work(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        py.detach(|| work(&mut self.reply()))
    }

    /// What is seen of the body, with the GIL or without; None if another thread has it.
    pub(crate) fn look_at_body<R>(&self, look: impl FnOnce(&Body) -> R) -> Option<R> {
        match self.body.try_lock() {
            Ok(body) => Some(look(&body)),
            Err(TryLockError::Poisoned(poisoned)) => Some(look(&poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Runs `work` on the body for request `serial` without the GIL, with a
    /// function that sends DEMANDs. None if the request ended while another
    /// thread had the body.
    pub(crate) fn with_body<R: Send>(
        &self,
        py: Python<'_>,
        serial: u64,
        work: impl FnOnce(&mut Body, BorrowedFd<'_>, SendDemand<'_>) -> R + Send,
    ) -> Option<R> {
        self.meter.detach(py, || {
            let mut demanded = false;
            let mut demand = |demand| {
                let mut reply = self.reply();
                demanded = true;
                if self.runs(serial) { reply.demand(self.socket(), demand) } else { Err(Lost::End) }
            };
            let mut body = self.body();
            if !self.runs(serial) {
                return None;
            }
            let result = work(&mut body, self.socket(), &mut demand);
            if demanded {
                self.reply().release(self.socket());
                self.released.notify_all();
            }
            if let Some(fault @ (Fault::Cancelled | Fault::Lost)) = body.fault() {
                self.reply().gone.get_or_insert(fault);
            }
            Some(result)
        })
    }

    /// Looks, without the GIL and without waiting, whether the client is gone.
    pub(crate) fn poll(&self) -> bool {
        let fault = self.body().poll(self.socket());
        let mut reply = self.reply();
        if let Some(fault) = fault {
            reply.gone.get_or_insert(fault);
        }
        reply.gone.is_some()
    }
}

/// The exception for an object whose request has ended.
pub(crate) fn ended(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("{what} was used after its request had ended"))
}
