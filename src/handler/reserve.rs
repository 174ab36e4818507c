//! Gets a worker thread: a free slot of the application's pool, or a place in
//! the pool's queue until one is handed over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wsgi_sys::table::{Attempt, Note, PoolRef, PoolState, Reservation, Waited};

use super::target::Target;
use crate::apache::Status;
use crate::apache::log::{Level, Loggable};
use crate::apache::request::Request;
use crate::child::{Channel, Child, LinkError};

/// How often a waiting request looks whether its client is still there.
const TICK: Duration = Duration::from_secs(1);

/// How often a request is tried whose process has died before it had the request.
const MOST_RETRIES: u32 = 50;

/// Pause between two such attempts.
const RETRY: Duration = Duration::from_millis(5);

/// Status in the access log of a request whose client left before an answer.
pub(super) const CLIENT_GONE: u16 = 499;

/// Why there is no slot.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) reason: String,
}

impl Refused {
    /// Logs the reason: the handler's result.
    pub(super) fn answer(self, request: Request<'_>) -> Status {
        if self.status == CLIENT_GONE {
            request.log(Level::Info, self.reason);
            request.set_status(CLIENT_GONE, None);
            return Status::OK;
        }
        request.log(Level::Error, self.reason);
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
    released: bool,
}

impl Slot<'_> {
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// The exchange has come to its END: the next request may have the slot.
    pub(super) fn release(mut self) {
        self.released = true;
        self.child.table.release(self.pool, self.reservation, self.lease);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if !self.released {
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
                None => continue,
            },
            Attempt::Stale => {
                patience.check(target)?;
                continue;
            }
            Attempt::Failed => return Err(cannot_start(target)),
        };
        child.table.describe(
            reservation,
            &Note {
                method: request.method(),
                host: request.hostname(),
                uri: request.uri(),
                client: request.client_ip(),
                since: request.start_time(),
                slow: 0,
            },
        );
        match child.channel(reservation, link_deadline) {
            Ok(channel) => {
                return Ok(Slot { child, pool, lease, reservation, channel, released: false });
            }
            Err(LinkError::Unexpected | LinkError::Refused(_)) => {
                // The process ended between reservation and fetch.
                child.table.give_back(pool, reservation, lease);
                patience.check(target)?;
            }
            Err(error) => {
                child.table.give_back(pool, reservation, lease);
                return Err(unreachable_supervisor(target, &error));
            }
        }
    }
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
    let Some(ticket) = child.table.enqueue(pool, lease) else {
        return Err(Refused {
            status: 503,
            reason: target.text("MWR1210", "too many requests wait for it"),
        });
    };
    child.waiting(pool);
    let waiting = child.table.waiting(pool.index);
    request.log(Level::Debug, format_args!("requests waiting for a thread: {waiting}"));
    loop {
        let wait = patience.left().min(TICK);
        match child.table.wait(ticket, lease, wait) {
            Waited::Granted(reservation) if request.client_is_gone() => {
                child.table.give_back(pool, reservation, lease);
                return Err(client_gone(target));
            }
            Waited::Granted(reservation) => return Ok(Some(reservation)),
            Waited::Stale => return Ok(None),
            Waited::Failed => return Err(cannot_start(target)),
            Waited::TimedOut => {}
        }
        patience.allow_start(child.table.pool_state(pool));
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
        Err(if self.strict {
            Refused {
                status: 504,
                reason: target.text(
                    "MWR1212",
                    &format!("no thread became free within queue-timeout ({waited:.1} s waited)"),
                ),
            }
        } else {
            Refused {
                status: 503,
                reason: target.text(
                    "MWR1213",
                    &format!("no thread became free within connect-timeout ({waited:.1} s waited)"),
                ),
            }
        })
    }
}

fn client_gone(target: &Target<'_>) -> Refused {
    Refused {
        status: CLIENT_GONE,
        reason: target.text("MWR1211", "the client left while its request was waiting"),
    }
}

fn cannot_start(target: &Target<'_>) -> Refused {
    Refused {
        status: 503,
        reason: target
            .text("MWR1214", "its processes can't start; the log says why at their last attempt"),
    }
}

fn unreachable_supervisor(target: &Target<'_>, error: &LinkError) -> Refused {
    Refused { status: 503, reason: target.text("MWR1215", &error.to_string()) }
}
