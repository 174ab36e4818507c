//! Gets a worker thread: a free slot of the application's pool, or a place in
//! the pool's queue until one is handed over.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wsgi_sys::clock;
use wsgi_sys::table::{Attempt, Note, PoolRef, PoolState, Reservation, Ticket, WaitEnd, Waited};

use super::target::Target;
use crate::apache::Status;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;
use crate::child::{Channel, Child, LinkError};

/// How often a waiting request looks whether its client is still there.
const TICK: Duration = Duration::from_secs(1);

/// After so long a request that still waits makes sure that the supervisor knows, unless it
/// has told it: others had just before.
const UNSAID: Duration = Duration::from_millis(100);

/// How often a request is tried whose process has died before it had the request.
const MOST_RETRIES: u32 = 50;

/// Pause between two such attempts, and after a slot that has no channel.
const RETRY: Duration = Duration::from_millis(5);

/// Seconds after which a client may try again that was sent away from a full queue.
const RETRY_AFTER: &[u8] = b"1";

/// Status in the access log of a request whose client left before an answer.
pub(super) const CLIENT_GONE: u16 = 499;

/// Why there is no slot.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: String,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The queue was full: a little later it may not be.
    Full,
    /// The request has waited for as long as it may.
    Late,
    /// An administrator wants it so.
    Drained,
    Other,
}

impl Refused {
    fn new(status: u16, reason: String) -> Self {
        Self { status, reason, cause: Cause::Other }
    }

    /// Logs the reason: the handler's result.
    pub(super) fn answer(self, request: Request<'_>) -> Status {
        if self.status == CLIENT_GONE {
            request.log(Level::Info, self.reason);
            request.set_status(CLIENT_GONE, None);
            return Status::OK;
        }
        if self.cause == Cause::Full {
            request.err_headers_out().add_copy(b"Retry-After", RETRY_AFTER);
        }
        let level = if self.cause == Cause::Drained { Level::Info } else { Level::Error };
        request.log(level, self.reason);
        Status::http(self.status)
    }
}

/// A reserved slot. Unless it is released, its channel is in doubt and replaced.
#[derive(Debug)]
pub(super) struct Slot<'c> {
    child: &'c Child,
    pool: PoolRef,
    lease: u32,
    reservation: Reservation,
    channel: Arc<Channel>,
    ignored: bool,
    released: bool,
}

impl Slot<'_> {
    /// Index of the slot in the table.
    pub(super) fn index(&self) -> u32 {
        self.reservation.slot
    }

    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The request does not count as activity of its process.
    pub(super) fn ignore_activity(&mut self) {
        self.ignored = true;
        self.child.table.ignore_activity(self.reservation, true);
    }

    /// The exchange has come to its END, so many microseconds after the application was
    /// called: the next request may have the slot.
    pub(super) fn release(mut self, application_time: u64) {
        self.released = true;
        self.child.table.spend(self.reservation, application_time);
        self.child.table.release(self.pool, self.reservation, self.lease);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.released {
            if self.ignored {
                self.child.table.ignore_activity(self.reservation, false);
            }
            self.child.give_up(self.reservation);
        }
    }
}

/// Reserves a slot for a request.
///
/// # Errors
/// [`Refused`] with the status for the client and the line for the log.
pub(super) fn reserve<'c>(
    child: &'c Child,
    request: Request<'_>,
    target: &Target<'_>,
    patience: &mut Patience,
) -> Result<Slot<'c>, Refused> {
    loop {
        let link_deadline = patience.deadline();
        let lease =
            child.lease(link_deadline).map_err(|error| unreachable_supervisor(target, &error))?;
        let pool = child
            .pool(target.application(), link_deadline)
            .map_err(|error| unreachable_supervisor(target, &error))?;
        let reservation = match child.table.reserve(pool, lease) {
            Attempt::Reserved(reservation) => reservation,
            Attempt::Full => match queue(child, request, target, pool, lease, patience)? {
                Some(reservation) => reservation,
                None => {
                    child.doubt(lease);
                    patience.check(target)?;
                    continue;
                }
            },
            Attempt::Stale => {
                patience.check(target)?;
                continue;
            }
            Attempt::Failed => return Err(out_of_service(child, pool, target)),
        };
        child.table.describe(
            reservation,
            &Note {
                method: request.method(),
                host: request.hostname(),
                uri: request.uri(),
                client: request.client_ip(),
                since: request.start_time(),
                slow_at: target.slow().map_or(0, moment),
            },
        );
        match child.channel(reservation, link_deadline) {
            Ok(channel) => {
                return Ok(Slot {
                    child,
                    pool,
                    lease,
                    reservation,
                    channel,
                    ignored: false,
                    released: false,
                });
            }
            Err(LinkError::Unexpected | LinkError::Refused(_)) => {
                // The process ended between reservation and fetch, or the channel did. The
                // pause lets the supervisor take a slot away whose channel is lost.
                child.table.give_back(pool, reservation, lease);
                patience.check(target)?;
                std::thread::sleep(RETRY);
            }
            Err(error) => {
                child.table.give_back(pool, reservation, lease);
                return Err(unreachable_supervisor(target, &error));
            }
        }
    }
}

/// When it is so much later than now, in microseconds since the epoch.
fn moment(later: Duration) -> u64 {
    clock::microseconds().saturating_add(u64::try_from(later.as_micros()).unwrap_or(u64::MAX))
}

