//! HTTP header fields that an application may set.
//!
//! The worker checks them to tell the application; the httpd child checks them
//! again, as a daemon is not trusted: nothing of what it sends can end a line of
//! the response's head or change its framing.
//!
//! *Runs in:* httpd child, daemon.

/// Whether a name is a token (RFC 9110, section 5.6.2).
#[must_use]
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Whether a token may have a byte.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

/// Whether a value has no control character but tabs (RFC 9110, section 5.5).
#[must_use]
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

/// Whether a field describes the connection (RFC 9110, section 7.6.1; PEP 3333,
/// "Other HTTP Features"): httpd's business, never the application's.
#[must_use]
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    const NAMES: [&str; 9] = [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ];
    NAMES.iter().any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
}

/// A Content-Length: digits alone, within what httpd can count.
#[must_use]
pub fn content_length(value: &[u8]) -> Option<i64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|text| digits && !text.is_empty())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        assert!(is_token(b"X-Custom_1"));
        assert_eq!((0..=255).filter(|byte| is_token(&[*byte])).count(), 26 + 26 + 10 + 15);
        for name in ["", "a b", "a:", "a\r\nb", "a\0", "\u{e9}"] {
            assert!(!is_token(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn values_stay_on_their_line() {
        assert!(is_field_value(b"a\tb \xe9"));
        for value in ["a\rb", "a\nb", "a\0b", "\x7f", "\x0b"] {
            assert!(!is_field_value(value.as_bytes()), "{value:?}");
        }
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(content_length(b"0012"), Some(12));
        for value in ["", "+1", "-1", " 1", "1 ", "0x1", "1,1", "99999999999999999999"] {
            assert_eq!(content_length(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn hop_by_hop_names_in_any_case() {
        assert!(is_hop_by_hop(b"transfer-ENCODING"));
        assert!(!is_hop_by_hop(b"Content-Length"));
    }
}
