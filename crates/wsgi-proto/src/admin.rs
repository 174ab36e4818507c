//! wsgictl ↔ supervisor, over a socket that only root, or whoever owns httpd, may use.
//!
//! wsgictl connects, sends one order, and reads answers until [`Done`] or [`Failed`].
//! An order stays in effect if wsgictl leaves before. A group's name is empty for the
//! implicit group; no name means all groups.

use crate::record::{fields, records};

fields! {
    /// Lend me the slot table, from which the snapshot is read.
    pub struct Attach {
        /// [`VERSION`](crate::VERSION) of wsgictl.
        version: u32,
    }

    /// Write the stacks of all threads into the error logs.
    pub struct Stacks {
        /// Which group.
        group: Option<String>,
    }

    /// Replace all processes, successors first.
    pub struct Reload {
        /// Which group.
        group: Option<String>,
    }

    /// Have another number of processes.
    pub struct Scale {
        /// Which group.
        group: String,
        /// How many; 0 for what is configured.
        processes: u32,
    }

    /// Let requests end, then processes; answer others with 503.
    pub struct Drain {
        /// Which group.
        group: Option<String>,
    }

    /// Serve again after [`Drain`].
    pub struct Resume {
        /// Which group.
        group: Option<String>,
    }

    /// The slot table comes with this record.
    pub struct Attached {
        /// [`VERSION`](crate::VERSION) of the supervisor.
        version: u32,
        /// httpd's parent.
        httpd: u32,
    }

    /// The order is carried out from now on; another answer follows.
    pub struct Begun {
        /// What happens, for people.
        text: String,
    }

    /// The order was carried out.
    pub struct Done {
        /// What has happened, for people.
        text: String,
        /// Processes that it concerned.
        processes: Vec<u32>,
    }

    /// The order was refused, or has failed.
    pub struct Failed {
        /// Why, and what to do.
        text: String,
    }
}

records! {
    /// What wsgictl says.
    pub enum ToSupervisor {
        /// See [`Attach`].
        Attach(Attach) = 1,
        /// See [`Stacks`].
        Stacks(Stacks) = 2,
        /// See [`Reload`].
        Reload(Reload) = 3,
        /// See [`Scale`].
        Scale(Scale) = 4,
        /// See [`Drain`].
        Drain(Drain) = 5,
        /// See [`Resume`].
        Resume(Resume) = 6,
    }
}

records! {
    /// What the supervisor answers.
    pub enum ToControl {
        /// See [`Attached`].
        Attached(Attached) = 1,
        /// See [`Begun`].
        Begun(Begun) = 2,
        /// See [`Done`].
        Done(Done) = 3,
        /// See [`Failed`].
        Failed(Failed) = 4,
    }
}
