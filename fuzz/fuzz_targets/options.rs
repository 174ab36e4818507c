//! Any text as a directive's line: parsing doesn't panic, and finds no more than
//! the line holds.
#![no_main]

/// The part of the module's configuration that knows nothing but text.
#[allow(dead_code)]
#[path = "../../src/config"]
mod config {
    pub mod options;
    pub mod problem;
}

use config::options::Line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: (u8, &str)| {
    let (words, text) = line;
    let words = usize::from(words % 8);
    if let Ok(line) = Line::parse(text, words) {
        assert!(line.words.len() <= words);
        let found: usize = line.words.iter().map(String::len).sum();
        let assigned: usize = line.options.iter().map(|o| o.name.len() + 1 + o.value.len()).sum();
        assert!(found + assigned <= text.len());
        assert!(line.options.iter().all(|option| !option.name.is_empty()));
    }
    if let Ok(line) = Line::words(text) {
        assert!(line.options.is_empty());
    }
});
