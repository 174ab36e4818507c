//! Strings between Python's `str` and the bytes of HTTP, as PEP 3333 has it:
//! every byte is the character with its number.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The `str` whose characters have the numbers of `bytes`.
pub(crate) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    PyString::new(py, &text)
}

/// A `bytes` object with the numbers of the characters of `text`.
///
/// # Errors
/// `UnicodeEncodeError` if a number is larger than 255.
pub(crate) fn encode<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    // For ASCII, by far the usual case, UTF-8 is the same and quicker to get.
    match text.encode_utf8() {
        Ok(bytes) if bytes.as_bytes().is_ascii() => Ok(bytes),
        _ => Ok(text.call_method1("encode", ("latin-1",))?.cast_into()?),
    }
}
