//! Reads the files in `vectors/`, whose format `docs/protocol.md` describes.

use std::path::Path;

/// One stanza of a file.
#[derive(Debug)]
pub(crate) struct Vector {
    /// What it shows.
    pub(crate) name: String,
    /// The record, its head included; for a stream, all its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The other lines, in order: keys and unescaped values.
    pub(crate) lines: Vec<(String, Vec<u8>)>,
}

/// Reads a file of vectors. Panics if it has another format.
pub(crate) fn read(file: &Path) -> Vec<Vector> {
    let text = std::fs::read_to_string(file).expect("the vectors are readable");
    text.split("\n\n").skip(1).map(parse).collect() // the first is the file's comment
}

fn parse(stanza: &str) -> Vector {
    let mut vector = Vector { name: String::new(), bytes: Vec::new(), lines: Vec::new() };
    for line in stanza.lines() {
        let (key, value) = line.split_once(':').expect("a line has a colon");
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "name" => vector.name = value.to_owned(),
            "hex" => value.split_whitespace().for_each(|token| hex(token, &mut vector.bytes)),
            _ => vector.lines.push((key.to_owned(), unescaped(value))),
        }
    }
    assert_ne!(vector.name, "", "a stanza without a name: {stanza}");
    vector
}

/// `0a0b` is two bytes, `0a*3` is three.
fn hex(token: &str, bytes: &mut Vec<u8>) {
    let (digits, count) = match token.split_once('*') {
        Some((digits, count)) => (digits, count.parse().expect("a count is a number")),
        None => (token, 1),
    };
    let start = bytes.len();
    for index in (0..digits.len()).step_by(2) {
        bytes.push(u8::from_str_radix(&digits[index..index + 2], 16).expect("hex digits"));
    }
    let once = bytes.split_off(start);
    bytes.extend(once.repeat(count));
}

/// `\x0a` is a byte, `\x0a{3}` is three; all else stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, mut rest) = piece.split_at(2);
        let byte = u8::from_str_radix(digits, 16).expect("hex digits");
        let mut count = 1;
        if let Some(counted) = rest.strip_prefix('{') {
            let (number, after) = counted.split_once('}').expect("a brace is closed");
            (count, rest) = (number.parse().expect("a count is a number"), after);
        }
        bytes.extend(vec![byte; count]);
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}
