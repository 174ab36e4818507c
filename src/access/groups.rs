//! The groups of a `Require wsgi-group` line.

/// The names: words, or texts in quotes.
pub(super) fn names(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        let first = rest.first()?;
        let (start, end) = match first {
            b'"' | b'\'' => (1, rest[1..].iter().position(|byte| byte == first).map(|at| at + 1)),
            _ => (0, rest.iter().position(u8::is_ascii_whitespace)),
        };
        let end = end.unwrap_or(rest.len());
        let name = &rest[start..end];
        rest = rest.get(end + start..).unwrap_or_default();
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_or_quoted() {
        for (line, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("  a  b\t", &["a", "b"]),
            ("\"a b\" 'c d' e", &["a b", "c d", "e"]),
            ("\"a b", &["a b"]),
            ("\"", &[""]),
        ] {
            let names: Vec<_> = names(line.as_bytes()).collect();
            let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(names, expected, "{line}");
        }
    }
}
