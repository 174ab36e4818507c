//! A raw HTTP/1.1 client: it can send what a browser never would and sees the framing of what
//! comes back.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::str;
use std::time::Duration;

use super::PATIENCE;

/// One request, in the order in which it goes out.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: None,
            chunked: false,
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST", target);
        request.body = Some(body.into());
        request
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sends the body in chunks of at most 8,000 bytes instead of announcing its length.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// All of it, as it goes to that host.
    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        let mut bytes = self.head(host).into_bytes();
        let body = self.body.as_deref().unwrap_or_default();
        if self.chunked {
            for chunk in body.chunks(8000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(body);
        }
        bytes
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn head(&self, host: &str) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("Host") {
            let _ = write!(head, "Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        match &self.body {
            Some(_) if self.chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Some(body) if !self.has("Content-Length") => {
                let _ = write!(head, "Content-Length: {}\r\n", body.len());
            }
            _ => {}
        }
        head.push_str("\r\n");
        head
    }
}

/// The status line and the headers of a response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Every header of that name, in the order received.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn is_chunked(&self) -> bool {
        self.header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.header("Content-Length").and_then(|v| v.parse().ok())
    }
}

/// A body that ended before its framing said so.
#[derive(Debug)]
pub(crate) struct BodyError {
    /// What had come until then.
    pub(crate) received: Vec<u8>,
    pub(crate) cause: String,
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Passes the response on if it has the status, and fails the test with its text if not.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status(), status, "unexpected response: {}", self.text());
        self
    }
}

/// One connection to the server; requests on it follow one another (keep-alive).
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Sends a request and reads its whole response.
    pub(crate) fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request)?;
        let head = self.head()?;
        let body = if request.method == "HEAD" { Ok(Vec::new()) } else { self.body(&head) };
        let body = body.map_err(|error| io::Error::other(error.cause))?;
        Ok(Response { head, body })
    }

    /// Sends a request with its body.
    pub(crate) fn send(&mut self, request: &Request) -> io::Result<()> {
        self.raw(&request.bytes(&self.host))
    }

    /// Sends the request line and the headers only; the body, if any, is left to [`Self::raw`].
    pub(crate) fn send_head(&mut self, request: &Request) -> io::Result<()> {
        let head = request.head(&self.host);
        self.raw(head.as_bytes())
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Ends the sending direction; responses can still be read.
    pub(crate) fn half_close(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(Shutdown::Write)
    }

    /// Reads one response head. A 100 Continue is a head of its own.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        let line = self.line()?;
        let mut parts = line.splitn(3, ' ');
        let version = parts.next().unwrap_or_default();
        if !version.starts_with("HTTP/1.") {
            return Err(malformed(format!("status line {line:?}")));
        }
        let status = parts.next().and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| malformed(format!("status line {line:?}")))?;
        let reason = parts.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Head { status, reason, headers });
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| malformed(format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// Reads the body that belongs to `head`.
    pub(crate) fn body(&mut self, head: &Head) -> Result<Vec<u8>, BodyError> {
        let mut received = Vec::new();
        let outcome = self.collect(head, &mut received);
        match outcome {
            Ok(()) => Ok(received),
            Err(error) => Err(BodyError { received, cause: error.to_string() }),
        }
    }

    fn collect(&mut self, head: &Head, received: &mut Vec<u8>) -> io::Result<()> {
        if head.status < 200 || head.status == 204 || head.status == 304 {
            return Ok(());
        }
        if head.is_chunked() {
            while let Some(chunk) = self.chunk()? {
                received.extend(chunk);
            }
            return Ok(());
        }
        let Some(length) = head.length() else {
            return self.stream.read_to_end(received).map(drop);
        };
        let count = (&mut self.stream).take(length as u64).read_to_end(received)?;
        if count < length {
            return Err(malformed(format!("{count} of {length} bytes, then the end")));
        }
        Ok(())
    }

    /// Reads one chunk of a chunked body; `None` is the end of the body.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits.trim(), 16)
            .map_err(|_| malformed(format!("chunk size {line:?}")))?;
        let mut data = vec![0; size];
        self.stream.read_exact(&mut data)?;
        if !self.line()?.is_empty() {
            return Err(malformed("chunk without its line end".to_owned()));
        }
        Ok((size > 0).then_some(data))
    }

    /// Ends the connection by a reset: the server can't take it for a half-closed one.
    pub(crate) fn reset(self) {
        let stream = self.stream.into_inner();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// True if the server has closed the connection (waits for it to do one thing or the other).
    pub(crate) fn closed(&mut self) -> bool {
        self.stream.fill_buf().map_or(true, <[u8]>::is_empty)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(1 << 20).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match str::from_utf8(&line) {
            Ok(line) => Ok(line.to_owned()),
            Err(_) => Ok(line.iter().map(|&byte| char::from(byte)).collect()),
        }
    }
}

fn malformed(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
