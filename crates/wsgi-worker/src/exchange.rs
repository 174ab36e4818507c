//! One request: from its record to its END.
//!
//! *Runs in:* daemon. *Threads:* the worker thread.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyOSError, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::{ffi, intern};
use wsgi_proto::channel::{End, Outcome, RequestReader, environ_name_id};
use wsgi_sys::clock;

use crate::body::{Body, Fault};
use crate::control::Control;
use crate::environ::{Environ, EnvironError, known};
use crate::errors::{self, Errors};
use crate::inbox::Lost;
use crate::input::Input;
use crate::line::Line;
use crate::log::{self, Destination, level};
use crate::reply::Refusal;
use crate::response::StartResponse;
use crate::script::Found;
use crate::{events, output, script, thread};

/// What a worker thread keeps from one request to the next.
#[derive(Debug)]
pub(crate) struct Desk {
    environ: Environ,
    /// The script of the last request.
    script: Found,
    errors: Option<RequestErrors>,
    /// The callable's name in the last request.
    callable: (Vec<u8>, Py<PyString>),
}

/// One request of those that a thread serves.
#[derive(Debug)]
struct Exchange<'d> {
    desk: &'d mut Desk,
    line: &'d Arc<Line>,
    serial: u64,
}

/// A `wsgi.errors`: used again if the application did not keep it.
#[derive(Debug)]
struct RequestErrors {
    stream: Py<Errors>,
    text: Py<PyAny>,
}

/// What is left to do for a request whose Python part is over.
#[derive(Debug)]
pub(crate) struct Conclusion {
    /// HTTP status of a failure that was logged.
    failure: Option<u16>,
    /// The response has no body by the request's method.
    is_head: bool,
    script: Arc<str>,
    began: Instant,
    /// CPU time of the thread when it began, if it is to be told.
    cpu: Option<Duration>,
}

impl Desk {
    /// # Errors
    /// Only those of a Python that is out of memory.
    pub(crate) fn new(py: Python<'_>, control: &Control, thread: usize) -> PyResult<Self> {
        Ok(Self {
            environ: Environ::new(py, control, thread)?,
            script: Found::default(),
            errors: None,
            callable: (Vec::new(), PyString::new(py, "").unbind()),
        })
    }

    /// Runs the application for a request that came over the line of this seat. The
    /// error is that of a channel that can't be used any longer, never the
    /// application's.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn run(
        &mut self,
        py: Python<'_>,
        line: &Arc<Line>,
        seat: usize,
        request: RequestReader<'_>,
    ) -> Result<Conclusion, Lost> {
        let daemon_start = epoch_seconds();
        let began = Instant::now();
        line.meter().attached();
        let serial = line.begin();
        log::set_destination(Some(Destination { line: Arc::clone(line), serial }));
        let last = CPU.take();
        let cpu = request.cpu_time.then(|| last.unwrap_or_else(clock::thread_time));
        let environ = match self.environ.build(py, request) {
            Ok(environ) => Ok(environ),
            Err(EnvironError::Record(error)) => return Err(error.into()),
            Err(EnvironError::Python(error)) => Err(error),
        };
        let script =
            if request.handler_script.is_empty() { request.script } else { request.handler_script };
        let mut exchange = Exchange { desk: self, line, serial };
        let result = environ.and_then(|environ| {
            exchange.respond(py, seat, &request, script, &environ, daemon_start)
        });
        let failure = result.unwrap_or_else(|error| {
            let script = String::from_utf8_lossy(script);
            Some(exchange.report(py, &script, &error))
        });
        events::finished(py, line, serial, failure);
        thread::set_idle(py, seat);
        errors::end_lines(py);
        self.end_errors(py);
        log::set_destination(None);
        let is_head = self.environ.facts().is_head;
        Ok(Conclusion { failure, is_head, script: self.script.shown(script), began, cpu })
    }

    /// The text stream for `wsgi.errors`.
    fn begin_errors<'py>(
        &mut self,
        py: Python<'py>,
        destination: Destination,
    ) -> PyResult<Bound<'py, PyAny>> {
        let errors = match &self.errors {
            Some(errors) => errors,
            None => {
                let stream = Py::new(py, Errors::new())?;
                let text = py
                    .import("mod_wsgi._streams")?
                    .call_method1("request_errors", (&stream,))?
                    .unbind();
                self.errors.insert(RequestErrors { stream, text })
            }
        };
        errors.stream.get().set_destination(destination);
        Ok(errors.text.bind(py).clone())
    }

    /// Logs the line that was begun; keeps the stream if nobody else does.
    fn end_errors(&mut self, py: Python<'_>) {
        let Some(RequestErrors { stream, text }) = &self.errors else {
            return;
        };
        if stream.get().has_partial() {
            py.detach(|| stream.get().end_line());
        }
        // Known are: ours of both, and that of the text stream to the binary one.
        // SAFETY: both objects live, and this thread is attached.
        let (texts, streams) =
            unsafe { (ffi::Py_REFCNT(text.as_ptr()), ffi::Py_REFCNT(stream.as_ptr())) };
        if texts > 1 || streams > 2 {
            self.errors = None;
        }
    }
}

