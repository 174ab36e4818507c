//! Does one operation of a request's path many times, to be counted by valgrind.
//!
//! `request-instructions OPERATION COUNT`; `run` subtracts two counts, so that
//! starting up costs nothing.

use std::env;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::process::ExitCode;

use wsgi_proto::Error;
use wsgi_proto::channel::{
    End, HeadReader, HeadWriter, Kind, Outcome, RequestReader, RequestWriter, data_head,
    environ_name_id,
};
use wsgi_proto::deframe::{Next, next};
use wsgi_sys::lanes::{self, Bell, Beside, Lane, PATIENCE, Waited};
use wsgi_sys::table::{
    Attempt, PoolRef, PoolShape, PoolState, ProcessState, SUPERVISOR_LEASE, Table,
};

/// The module's own source: it is no library that could be linked.
#[path = "../../src/environ.rs"]
#[allow(dead_code)]
mod environ;
#[path = "../../src/proxies.rs"]
#[allow(dead_code)]
mod proxies;

/// What `proxies` needs of the module's configuration. No proxy is trusted here.
#[allow(dead_code)]
mod config {
    #[derive(Debug)]
    pub(crate) struct Network;
    impl Network {
        pub(crate) fn contains(&self, _: std::net::IpAddr) -> bool {
            false
        }
    }
}

