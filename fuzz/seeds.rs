//! Writes seed corpora: one file for each vector of the protocol.
//!
//! `cargo run --bin seeds`, in `fuzz/`.

#[path = "../crates/wsgi-proto/tests/proto/vector.rs"]
mod vector;

use std::io;
use std::path::Path;

/// Seeds over this size cost the fuzzer more than they show it.
const LARGEST: usize = 16 * 1024;

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = fuzz.join("../crates/wsgi-proto/vectors");
    let corpora = [
        ("channel", ["channel.txt", "channel_malformed.txt", "channel_stream.txt"].as_slice()),
        ("datagrams", &["daemon.txt", "daemon_malformed.txt"]),
    ];
    for (target, files) in corpora {
        let corpus = fuzz.join("corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        for file in files {
            let small =
                vector::read(&vectors.join(file)).into_iter().filter(|v| v.bytes.len() <= LARGEST);
            for (index, vector) in small.enumerate() {
                std::fs::write(corpus.join(format!("{file}-{index}")), &vector.bytes)?;
            }
        }
    }
    Ok(())
}
