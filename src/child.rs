//! What an httpd child holds: its lease, its way to the supervisor, and the
//! channels that it has fetched.
//!
//! *Runs in:* httpd child. *Threads:* all of them share one [`Child`].

mod post;
mod scripts;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Instant;

use wsgi_proto::mailbox::{ChannelBroken, FetchChannel, OpenPool, ToChild, ToSupervisor, Waiting};
use wsgi_sys::lanes::Beside;
use wsgi_sys::table::{PoolRef, PoolState, Reservation, Table};

use post::Post;
use scripts::Scripts;

use crate::scratch::{Lent, Scratches};
use crate::site::Site;

/// Milliseconds after which a child looks whether its supervisor was replaced.
const LINK_CHECK: u64 = 1_000;

/// Milliseconds for which one word that requests wait for a pool is enough.
const SAID: u64 = 10;

/// Why the supervisor could not be asked.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// No answer before the deadline: the supervisor is gone or being replaced.
    Timeout,
    /// A system call failed.
    Io(io::Error),
    /// The supervisor refuses, with its reason.
    Refused(String),
    /// The answer is not what was asked for.
    Unexpected,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the supervisor does not answer"),
            Self::Io(error) => write!(f, "the supervisor can't be reached: {error}"),
            Self::Refused(reason) => f.write_str(reason),
            Self::Unexpected => f.write_str("the supervisor's answer makes no sense"),
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A slot's channel as this child holds it.
#[derive(Debug)]
pub(crate) struct Channel {
    epoch: u32,
    socket: OwnedFd,
    /// The lane beside it, if its worker uses lanes.
    beside: Option<Beside>,
}

impl Channel {
    pub(crate) fn beside(&self) -> Option<&Beside> {
        self.beside.as_ref()
    }

    /// Sends a request of so many bytes by the socket. `send` is told how many of them are sent, and
    /// whether it may wait until the channel has room.
    ///
    /// # Errors
    /// `send`'s, with the bytes that were sent before.
    pub(crate) fn send_request(
        &self,
        length: usize,
        mut send: impl FnMut(usize, bool) -> io::Result<usize>,
    ) -> Result<(), (usize, io::Error)> {
        let mut sent = 0;
        // The worker does not look there by itself, and what is too long has to be read.
        let mut wait = self.beside.is_none();
        while sent < length {
            match send(sent, wait) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wait => {}
                Err(error) => return Err((sent, error)),
            }
            if let Some(beside) = &self.beside {
                beside.bell.ring(beside.thread);
                wait = true;
            }
        }
        Ok(())
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Which application group of which process group, and how to start it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application<'a> {
    pub(crate) process_group: &'a str,
    pub(crate) application_group: &'a str,
    pub(crate) script: &'a [u8],
    pub(crate) callable_object: &'a str,
}

/// By process group and application group.
type Pools = BTreeMap<String, BTreeMap<String, PoolRef>>;

/// Scripts about which hints are given: their names may come from users' folders.
const MOST_HINTS: usize = 1000;

/// State of an httpd child; lives until the process exits.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) table: Table,
    /// Of this process: asked once, as it is a system call.
    pub(crate) pid: u32,
    mailbox: OwnedFd,
    generation: u32,
    started: Instant,
    /// The current lease, 0 while there is none.
    lease: AtomicU32,
    /// Milliseconds after `started` when the supervisor was last seen alive.
    link_seen: AtomicU64,
    /// The pool for which requests were last said to wait, in the upper 16 bits, and when, as
    /// milliseconds after `started`.
    said: AtomicU64,
    scratches: Scratches,
    /// Of aliases.
    pub(crate) scripts: Scripts,
    post: Mutex<Post>,
    /// Scripts about which the administrator was given a hint.
    hinted: Mutex<HashSet<Vec<u8>>>,
    pools: RwLock<Pools>,
    /// By slot.
    channels: RwLock<Vec<Option<Arc<Channel>>>>,
}

impl Child {
    /// What a child makes of the descriptors that it inherited.
    ///
    /// # Errors
    /// There are none, or the slot table can't be mapped.
    pub(crate) fn init(site: &Site) -> io::Result<Self> {
        let inherited = site.supervisor().for_child();
        let (mailbox, table) = inherited.ok_or_else(|| io::Error::other("nothing inherited"))?;
        Ok(Self {
            table: Table::map(table)?,
            pid: std::process::id(),
            mailbox: mailbox.try_clone_to_owned()?,
            generation: site.generation(),
            started: Instant::now(),
            lease: AtomicU32::new(0),
            link_seen: AtomicU64::new(0),
            said: AtomicU64::new(u64::MAX),
            scratches: Scratches::default(),
            scripts: Scripts::default(),
            post: Mutex::default(),
            hinted: Mutex::default(),
            pools: RwLock::default(),
            channels: RwLock::default(),
        })
    }

