//! What administrators order: reload, scale, drain, resume, stacks.
//!
//! An order takes effect at once, whoever waits for it. Who does is answered when it
//! was carried out, or has failed. Orders are forgotten with the supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use wsgi_proto::admin::{Begun, Done, Failed, Scale, ToControl, ToSupervisor};
use wsgi_proto::control::Group;

use super::daemon::{Daemon, Phase};
use super::recycling::RELOAD;
use super::{Action, DaemonId, Level, Millis, Supervisor, VisitorId};

/// `reason` of a process that an administrator does not want any more.
const ORDERED: &str = "eviction_signal";
/// Most processes of a pool by order.
const MOST: u32 = 1_000;

/// Orders, and what holds because of them.
#[derive(Debug, Default)]
pub(super) struct Steering {
    waiting: Vec<Order>,
    drained: BTreeSet<String>,
    scales: BTreeMap<String, Size>,
}

/// An order that somebody waits for.
#[derive(Debug)]
struct Order {
    visitor: VisitorId,
    groups: Vec<String>,
    aim: Aim,
    /// The processes that there were.
    old: Vec<(DaemonId, i32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// The old processes serve no more, and others do.
    Replaced,
    /// As many processes as there shall be.
    Complete,
    /// No process at all.
    Empty,
}

/// Processes by order, in place of those configured.
#[derive(Clone, Copy, Debug)]
struct Size {
    processes: u32,
    /// Least and most as configured then: another configuration wins.
    configured: (u32, u32),
}

impl Supervisor {
    /// Somebody gives an order.
    pub(super) fn order(&mut self, visitor: VisitorId, order: ToSupervisor, now: Millis) {
        let done = match order {
            _ if self.begin.is_none() || self.stopping => {
                Err("httpd is starting or stopping; try again when it serves".to_owned())
            }
            // Answered by the loop, which holds the table.
            ToSupervisor::Attach(_) => return,
            ToSupervisor::Stacks(order) => self.stacks(visitor, order.group.as_deref()),
            ToSupervisor::Reload(order) => self.reload(visitor, order.group.as_deref(), now),
            ToSupervisor::Scale(order) => self.scale(visitor, &order, now),
            ToSupervisor::Drain(order) => self.drain(visitor, order.group.as_deref(), now),
            ToSupervisor::Resume(order) => self.resume(visitor, order.group.as_deref()),
        };
        if let Err(text) = done {
            self.act(Action::Reply { visitor, reply: ToControl::Failed(Failed { text }) });
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn visitor_gone(&mut self, visitor: VisitorId) {
        self.steering.waiting.retain(|order| order.visitor != visitor);
    }

    /// Answers orders that were carried out, or have failed.
    pub(super) fn settle_orders(&mut self) {
        if self.steering.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.steering.waiting);
        for order in waiting {
            match self.outcome(&order) {
                Some(reply) => self.act(Action::Reply { visitor: order.visitor, reply }),
                None => self.steering.waiting.push(order),
            }
        }
    }

    /// The group takes no requests, by order.
    pub(super) fn is_drained(&self, group: &str) -> bool {
        self.steering.drained.contains(group)
    }

    /// A group's settings with the number of processes that was ordered, if any was.
    pub(super) fn scaled(&mut self, configured: &Rc<Group>) -> Rc<Group> {
        let shape = (configured.processes, configured.processes_max);
        match self.steering.scales.get(&configured.name) {
            Some(size) if size.configured == shape => resize(configured, size.processes),
            Some(_) => {
                self.steering.scales.remove(&configured.name);
                let name = &configured.name;
                let text = format!("group '{name}' is configured anew: wsgictl scale has ended");
                self.log(name, Level::Info, text);
                Rc::clone(configured)
            }
            None => Rc::clone(configured),
        }
    }

    fn stacks(&mut self, visitor: VisitorId, group: Option<&str>) -> Result<(), String> {
        let groups = self.named(group)?;
        let asked = self.of_groups(&groups).filter(|daemon| daemon.phase > Phase::Launched);
        let asked: Vec<_> = asked.map(|daemon| (daemon.id, daemon.pid)).collect();
        for &(daemon, _) in &asked {
            self.act(Action::Kill { daemon, signal: libc::SIGQUIT });
        }
        let text = "asked for their stacks, which are in the error log".to_owned();
        let reply = ToControl::Done(Done { text, processes: pids(&asked) });
        self.act(Action::Reply { visitor, reply });
        Ok(())
    }

    fn reload(
        &mut self,
        visitor: VisitorId,
        group: Option<&str>,
        now: Millis,
    ) -> Result<(), String> {
        let groups = self.named(group)?;
        if let Some(drained) = groups.iter().find(|name| self.is_drained(name)) {
            return Err(format!("group '{drained}' is drained: resume it first"));
        }
        let old = self.begin_order(visitor, groups, Aim::Replaced, "reload");
        for index in self.pools_of(&old) {
            let Some(pool) = self.pools.get_mut(&index) else { continue };
            (pool.changed, pool.retry_at, pool.failures) = (Some(now), None, 0);
            let service = pool.threads == 0;
            self.record_order(index);
            for id in self.of_pool(index).map(|daemon| daemon.id).collect::<Vec<_>>() {
                self.recycle(id, RELOAD, now);
                if service {
                    // Nothing may run twice.
                    self.end(id, RELOAD, now);
                }
            }
        }
        Ok(())
    }

    fn scale(&mut self, visitor: VisitorId, order: &Scale, now: Millis) -> Result<(), String> {
        let groups = self.named(Some(&order.group))?;
        if order.processes > MOST {
            return Err(format!("{} processes are more than {MOST}", order.processes));
        }
        let Some(member) = self.groups.get(&order.group) else { return Ok(()) };
        let configured = Rc::clone(&member.configured);
        self.steering.scales.remove(&order.group);
        if order.processes > 0 {
            let shape = (configured.processes, configured.processes_max);
            let size = Size { processes: order.processes, configured: shape };
            self.steering.scales.insert(order.group.clone(), size);
        }
        let settings = self.scaled(&configured);
        if let Some(member) = self.groups.get_mut(&order.group) {
            member.settings = Rc::clone(&settings);
        }
        let old = self.begin_order(visitor, groups, Aim::Complete, "scale");
        for index in self.pools_of(&old) {
            self.refit(index, &settings, now);
        }
        Ok(())
    }

    /// Gives a pool the settings that differ in the number of processes.
    fn refit(&mut self, index: u32, settings: &Rc<Group>, now: Millis) {
        let Some(pool) = self.pools.get_mut(&index) else { return };
        let changed =
            pool.settings.as_ref().is_none_or(|now| now.multiprocess != settings.multiprocess);
        if !pool.fits(settings) {
            return self.succeed(index, settings);
        }
        pool.configure(Rc::clone(settings));
        // As configured or ordered, they are proven already.
        pool.proven = true;
        let target = usize::try_from(pool.target).unwrap_or(usize::MAX);
        let counting = self.of_pool(index).filter(|daemon| daemon.counts());
        let counting: Vec<_> = counting.map(|daemon| daemon.id).collect();
        for &id in counting.iter().skip(target) {
            self.retire(id, ORDERED, now);
        }
        if changed {
            // wsgi.multiprocess is told at the start.
            for &id in counting.iter().take(target) {
                self.recycle(id, ORDERED, now);
            }
        }
        self.refresh(index);
    }

    fn drain(
        &mut self,
        visitor: VisitorId,
        group: Option<&str>,
        now: Millis,
    ) -> Result<(), String> {
        let groups = self.named(group)?;
        self.steering.drained.extend(groups.iter().cloned());
        let old = self.begin_order(visitor, groups, Aim::Empty, "drain");
        for index in self.pools_of(&old) {
            self.refresh(index);
            for id in self.of_pool(index).map(|daemon| daemon.id).collect::<Vec<_>>() {
                self.retire(id, ORDERED, now);
            }
        }
        Ok(())
    }

    fn resume(&mut self, visitor: VisitorId, group: Option<&str>) -> Result<(), String> {
        let groups = self.named(group)?;
        self.steering.drained.retain(|name| !groups.contains(name));
        let groups = self.begin_order(visitor, groups, Aim::Complete, "resume");
        for index in self.pools_of(&groups) {
            if let Some(pool) = self.pools.get_mut(&index) {
                (pool.failures, pool.retry_at) = (0, None);
                pool.target = pool.target.max(pool.floor());
            }
            self.refresh(index);
        }
        Ok(())
    }

    /// Notes an order that is carried out from now on; returns the groups.
    fn begin_order(
        &mut self,
        visitor: VisitorId,
        groups: Vec<String>,
        aim: Aim,
        verb: &str,
    ) -> Vec<String> {
        for name in &groups {
            self.log(name, Level::Info, format!("group '{name}': {verb}, ordered by wsgictl"));
        }
        let old: Vec<_> = self.of_groups(&groups).map(|daemon| (daemon.id, daemon.pid)).collect();
        let text = format!("{verb} of {} with {}", listed(&groups), counted(old.len()));
        self.act(Action::Reply { visitor, reply: ToControl::Begun(Begun { text }) });
        self.steering.waiting.push(Order { visitor, groups: groups.clone(), aim, old });
        groups
    }

    /// How an order ended, if it did.
    fn outcome(&self, order: &Order) -> Option<ToControl> {
        let failed = |text: &str| Some(ToControl::Failed(Failed { text: text.to_owned() }));
        if self.stopping {
            return failed("httpd is stopping");
        }
        let pools = self.pools_of(&order.groups);
        let gone =
            |id: &DaemonId| self.daemons.get(id).is_none_or(|daemon| daemon.phase > Phase::Ready);
        let failing = |index: &u32| self.pools.get(index).is_some_and(|pool| pool.failures > 0);
        let complete = |index: &u32| {
            let serving = |daemon: &&Daemon| daemon.ready() && daemon.outgoing.is_none();
            let count = self.of_pool(*index).filter(serving).count();
            let target = self.pools.get(index).map_or(0, |pool| pool.target);
            u32::try_from(count) == Ok(target)
        };
        let over = match order.aim {
            Aim::Empty => self.of_groups(&order.groups).next().is_none(),
            _ if pools.iter().any(failing) => {
                return failed(
                    "a process could not be started, or could not load its scripts: the error log \
                     says why; processes that were there go on serving, and it is tried again",
                );
            }
            Aim::Replaced => order.old.iter().all(|(id, _)| gone(id)) && pools.iter().all(complete),
            Aim::Complete => pools.iter().all(complete),
        };
        let now: Vec<_> = self
            .of_groups(&order.groups)
            .filter(|daemon| daemon.ready())
            .map(|daemon| (daemon.id, daemon.pid))
            .collect();
        over.then(|| {
            let has = if order.groups.len() == 1 { "now has" } else { "now have" };
            let text = format!("{} {has} {}", listed(&order.groups), counted(now.len()));
            ToControl::Done(Done { text, processes: pids(&now) })
        })
    }

    /// The groups that an order is about.
    fn named(&self, group: Option<&str>) -> Result<Vec<String>, String> {
        let present = self.begin.as_ref().map(|begin| begin.generation);
        let known = self.groups.iter().filter(|(_, it)| Some(it.generation) == present);
        let known: Vec<String> = known.map(|(name, _)| name.clone()).collect();
        match group {
            None => Ok(known),
            Some(name) if known.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
            Some(name) => {
                Err(format!("there is no process group '{name}', but {}", listed(&known)))
            }
        }
    }

    fn of_groups<'s>(&'s self, groups: &'s [String]) -> impl Iterator<Item = &'s Daemon> {
        let belongs = |daemon: &&Daemon| {
            self.pools.get(&daemon.pool).is_some_and(|pool| groups.contains(&pool.group))
        };
        self.daemons.values().filter(belongs)
    }

    /// Their pools, but those that are on their way out.
    fn pools_of(&self, groups: &[String]) -> Vec<u32> {
        let pools = self.pools.iter().filter(|(_, pool)| {
            groups.contains(&pool.group) && !pool.closing && pool.successor.is_none()
        });
        pools.map(|(&index, _)| index).collect()
    }
}

/// A group's settings with another number of processes.
fn resize(configured: &Rc<Group>, processes: u32) -> Rc<Group> {
    let most = match configured.processes_max > configured.processes {
        true => configured.processes_max.max(processes),
        false => processes,
    };
    let cap = match configured.processes_cap {
        0 => 0,
        cap => cap.max(most.saturating_mul(4)),
    };
    Rc::new(Group {
        processes,
        processes_max: most,
        processes_cap: cap,
        multiprocess: configured.multiprocess || processes > 1,
        ..Group::clone(configured)
    })
}

fn pids(daemons: &[(DaemonId, i32)]) -> Vec<u32> {
    daemons.iter().filter_map(|(_, pid)| u32::try_from(*pid).ok()).collect()
}

/// "group 'a'" or "groups 'a', 'b'", by the names that orders have for them.
fn listed(groups: &[String]) -> String {
    let name = |name: &String| match name.as_str() {
        "" => "'%{GLOBAL}'".to_owned(),
        name => format!("'{name}'"),
    };
    let names: Vec<String> = groups.iter().map(name).collect();
    let noun = if names.len() == 1 { "group" } else { "groups" };
    format!("{noun} {}", names.join(", "))
}

fn counted(processes: usize) -> String {
    match processes {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    }
}
