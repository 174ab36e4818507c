//! Status and header fields as the application gave them, checked.
//!
//! *Runs in:* daemon.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use wsgi_proto::channel::HeadWriter;
use wsgi_proto::fields;
use wsgi_proto::limits::{MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS, MAX_REASON};

use crate::latin1;

/// Bytes that the texts of most heads need at most.
const TEXT: usize = 512;

/// A response's head, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The body's length as the application announced it.
    pub(crate) content_length: Option<u64>,
    /// Another module sends the body: a mismatch with the length is meant.
    pub(crate) sendfile: bool,
    /// Names of hop-by-hop header fields that were left out.
    pub(crate) dropped: Vec<String>,
    /// Reason, then names and values, one after the other.
    text: Vec<u8>,
    reason: usize,
    /// Lengths of name and value.
    fields: Vec<(usize, usize)>,
}

impl Head {
    /// Reads the arguments of `start_response`.
    ///
    /// # Errors
    /// `TypeError`, `ValueError` or `UnicodeEncodeError` as PEP 3333 wants it.
    pub(crate) fn new(status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut head = Self { text: Vec::with_capacity(TEXT), ..Self::default() };
        head.read_status(status)?;
        head.read_fields(headers)?;
        Ok(head)
    }

    /// Reads the argument of `wsgi.early_hints`.
    ///
    /// # Errors
    /// As for [`Head::new`].
    pub(crate) fn hints(headers: &Bound<'_, PyAny>) -> PyResult<Self> {
        let text = Vec::with_capacity(TEXT);
        let mut head = Self { status: 103, text, ..Self::default() };
        head.read_fields(headers)?;
        Ok(head)
    }

    fn read_fields(&mut self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(headers) = headers.cast::<PyList>() else {
            return Err(PyTypeError::new_err(format!(
                "expected list object for headers, value of type {} found",
                type_name(headers)
            )));
        };
        if headers.len() > usize::from(MAX_HEADERS) {
            return Err(PyValueError::new_err(format!("more than {MAX_HEADERS} header fields")));
        }
        self.fields.reserve(headers.len());
        for item in headers.iter() {
            self.read_field(&item)?;
        }
        Ok(())
    }

    /// True if the response has no body by its status.
    pub(crate) fn is_bodiless(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Announces the body's length if the application did not.
    pub(crate) fn announce_length(&mut self, length: u64) {
        if self.content_length.is_none() {
            self.content_length = Some(length);
            self.push(b"Content-Length", length.to_string().as_bytes());
        }
    }

    /// Appends the HEAD record.
    ///
    /// # Errors
    /// [`wsgi_proto::Error::TooLong`].
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) -> Result<(), wsgi_proto::Error> {
        let (reason, mut rest) = self.text.split_at(self.reason.min(self.text.len()));
        let mut writer = HeadWriter::new(buffer, self.status, reason);
        for &(name, value) in &self.fields {
            let (Some(field), Some(next)) = (rest.get(..name + value), rest.get(name + value..))
            else {
                break;
            };
            let (name, value) = field.split_at(name);
            writer.header(name, value);
            rest = next;
        }
        writer.finish()
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.fields.push((name.len(), value.len()));
    }

    fn read_status(&mut self, status: &Bound<'_, PyAny>) -> PyResult<()> {
        let line = text("status line", status)?;
        let line = line.as_bytes();
        let refused = |why: &str| {
            Err(PyValueError::new_err(format!(
                "status line {:?} {why}",
                String::from_utf8_lossy(line)
            )))
        };
        let Some((&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'], reason)) =
            line.split_first_chunk()
        else {
            return refused("does not start with a status of three digits");
        };
        let reason = match reason {
            [] => reason,
            [b' ', reason @ ..] => reason,
            _ => return refused("has no space after the status"),
        };
        if reason.iter().any(u8::is_ascii_control) {
            return refused("contains control characters");
        }
        if reason.len() > MAX_REASON {
            return Err(PyValueError::new_err(format!(
                "the reason phrase exceeds {MAX_REASON} bytes"
            )));
        }
        self.status =
            [a, b, c].iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        if self.status < 200 {
            return refused(
                "is an interim response; environ[\"wsgi.early_hints\"] sends early hints, and httpd sends 100 by itself",
            );
        }
        self.reason = reason.len();
        self.text.extend_from_slice(reason);
        Ok(())
    }

    fn read_field(&mut self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(pair) = item.cast_exact::<PyTuple>() else {
            return Err(PyTypeError::new_err(format!(
                "list of tuple values expected for headers, value of type {} found",
                type_name(item)
            )));
        };
        if pair.len() != 2 {
            return Err(PyTypeError::new_err(format!(
                "tuple of length 2 expected for header, length is {}",
                pair.len()
            )));
        }
        let name = text("header name", &pair.get_item(0)?)?;
        let value = text("header value", &pair.get_item(1)?)?;
        let (name, value) = (name.as_bytes(), value.as_bytes());
        check_field(name, value)?;
        if fields::is_hop_by_hop(name) {
            self.dropped.push(String::from_utf8_lossy(name).into_owned());
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = content_length(value)?;
            match self.content_length.replace(length) {
                None => {}
                Some(same) if same == length => return Ok(()),
                Some(other) => {
                    return Err(PyValueError::new_err(format!(
                        "two values of Content-Length: {other} and {length}"
                    )));
                }
            }
        }
        self.sendfile |= name.eq_ignore_ascii_case(b"x-sendfile");
        self.push(name, value);
        Ok(())
    }
}

fn check_field(name: &[u8], value: &[u8]) -> PyResult<()> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    if name.is_empty() || name.len() > MAX_HEADER_NAME {
        return Err(PyValueError::new_err("header name is empty or too long"));
    }
    if !fields::is_token(name) {
        return Err(PyValueError::new_err(format!(
            "header name {:?} has a character that no header name may have",
            shown()
        )));
    }
    if !fields::is_field_value(value) {
        return Err(PyValueError::new_err(format!(
            "value of header {:?} contains control characters",
            shown()
        )));
    }
    if value.len() > MAX_HEADER_VALUE {
        return Err(PyValueError::new_err(format!(
            "value of header {:?} exceeds {MAX_HEADER_VALUE} bytes",
            shown()
        )));
    }
    Ok(())
}

fn content_length(value: &[u8]) -> PyResult<u64> {
    fields::content_length(value).and_then(|length| u64::try_from(length).ok()).ok_or_else(|| {
        PyValueError::new_err(format!(
            "Content-Length {:?} is not a number of bytes",
            String::from_utf8_lossy(value)
        ))
    })
}

fn text<'py>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let Ok(value) = value.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!(
            "expected str object for {what}, value of type {} found",
            type_name(value)
        )));
    };
    latin1::encode(value)
}

/// Name of a value's type, for messages.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| String::from("object"), |name| name.to_string())
}
