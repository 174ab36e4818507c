//! Asks functions of access, authentication and dispatch scripts.
//!
//! These run in a process group of their own, so that an application whose threads
//! are all busy does not hold up what it has nothing to do with. A question is a
//! request to `mod_wsgi._question`, which calls the functions; its body holds what
//! is asked, as no environ is to hold a password.

use std::ffi::CStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use wsgi_proto::channel::{
    BodyEnd, End, HeadReader, Kind, Log, Outcome, READ_AHEAD, write_body_end, write_body_head,
};
use wsgi_proto::codec::HEAD_LEN;
use wsgi_proto::deframe::{self, Next};
use wsgi_sys::socket;

use super::receive::log;
use super::reserve::{self, Patience, Slot};
use super::send::{self, Body, Problem};
use super::target::{RequestFacts, Target};
use crate::access::answer::Answer;
use crate::apache::request::Request;
use crate::child::Child;
use crate::config::Script;
use crate::scratch::Scratch;
use crate::site::Settings;

/// Name of the header that holds a function's result.
const RESULT: &[u8] = b"Result";

/// Longest answer in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'q> {
    pub(crate) script: &'q Script,
    /// Names of functions, with `?` if a script may do without.
    pub(crate) functions: &'q [&'q str],
    /// Whether they see the variables of SetEnv and the like.
    pub(crate) environment: bool,
    /// What they are called with after the environ.
    pub(crate) arguments: &'q [&'q [u8]],
}

/// Asks; one answer for each function.
///
/// # Errors
/// A line for the log. There is no answer then, and nobody is to be let in.
pub(crate) fn ask(
    settings: &Settings,
    child: &Child,
    request: Request<'_>,
    question: &Question<'_>,
) -> Result<Vec<Answer>, String> {
    let facts = RequestFacts::new(request);
    let target = Target::for_question(settings, question.script, &facts);
    let failure = |problem: &Problem| target.failure("MWR1300", problem);
    let mut scratch = child.scratch();
    let Scratch { record, buffer } = &mut *scratch;
    // Variables of SetEnv and the like are not for these scripts, but where an
    // application is chosen by them.
    let set = question.environment.then(|| send::environment(request));
    let environment = set.into_iter().flatten().chain(tls_variables(request));
    let body = Body { is_there: true, length: None };
    send::encode(record, request, &target, child.pid, body, environment)
        .map_err(|_| failure(&Problem::TooLarge))?;
    write_question(record, question).map_err(|problem| failure(&problem))?;
    let mut patience = Patience::new(&target);
    let slot = loop {
        let slot = reserve::reserve(child, request, &target, &mut patience)
            .map_err(|refused| refused.reason)?;
        match send_all(&slot, record) {
            Ok(()) => break slot,
            Err(Problem::Died) if patience.allows_retry() => {}
            Err(problem) => return Err(failure(&problem)),
        }
    };
    // The buffers are used again: a password does not stay in them.
    record.fill(0);
    let answers = receive(&slot, request, target.limits.socket, buffer);
    let answers = answers.map_err(|problem| failure(&problem))?;
    slot.release(0);
    if answers.len() == question.functions.len() {
        return Ok(answers);
    }
    Err(format!(
        "MWR1301: script {} gave no answer to {}; the log says why",
        question.script.path.display(),
        question.functions.join(" and ").replace('?', ""),
    ))
}

/// What `mod_ssl.var_lookup` finds: scripts are asked before mod_ssl sets variables.
fn tls_variables(request: Request<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    const NAMES: [&CStr; 22] = [
        c"mod_ssl.SSL_PROTOCOL",
        c"mod_ssl.SSL_SESSION_ID",
        c"mod_ssl.SSL_CIPHER",
        c"mod_ssl.SSL_CIPHER_USEKEYSIZE",
        c"mod_ssl.SSL_TLS_SNI",
        c"mod_ssl.SSL_CLIENT_VERIFY",
        c"mod_ssl.SSL_CLIENT_M_VERSION",
        c"mod_ssl.SSL_CLIENT_M_SERIAL",
        c"mod_ssl.SSL_CLIENT_S_DN",
        c"mod_ssl.SSL_CLIENT_S_DN_CN",
        c"mod_ssl.SSL_CLIENT_S_DN_O",
        c"mod_ssl.SSL_CLIENT_S_DN_OU",
        c"mod_ssl.SSL_CLIENT_S_DN_Email",
        c"mod_ssl.SSL_CLIENT_SAN_Email_0",
        c"mod_ssl.SSL_CLIENT_SAN_DNS_0",
        c"mod_ssl.SSL_CLIENT_I_DN",
        c"mod_ssl.SSL_CLIENT_I_DN_CN",
        c"mod_ssl.SSL_CLIENT_V_START",
        c"mod_ssl.SSL_CLIENT_V_END",
        c"mod_ssl.SSL_CLIENT_CERT",
        c"mod_ssl.SSL_SERVER_S_DN",
        c"mod_ssl.SSL_SERVER_S_DN_CN",
    ];
    let names = if request.is_https() { &NAMES[..] } else { &[] };
    names.iter().filter_map(move |key| {
        let name = &key[c"mod_ssl.".count_bytes()..];
        Some((key.to_bytes(), request.tls_variable(name)?))
    })
}

