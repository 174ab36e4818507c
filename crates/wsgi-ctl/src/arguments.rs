//! A command line as data: commands with their options, from which parsing and
//! `--help` are made, and by which tests check manual pages and completion.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Exit status: the command line is wrong.
const USAGE: u8 = 2;

/// An option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Name with its dashes.
    pub name: &'static str,
    /// What follows it, e.g. `N`; empty if nothing does.
    pub value: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// One of a program's commands.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Name.
    pub name: &'static str,
    /// Its operands, as in a synopsis.
    pub operands: &'static str,
    /// Least and most operands.
    pub arity: (usize, usize),
    /// What it does.
    pub summary: &'static str,
    /// Its options.
    pub options: &'static [Choice],
}

/// A program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Name.
    pub name: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its commands.
    pub commands: &'static [Command],
    /// Names that users of other programs may try, and what to use here.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// What was asked for.
#[derive(Debug)]
pub enum Asked {
    /// This command.
    Command(Given),
    /// A text, for standard output.
    Text(String),
}

/// A command with what was given to it.
#[derive(Debug)]
pub struct Given {
    /// The command.
    pub command: &'static Command,
    /// Operands.
    pub operands: Vec<String>,
    values: Vec<(&'static str, String)>,
}

impl Given {
    /// The last value of an option.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// All values of an option that may be repeated.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// An option without value was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The last value of an option, as a whole number of at least `least`.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, name: &str, least: u64) -> Result<Option<u64>, String> {
        let Some(text) = self.value(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(Some(number)),
            _ => Err(format!("{name}: '{text}' is not a whole number of at least {least}")),
        }
    }
}

impl Program {
    /// The command of a command line without the program's name. What else was asked for,
    /// or is wrong with it, is printed.
    ///
    /// # Errors
    /// There is no command to run: the exit status.
    pub fn ask(&self, words: impl IntoIterator<Item = OsString>) -> Result<Given, ExitCode> {
        let words: Result<Vec<String>, OsString> =
            words.into_iter().map(OsString::into_string).collect();
        let asked = words
            .map_err(|word| format!("'{}' is not UTF-8", word.to_string_lossy()))
            .and_then(|words| self.parse(words));
        match asked {
            Ok(Asked::Command(given)) => Ok(given),
            Ok(Asked::Text(text)) => {
                print!("{text}");
                Err(ExitCode::SUCCESS)
            }
            Err(message) => {
                eprintln!("{}: {message}", self.name);
                Err(ExitCode::from(USAGE))
            }
        }
    }

    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(&self, words: impl IntoIterator<Item = String>) -> Result<Asked, String> {
        let mut words = words.into_iter();
        let Some(first) = words.next() else {
            return Err(format!("a command is missing; see {} --help", self.name));
        };
        match first.as_str() {
            "--help" | "-h" | "help" => return Ok(Asked::Text(self.help())),
            "--version" => {
                return Ok(Asked::Text(format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))));
            }
            _ => {}
        }
        let Some(command) = self.commands.iter().find(|command| command.name == first) else {
            return Err(format!("there is no command '{first}'; see {} --help", self.name));
        };
        let mut given = Given { command, operands: Vec::new(), values: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(Asked::Text(self.help_of(command))),
                "--" => given.operands.extend(words.by_ref()),
                _ if word.starts_with("--") => self.option(&mut given, &word, &mut words)?,
                _ => given.operands.push(word),
            }
        }
        let (least, most) = command.arity;
        let count = given.operands.len();
        if count < least || count > most {
            let what = if count < least { "too few" } else { "too many" };
            return Err(format!("{what} arguments; usage: {}", self.usage(command)));
        }
        Ok(Asked::Command(given))
    }

    fn option(
        &self,
        given: &mut Given,
        word: &str,
        words: &mut dyn Iterator<Item = String>,
    ) -> Result<(), String> {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let Some(choice) = given.command.options.iter().find(|choice| choice.name == name) else {
            let known = self.elsewhere.iter().find(|(former, _)| *former == name);
            return Err(match known {
                Some((_, here)) => format!("there is no {name} here; use {here}"),
                None => format!(
                    "there is no option {name}; see {} {} --help",
                    self.name, given.command.name
                ),
            });
        };
        let value = match (choice.value, attached) {
            ("", Some(_)) => return Err(format!("{name} takes no value")),
            ("", None) => String::new(),
            (_, Some(value)) => value,
            (kind, None) => {
                words.next().ok_or_else(|| format!("{name} needs its value, {kind}"))?
            }
        };
        given.values.push((choice.name, value));
        Ok(())
    }

    fn usage(&self, command: &Command) -> String {
        let operands = if command.operands.is_empty() { "" } else { " " };
        format!("{} {} [option …]{operands}{}", self.name, command.name, command.operands)
    }

    fn help(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.name, self.summary);
        let rows = self.commands.iter().map(|command| {
            (format!("{} {}", command.name, command.operands), command.summary.to_owned())
        });
        table(&mut text, rows);
        let _ = write!(text, "\nOptions of a command: {} COMMAND --help\n", self.name);
        text
    }

    fn help_of(&self, command: &Command) -> String {
        let mut text = format!("usage: {}\n\n{}\n\n", self.usage(command), command.summary);
        let rows = command
            .options
            .iter()
            .map(|choice| (format!("{} {}", choice.name, choice.value), choice.summary.to_owned()));
        table(&mut text, rows);
        text
    }
}

