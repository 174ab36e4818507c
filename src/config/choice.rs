//! Options of a directive as data: a name, a line for the manual, and a setter.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::options::Assignment;
use super::place::Place;
use super::problem::{self, Problem};
use super::{Globals, Notice};

/// What the manual says of an option.
#[derive(Clone, Copy, Debug)]
pub struct OptionDoc {
    /// Name before the `=`.
    pub name: &'static str,
    /// What follows it, e.g. `seconds`.
    pub value: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Why it has no effect, if it has none: said in one line at start.
    pub note: Option<&'static str>,
}

/// Sets one field of `T` from an option's value.
pub type Set<T> = fn(&mut T, &str, &mut Reading<'_>) -> Result<(), Problem>;

/// An option.
#[derive(Debug)]
pub struct Choice<T> {
    /// What the manual says.
    pub doc: OptionDoc,
    /// Takes the value.
    pub set: Set<T>,
}

impl<T> Choice<T> {
    /// An option that does something.
    #[must_use]
    pub const fn new(
        name: &'static str,
        value: &'static str,
        default: &'static str,
        summary: &'static str,
        set: Set<T>,
    ) -> Self {
        Self { doc: OptionDoc { name, value, default, summary, note: None }, set }
    }

    /// The same for an option that is read and has no effect.
    #[must_use]
    pub const fn without_effect(mut self, why: &'static str) -> Self {
        self.doc.note = Some(why);
        self
    }
}

/// Applies options to a target. The last of several assignments wins.
///
/// # Errors
/// An unknown name, with the nearest known one; whatever a setter refuses.
pub fn apply<T>(
    choices: &[Choice<T>],
    target: &mut T,
    assignments: &[Assignment],
    reading: &mut Reading<'_>,
) -> Result<(), Problem> {
    for Assignment { name, value } in assignments {
        let Some(choice) = choices.iter().find(|choice| choice.doc.name == name) else {
            let names = choices.iter().map(|choice| choice.doc.name);
            return Err(Problem::new(
                problem::UNKNOWN_OPTION,
                format!("there is no option '{name}'{}", suggestion(name, names)),
            ));
        };
        reading.subject = format!("option '{name}'");
        (choice.set)(target, value, reading)
            .map_err(|problem| problem.of(format_args!("option '{name}'")))?;
        if let Some(note) = choice.doc.note {
            reading.note(format!("option '{name}' has no effect: {note}"));
        }
    }
    Ok(())
}

/// `; did you mean 'threads'?`, or nothing if no name is near.
fn suggestion<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> String {
    let given = given.to_ascii_lowercase();
    names
        .map(|name| (distance(&given, name), name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 4))
        .min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"))
}

/// Levenshtein's distance, in bytes. Long words are far from everything.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let substituted = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = substituted.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Reads values of one directive; collects what the administrator should know.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The directive's name.
    pub directive: &'a str,
    /// Where the directive stands.
    pub place: &'a Place,
    notices: &'a mut Vec<Notice>,
    subject: String,
}

impl<'a> Reading<'a> {
    /// Reads values of `directive` at `place`; notices go to `globals`.
    pub fn new(directive: &'a str, place: &'a Place, globals: &'a mut Globals) -> Self {
        Self { directive, place, notices: &mut globals.notices, subject: "value".to_owned() }
    }

    /// Leaves a line for the log.
    pub fn note(&mut self, text: impl AsRef<str>) {
        self.notices.push(Notice {
            place: self.place.clone(),
            text: format!("{}: {}", self.directive, text.as_ref()),
        });
    }

    /// A whole number. Digits followed by something else count as the digits, as
    /// they did in mod_wsgi, and leave a notice.
    ///
    /// # Errors
    /// No digits, or a number outside of `range`.
    pub fn number<N: TryFrom<i64>>(
        &mut self,
        text: &str,
        range: RangeInclusive<i64>,
    ) -> Result<N, Problem> {
        let sign = usize::from(text.starts_with(['-', '+']));
        let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(sign + digits);
        if digits == 0 {
            return Err(Problem::new(problem::NOT_A_NUMBER, format!("'{text}' is not a number")));
        }
        let outside = || {
            let (least, most) = (range.start(), range.end());
            Problem::new(
                problem::OUT_OF_RANGE,
                match text.starts_with('-') && *least >= 0 {
                    true => format!("'{text}' must not be negative"),
                    false => format!("'{text}' is not between {least} and {most}"),
                },
            )
        };
        let value: i64 = number.parse().map_err(|_| outside())?;
        if !range.contains(&value) {
            return Err(outside());
        }
        if !rest.is_empty() {
            let subject = &self.subject;
            self.note(format!("{subject}: '{text}' is read as {value}"));
        }
        N::try_from(value).map_err(|_| outside())
    }

