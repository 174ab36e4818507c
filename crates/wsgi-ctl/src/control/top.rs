//! A view that is drawn again and again.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::link::Link;
use super::view;
use crate::arguments::Given;

/// Clears a terminal and moves to its first line.
const HOME: &str = "\x1b[H\x1b[2J";

/// Draws until Ctrl-C, or as often as the options say.
pub(super) fn run(given: &Given) -> Result<(), String> {
    let interval = Duration::from_secs(given.number("--interval", 1)?.unwrap_or(2));
    let count = given.number("--count", 1)?;
    let mut before = None;
    let mut looks = 0;
    loop {
        // Anew each time: the supervisor, or httpd, may have been replaced.
        let now = Link::open(given)?.table()?.snapshot();
        let mut out = io::stdout();
        let home = if out.is_terminal() { HOME } else { "" };
        let text = view::text(&now, before.as_ref());
        let written = out.write_all(format!("{home}{text}").as_bytes());
        if written.and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        before = Some(now);
        looks += 1;
        if count == Some(looks) {
            return Ok(());
        }
        std::thread::sleep(interval);
    }
}
