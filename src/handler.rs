//! One request in the child, from the URL to the last byte of the response.
//!
//! The files of this directory are in call order: [`target`] says which
//! application is meant and whether it may run, [`reserve`] gets a worker
//! thread, [`upload`] and [`send`] pass the request on, [`receive`] takes what
//! the worker answers, and [`respond`] makes an HTTP response of it. [`ask`] is a
//! shorter way along the same path, for questions to scripts of the configuration.
//!
//! *Runs in:* httpd child, on the thread that httpd gave the request.

pub(crate) mod ask;
pub(crate) mod explain;
mod notes;
mod outlet;
mod receive;
mod reserve;
mod respond;
mod send;
mod spool;
mod target;
mod upload;

use crate::apache::Status;
use crate::apache::configuration::of_request;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;
use crate::child::Child;
use crate::config::DirectoryConfig;
use crate::scratch::Scratch;
use crate::site::Settings;

use notes::Notes;
use receive::Receiver;
use reserve::Patience;
use respond::Response;
use send::{Body, Problem};
use target::{RequestFacts, Target, Verdict};
use upload::Upload;

pub(crate) use target::{map_to_storage, translate_name};

/// Answers when this child could not set itself up, and said so at its start: what
/// would run a script must not fall to a handler that shows its source.
pub(crate) fn without_daemons(request: Request<'_>) -> Status {
    if target::is_ours(request) { Status::http(503) } else { Status::DECLINED }
}

/// Answers a request that is for a WSGI application, and declines others.
pub(crate) fn handle(settings: &Settings, child: &Child, request: Request<'_>) -> Status {
    match of_request::<DirectoryConfig>(request) {
        Some(node) => node.with(|directory| serve(settings, child, request, directory)),
        None => Status::DECLINED,
    }
}

fn serve(
    settings: &Settings,
    child: &Child,
    request: Request<'_>,
    directory: &DirectoryConfig,
) -> Status {
    let facts = RequestFacts::new(request);
    let mut target = match Target::of(settings, child, request, directory, &facts) {
        Verdict::Serve(target) => target,
        Verdict::Refuse(status) => return status,
        Verdict::Decline => return Status::DECLINED,
    };
    let mut upload = Upload::new(request);
    if let Some(limit) = target.spool_limit(request) {
        if let Err(why) = upload.spool(limit) {
            return why.answer(request, &target);
        }
        target.begin_queue();
    }
    let mut scratch = child.scratch();
    let Scratch { record, buffer } = &mut *scratch;
    let (has_body, environment) = (upload::has_body(request), send::environment(request));
    let body = Body { is_there: has_body, length: upload.length() };
    if send::encode(record, request, &target, child.pid, body, environment).is_err() {
        request.log(Level::Error, target.failure("MWR1201", &Problem::TooLarge));
        return Status::http(Problem::TooLarge.status());
    }
    let mut response = Response::new(request, &target);
    let mut patience = Patience::new(&target);
    let notes = Notes::new(request, &target);
    loop {
        let mut slot = match reserve::reserve(child, request, &target, &mut patience) {
            Ok(slot) => slot,
            Err(refused) => return refused.answer(request),
        };
        let sent = send::send(&slot, record, has_body, &mut upload);
        let outcome = sent.map_err(|problem| ("MWR1201", problem)).and_then(|()| {
            if target.ignores_activity() {
                slot.ignore_activity();
            }
            let _patience =
                target.limits.client.and_then(|timeout| request.wait_for_client_at_most(timeout));
            notes.reserved(&child.table, &slot, &patience);
            let receiver = Receiver::new(&slot, has_body, request, &target, buffer);
            receiver.run(&mut upload, &mut response).map_err(|problem| ("MWR1202", problem))
        });
        match outcome {
            Ok(end) => {
                notes.ended(end);
                slot.release(end.application_time);
                response.hint_at_authorization(child);
                return response.finish(end, &upload);
            }
            // A process that dies before it has the whole request has not begun it.
            Err((_, Problem::Unsent)) if patience.allows_retry() => {}
            Err((code, problem)) => {
                request.log(problem.level(), target.failure(code, &problem));
                return response.break_off(problem.status());
            }
        }
    }
}
