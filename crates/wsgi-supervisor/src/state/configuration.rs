//! Configurations coming and going.

use std::collections::BTreeMap;
use std::rc::Rc;

use wsgi_proto::VERSION;
use wsgi_proto::control::{Begin, Commit, Committed, Group};

use super::pool::Pool;
use super::{Action, Level, Member, Millis, Supervisor, message};

/// `reason` of a process that a newer configuration replaces.
pub(super) const RECONFIGURED: &str = "graceful_signal";

impl Supervisor {
    pub(super) fn begin(&mut self, begin: Begin) {
        self.incoming = None;
        if begin.version == VERSION {
            self.incoming = Some((begin, Vec::new()));
        } else {
            // Other releases refuse each other: the parent replaces this process.
            let generation = begin.generation;
            self.act(Action::Committed(Committed { version: VERSION, generation }));
        }
    }

    pub(super) fn group(&mut self, group: Group) {
        if let Some((_, groups)) = &mut self.incoming {
            groups.push(group);
        }
    }

    pub(super) fn commit(&mut self, commit: &Commit, now: Millis) {
        let Some((begin, groups)) = self.incoming.take() else { return };
        if self.stopping || begin.generation != commit.generation {
            return;
        }
        let generation = begin.generation;
        self.begin = Some(begin);
        let configured: Vec<_> = groups.into_iter().map(Rc::new).collect();
        let mut groups = BTreeMap::new();
        for configured in configured {
            let (name, settings) = (configured.name.clone(), self.scaled(&configured));
            groups.insert(name.clone(), Rc::clone(&settings));
            self.groups.insert(name, Member { settings, configured, generation });
        }
        for index in self.pools.keys().copied().collect::<Vec<_>>() {
            self.reconfigure(index, &groups, now);
        }
        for settings in groups.values() {
            self.preload(settings);
        }
        self.act(Action::Committed(Committed { version: VERSION, generation }));
        for question in std::mem::take(&mut self.questions) {
            self.question(question);
        }
    }

    /// Recycles a pool into a new configuration.
    fn reconfigure(&mut self, index: u32, groups: &BTreeMap<String, Rc<Group>>, now: Millis) {
        let Some(pool) = self.pools.get_mut(&index) else { return };
        let Some(settings) = groups.get(&pool.group) else {
            // A group that is no more: children of the old generation still use
            // it, unless nobody can know it as its supervisor is another.
            if pool.settings.is_none() {
                self.close(index, RECONFIGURED, now);
            }
            return;
        };
        if pool.closing || pool.successor.is_some() {
            return;
        }
        for daemon in self.daemons.values_mut().filter(|daemon| daemon.pool == index) {
            daemon.outgoing.get_or_insert_with(|| RECONFIGURED.to_owned());
        }
        // What serves no request must not run twice.
        if pool.threads == 0 {
            for id in self.of_pool(index).map(|daemon| daemon.id).collect::<Vec<_>>() {
                self.end(id, RECONFIGURED, now);
            }
        }
        let Some(pool) = self.pools.get_mut(&index) else { return };
        if pool.fits(settings) {
            pool.configure(Rc::clone(settings));
        } else {
            self.succeed(index, settings);
        }
    }

    /// Has another pool take over from one of the wrong shape.
    pub(super) fn succeed(&mut self, index: u32, settings: &Rc<Group>) {
        let Some(pool) = self.pools.get(&index) else { return };
        let (application, script, first) =
            (pool.application.clone(), pool.script.clone(), pool.first);
        let (kept, further) = (pool.kept, pool.further.clone());
        let successor = self.create(settings, &application, script, first);
        if let Some(pool) = successor.and_then(|index| self.pools.get_mut(&index)) {
            (pool.kept, pool.further) = (kept, further);
        }
        if let Some(pool) = self.pools.get_mut(&index) {
            pool.successor = successor;
        }
    }

    /// Opens the pools that start with httpd.
    fn preload(&mut self, settings: &Rc<Group>) {
        for (position, entry) in settings.preload.iter().enumerate() {
            if self.find(&settings.name, &entry.application_group).is_none() {
                self.create(settings, &entry.application_group, None, position == 0);
            }
        }
    }

