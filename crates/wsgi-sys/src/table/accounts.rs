//! What a pool has done since httpd started: counters that only ever grow.
//!
//! They belong to the names of process group and application group, not to a pool's record:
//! a configuration that gives a pool another shape makes a new pool, and goes on counting here.
//!
//! *Runs in:* supervisor (writes), httpd child (reads).

use std::sync::atomic::{
    AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, fence,
};

use super::layout::{Bytes, PoolRecord};
use super::{MAX_POOLS, PoolState, Table};

/// What is counted of a pool's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Starts.
    Started = 0,
    /// Starts that became ready.
    Ready = 1,
    /// Ends that were asked for.
    Stopped = 2,
    /// Kills, as a limit was exceeded.
    Killed = 3,
    /// Ends that nobody asked for.
    Died = 4,
    /// Ends, or failures, before the process was ready.
    Failed = 5,
    /// Changes of scripts that replaced the processes.
    Reloaded = 6,
}

const TALLIES: usize = 7;

/// An account in the shared memory. The sequence is odd while something moves into it.
#[repr(C, align(64))]
pub(super) struct AccountRecord {
    sequence: AtomicU64,
    served: AtomicU64,
    spent: AtomicU64,
    cpu: AtomicU64,
    waits: [AtomicU64; 4],
    tallies: [AtomicU64; TALLIES],
    process_group: Bytes<32>,
    application_group: Bytes<32>,
}

/// What a pool's processes that are gone have done, and how they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Requests.
    pub served: u64,
    /// Microseconds in applications.
    pub spent: u64,
    /// Microseconds of CPU time.
    pub cpu: u64,
    /// Waits in the queues of pools that are gone: all, those in vain, requests that were
    /// sent away, and microseconds together.
    pub waits: [u64; 4],
    tallies: [u64; TALLIES],
}

impl Account {
    /// How often it has happened.
    pub fn tally(&self, tally: Tally) -> u64 {
        self.tallies[tally as usize]
    }
}

impl Table {
    /// Counts something.
    pub fn count(&self, pool: u32, tally: Tally) {
        if let Some(account) = self.account_of(pool) {
            account.tallies[tally as usize].fetch_add(1, Relaxed);
        }
    }

    /// The process has ended, having used so many microseconds of CPU time. Its entry has no
    /// pid from now on, so that nobody counts them twice.
    pub fn settle_cpu(&self, process: u32, microseconds: u64) {
        let Some(entry) = self.shared().process(process) else { return };
        let Some(account) = self.account_of(entry.pool.load(Relaxed)) else { return };
        account.move_in(|| {
            account.cpu.fetch_add(microseconds, Relaxed);
            entry.pid.store(0, Relaxed);
        });
    }

    /// Requests of slots whose process is gone move into the account.
    pub(super) fn settle_served(&self, pool: u32, slots: std::ops::Range<u32>) {
        let slots = slots.start as usize..slots.end as usize;
        let shared = self.shared();
        let ignored = shared.ignored.get(slots.clone()).unwrap_or_default();
        ignored.iter().for_each(|ignored| ignored.store(0, Relaxed));
        let served = shared.served.get(slots.clone()).unwrap_or_default();
        let spent = shared.spent.get(slots).unwrap_or_default();
        let Some(account) = self.account_of(pool) else {
            served.iter().chain(spent).for_each(|count| count.store(0, Relaxed));
            return;
        };
        account.move_in(|| {
            for (count, time) in served.iter().zip(spent) {
                account.served.fetch_add(count.swap(0, Relaxed), Relaxed);
                account.spent.fetch_add(time.swap(0, Relaxed), Relaxed);
            }
        });
    }

    /// What the queue of a pool that is closed has seen moves into the account.
    pub(super) fn settle_waits(&self, pool: u32) {
        let (Some(record), Some(account)) = (self.shared().pool(pool), self.account_of(pool))
        else {
            return;
        };
        account.move_in(|| {
            for (sum, seen) in account.waits.iter().zip(record.waits.take()) {
                sum.fetch_add(seen, Relaxed);
            }
        });
    }

    /// Reads what belongs together: the account of a pool's processes that are gone, and with
    /// `read` what those that live add to it.
    pub fn balance<T>(&self, pool: u32, read: impl Fn() -> T) -> (Account, T) {
        let Some(record) = self.account_of(pool) else { return (Account::default(), read()) };
        let mut tries = 0;
        loop {
            let before = record.sequence.load(Acquire);
            let account = Account {
                served: record.served.load(Relaxed),
                spent: record.spent.load(Relaxed),
                cpu: record.cpu.load(Relaxed),
                waits: record.waits.each_ref().map(|sum| sum.load(Relaxed)),
                tallies: record.tallies.each_ref().map(|tally| tally.load(Relaxed)),
            };
            let living = read();
            fence(Acquire);
            tries += 1;
            // A writer that was killed has left it odd: better a little wrong than never.
            if tries == 8 || before.is_multiple_of(2) && record.sequence.load(Relaxed) == before {
                return (account, living);
            }
        }
    }

    fn account_of(&self, pool: u32) -> Option<&AccountRecord> {
        self.shared().accounts.get(self.shared().pool(pool)?.account.load(Relaxed) as usize)
    }

    /// Gives a pool the account of its names: an old one, else an unused one, else one that no
    /// pool uses any more.
    pub(super) fn open_account(&self, pool: &PoolRecord, process: &[u8], application: &[u8]) {
        let accounts = &self.shared().accounts;
        // They are taken in turn: behind the first unused one there is none.
        let fits = |account: &AccountRecord| {
            !account.is_used()
                || account.process_group.read() == process
                    && account.application_group.read() == application
        };
        let known = accounts.iter().position(fits).or_else(|| {
            let abandoned = self.abandoned_account()?;
            accounts[abandoned].sequence.store(0, SeqCst);
            Some(abandoned)
        });
        if let Some(account) = known.map(|index| &accounts[index]).filter(|own| !own.is_used()) {
            account.begin(process, application);
        }
        let index = known.and_then(|index| u32::try_from(index).ok()).unwrap_or(MAX_POOLS);
        pool.account.store(index, Relaxed);
    }

    fn abandoned_account(&self) -> Option<usize> {
        let shared = self.shared();
        let pools = shared.pool_indices().filter_map(|index| shared.pool(index));
        let open = pools.filter(|pool| pool.identity().1 != PoolState::Absent);
        let used: Vec<u32> = open.map(|pool| pool.account.load(Relaxed)).collect();
        (0..MAX_POOLS).find(|index| !used.contains(index)).map(|index| index as usize)
    }
}

impl AccountRecord {
    fn is_used(&self) -> bool {
        self.sequence.load(SeqCst) != 0
    }

    fn begin(&self, process: &[u8], application: &[u8]) {
        self.served.store(0, Relaxed);
        self.spent.store(0, Relaxed);
        self.cpu.store(0, Relaxed);
        self.waits.iter().for_each(|sum| sum.store(0, Relaxed));
        self.tallies.iter().for_each(|tally| tally.store(0, Relaxed));
        self.process_group.write(process);
        self.application_group.write(application);
        self.sequence.fetch_max(2, SeqCst);
    }

    fn move_in(&self, change: impl FnOnce()) {
        let moving = self.sequence.load(Relaxed) | 1;
        self.sequence.store(moving, Relaxed);
        fence(Release);
        change();
        self.sequence.store(moving.wrapping_add(1), Release);
    }
}
