//! The iterable that an application returned, on its way to the client.
//!
//! *Runs in:* daemon. *Threads:* the worker thread.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::file;
use crate::line::Line;
use crate::reply::{Refusal, Urgency};
use crate::response::{exception, piece};

/// How often a response that is being produced looks whether it is still wanted.
const CURIOSITY: Duration = Duration::from_millis(250);

/// Sends the whole iterable. Ends early, without an error, if the client is gone.
///
/// # Errors
/// The application's, or those of PEP 3333 for what it produced.
pub(crate) fn send(py: Python<'_>, line: &Line, result: &Bound<'_, PyAny>) -> PyResult<()> {
    // Nothing happens between the items of a list, so that they leave together.
    if let Ok(list) = result.cast_exact::<PyList>() {
        let mut items = list.iter();
        return gather(py, line, &mut items);
    }
    if let Ok(tuple) = result.cast_exact::<PyTuple>() {
        return gather(py, line, &mut tuple.iter());
    }
    if file::send(py, line, result)? {
        return Ok(());
    }
    let mut looked = Instant::now();
    for item in result.try_iter()? {
        let item = item?;
        let piece = piece(&item)?.as_bytes();
        if piece.is_empty() {
            continue;
        }
        let look = looked.elapsed() > CURIOSITY;
        let writing = line.meter().writing();
        let sent = line.meter().detach(py, || {
            if look && line.poll() {
                return Err(Refusal::Gone);
            }
            line.free_reply().data(line.socket(), piece, Urgency::Now)
        });
        drop(writing);
        if look {
            looked = Instant::now();
        }
        match sent {
            Ok(()) => {}
            Err(Refusal::Gone) => break,
            Err(refusal) => return Err(exception(refusal)),
        }
    }
    Ok(())
}

fn gather<'py>(
    py: Python<'py>,
    line: &Line,
    items: &mut dyn Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<()> {
    for item in items {
        let piece = piece(&item)?.as_bytes();
        if piece.is_empty() {
            continue;
        }
        let _writing = line.meter().writing();
        let gathered = line.with_reply(py, |reply| {
            reply.can_gather(piece).then(|| reply.data(line.socket(), piece, Urgency::Gathered))
        });
        let sent = match gathered {
            Some(result) => result,
            None => line
                .meter()
                .detach(py, || line.free_reply().data(line.socket(), piece, Urgency::Gathered)),
        };
        match sent {
            Ok(()) => {}
            Err(Refusal::Gone) => break,
            Err(refusal) => return Err(exception(refusal)),
        }
    }
    Ok(())
}
