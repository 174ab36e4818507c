//! A request's body that was read to its end before a worker thread was reserved
//! (WSGISpoolRequestBody): a small one is in memory, a large one in a file that has
//! no name. So a slow client holds no thread of the application, and a body that
//! came in chunks has a length.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::target::Target;
use crate::apache::Status;
use crate::apache::intake::{BodyRead, Intake};
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;

/// Bytes that are kept in memory.
const MEMORY: usize = 256 * 1024;

/// Bytes that are read and written at a time.
const PIECE: usize = 64 * 1024;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unspooled {
    /// The client, or a filter of httpd's, did not deliver it.
    Unread(Status),
    /// It exceeds the limit in bytes.
    TooLarge(u64),
    /// It could not be kept.
    Io(io::Error),
}

impl Unspooled {
    /// Logs the reason: the handler's result.
    pub(super) fn answer(self, request: Request<'_>, target: &Target<'_>) -> Status {
        let (status, text) = match self {
            Self::Unread(status) => return status,
            Self::TooLarge(limit) => (
                Status::http(413),
                format!("the request's body exceeds the {limit} bytes of WSGISpoolRequestBody"),
            ),
            Self::Io(error) => (
                Status::INTERNAL_SERVER_ERROR,
                format!("the request's body can't be kept in {}: {error}", temporary().display()),
            ),
        };
        request.log(Level::Error, target.text("MWR1205", &text));
        status
    }
}

/// A whole body.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// The body, or what of it is not in the file yet.
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
    /// Bytes handed out.
    given: u64,
}

impl Spool {
    /// Reads a body to its end, waiting for the client.
    ///
    /// # Errors
    /// [`Unspooled`].
    pub(super) fn fill(intake: &mut Intake<'_>, limit: u64) -> Result<Self, Unspooled> {
        let mut spool = Self::default();
        loop {
            let (count, is_last) = match intake.read(PIECE, true) {
                BodyRead::Some(count) => (count, false),
                BodyRead::End(count) => (count, true),
                BodyRead::NotYet => (0, false),
                BodyRead::Failed(status) => return Err(Unspooled::Unread(status)),
            };
            intake.pieces().for_each(|piece| spool.memory.extend_from_slice(piece));
            intake.clear();
            spool.length += count as u64;
            if spool.length > limit {
                return Err(Unspooled::TooLarge(limit));
            }
            let is_full = spool.memory.len() > MEMORY;
            if is_full || (is_last && spool.file.is_some()) {
                spool.write_out().map_err(Unspooled::Io)?;
            }
            if is_last {
                return Ok(spool);
            }
        }
    }

    /// Bytes of the body.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends up to `limit` bytes of what was not handed out yet.
    pub(super) fn read(&mut self, into: &mut Vec<u8>, limit: usize) -> BodyRead {
        let left = usize::try_from(self.length - self.given).unwrap_or(usize::MAX);
        let count = limit.min(left);
        let start = usize::try_from(self.given).unwrap_or(usize::MAX);
        match &self.file {
            None => into.extend_from_slice(&self.memory[start..start + count]),
            Some(file) => {
                let end = into.len();
                into.resize(end + count, 0);
                if file.read_exact_at(&mut into[end..], self.given).is_err() {
                    into.truncate(end);
                    return BodyRead::Failed(Status::INTERNAL_SERVER_ERROR);
                }
            }
        }
        self.given += count as u64;
        if count == left { BodyRead::End(count) } else { BodyRead::Some(count) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(unnamed(&temporary())?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }
}

/// The directory for temporary files: TMPDIR of httpd's environment.
fn temporary() -> PathBuf {
    std::env::temp_dir()
}

/// A new file in a directory, which ends with its descriptor.
fn unnamed(directory: &Path) -> io::Result<File> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    #[cfg(target_os = "linux")]
    if let Ok(file) = options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        return Ok(file);
    }
    // A file system without such files, or another Unix.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("mod_wsgi-{}-{number}", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}
