//! The little JSON that answers to orders need.

use std::fmt::Write as _;

/// A string.
pub(super) fn text(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            character if character.is_control() => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            character => json.push(character),
        }
    }
    json.push('"');
    json
}

/// An array of numbers.
pub(super) fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("[{}]", numbers.join(", "))
}

/// An object of members that are JSON already.
pub(super) fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}: {value}", text(name))).collect();
    format!("{{{}}}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_said_stays_one_string() {
        assert_eq!(text("a \"b\"\\\n\u{1b}é"), r#""a \"b\"\\\n\u001bé""#);
        let members = [("a", text("b")), ("c", numbers(&[1, 2]))];
        assert_eq!(object(&members), r#"{"a": "b", "c": [1, 2]}"#);
    }
}
