//! httpd child ↔ supervisor.
//!
//! A child sends one [`ToSupervisor::Register`] over the mailbox that it
//! inherited, with one descriptor: its end of a private seqpacket pair, on
//! which everything else travels. The supervisor takes the child's pid and uid
//! from the kernel's credentials, never from a record.
//!
//! Each question carries a `sequence` of the child's choice; the answer repeats
//! it, so that an answer that came too late is not taken for another's.

use crate::record::{fields, records};

fields! {
    /// A child introduces itself. Comes with one descriptor.
    pub struct Register {
        /// [`VERSION`](crate::VERSION) of the child's module.
        version: u32,
        /// Generation of the configuration that the child runs.
        generation: u32,
        /// The lease that it had under a supervisor which has ended; 0 for none.
        lease: u32,
    }

    /// The lease under which the child reserves slots: the one that it had, if that holds still.
    pub struct Registered {
        /// Index into the slot table's leases; never 0.
        lease: u32,
    }

    /// Asks for the pool that serves an application group, to be created and
    /// started if there is none.
    pub struct OpenPool {
        /// Repeated in the answer.
        sequence: u32,
        /// Name of the process group; empty for the implicit one.
        process_group: String,
        /// Name of the application group; empty for `%{GLOBAL}`.
        application_group: String,
        /// Script that a new process loads before it is ready.
        script: std::path::PathBuf,
        /// Name of the callable that the script must have.
        callable_object: String,
    }

    /// Answers [`OpenPool`].
    pub struct Pool {
        /// Repeated from the question.
        sequence: u32,
        /// Index into the slot table's pools.
        index: u32,
        /// Serial of the pool at that index; another one means another pool.
        serial: u32,
    }

    /// Asks for the child's end of a slot's channel.
    pub struct FetchChannel {
        /// Repeated in the answer.
        sequence: u32,
        /// Index into the slot table's slots.
        slot: u32,
    }

    /// Answers [`FetchChannel`]. Comes with the channel's descriptor, and that of its process'
    /// lanes if there are any.
    pub struct Channel {
        /// Repeated from the question.
        sequence: u32,
        /// Repeated from the question.
        slot: u32,
        /// Epoch of the slot to which this channel belongs.
        epoch: u32,
        /// The worker thread of the process, from 0: its lane.
        thread: u32,
    }

    /// The question can't be granted.
    pub struct Refused {
        /// Repeated from the question.
        sequence: u32,
        /// Why, for the error log.
        reason: String,
    }

    /// Tells that a request waits for a pool, which may then grow.
    pub struct Waiting {
        /// Index into the slot table's pools.
        pool: u32,
    }

    /// Tells that a channel is unfit for use: an exchange on it failed half-way.
    /// The slot stays reserved under the child's lease until it is replaced.
    pub struct ChannelBroken {
        /// Index into the slot table's slots.
        slot: u32,
        /// Epoch of the slot to which the channel belongs.
        epoch: u32,
    }
}

records! {
    /// What an httpd child says.
    pub enum ToSupervisor {
        /// See [`Register`].
        Register(Register) = 1,
        /// See [`OpenPool`].
        OpenPool(OpenPool) = 2,
        /// See [`FetchChannel`].
        FetchChannel(FetchChannel) = 3,
        /// See [`Waiting`].
        Waiting(Waiting) = 4,
        /// See [`ChannelBroken`].
        ChannelBroken(ChannelBroken) = 5,
    }
}

records! {
    /// What the supervisor answers.
    pub enum ToChild {
        /// See [`Registered`].
        Registered(Registered) = 65,
        /// See [`Pool`].
        Pool(Pool) = 66,
        /// See [`Channel`].
        Channel(Channel) = 67,
        /// See [`Refused`].
        Refused(Refused) = 68,
    }
}
