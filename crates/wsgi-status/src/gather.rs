//! Reads a snapshot from the slot table and from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

use wsgi_sys::table::{
    MAX_SLOTS, PoolShape, PoolState, ProcessState, QueueFigures, SlotState, Table, Tally,
};
use wsgi_sys::{clock, process};

use crate::snapshot::{Current, Pool, Process, Python, Queue, Snapshot, Supervisor, Thread, Work};

/// All tallies.
const TALLIES: [Tally; 7] = [
    Tally::Started,
    Tally::Ready,
    Tally::Stopped,
    Tally::Killed,
    Tally::Died,
    Tally::Failed,
    Tally::Reloaded,
];

/// Process group and application group.
type Names = (String, String);

/// What the slots and processes of a pool add to its account.
#[derive(Default)]
struct Living {
    queue: Queue,
    served: u64,
    spent: u64,
    cpu: u64,
    processes: Vec<Process>,
}

impl Snapshot {
    /// Reads it.
    pub fn take(table: &Table) -> Self {
        // While a pool is replaced by one of another shape there are two of its name.
        let mut names: BTreeMap<Names, Vec<(u32, PoolState, PoolShape)>> = BTreeMap::new();
        for (pool, state, shape) in table.pools() {
            let name = (shape.process_group.clone(), shape.application_group.clone());
            names.entry(name).or_default().push((pool.index, state, shape));
        }
        let pools = names.into_iter().map(|((process_group, application_group), pools)| {
            let first = pools.first().map_or(0, |(index, ..)| *index);
            let (account, mut living) = table.balance(first, || {
                let queues = pools.iter().map(|(index, ..)| table.queue_figures(*index));
                let mut living = living(table, pools.iter().map(|(_, _, shape)| shape));
                queues.for_each(|figures| living.queue.add(&figures));
                living
            });
            let [waited, expired, refused, total] = account.waits;
            living.queue.waited += waited;
            living.queue.expired += expired;
            living.queue.refused += refused;
            living.queue.total += total;
            let state = |wanted| pools.iter().any(|(_, state, _)| *state == wanted);
            let states = [PoolState::Ready, PoolState::Starting, PoolState::Drained];
            Pool {
                process_group,
                application_group,
                state: states.into_iter().find(|it| state(*it)).unwrap_or(PoolState::Failed),
                threads: pools.last().map_or(0, |(_, _, shape)| shape.threads),
                queue: living.queue,
                served: account.served + living.served,
                spent: account.spent.saturating_add(living.spent),
                cpu: account.cpu + living.cpu,
                tallies: TALLIES.map(|tally| (tally, account.tally(tally))),
                processes: living.processes,
            }
        });
        Self {
            pools: pools.collect(),
            incidents: table.incidents(),
            supervisor: supervisor(table),
            taken: clock::microseconds(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Queue {
    fn add(&mut self, figures: &QueueFigures) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.depth += figures.waiting;
        self.waited += figures.waited;
        self.expired += figures.expired;
        self.refused += figures.refused;
        self.total += micros(figures.total);
        self.longest = self.longest.max(micros(figures.longest));
    }
}

fn supervisor(table: &Table) -> Supervisor {
    let office = table.office();
    Supervisor {
        pid: office.pid,
        since: office.since,
        // One that has ended and was not reaped has no memory.
        alive: process::usage(office.pid).is_some_and(|usage| usage.resident > 0),
        replaced: office.supervisors.saturating_sub(1),
        generation: office.generation,
        configured: office.configured,
        configurations: office.configurations,
    }
}

fn living<'s>(table: &Table, shapes: impl Iterator<Item = &'s PoolShape>) -> Living {
    let mut living = Living::default();
    for shape in shapes {
        // Only scribbled memory says that there are more.
        for place in 0..shape.processes.min(MAX_SLOTS) {
            let first_slot = place.saturating_mul(shape.threads).saturating_add(shape.first_slot);
            let slots = first_slot..first_slot.saturating_add(shape.threads).min(MAX_SLOTS);
            // The requests of one that is gone move when its entry is used again.
            let served: u64 = slots.clone().map(|slot| table.served(slot)).sum();
            living.served += served;
            let spent = slots.clone().map(|slot| table.spent(slot)).fold(0, u64::saturating_add);
            living.spent = living.spent.saturating_add(spent);
            let index = shape.first_process.saturating_add(place);
            if let Some(process) = process(table, index, slots, (served, spent)) {
                living.cpu += process.cpu.unwrap_or(0);
                living.processes.push(process);
            }
        }
    }
    living.processes.sort_by_key(|process| (process.started, process.pid));
    living
}

fn process(
    table: &Table,
    index: u32,
    slots: std::ops::Range<u32>,
    (served, spent): (u64, u64),
) -> Option<Process> {
    let (state, pid, start_time) = table.process(index);
    if state == ProcessState::Absent {
        return None;
    }
    let usage = process::usage(pid).filter(|usage| pid > 0 && usage.start_time == start_time);
    let profile = table.profile(index);
    Some(Process {
        pid,
        state,
        leaving: profile.leaving,
        started: profile.started,
        generation: profile.generation,
        python: Python {
            version: profile.version,
            executable: profile.executable,
            worker: profile.worker,
        },
        served,
        spent,
        cpu: usage.map(|usage| usage.cpu),
        user: usage.map(|usage| usage.user),
        resident: usage.map(|usage| usage.resident),
        slots: (1..).zip(slots).map(|(number, slot)| thread(table, number, slot)).collect(),
    })
}

fn thread(table: &Table, number: u32, slot: u32) -> Thread {
    let work = match table.slot(slot).state {
        SlotState::Absent => Work::Starting,
        SlotState::Free => Work::Idle,
        SlotState::Busy => Work::Busy,
        SlotState::Broken => Work::Replacing,
        SlotState::Retired => Work::Leaving,
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let request = table.current(slot).map(|note| Current {
        method: text(note.method),
        host: text(note.host),
        uri: text(note.uri),
        client: text(note.client),
        since: note.since,
    });
    Thread { number, work, served: table.served(slot), spent: table.spent(slot), request }
}