    /// The lease under which this child reserves, registering if it must. Whether the supervisor
    /// is still the same is looked at once in a while: a lease of its predecessor's holds, but
    /// nobody watches over it.
    ///
    /// # Errors
    /// [`LinkError`] if the supervisor does not register the child in time.
    pub(crate) fn lease(&self, deadline: Instant) -> Result<u32, LinkError> {
        let now = self.milliseconds();
        let seen = self.link_seen.load(Ordering::Relaxed);
        let lease = self.lease.load(Ordering::Relaxed);
        if lease != 0 && now.saturating_sub(seen) < LINK_CHECK {
            return Ok(lease);
        }
        let mut post = match self.post.try_lock() {
            Ok(post) => post,
            // Another thread is about to find out.
            Err(TryLockError::WouldBlock) if lease != 0 => return Ok(lease),
            Err(TryLockError::WouldBlock) => self.post(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        if lease == 0 {
            self.connected(&mut post, deadline)?;
        } else {
            self.renew(&mut post);
        }
        self.link_seen.store(now, Ordering::Relaxed);
        Ok(self.lease.load(Ordering::Relaxed))
    }

    /// Something was lost under a lease: has the child register anew if it is void.
    pub(crate) fn doubt(&self, lease: u32) {
        if !self.table.lease_is_open(lease) {
            let _ = self.lease.compare_exchange(lease, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether no hint about this script was given by this child before.
    pub(crate) fn is_first_hint(&self, script: &[u8]) -> bool {
        let mut hinted = self.hinted.lock().unwrap_or_else(PoisonError::into_inner);
        hinted.len() < MOST_HINTS && hinted.insert(script.to_vec())
    }

    /// Buffers for one request, used again by the next.
    pub(crate) fn scratch(&self) -> Lent<'_> {
        self.scratches.lend()
    }

    /// The pool of an application, created by the supervisor if need be.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(crate) fn pool(
        &self,
        application: Application<'_>,
        deadline: Instant,
    ) -> Result<PoolRef, LinkError> {
        let known = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        let pool = known
            .get(application.process_group)
            .and_then(|pools| pools.get(application.application_group))
            .copied();
        drop(known);
        match pool {
            Some(pool) if self.table.pool_state(pool).is_some() => Ok(pool),
            _ => self.open_pool(application, deadline),
        }
    }

    fn open_pool(
        &self,
        application: Application<'_>,
        deadline: Instant,
    ) -> Result<PoolRef, LinkError> {
        let question = |sequence| {
            ToSupervisor::OpenPool(OpenPool {
                sequence,
                process_group: application.process_group.to_owned(),
                application_group: application.application_group.to_owned(),
                script: PathBuf::from(OsStr::from_bytes(application.script)),
                callable_object: application.callable_object.to_owned(),
            })
        };
        let (ToChild::Pool(answer), _) = self.ask(question, deadline)? else {
            return Err(LinkError::Unexpected);
        };
        let pool = PoolRef { index: answer.index, serial: answer.serial };
        self.pools
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(application.process_group.to_owned())
            .or_default()
            .insert(application.application_group.to_owned(), pool);
        Ok(pool)
    }

    /// The channel of a slot that this child has reserved.
    ///
    /// # Errors
    /// [`LinkError`]; [`LinkError::Unexpected`] if the slot has been given a new
    /// channel meanwhile, which voids the reservation.
    pub(crate) fn channel(
        &self,
        reservation: Reservation,
        deadline: Instant,
    ) -> Result<Arc<Channel>, LinkError> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        let known = channels.get(reservation.slot as usize).cloned().flatten();
        drop(channels);
        if let Some(channel) = known.filter(|channel| channel.epoch == reservation.epoch) {
            return Ok(channel);
        }
        let question = |sequence| {
            ToSupervisor::FetchChannel(FetchChannel { sequence, slot: reservation.slot })
        };
        let (ToChild::Channel(answer), descriptors) = self.ask(question, deadline)? else {
            return Err(LinkError::Unexpected);
        };
        let mut descriptors = descriptors.into_iter();
        let socket = descriptors.next().ok_or(LinkError::Unexpected)?;
        let beside = descriptors.next().map(|memory| Beside::map(memory.as_fd(), answer.thread));
        let beside = beside.transpose()?;
        let channel = Arc::new(Channel { epoch: answer.epoch, socket, beside });
        self.keep(reservation.slot, Some(Arc::clone(&channel)));
        if answer.epoch == reservation.epoch { Ok(channel) } else { Err(LinkError::Unexpected) }
    }

    fn keep(&self, slot: u32, channel: Option<Arc<Channel>>) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        if channels.len() <= slot as usize {
            channels.resize(slot as usize + 1, None);
        }
        channels[slot as usize] = channel;
    }

    /// Forgets a slot's channel and has the supervisor replace it. The slot stays
    /// reserved until then.
    pub(crate) fn give_up(&self, reservation: Reservation) {
        self.keep(reservation.slot, None);
        self.tell(&ToSupervisor::ChannelBroken(ChannelBroken {
            slot: reservation.slot,
            epoch: reservation.epoch,
        }));
    }

    /// Tells the supervisor that a request waits for a pool, unless it has heard so a moment
    /// ago: whether it was told now. A pool without a ready process may sleep: that is told
    /// always.
    pub(crate) fn waiting(&self, pool: PoolRef) -> bool {
        const TIME: u64 = (1 << 48) - 1;
        let now = self.milliseconds() & TIME;
        let said = self.said.load(Ordering::Relaxed);
        let is_said = said >> 48 == u64::from(pool.index) && now.saturating_sub(said & TIME) < SAID;
        if is_said && self.table.pool_state(pool) == Some(PoolState::Ready) {
            return false;
        }
        self.said.store(u64::from(pool.index) << 48 | now, Ordering::Relaxed);
        self.tell(&ToSupervisor::Waiting(Waiting { pool: pool.index }));
        true
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
