//! Does one operation of the codec many times, to be counted by valgrind.
//!
//! `codec-instructions OPERATION COUNT`; `run` subtracts two counts, so that
//! starting up costs nothing.

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use wsgi_proto::Error;
use wsgi_proto::channel::{
    End, HeadReader, HeadWriter, Kind, Outcome, RequestReader, RequestWriter, data_head,
    environ_name_id,
};
use wsgi_proto::deframe::{Next, next};

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
    for _ in 0..count {
        buffer.clear();
        match operation {
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
