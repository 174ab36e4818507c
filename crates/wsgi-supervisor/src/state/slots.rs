//! Channels that broke, and slots that are taken away.

use wsgi_proto::control::{Group, Interpreter};
use wsgi_proto::daemon::{Start, ToDaemon};

use super::daemon::{Phase, SlotPhase};
use super::{Action, DaemonId, Millis, Supervisor};

/// Milliseconds between two attempts to take a slot that is reserved: at first, and at most.
pub(super) const RETRY: Millis = 20;
const SELDOM: Millis = 1_000;

impl Supervisor {
    /// Everything a worker needs before it loads its scripts.
    pub(super) fn introduce(&mut self, id: DaemonId) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        let Some(pool) = self.pools.get(&daemon.pool) else { return };
        let (Some(group), Some(begin)) = (&pool.settings, &self.begin) else { return };
        let own = interpreter(group, &pool.application);
        let start = Start {
            process_group: pool.group.clone(),
            application_group: pool.application.clone(),
            threads: pool.threads,
            processes: super::Pool::most(group),
            multiprocess: group.multiprocess,
            run_once: pool.threads == 1 && group.maximum_requests == 1,
            preload: pool.scripts(),
            home: group.home.clone(),
            python_path: own.python_path,
            display_name: group.display_name.clone(),
            locale: group.locale.clone(),
            stack_size: group.stack_size,
            switch_interval: own.switch_interval,
            restrict_stdin: own.restrict_stdin,
            restrict_stdout: own.restrict_stdout,
            restrict_signal: own.restrict_signal,
            log_level: group.log_level,
            version: begin.module_version.clone(),
            apache_version: begin.apache_version.clone(),
            mpm_name: begin.mpm_name.clone(),
            mpm_processes: begin.mpm_processes,
            mpm_threads: begin.mpm_threads,
        };
        self.act(Action::Send { daemon: id, record: ToDaemon::Start(start) });
        let threads = self.daemons.get(&id).map_or(0, |daemon| daemon.slots.len());
        for thread in 0..threads {
            self.open_channel(id, thread, SlotPhase::Fresh);
        }
    }

    fn open_channel(&mut self, id: DaemonId, index: usize, phase: SlotPhase) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(pool) = self.pools.get_mut(&daemon.pool) else { return };
        let (Ok(thread), Some(record)) = (u32::try_from(index), daemon.slots.get_mut(index)) else {
            return;
        };
        let epoch = pool.next_epoch(daemon.entry, thread);
        let slot = pool.slot(daemon.entry, thread);
        (record.epoch, record.phase) = (epoch, phase);
        self.act(Action::OpenChannel { daemon: id, slot, thread, epoch });
    }

    /// Gives a thread another channel; nobody holds its slot.
    fn replace_channel(&mut self, id: DaemonId, index: usize, slot: u32) {
        self.act(Action::ShutChannel { slot });
        self.open_channel(id, index, SlotPhase::Opening);
    }

    /// The daemon and thread behind a slot.
    fn locate(&self, slot: u32) -> Option<(DaemonId, usize)> {
        let (index, entry, thread) = self.pools.iter().find_map(|(&index, pool)| {
            pool.locate(slot).map(|(entry, thread)| (index, entry, thread))
        })?;
        let daemon = self.of_pool(index).find(|daemon| daemon.entry == entry)?;
        Some((daemon.id, usize::try_from(thread).ok()?))
    }

    pub(super) fn slot_broken(&mut self, slot: u32, epoch: u32, now: Millis) {
        let Some((id, index)) = self.locate(slot) else { return };
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Some(record) = daemon.slots.get_mut(index) else { return };
        if daemon.adopted {
            // There is no way to give it another channel.
            record.phase = SlotPhase::Retired;
            self.finish_drain(id, now);
            return;
        }
        if record.epoch != epoch || !matches!(record.phase, SlotPhase::Live | SlotPhase::Lost) {
            return;
        }
        if daemon.phase == Phase::Ready {
            self.replace_channel(id, index, slot);
        } else {
            record.phase = SlotPhase::Retired;
            self.act(Action::ShutChannel { slot });
            self.finish_drain(id, now);
        }
    }

    pub(super) fn slot_retired(&mut self, slot: u32, now: Millis) {
        let Some((id, index)) = self.locate(slot) else { return };
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let ready = daemon.phase == Phase::Ready && !daemon.adopted;
        let Some(record) = daemon.slots.get_mut(index) else { return };
        if !matches!(record.phase, SlotPhase::Live | SlotPhase::Lost) {
            return;
        }
        if ready {
            self.replace_channel(id, index, slot);
        } else {
            record.phase = SlotPhase::Retired;
            self.finish_drain(id, now);
        }
    }

    pub(super) fn channel_ready(&mut self, id: DaemonId, thread: u32, epoch: u32) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let phase = daemon.phase;
        let (pool, entry) = (daemon.pool, daemon.entry);
        let record = usize::try_from(thread).ok().and_then(|index| daemon.slots.get_mut(index));
        let Some(record) =
            record.filter(|record| record.epoch == epoch && record.phase == SlotPhase::Opening)
        else {
            return;
        };
        match phase {
            Phase::Ready => {
                record.phase = SlotPhase::Live;
                if let Some(slot) = self.pools.get(&pool).map(|pool| pool.slot(entry, thread)) {
                    self.act(Action::FreeSlot { pool, slot, epoch });
                }
            }
            Phase::Launched | Phase::Loading => record.phase = SlotPhase::Fresh,
            Phase::Draining | Phase::Stopping => record.phase = SlotPhase::Retired,
        }
    }

    pub(super) fn channel_lost(&mut self, id: DaemonId, thread: u32, epoch: u32, now: Millis) {
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        let Ok(index) = usize::try_from(thread) else { return };
        let Some(record) = daemon.slots.get_mut(index).filter(|record| record.epoch == epoch)
        else {
            return;
        };
        let Some(slot) = self.pools.get(&daemon.pool).map(|pool| pool.slot(daemon.entry, thread))
        else {
            return;
        };
        match record.phase {
            // A child may hold the slot: it sees the end of the channel and says
            // so, or frees the slot; either way it can be taken then.
            SlotPhase::Live => {
                record.phase = SlotPhase::Lost;
                daemon.retry_at = Some(now + RETRY);
                self.act(Action::ShutChannel { slot });
                self.act(Action::RetireSlot { slot });
            }
            SlotPhase::Fresh | SlotPhase::Opening if daemon.phase <= Phase::Ready => {
                self.replace_channel(id, index, slot);
            }
            _ => {}
        }
    }

    /// Tries to take away the slots that shall not be reserved any more.
    pub(super) fn withdraw(&mut self, id: DaemonId, now: Millis) {
        let Some(daemon) = self.daemons.get(&id) else { return };
        let Some(pool) = self.pools.get(&daemon.pool) else { return };
        let draining = daemon.phase == Phase::Draining;
        let pending = (0_u32..).zip(&daemon.slots).filter(|(_, record)| {
            record.phase == SlotPhase::Lost || (draining && record.phase == SlotPhase::Live)
        });
        let slots: Vec<u32> = pending.map(|(thread, _)| pool.slot(daemon.entry, thread)).collect();
        let mut again = now + RETRY;
        if draining {
            // A tenth of the time that it has taken so far: a request may take hours.
            again = now + (now.saturating_sub(daemon.since) / 10).clamp(RETRY, SELDOM);
            let limit = self.grace(daemon).map(|grace| daemon.since + grace);
            again = again.min(limit.filter(|&limit| limit > now).unwrap_or(again));
        }
        let Some(daemon) = self.daemons.get_mut(&id) else { return };
        daemon.retry_at = (!slots.is_empty()).then_some(again);
        self.actions.extend(slots.into_iter().map(|slot| Action::RetireSlot { slot }));
    }
}

/// Settings of an application group's interpreters.
fn interpreter(group: &Group, application: &str) -> Interpreter {
    let own = group.interpreters.iter().find(|own| own.application_group == application);
    own.cloned().unwrap_or_else(|| Interpreter {
        application_group: application.to_owned(),
        python_path: group.python_path.clone(),
        switch_interval: group.switch_interval,
        restrict_stdin: group.restrict_stdin,
        restrict_stdout: group.restrict_stdout,
        restrict_signal: group.restrict_signal,
    })
}