    /// Whole seconds.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub fn seconds(&mut self, text: &str) -> Result<Duration, Problem> {
        self.number(text, 0..=i64::from(u32::MAX)).map(Duration::from_secs)
    }

    /// Bytes; 0, or at least `least`.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub fn bytes<N: TryFrom<i64>>(
        &mut self,
        text: &str,
        least: i64,
        most: i64,
    ) -> Result<N, Problem> {
        let value: i64 = self.number(text, 0..=most)?;
        let outside = || {
            Problem::new(
                problem::OUT_OF_RANGE,
                format!("'{text}' is neither 0 nor between {least} and {most}"),
            )
        };
        if value != 0 && value < least {
            return Err(outside());
        }
        N::try_from(value).map_err(|_| outside())
    }

    /// A path, below ServerRoot if relative; none if empty.
    #[must_use]
    pub fn path(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| self.place.path(text))
    }

    /// Directories separated by colons.
    #[must_use]
    pub fn paths(&self, text: &str) -> Vec<PathBuf> {
        text.split(':').filter(|part| !part.is_empty()).map(|part| self.place.path(part)).collect()
    }
}

/// A decimal fraction that is finite and at least 0.
///
/// # Errors
/// Anything else.
pub fn fraction(text: &str) -> Result<f64, Problem> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Ok(_) => Err(Problem::new(
            problem::OUT_OF_RANGE,
            format!("'{text}' is not a number of seconds that is 0 or more"),
        )),
        Err(_) => Err(Problem::new(problem::NOT_A_NUMBER, format!("'{text}' is not a number"))),
    }
}

/// A decimal fraction above 0.
///
/// # Errors
/// Anything else.
pub fn positive(text: &str) -> Result<f64, Problem> {
    match fraction(text)? {
        value if value > 0.0 => Ok(value),
        _ => Err(Problem::new(problem::OUT_OF_RANGE, format!("'{text}' is not above 0"))),
    }
}

/// `On` or `Off`, in any case.
///
/// # Errors
/// Anything else.
pub fn flag(text: &str) -> Result<bool, Problem> {
    one_of(text, &[("Off", false), ("On", true)])
}

/// One of a few words, in any case.
///
/// # Errors
/// Anything else; the message lists the words.
pub fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Problem> {
    choices
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Problem::new(
                problem::NOT_A_CHOICE,
                format!("'{text}' must be one of: {}", words.join(" | ")),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading<R>(test: impl FnOnce(&mut Reading<'_>) -> R) -> (R, Vec<String>) {
        let mut globals = Globals::default();
        let place = Place::default();
        let result = test(&mut Reading::new("WSGITest", &place, &mut globals));
        (result, globals.notices.into_iter().map(|notice| notice.text).collect())
    }

    #[test]
    fn numbers_are_numbers_within_their_range() {
        let number = |text: &str| reading(|r| r.number::<u32>(text, 1..=100));
        assert_eq!(number("7").0.unwrap(), 7);
        assert_eq!(number("+7").0.unwrap(), 7);
        let (value, notices) = number("60s");
        assert_eq!(value.unwrap(), 60);
        assert_eq!(notices, ["WSGITest: value: '60s' is read as 60"]);
        for (text, message) in [
            ("many", "MWR1006: 'many' is not a number"),
            ("", "MWR1006: '' is not a number"),
            ("-", "MWR1006: '-' is not a number"),
            ("-3", "MWR1007: '-3' must not be negative"),
            ("0", "MWR1007: '0' is not between 1 and 100"),
            ("99999999999999999999", "MWR1007: '99999999999999999999' is not between 1 and 100"),
        ] {
            assert_eq!(number(text).0.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn sizes_are_nothing_or_enough() {
        let bytes = |text: &str| reading(|r| r.bytes::<u32>(text, 512, 1000)).0;
        assert_eq!(bytes("0").unwrap(), 0);
        assert_eq!(bytes("512").unwrap(), 512);
        assert_eq!(
            bytes("511").unwrap_err().to_string(),
            "MWR1007: '511' is neither 0 nor between 512 and 1000"
        );
    }

    #[test]
    fn flags_have_no_case() {
        assert!(flag("oN").unwrap());
        assert!(!flag("OFF").unwrap());
        let message = flag("yes").unwrap_err().to_string();
        assert_eq!(message, "MWR1008: 'yes' must be one of: Off | On");
    }

    #[test]
    fn fractions_are_finite() {
        assert!((fraction("0.25").unwrap() - 0.25).abs() < f64::EPSILON);
        for text in ["nan", "inf", "-1", "x", ""] {
            assert!(fraction(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_name_finds_the_right_one() {
        let names = ["processes", "threads", "python-path"];
        let suggest = |given: &str| suggestion(given, names.into_iter());
        assert_eq!(suggest("proceses"), "; did you mean 'processes'?");
        assert_eq!(suggest("Thread"), "; did you mean 'threads'?");
        assert_eq!(suggest("python_path"), "; did you mean 'python-path'?");
        assert_eq!(suggest("colour"), "");
        assert_eq!(suggest(&"x".repeat(1000)), "");
    }
}