/// What a browser's GET through httpd's default configuration has.
const ENVIRON: [(&str, &str); 30] = [
    ("REQUEST_METHOD", "GET"),
    ("SCRIPT_NAME", ""),
    ("PATH_INFO", "/articles/2026/11/index.html"),
    ("QUERY_STRING", "page=2&order=date"),
    ("REQUEST_URI", "/articles/2026/11/index.html?page=2&order=date"),
    ("REQUEST_SCHEME", "https"),
    ("SCRIPT_FILENAME", "/srv/site/app.wsgi"),
    ("DOCUMENT_ROOT", "/var/www/html"),
    ("CONTEXT_PREFIX", ""),
    ("CONTEXT_DOCUMENT_ROOT", "/var/www/html"),
    ("SERVER_NAME", "www.example.org"),
    ("SERVER_PORT", "443"),
    ("SERVER_ADDR", "192.0.2.1"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("SERVER_SOFTWARE", "Apache/2.4.71 (Unix)"),
    ("REMOTE_ADDR", "192.0.2.77"),
    ("REMOTE_PORT", "51234"),
    ("HTTP_HOST", "www.example.org"),
    ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.5"),
    ("HTTP_ACCEPT_ENCODING", "gzip, deflate, br, zstd"),
    ("HTTP_CONNECTION", "keep-alive"),
    ("HTTP_COOKIE", "session=0af7651916cd43dd8448eb211c80319c; theme=dark"),
    ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
    ("HTTP_X_TRACE_ID", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ("wsgi.url_scheme", "https"),
    ("mod_wsgi.script_name", ""),
    ("mod_wsgi.path_info", "/articles/2026/11/index.html"),
    ("mod_wsgi.mount_point", ""),
];

const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", "13"),
    ("Cache-Control", "no-store"),
];

/// The header fields of the environ above, as httpd has them.
const REQUEST_HEADERS: [(&str, &str); 9] = [
    ("Host", "www.example.org"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    ("Cookie", "session=0af7651916cd43dd8448eb211c80319c; theme=dark"),
    ("Upgrade-Insecure-Requests", "1"),
    ("X-Trace-Id", "4bf92f3577b34da6a3ce929d0e0e4736"),
];

/// Threads of each process of a pool.
const THREADS: u32 = 15;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, operation, count] = arguments.as_slice() else { return ExitCode::from(2) };
    let Ok(count) = count.parse() else { return ExitCode::from(2) };
    match repeat(operation, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{operation}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn repeat(operation: &str, count: u32) -> Result<(), Error> {
    let ids = ENVIRON.map(|(name, _)| environ_name_id(name));
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut encoded = Vec::new();
    encode_request(&mut encoded, &ids)?;
    let request = encoded.clone();
    encoded.clear();
    encode_response(&mut encoded)?;
    let one = pool(1);
    let many = pool(64);
    let mut lane = Exchange::new();
    for _ in 0..count {
        buffer.clear();
        match operation {
            "write-environ" => write_environ(&mut buffer)?,
            "pass-lane" => lane.as_mut().ok_or(Error::Invalid("lane"))?.pass(&request, &encoded)?,
            "reserve" => reserve(&one)?,
            "reserve-of-64" => reserve(&many)?,
            "encode-request" => encode_request(&mut buffer, black_box(&ids))?,
            "decode-request" => decode(black_box(&request))?,
            "encode-response" => encode_response(&mut buffer)?,
            "decode-response" => decode(black_box(&encoded))?,
            _ => return Err(Error::Invalid("operation")),
        }
        black_box(&buffer);
    }
    Ok(())
}

fn write_environ(buffer: &mut Vec<u8>) -> Result<(), Error> {
    let facts = environ::Facts {
        method: b"GET",
        uri: b"/articles/2026/11/index.html",
        path_info: b"/articles/2026/11/index.html",
        query: b"page=2&order=date",
        request_line: b"GET /articles/2026/11/index.html?page=2&order=date HTTP/1.1",
        protocol: b"HTTP/1.1",
        scheme: b"https",
        is_https: true,
        filename: b"/srv/site/app.wsgi",
        document_root: b"/var/www/html",
        context_document_root: b"/var/www/html",
        server_name: b"www.example.org",
        server_port: 443,
        server_address: b"192.0.2.1",
        server_software: b"Apache/2.4.71 (Unix)",
        client_address: b"192.0.2.77",
        client_port: 51234,
        listener_port: 443,
        process_id: 4711,
        request_id: b"1795345200000000-4711-12",
        connection_id: b"12",
        callable_object: b"application",
        request_handler: b"wsgi-script",
        ..environ::Facts::default()
    };
    let bytes = |(name, value): (&'static str, &'static str)| (name.as_bytes(), value.as_bytes());
    let times = (1_795_345_200_000_000, 1_795_345_200_000_120);
    let mut record =
        RequestWriter::new(buffer, false, times, b"/srv/site/app.wsgi", b"", b"application");
    let headers = REQUEST_HEADERS.into_iter().map(bytes);
    let changes = proxies::Changes::default();
    environ::write(&mut record, black_box(&facts), &changes, std::iter::empty(), headers);
    record.finish()
}

/// A ready pool; `None` if the system has no memory for the table.
fn pool(processes: u32) -> Option<(Table, PoolRef)> {
    let (_, table) = Table::create().ok()?;
    let pool =
        table.open_pool(0, &PoolShape { processes, threads: THREADS, ..PoolShape::default() });
    for process in 0..processes {
        table.set_process(process, ProcessState::Ready, 1, 1);
    }
    table.set_pool_state(0, PoolState::Ready);
    for slot in 0..processes * THREADS {
        table.free_slot(pool, slot, 1);
    }
    Some((table, pool))
}

/// Takes a slot and gives it back, as each request does.
fn reserve(pool: &Option<(Table, PoolRef)>) -> Result<(), Error> {
    let (table, pool) = pool.as_ref().ok_or(Error::Invalid("table"))?;
    match table.reserve(*pool, SUPERVISOR_LEASE) {
        Attempt::Reserved(reservation) => {
            table.release(*pool, black_box(reservation), SUPERVISOR_LEASE);
            Ok(())
        }
        _ => Err(Error::Invalid("slot")),
    }
}

/// Both sides of a lane.
struct Exchange {
    child: Beside,
    bell: Bell,
    lane: Lane,
    taken: Vec<u8>,
    answer: Vec<u8>,
}

impl Exchange {
    /// None if the system has no memory for it.
    fn new() -> Option<Self> {
        let memory = lanes::create(THREADS).ok()?;
        let bell = Bell::map(memory.as_fd()).ok()?;
        bell.set_awake(true);
        let child = Beside::map(memory.as_fd(), 1).ok()?;
        let lane = Lane::map(memory.as_fd(), 1).ok()?;
        Some(Self { child, bell, lane, taken: Vec::new(), answer: vec![0; 16 * 1024] })
    }

    /// A request and its response, while nobody sleeps.
    fn pass(&mut self, request: &[u8], response: &[u8]) -> Result<(), Error> {
        let passed = self.child.offer(black_box(request))
            && self.bell.rung().eq([1])
            && self.lane.take(&mut self.taken)
            && self.lane.answer(black_box(response))
            && self.child.lane.wait(&mut self.answer, PATIENCE) == Waited::Answered(response.len());
        black_box((&self.taken, &self.answer));
        if passed { Ok(()) } else { Err(Error::Invalid("lane")) }
    }
}

fn encode_request(buffer: &mut Vec<u8>, ids: &[u8; 30]) -> Result<(), Error> {
    let times = (1_795_345_200_000_000, 1_795_345_200_000_120);
    let mut request =
        RequestWriter::new(buffer, false, times, b"/srv/site/app.wsgi", b"", b"application");
    for (id, (name, value)) in ids.iter().zip(ENVIRON) {
        match id {
            0 => request.named(name.as_bytes(), value.as_bytes()),
            id => request.known(*id, value.as_bytes()),
        }
    }
    request.finish()
}

fn encode_response(buffer: &mut Vec<u8>) -> Result<(), Error> {
    let mut head = HeadWriter::new(buffer, 200, b"OK");
    for (name, value) in HEADERS {
        head.header(name.as_bytes(), value.as_bytes());
    }
    head.finish()?;
    buffer.extend_from_slice(&data_head(13, true));
    buffer.extend_from_slice(b"Hello, world!");
    let outcome = Outcome::Complete;
    End { outcome, application_time: 90, cpu_time: 80, input: 0, output: 13 }.write(buffer)
}

fn decode(mut stream: &[u8]) -> Result<(), Error> {
    while let Next::Complete { kind, flags, payload, rest } = next(stream)? {
        match kind {
            Kind::Request => {
                let mut request = RequestReader::new(flags, payload)?;
                while let Some(entry) = request.entry()? {
                    black_box(entry);
                }
            }
            Kind::Head => {
                let mut head = HeadReader::new(payload)?;
                while let Some(field) = head.header()? {
                    black_box(field);
                }
            }
            Kind::Data => drop(black_box(payload)),
            Kind::End => drop(black_box(End::read(payload)?)),
            kind => return Err(Error::UnknownKind(kind as u8)),
        }
        stream = rest;
    }
    Ok(())
}