/// Waits in the pool's queue. None: begin anew, the pool has changed.
fn queue(
    child: &Child,
    request: Request<'_>,
    target: &Target<'_>,
    pool: PoolRef,
    lease: u32,
    patience: &mut Patience,
) -> Result<Option<Reservation>, Refused> {
    let Some(ticket) = child.table.enqueue(pool, lease, target.limits.queue_depth) else {
        if !child.table.lease_is_open(lease) {
            // Void since another supervisor is there, which does not know it.
            return Ok(None);
        }
        let text = format!("{} requests wait for it already", target.limits.queue_depth);
        return Err(Refused {
            cause: Cause::Full,
            ..Refused::new(503, target.text("MWR1210", &text))
        });
    };
    let began = Instant::now();
    let first = if child.waiting(pool) { TICK } else { UNSAID };
    request.log(Level::Debug, Length(child, pool));
    let outcome = wait(child, request, target, ticket, lease, patience, first);
    let end = match &outcome {
        Err(refused) if refused.cause == Cause::Late => WaitEnd::Expired,
        _ => WaitEnd::Over,
    };
    child.table.record_wait(pool, began.elapsed(), end);
    outcome
}

/// How many requests wait: they are counted only for a log that wants to know.
struct Length<'c>(&'c Child, PoolRef);

impl fmt::Display for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "requests waiting for a thread: {}", self.0.table.waiting(self.1.index))
    }
}

/// Waits with a ticket, for so long at first. None: begin anew, the pool has changed.
fn wait(
    child: &Child,
    request: Request<'_>,
    target: &Target<'_>,
    ticket: Ticket,
    lease: u32,
    patience: &mut Patience,
    first: Duration,
) -> Result<Option<Reservation>, Refused> {
    let pool = ticket.pool;
    let mut longest = first;
    loop {
        let wait = patience.left().min(longest);
        longest = TICK;
        match child.table.wait(ticket, lease, wait) {
            Waited::Granted(reservation) if request.client_is_gone() => {
                child.table.give_back(pool, reservation, lease);
                return Err(client_gone(target));
            }
            Waited::Granted(reservation) => return Ok(Some(reservation)),
            Waited::Stale => return Ok(None),
            Waited::Failed => return Err(out_of_service(child, pool, target)),
            Waited::TimedOut => {}
        }
        patience.allow_start(child.table.pool_state(pool));
        // A supervisor that has followed another has to know who waits.
        let _ = child.lease(patience.deadline());
        let refused = if request.client_is_gone() {
            Err(client_gone(target))
        } else {
            patience.check(target)
        };
        if let Err(refused) = refused {
            return match child.table.cancel(ticket, lease) {
                Some(reservation) if refused.status != CLIENT_GONE => Ok(Some(reservation)),
                Some(reservation) => {
                    child.table.give_back(pool, reservation, lease);
                    Err(refused)
                }
                None => Err(refused),
            };
        }
        child.waiting(pool);
    }
}

/// How long a request may wait, and how often it may be tried.
#[derive(Debug)]
pub(super) struct Patience {
    begun: Instant,
    retries: u32,
    deadline: Instant,
    /// queue-timeout: holds whatever the pool does.
    strict: bool,
    connect: Duration,
    longest: Duration,
}

impl Patience {
    pub(super) fn new(target: &Target<'_>) -> Self {
        let begun = Instant::now();
        let timeouts = target.limits;
        let (strict, wait) = match timeouts.queue {
            Some(queue) => (true, queue),
            None => (false, timeouts.connect),
        };
        Self {
            begun,
            retries: 0,
            deadline: begun + wait,
            strict,
            connect: timeouts.connect,
            longest: timeouts.socket.max(timeouts.connect),
        }
    }

    /// Whether a request may be tried once more whose process had just died. From
    /// the second time on it waits a moment, as the supervisor is about to know.
    pub(super) fn allows_retry(&mut self) -> bool {
        self.retries += 1;
        if self.retries > 1 {
            std::thread::sleep(RETRY);
        }
        self.retries <= MOST_RETRIES
    }

    /// How long it took so far.
    pub(super) fn waited(&self) -> Duration {
        self.begun.elapsed()
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A pool that is starting is waited for: the clock starts when it has.
    fn allow_start(&mut self, state: Option<PoolState>) {
        if !self.strict && state == Some(PoolState::Starting) {
            self.deadline =
                (Instant::now() + self.connect).min(self.begun + self.longest).max(self.deadline);
        }
    }

    fn check(&self, target: &Target<'_>) -> Result<(), Refused> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        let waited = self.begun.elapsed().as_secs_f64();
        let (status, code, option) = match self.strict {
            true => (504, "MWR1212", "queue-timeout"),
            false => (503, "MWR1213", "connect-timeout"),
        };
        let text = format!("no thread became free within {option} ({waited:.3} s waited)");
        Err(Refused { cause: Cause::Late, ..Refused::new(status, target.text(code, &text)) })
    }
}

fn client_gone(target: &Target<'_>) -> Refused {
    let text = "the client left while its request was waiting";
    Refused::new(CLIENT_GONE, target.text("MWR1211", text))
}

fn out_of_service(child: &Child, pool: PoolRef, target: &Target<'_>) -> Refused {
    if child.table.pool_state(pool) == Some(PoolState::Drained) {
        let text = "it was drained by wsgictl and takes no requests until wsgictl resume";
        return Refused {
            cause: Cause::Drained,
            ..Refused::new(503, target.text("MWR1216", text))
        };
    }
    let text = "its processes can't start; the log says why at their last attempt";
    Refused::new(503, target.text("MWR1214", text))
}

fn unreachable_supervisor(target: &Target<'_>, error: &LinkError) -> Refused {
    Refused::new(503, target.text("MWR1215", &error.to_string()))
}