    /// The pool that serves an application group now.
    pub(super) fn find(&self, group: &str, application: &str) -> Option<u32> {
        let mut pools = self.pools.iter();
        pools
            .find(|(_, pool)| {
                pool.group == group
                    && pool.application == application
                    && !pool.closing
                    && pool.successor.is_none()
            })
            .map(|(&index, _)| index)
    }

    /// Makes a pool; none, with a line in the log, if the table has no room.
    pub(super) fn create(
        &mut self,
        settings: &Rc<Group>,
        application: &str,
        script: Option<std::path::PathBuf>,
        first: bool,
    ) -> Option<u32> {
        let mut pool = Pool {
            group: settings.name.clone(),
            application: application.to_owned(),
            first,
            target: 1,
            kept: script.is_none(),
            script,
            threads: settings.threads,
            ..Pool::default()
        };
        // Room for all successors at once, else for one at a time.
        let sizes = [Pool::entries_for(settings), Pool::most(settings).saturating_add(1)];
        let Some(index) = sizes.into_iter().find_map(|entries| self.allot(&mut pool, entries))
        else {
            self.log(&settings.name, Level::Error, message::no_room(&message::place(&pool)));
            return None;
        };
        pool.configure(Rc::clone(settings));
        self.act(Action::OpenPool { pool: index, shape: pool.shape() });
        self.pools.insert(index, pool);
        if self.is_drained(&settings.name) {
            self.refresh(index);
        }
        Some(index)
    }

    /// Finds room in the table for a pool of so many process entries.
    fn allot(&mut self, pool: &mut Pool, entries: u32) -> Option<u32> {
        let slots = entries.checked_mul(pool.threads)?;
        let index = self.indices.take(1)?;
        let Some(first_process) = self.processes.take(entries) else {
            self.indices.give_back(index);
            return None;
        };
        let Some(first_slot) = self.slots.take(slots) else {
            self.indices.give_back(index);
            self.processes.give_back(first_process);
            return None;
        };
        (pool.first_process, pool.first_slot, pool.entries) = (first_process, first_slot, entries);
        pool.epochs = vec![0; usize::try_from(slots).ok()?];
        Some(index)
    }

    pub(super) fn generation_ended(&mut self, ended: u32, now: Millis) {
        let Some(present) = self.begin.as_ref().map(|begin| begin.generation) else { return };
        let gone: Vec<String> = self
            .groups
            .iter()
            .filter(|(_, member)| member.generation != present && member.generation <= ended)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.groups.remove(&name);
            let pools = self.pools.iter().filter(|(_, pool)| pool.group == name);
            for index in pools.map(|(&index, _)| index).collect::<Vec<_>>() {
                self.close(index, RECONFIGURED, now);
            }
        }
    }

    /// No configuration comes any more, but children of httpd may still want to be served.
    /// What serves no request ends: whoever has the configuration now runs it too.
    pub(super) fn left(&mut self, now: Millis) {
        let services = self.pools.iter().filter(|(_, pool)| pool.threads == 0);
        for index in services.map(|(&index, _)| index).collect::<Vec<_>>() {
            self.close(index, RECONFIGURED, now);
        }
    }

    /// Drains a pool for good.
    pub(super) fn close(&mut self, index: u32, reason: &str, now: Millis) {
        let Some(pool) = self.pools.get_mut(&index) else { return };
        if std::mem::replace(&mut pool.closing, true) {
            return;
        }
        // Who waits asks again at once, and is told of another pool or none.
        self.act(Action::ClosePool { pool: index });
        for daemon in self.of_pool(index).map(|daemon| daemon.id).collect::<Vec<_>>() {
            self.retire(daemon, reason, now);
        }
        self.remove_if_empty(index);
    }

    /// Forgets a closed pool without processes.
    pub(super) fn remove_if_empty(&mut self, index: u32) {
        let empty = self.of_pool(index).next().is_none();
        if let Some(pool) = self.pools.get(&index).filter(|pool| pool.closing && empty) {
            self.processes.give_back(pool.first_process);
            self.slots.give_back(pool.first_slot);
            self.indices.give_back(index);
            self.pools.remove(&index);
        }
    }
}