/// Rows of two columns, the second wrapped to a terminal's width.
fn table(text: &mut String, rows: impl Iterator<Item = (String, String)>) {
    const FIRST: usize = 26;
    const WIDTH: usize = 96;
    for (name, summary) in rows {
        let mut line = format!("  {:<FIRST$}", name.trim_end());
        if line.chars().count() > FIRST + 2 {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(FIRST + 2);
        }
        for word in summary.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(FIRST + 2);
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const PROGRAM: Program = Program {
        name: "program",
        summary: "tests this module.",
        commands: &[Command {
            name: "make",
            operands: "WHAT",
            arity: (1, 1),
            summary: "Makes it.",
            options: &[
                Choice { name: "--size", value: "N", summary: "How large it is." },
                Choice { name: "--fast", value: "", summary: "Hurries." },
            ],
        }],
        elsewhere: &[("--quick", "--fast")],
    };

    fn parse(line: &str) -> Result<Asked, String> {
        PROGRAM.parse(line.split(' ').map(str::to_owned))
    }

    fn given(line: &str) -> Given {
        match parse(line) {
            Ok(Asked::Command(given)) => given,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_come_in_any_order_and_both_forms() {
        let all = given("make --size 3 cake --fast --size=4");
        assert_eq!(all.operands, ["cake"]);
        assert_eq!(all.number("--size", 1).unwrap(), Some(4));
        assert_eq!(all.values("--size").collect::<Vec<_>>(), ["3", "4"]);
        assert!(all.has("--fast"));
        assert_eq!(given("make -- --fast").operands, ["--fast"]);
        assert!(given("make --size=x cake").number("--size", 1).is_err());
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (line, message) in [
            ("", "there is no command ''; see program --help"),
            ("make", "too few arguments; usage: program make [option …] WHAT"),
            ("make a b", "too many arguments; usage: program make [option …] WHAT"),
            ("make a --size", "--size needs its value, N"),
            ("make a --fast=1", "--fast takes no value"),
            ("make a --quick", "there is no --quick here; use --fast"),
            ("make a --slow", "there is no option --slow; see program make --help"),
        ] {
            assert_eq!(parse(line).unwrap_err(), message, "{line}");
        }
    }

    #[test]
    fn help_has_every_option() {
        let Ok(Asked::Text(text)) = parse("make --help") else { panic!("no help") };
        assert!(text.contains("--size N") && text.contains("--fast"), "{text}");
        let Ok(Asked::Text(text)) = parse("--help") else { panic!("no help") };
        assert!(text.contains("make WHAT"), "{text}");
    }
}
