//! What a function of a script returned, as the worker tells it.
//!
//! A word (`none`, `true`, `false`, `missing`), or `text`, `items` and `other` with
//! texts behind it: `=` and the bytes, percent-encoded. See `mod_wsgi._question`.

use std::fmt;

/// What a function returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The script has no such function, and needs none.
    Missing,
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// A string, as bytes.
    Text(Vec<u8>),
    /// The strings of any other iterable.
    Items(Vec<Vec<u8>>),
    /// Something else, by the name of its type.
    Other(String),
}

impl Answer {
    /// Reads an answer; none if it is malformed.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let mut words = text.split(|byte| *byte == b' ');
        let answer = match words.next()? {
            b"missing" => Self::Missing,
            b"none" => Self::None,
            b"true" => Self::Bool(true),
            b"false" => Self::Bool(false),
            b"text" => Self::Text(marked(words.next()?)?),
            b"items" => return words.map(marked).collect::<Option<_>>().map(Self::Items),
            b"other" => Self::Other(String::from_utf8_lossy(&decoded(words.next()?)?).into_owned()),
            _ => return None,
        };
        words.next().is_none().then_some(answer)
    }
}

/// For messages: of texts only how long they are, as one may be a secret.
impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("nothing, as it is missing"),
            Self::None => formatter.write_str("None"),
            Self::Bool(true) => formatter.write_str("True"),
            Self::Bool(false) => formatter.write_str("False"),
            Self::Text(text) => write!(formatter, "a string of length {}", text.len()),
            Self::Items(items) => write!(formatter, "an iterable of length {}", items.len()),
            Self::Other(name) => write!(formatter, "a value of type {name}"),
        }
    }
}

fn marked(word: &[u8]) -> Option<Vec<u8>> {
    decoded(word.strip_prefix(b"=")?)
}

/// Bytes that were percent-encoded. NUL is refused: httpd's strings end there.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let byte = match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            byte => byte,
        };
        if byte == 0 {
            return None;
        }
        bytes.push(byte);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let items = |items: &[&str]| {
            Answer::Items(items.iter().map(|item| item.as_bytes().to_vec()).collect())
        };
        for (text, answer) in [
            ("none", Answer::None),
            ("true", Answer::Bool(true)),
            ("false", Answer::Bool(false)),
            ("missing", Answer::Missing),
            ("text =a%20b%FF", Answer::Text(b"a b\xff".to_vec())),
            ("text =", Answer::Text(Vec::new())),
            ("items", items(&[])),
            ("items =a =", items(&["a", ""])),
            ("other int", Answer::Other("int".to_owned())),
        ] {
            assert_eq!(Answer::read(text.as_bytes()), Some(answer), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_answer() {
        for text in [
            "",
            "True",
            "true ",
            "true false",
            "text",
            "text a",
            "text =a =b",
            "text =%",
            "text =%4",
            "text =%zz",
            "text =%00",
            "items a",
            "other",
        ] {
            assert_eq!(Answer::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn messages_never_show_texts() {
        assert_eq!(Answer::Text(b"secret".to_vec()).to_string(), "a string of length 6");
    }
}
