//! The grammar of a directive's line: words, then options of the form name=value.
//!
//! It is Apache's own: blanks separate words; a word that begins with `"` or `'`
//! ends with the same character; in it a backslash takes a quote or a backslash
//! literally. An option is quoted in whole (`"name=a b"`) or in its value
//! (`name="a b"`). A pure function of the text, so that it can be fuzzed.

use super::problem::{self, Problem};

/// A directive's line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Plain words.
    pub words: Vec<String>,
    /// Options after the words.
    pub options: Vec<Assignment>,
}

/// An option as it stands on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What precedes the `=`; never empty.
    pub name: String,
    /// What follows it, without quotes.
    pub value: String,
}

impl Line {
    /// All of the line as plain words.
    ///
    /// # Errors
    /// A quote without an end.
    pub fn words(text: &str) -> Result<Self, Problem> {
        Self::parse(text, usize::MAX)
    }

    /// Up to `words` plain words, the rest as options.
    ///
    /// # Errors
    /// A quote without an end; an option without a name or without `=`.
    pub fn parse(text: &str, words: usize) -> Result<Self, Problem> {
        let mut line = Self::default();
        let mut rest = text.trim_start_matches(is_blank);
        while !rest.is_empty() {
            if line.words.len() < words {
                line.words.push(word(&mut rest)?);
            } else {
                line.options.push(assignment(&mut rest)?);
            }
            rest = rest.trim_start_matches(is_blank);
        }
        Ok(line)
    }

    /// The word at `index`; empty if there is none.
    #[must_use]
    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }
}

fn assignment(rest: &mut &str) -> Result<Assignment, Problem> {
    let whole = rest.starts_with(QUOTES).then(|| word(rest)).transpose()?;
    if let Some(whole) = whole {
        return match whole.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Assignment { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(not_an_option(&whole)),
        };
    }
    let end = rest.find(|c| c == '=' || is_blank(c)).unwrap_or(rest.len());
    let (name, tail) = rest.split_at(end);
    match tail.strip_prefix('=') {
        Some(value) if !name.is_empty() => {
            *rest = value;
            Ok(Assignment { name: name.to_owned(), value: word(rest)? })
        }
        _ => Err(not_an_option(rest.split(is_blank).next().unwrap_or_default())),
    }
}

fn not_an_option(text: &str) -> Problem {
    Problem::new(
        problem::NOT_AN_OPTION,
        format!(
            "'{text}' is not an option; options are written name=value, without blanks around '='"
        ),
    )
}

/// Takes the word at the start of `rest`; empty if a blank or the end is there.
fn word(rest: &mut &str) -> Result<String, Problem> {
    let Some(quote) = rest.chars().next().filter(|c| QUOTES.contains(c)) else {
        let end = rest.find(is_blank).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        *rest = tail;
        return Ok(word.replace("\\\\", "\\"));
    };
    let mut word = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            *rest = rest.get(at + 1..).unwrap_or_default();
            return Ok(word);
        }
        let escaped =
            |next: &(usize, char)| character == '\\' && (next.1 == quote || next.1 == '\\');
        word.push(characters.next_if(escaped).map_or(character, |(_, next)| next));
    }
    Err(Problem::new(problem::UNTERMINATED, format!("the quote in {rest} has no end")))
}

