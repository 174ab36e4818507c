//! DATA: bytes of the response's body, as they are.

use super::Kind;
use crate::codec::{HEAD_LEN, Head};

/// Flag of a DATA record: more follows at once, so there is no need to send
/// what came so far on to the client.
pub const FLAG_MORE: u8 = 1;

/// The head of a DATA record with `length` bytes.
#[must_use]
pub fn data_head(length: u32, more: bool) -> [u8; HEAD_LEN] {
    Head { length, kind: Kind::Data as u8, flags: if more { FLAG_MORE } else { 0 } }.to_bytes()
}