impl Exchange<'_> {
    /// Calls the application and sends what it returns; the status of a failure
    /// that was logged.
    fn respond(
        &mut self,
        py: Python<'_>,
        seat: usize,
        request: &RequestReader<'_>,
        script: &[u8],
        environ: &Bound<'_, PyDict>,
        daemon_start: f64,
    ) -> PyResult<Option<u16>> {
        let request_id =
            environ.get_item(known(py, const { environ_name_id("mod_wsgi.request_id") }))?;
        let request_id = request_id.map_or_else(|| py.None(), Bound::unbind);
        thread::set_active(seat, request_id);
        self.complete(py, request, environ, daemon_start)?;
        let Some(application) = self.application(py, request, script)? else {
            return Ok(Some(500));
        };
        environ.set_item(intern!(py, "mod_wsgi.application_start"), epoch_seconds())?;
        let application = events::started(self.line, environ, application)?;
        let start_response = StartResponse { line: Arc::clone(self.line), serial: self.serial };
        let result = application.call1((environ, start_response))?;
        let failure = output::send(py, self.line, &result)
            .err()
            .map(|error| self.report(py, &String::from_utf8_lossy(script), &error));
        if !result.is_exact_instance_of::<PyList>() && !result.is_exact_instance_of::<PyTuple>() {
            let closed = result
                .getattr_opt(intern!(py, "close"))
                .and_then(|close| close.map(|close| close.call0()).transpose());
            if let Err(error) = closed {
                let script = String::from_utf8_lossy(script);
                let message = format!(
                    "MWR3023: close() of the response's iterable raised an exception, application in {script}"
                );
                log::exception(py, &message, &error);
            }
        }
        Ok(failure)
    }

    /// Adds what differs between any two requests.
    fn complete(
        &mut self,
        py: Python<'_>,
        request: &RequestReader<'_>,
        environ: &Bound<'_, PyDict>,
        daemon_start: f64,
    ) -> PyResult<()> {
        let announced = self.desk.environ.facts().announced;
        let input = Input { line: Arc::clone(self.line), serial: self.serial, announced };
        environ.set_item(intern!(py, "wsgi.input"), input.into_pyobject(py)?)?;
        let destination = Destination { line: Arc::clone(self.line), serial: self.serial };
        environ.set_item(intern!(py, "wsgi.errors"), self.desk.begin_errors(py, destination)?)?;
        environ.set_item(intern!(py, "mod_wsgi.request_start"), seconds(request.request_start))?;
        environ.set_item(intern!(py, "mod_wsgi.queue_start"), seconds(request.queue_start))?;
        environ.set_item(intern!(py, "mod_wsgi.daemon_start"), daemon_start)
    }

    /// The callable; none if there is none, which was logged.
    fn application<'py>(
        &mut self,
        py: Python<'py>,
        request: &RequestReader<'_>,
        script: &[u8],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((globals, asks)) = self.desk.script.globals(py, script, request.reloads) else {
            return Ok(None);
        };
        if request.reloads
            && asks
            && script::wants_reload(py, script, request.script)
            && let Some(control) = Control::get()
        {
            let _ = py.detach(|| control.ask(script::RELOAD));
        }
        let name = if request.handler_script.is_empty() {
            request.callable_object
        } else {
            b"handle_request"
        };
        let callable = &mut self.desk.callable;
        if callable.0 != name {
            *callable = (name.to_vec(), crate::latin1::decode(py, name).unbind());
        }
        let application = globals.get_item(callable.1.bind(py))?;
        if application.is_none() {
            let message = format!(
                "MWR3013: script {} has no global named {}; name the WSGI application so, or set WSGICallableObject",
                String::from_utf8_lossy(script),
                String::from_utf8_lossy(name)
            );
            py.detach(|| log::write(level::ERROR, message.as_bytes()));
        }
        Ok(application)
    }

    /// Logs an exception of the application; returns the HTTP status for it.
    fn report(&self, py: Python<'_>, script: &str, error: &PyErr) -> u16 {
        static TIMEOUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let fault = self.line.with_body(py, self.serial, |body, _, _| body.fault()).flatten();
        let gone = self.line.with_reply(py, |reply| reply.gone);
        if gone.is_some() && error.is_instance_of::<PyOSError>(py) {
            return 499;
        }
        let timeout = TIMEOUT
            .import(py, "mod_wsgi", "RequestTimeout")
            .is_ok_and(|timeout| error.is_instance(py, timeout));
        let (message, status) = if timeout {
            (format!("MWR3022: the request exceeded its time limit, application in {script}"), 504)
        } else if error.is_instance_of::<PySystemExit>(py) {
            (
                format!(
                    "MWR3021: SystemExit was raised by the application in {script}; the process goes on"
                ),
                500,
            )
        } else {
            (format!("MWR3020: exception in the application in {script}"), 500)
        };
        log::exception(py, &message, error);
        events::exception(py, error);
        match fault {
            Some(Fault::Status(status @ 400..=599)) => status,
            _ => status,
        }
    }
}

