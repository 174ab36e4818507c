//! Pools and process entries, which the supervisor alone writes.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::{MAX_PROCESSES, MAX_SLOTS, PoolRef, PoolShape, PoolState, ProcessState, Table};

impl Table {
    /// Pool's state, or None if the serial differs or there is none.
    pub fn pool_state(&self, pool: PoolRef) -> Option<PoolState> {
        let (serial, state) = self.shared().pool(pool.index)?.identity();
        (serial == pool.serial && state != PoolState::Absent).then_some(state)
    }

    /// Creates or replaces the pool at `index` in state Starting. Its process
    /// entries and slots become absent. Entries and slots beyond the table's
    /// maxima are left out, an index beyond them has no effect.
    pub fn open_pool(&self, index: u32, shape: &PoolShape) -> PoolRef {
        let shared = self.shared();
        self.close_pool(index);
        self.mend_queue(index);
        let Some(record) = shared.pool(index) else {
            return PoolRef { index, serial: 0 };
        };
        let threads = shape.threads.min(MAX_SLOTS.saturating_sub(shape.first_slot));
        let processes = shape
            .processes
            .min(MAX_PROCESSES.saturating_sub(shape.first_process))
            .min((MAX_SLOTS.saturating_sub(shape.first_slot)).checked_div(threads).unwrap_or(0));
        record.first_process.store(shape.first_process, Relaxed);
        record.processes.store(processes, Relaxed);
        record.first_slot.store(shape.first_slot, Relaxed);
        record.threads.store(threads, Relaxed);
        let names = (cut(&shape.process_group), cut(&shape.application_group));
        record.process_group.write(names.0);
        record.application_group.write(names.1);
        self.open_account(record, names.0, names.1);
        record.waits.clear();
        for place in 0..processes {
            let process = shape.first_process + place;
            let first_slot = shape.first_slot + place * threads;
            if let Some(entry) = shared.process(process) {
                entry.set_state(ProcessState::Absent);
                entry.pool.store(index, Relaxed);
                entry.first_slot.store(first_slot, Relaxed);
                entry.threads.store(threads, Relaxed);
            }
            for slot in first_slot..first_slot + threads {
                self.clear_slot(slot);
                if let Some(owner) = shared.owners.get(slot as usize) {
                    owner.store(process, Relaxed);
                }
            }
        }
        shared.header.cover(index, shape.first_slot.saturating_add(processes * threads));
        let serial = record.identity().0;
        record.set_identity(serial, PoolState::Starting);
        PoolRef { index, serial }
    }

    /// Absent, with a new serial; wakes all waiters (they see Stale).
    pub fn close_pool(&self, index: u32) {
        let Some(record) = self.shared().pool(index) else { return };
        let (serial, state) = record.identity();
        if state != PoolState::Absent {
            let slots = record.processes.load(Relaxed).saturating_mul(record.threads.load(Relaxed));
            let first = record.first_slot.load(Relaxed);
            self.settle_served(index, first..first.saturating_add(slots));
            self.settle_waits(index);
        }
        record.set_identity(serial.wrapping_add(1).max(1), PoolState::Absent);
        self.drive_out(index);
    }

    /// The pool at an index, with its shape, if not absent (a successor reads
    /// these).
    pub fn pool(&self, index: u32) -> Option<(PoolRef, PoolState, PoolShape)> {
        let record = self.shared().pool(index)?;
        let (serial, state) = record.identity();
        if state == PoolState::Absent {
            return None;
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let shape = PoolShape {
            process_group: text(record.process_group.read()),
            application_group: text(record.application_group.read()),
            first_process: record.first_process.load(Relaxed),
            processes: record.processes.load(Relaxed),
            first_slot: record.first_slot.load(Relaxed),
            threads: record.threads.load(Relaxed),
        };
        Some((PoolRef { index, serial }, state, shape))
    }

    /// All pools.
    pub fn pools(&self) -> impl Iterator<Item = (PoolRef, PoolState, PoolShape)> {
        self.shared().pool_indices().filter_map(|index| self.pool(index))
    }

    /// Sets the state; Failed and Drained wake all waiters (they see Failed). Call
    /// [`Table::dispatch`] after the first process became ready.
    pub fn set_pool_state(&self, index: u32, state: PoolState) {
        let Some(record) = self.shared().pool(index) else { return };
        record.set_identity(record.identity().0, state);
        if state.refuses() || state == PoolState::Absent {
            self.drive_out(index);
        }
    }

    /// Sets state, pid and start time (ticks) of a process entry. Starting sets
    /// the counters of its slots to zero.
    pub fn set_process(&self, process: u32, state: ProcessState, pid: i32, start_time: u64) {
        let shared = self.shared();
        let Some(entry) = shared.process(process) else { return };
        if state == ProcessState::Starting {
            entry.limit.store(0, SeqCst);
            let first = entry.first_slot.load(Relaxed).min(MAX_SLOTS);
            let end = first.saturating_add(entry.threads.load(Relaxed)).min(MAX_SLOTS);
            self.settle_served(entry.pool.load(Relaxed), first..end);
        }
        entry.pid.store(pid, SeqCst);
        entry.start_time.store(start_time, SeqCst);
        entry.set_state(state);
    }

    /// Requests after which a process takes no more, in whatever state; 0 for any
    /// number. Those that come at the same moment may exceed it, by less than the
    /// process has threads. Call [`Table::dispatch`] after it was raised.
    pub fn set_limit(&self, process: u32, limit: u32) {
        if let Some(entry) = self.shared().process(process) {
            entry.limit.store(limit, SeqCst);
        }
    }

    /// State, pid and start time (ticks) of a process entry.
    pub fn process(&self, process: u32) -> (ProcessState, i32, u64) {
        self.shared().process(process).map_or((ProcessState::Absent, 0, 0), |entry| {
            (entry.state(), entry.pid.load(SeqCst), entry.start_time.load(SeqCst))
        })
    }
}

/// At most 255 bytes, not in the middle of a character.
fn cut(name: &str) -> &[u8] {
    let mut end = name.len().min(255);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name.as_bytes()[..end]
}
