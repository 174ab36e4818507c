//! A door at which an application stops until the test lets it go on.
//!
//! The application connects to the gate's port (`tests/apps/gate.py`), says who it is and waits;
//! so a test knows that a request is inside the application without guessing at times.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::{PATIENCE, wait_for};

pub(crate) struct Gate {
    listener: TcpListener,
}

impl Gate {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    /// What the application needs to find the gate: `gate=PORT` for a query string.
    pub(crate) fn query(&self) -> String {
        format!("gate={}", self.listener.local_addr().unwrap().port())
    }

    /// Waits for the next request to stand before the gate.
    #[track_caller]
    pub(crate) fn visitor(&self) -> Visitor {
        let stream = wait_for("a request at the gate", || self.listener.accept().ok()).0;
        Visitor::receive(stream)
    }

    /// True if somebody stands before the gate already.
    pub(crate) fn try_visitor(&self) -> Option<Visitor> {
        self.listener.accept().ok().map(|(stream, _)| Visitor::receive(stream))
    }
}

/// A request that waits inside the application.
pub(crate) struct Visitor {
    stream: BufReader<TcpStream>,
    /// What the application said about itself: by convention its process id.
    pub(crate) name: String,
}

impl Visitor {
    fn receive(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut name = String::new();
        stream.read_line(&mut name).unwrap();
        Self { stream, name: name.trim_end().to_owned() }
    }

    /// The process id that the application gave as its name.
    pub(crate) fn pid(&self) -> u32 {
        self.name.parse().unwrap()
    }

    /// Lets the request go on.
    pub(crate) fn release(mut self) {
        // An application that was killed meanwhile has no ear for it.
        let _ = self.stream.get_mut().write_all(b"go\n");
    }

    /// Lets the request go on and waits for the next thing that it says.
    #[track_caller]
    pub(crate) fn release_until_next(mut self) -> Self {
        self.stream.get_mut().write_all(b"go\n").unwrap();
        let mut name = String::new();
        self.stream.read_line(&mut name).unwrap();
        assert!(!name.is_empty(), "the application did not come back to the gate");
        Self { name: name.trim_end().to_owned(), ..self }
    }
}