impl Conclusion {
    /// Ends the request on the wire, without the GIL.
    ///
    /// # Errors
    /// [`Lost`].
    pub(crate) fn send(mut self, line: &Line, body: &Body) -> Result<(), Lost> {
        let socket = line.socket();
        let mut reply = line.reply();
        line.set_serial(0);
        let mut outcome = self.outcome(&reply);
        if outcome == Outcome::Complete {
            match reply.commit() {
                Ok(()) | Err(Refusal::Gone) => {}
                Err(_) => {
                    outcome = Outcome::Failed(500);
                    let script = &self.script;
                    let text = format!(
                        "MWR3028: the header fields from the application in {script} are too long to be sent"
                    );
                    reply.log(socket, level::ERROR, text.as_bytes())?;
                    self.failure = Some(500);
                }
            }
        }
        let (script, is_head) = (&self.script, self.is_head);
        let bodiless = is_head || reply.head().is_none_or(|head| head.is_bodiless());
        if self.failure.is_none() && reply.gone.is_none() {
            if reply.head().is_none() {
                let text = format!(
                    "MWR3024: the application in {script} did not call start_response; it has to before it returns or yields its first piece"
                );
                reply.log(socket, level::ERROR, text.as_bytes())?;
            } else if let Outcome::Failed(_) | Outcome::Aborted = outcome {
                let text = format!(
                    "MWR3026: the application in {script} sent {} bytes of body, fewer than its Content-Length; the response is broken off",
                    reply.output
                );
                reply.log(socket, level::ERROR, text.as_bytes())?;
            } else if reply.cut && !bodiless {
                let text = format!(
                    "MWR3025: the application in {script} sent more body than its Content-Length of {} bytes; the rest was left out",
                    reply.output
                );
                reply.log(socket, level::WARNING, text.as_bytes())?;
            }
        }
        let end = End {
            outcome,
            application_time: micros(self.began.elapsed()),
            cpu_time: self.cpu.map_or(0, cpu_since),
            input: body.consumed,
            output: reply.output,
        };
        reply.end(end)?;
        reply.finish(socket)
    }

    fn outcome(&self, reply: &crate::reply::Reply) -> Outcome {
        let failed =
            |status| if reply.is_committed() { Outcome::Aborted } else { Outcome::Failed(status) };
        if reply.gone.is_some() {
            return failed(499);
        }
        if let Some(status) = self.failure {
            return failed(status);
        }
        let Some(head) = reply.head() else {
            return failed(500);
        };
        let replaced = head.sendfile && reply.output == 0;
        if reply.is_short().is_some() && !self.is_head && !head.is_bodiless() && !replaced {
            return failed(500);
        }
        Outcome::Complete
    }
}

thread_local! {
    /// CPU time of the thread at the end of its last request, if that was measured. To ask
    /// for it costs more than all that happens in between.
    static CPU: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Microseconds of CPU time of this thread since then.
fn cpu_since(before: Duration) -> u64 {
    let now = clock::thread_time();
    CPU.set(Some(now));
    micros(now.saturating_sub(before))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Seconds from microseconds.
fn seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}