/// Appends what is asked as the request's body.
fn write_question(record: &mut Vec<u8>, question: &Question<'_>) -> Result<(), Problem> {
    let functions = question.functions.join(",");
    let script = question.script.path.as_os_str().as_bytes();
    let fields =
        [script, functions.as_bytes()].into_iter().chain(question.arguments.iter().copied());
    let length: usize = fields.clone().map(|field| 4 + field.len()).sum();
    if 4 + length > READ_AHEAD {
        return Err(Problem::TooLarge);
    }
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    record.extend_from_slice(&write_body_head(number(4 + length)));
    record.extend_from_slice(&number(length).to_le_bytes());
    for field in fields {
        record.extend_from_slice(&number(field.len()).to_le_bytes());
        record.extend_from_slice(field);
    }
    write_body_end(record, BodyEnd { status: 0 })?;
    Ok(())
}

fn send_all(slot: &Slot<'_>, record: &[u8]) -> Result<(), Problem> {
    if let Some(beside) = slot.channel().beside() {
        beside.lane.refuse();
    }
    let channel = slot.channel();
    let sent = channel.send_request(record.len(), |sent, wait| {
        let rest = record.get(sent..).unwrap_or_default();
        socket::send(channel.socket(), &[io::IoSlice::new(rest)], &[], wait)
    });
    Ok(sent.map_err(|(_, error)| error)?)
}

/// Receives up to the END. No answers: the worker had none, and logged why.
fn receive(
    slot: &Slot<'_>,
    request: Request<'_>,
    patience: Duration,
    buffer: &mut Vec<u8>,
) -> Result<Vec<Answer>, Problem> {
    let began = Instant::now();
    let (mut start, mut end) = (0, 0);
    let mut answers = Vec::new();
    loop {
        while let Next::Complete { kind, payload, .. } = deframe::next(&buffer[start..end])? {
            match kind {
                Kind::Log => log(request, Log::read(payload)?),
                Kind::Head => answers = read_answers(payload)?,
                Kind::End => {
                    let complete = End::read(payload)?.outcome == Outcome::Complete;
                    if start + HEAD_LEN + payload.len() != end {
                        return Err(Problem::Malformed("records after END".into()));
                    }
                    return Ok(if complete { answers } else { Vec::new() });
                }
                kind => return Err(Problem::Malformed(format!("a {kind:?} record"))),
            }
            start += HEAD_LEN + payload.len();
        }
        buffer.copy_within(start..end, 0);
        end -= start;
        start = 0;
        if end == buffer.len() {
            if end >= LONGEST {
                return Err(Problem::Malformed("too long an answer".into()));
            }
            buffer.resize((end * 2).max(16 * 1024), 0);
        }
        match socket::receive(slot.channel().socket(), &mut buffer[end..], true) {
            Ok(received) if received.length == 0 => return Err(Problem::Died),
            Ok(received) => end += received.length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if request.client_is_gone() {
                    return Err(Problem::ClientGone);
                }
                if began.elapsed() >= patience {
                    return Err(Problem::Timeout);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_answers(payload: &[u8]) -> Result<Vec<Answer>, Problem> {
    let mut head = HeadReader::new(payload)?;
    let (failed, mut answers) = (head.status != 200, Vec::new());
    while let Some((name, value)) = head.header()? {
        if name.eq_ignore_ascii_case(RESULT) {
            let answer = Answer::read(value);
            answers.push(answer.ok_or_else(|| Problem::Malformed("no answer".into()))?);
        }
    }
    Ok(if failed { Vec::new() } else { answers })
}