const QUOTES: [char; 2] = ['"', '\''];

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<(String, String)> {
        let line = Line::parse(text, 0).unwrap();
        line.options.into_iter().map(|option| (option.name, option.value)).collect()
    }

    fn option(text: &str) -> (String, String) {
        let mut options = options(text);
        assert_eq!(options.len(), 1, "{text}");
        options.remove(0)
    }

    #[test]
    fn blanks_separate_words() {
        for (text, words) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("a", &["a"]),
            ("  a\tb \n c ", &["a", "b", "c"]),
            ("é ü", &["é", "ü"]),
            ("a\u{a0}b", &["a\u{a0}b"]),
        ] {
            assert_eq!(Line::words(text).unwrap().words, words, "{text:?}");
        }
    }

    #[test]
    fn quotes_hold_blanks_and_the_other_quote() {
        for (text, words) in [
            (r#""a b" c"#, &["a b", "c"][..]),
            (r"'a b'", &["a b"]),
            (r#""it's""#, &["it's"]),
            (r#"'"'"#, &["\""]),
            (r#""" ''"#, &["", ""]),
            (r#"a"b c"d"#, &["a\"b", "c\"d"]),
            (r#""a"b"#, &["a", "b"]),
        ] {
            assert_eq!(Line::words(text).unwrap().words, words, "{text}");
        }
    }

    #[test]
    fn a_backslash_takes_quotes_and_backslashes_literally() {
        for (text, word) in [
            (r#""a\"b""#, "a\"b"),
            (r"'a\'b'", "a'b"),
            (r#""a\\b""#, r"a\b"),
            (r#""a\'b""#, r"a\'b"),
            (r#""a\nb""#, r"a\nb"),
            (r"a\\b", r"a\b"),
            (r"a\b", r"a\b"),
            (r"^/a\.b$", r"^/a\.b$"),
            (r"\", r"\"),
        ] {
            assert_eq!(Line::words(text).unwrap().words, [word], "{text}");
        }
    }

    #[test]
    fn an_option_may_be_quoted_in_its_value_or_in_whole() {
        for (text, value) in [
            ("name=value", "value"),
            ("name=", ""),
            ("name=\"\"", ""),
            ("name=a=b", "a=b"),
            ("name=\"a b\"", "a b"),
            ("name='a b'", "a b"),
            ("\"name=a b\"", "a b"),
            ("'name=a b'", "a b"),
            ("\"name=it's\"", "it's"),
            (r#"name="a\"b""#, "a\"b"),
            ("name='%{GROUP}'", "%{GROUP}"),
            ("  name=value  ", "value"),
        ] {
            assert_eq!(option(text), ("name".to_owned(), value.to_owned()), "{text}");
        }
    }

    #[test]
    fn options_follow_the_words() {
        let line = Line::parse("site threads=5 'display-name=a b' user=\"x y\"", 1).unwrap();
        assert_eq!(line.words, ["site"]);
        let names: Vec<_> = line.options.iter().map(|option| &*option.name).collect();
        assert_eq!(names, ["threads", "display-name", "user"]);
        assert_eq!(line.options[2].value, "x y");
        // A word is a word even with an equals sign in it.
        let line = Line::parse("/a=b /x y=z", 2).unwrap();
        assert_eq!((line.word(0), line.word(1), line.word(2)), ("/a=b", "/x", ""));
        assert_eq!(line.options.len(), 1);
    }

    #[test]
    fn what_is_no_option_is_named() {
        for (text, named) in [
            ("threads = 5", "'threads'"),
            ("threads= 5", "'5'"),
            ("=5", "'=5'"),
            ("\"threads\"", "'threads'"),
            ("\"=5\"", "'=5'"),
            ("threads", "'threads'"),
        ] {
            let problem = Line::parse(text, 0).unwrap_err();
            assert_eq!(problem.code, problem::NOT_AN_OPTION, "{text}");
            assert!(problem.text.starts_with(named), "{}", problem.text);
        }
    }

    #[test]
    fn a_quote_must_end() {
        for text in ["\"a", "'a\"", "x='a b", "\"a\\\"", "'"] {
            assert_eq!(Line::parse(text, 0).unwrap_err().code, problem::UNTERMINATED, "{text}");
        }
    }

    /// Every text of a few characters that matter, through both entries.
    #[test]
    fn no_text_is_too_much() {
        const ALPHABET: &[char] = &['a', '=', '"', '\'', '\\', ' ', 'é'];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| ALPHABET.iter().map(move |c| format!("{text}{c}")))
                .collect();
            for text in &texts {
                for words in [0, 1, usize::MAX] {
                    if let Ok(line) = Line::parse(text, words) {
                        assert!(line.options.iter().all(|option| !option.name.is_empty()));
                    }
                }
            }
        }
    }
}
