//! Room for attempts: per host, and for hosts in trouble together.
//!
//! A host is what endpoints share: host name and port. Attempts that find no room wait in the queue
//! of their host, as values, not as tasks (I6), so a host that hangs keeps its own waiting and no
//! other's. Its breaker is `engine`'s; this keeps the queues and counts.
//!
//! No host takes a further place while it has as many as are free. A host alone is not bounded by that, and a few
//! that hang all of a sudden, before anything speaks against them, share the places but never take the last ones.
//! Hosts that never answered well, as far as is remembered, share half of them with those in trouble: names are cheap,
//! and many that hang with one attempt each would take all.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cresset_engine::{Attempt, Breaker, Health, OUTCOME_GRACE, Pass, Permit};
use cresset_model::SubscriptionKey;
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::before;
use crate::config::DeliveryConfig;

/// Hosts that are remembered though nothing is sent to them or waits for them now.
const HOSTS_IDLE_MAX: usize = 10_000;
/// Entries of a queue below which nobody looks for those that are out of date.
const WAITING_MIN: usize = 64;

/// What notifications are sent to: name and port of an endpoint's host, or the broker of a channel.
pub(super) type HostName = Arc<str>;

/// The place that an attempt under way takes.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: HostName,
    pass: Pass,
    /// Something speaks against the host, or nothing for it.
    pub(super) suspect: bool,
}

/// What becomes of an attempt that asks for a place.
pub(super) enum Turn {
    /// It may go.
    Go(Place),
    /// It has to wait.
    Wait,
    /// As [`Self::Wait`], because the host does not answer.
    Barred,
}

/// Who waits for a host that has turned from well to dead, or back; nobody for one that is as it was.
#[derive(Debug, Default)]
pub(super) struct Turned {
    pub(super) is_open: bool,
    pub(super) waiting: Vec<(SubscriptionKey, Attempt)>,
}

struct Host {
    breaker: Breaker,
    /// It has answered well once.
    is_known: bool,
    running: usize,
    waiting: VecDeque<(SubscriptionKey, Attempt)>,
    /// When the queue is next rid of what is out of date.
    sweep_at: usize,
    /// It stands among those that wait for room among hosts in trouble.
    waits_for_suspects: bool,
    /// When the loop was told to come back for it.
    wake: Option<Timestamp>,
}

/// All hosts that attempts are under way to or wait for.
pub(super) struct Hosts {
    places_max: usize,
    per_host_max: usize,
    /// One host with a bound of its own: the relay of mails.
    relay: Option<(HostName, usize)>,
    suspects_max: usize,
    policy: cresset_engine::BreakerPolicy,
    hosts: FxHashMap<HostName, Host>,
    /// Attempts under way.
    running: usize,
    /// When those that nobody speaks to are next forgotten.
    shed_at: usize,
    /// Attempts under way to hosts that something speaks against, or nothing for.
    suspects: usize,
    /// Attempts that wait, over all hosts; some of them out of date.
    waiting: usize,
    /// Hosts whose breaker is open.
    open: usize,
    /// Hosts that wait for room among those.
    suspects_waiting: VecDeque<HostName>,
    /// Hosts that may have room for what waits.
    pub(super) released: VecDeque<HostName>,
    /// When to look at a host again; the loop puts it among its deadlines.
    pub(super) wakes: Vec<(Timestamp, HostName)>,
}

impl Hosts {
    pub(super) fn new(config: &DeliveryConfig) -> Self {
        Self {
            places_max: config.concurrency_max.get(),
            per_host_max: config.concurrency_per_host_max.get(),
            relay: None,
            suspects_max: config.concurrency_max.get().div_ceil(2),
            policy: config.breaker,
            hosts: FxHashMap::default(),
            running: 0,
            shed_at: HOSTS_IDLE_MAX,
            suspects: 0,
            waiting: 0,
            open: 0,
            suspects_waiting: VecDeque::new(),
            released: VecDeque::new(),
            wakes: Vec::new(),
        }
    }

    /// The same, with another bound for one host.
    pub(super) fn with_relay(self, relay: Option<(HostName, usize)>) -> Self {
        Self { relay, ..self }
    }

    /// A place for an attempt, unless others wait before it; else it is put behind them.
    pub(super) fn offer(
        &mut self,
        name: &HostName,
        entry: (SubscriptionKey, Attempt),
        now: Timestamp,
        is_awaited: impl Fn(&(SubscriptionKey, Attempt)) -> bool,
    ) -> Turn {
        self.shed();
        let policy = self.policy;
        let host = self.hosts.entry(name.clone()).or_insert_with(|| Host::new(policy));
        let turn = if host.waiting.is_empty() {
            self.place(name, entry.1.timeout, now)
        } else if host.breaker.is_open() {
            Turn::Barred
        } else {
            Turn::Wait
        };
        if let (Turn::Wait | Turn::Barred, Some(host)) = (&turn, self.hosts.get_mut(name)) {
            self.waiting -= host.waiting.len();
            host.push(entry, is_awaited);
            self.waiting += host.waiting.len();
        }
        turn
    }

    /// The next that waits for a host and may go now.
    pub(super) fn next(
        &mut self,
        name: &HostName,
        now: Timestamp,
        is_awaited: impl Fn(&(SubscriptionKey, Attempt)) -> bool,
    ) -> Option<(SubscriptionKey, Attempt, Place)> {
        let next = self.next_of(name, now, is_awaited);
        if next.as_ref().is_none_or(|(.., place)| !place.suspect) {
            // It did not take the room among hosts in trouble that it may have been offered: that is another's.
            self.release_suspect();
        }
        next
    }

    fn next_of(
        &mut self,
        name: &HostName,
        now: Timestamp,
        is_awaited: impl Fn(&(SubscriptionKey, Attempt)) -> bool,
    ) -> Option<(SubscriptionKey, Attempt, Place)> {
        let host = self.hosts.get_mut(name)?;
        while host.waiting.front().is_some_and(|entry| !is_awaited(entry)) {
            host.waiting.pop_front();
            self.waiting -= 1;
        }
        let timeout = host.waiting.front()?.1.timeout;
        let Turn::Go(place) = self.place(name, timeout, now) else { return None };
        let host = self.hosts.get_mut(name)?;
        let (key, attempt) = host.waiting.pop_front()?;
        self.waiting -= 1;
        if !host.waiting.is_empty() {
            self.released.push_back(name.clone());
        }
        Some((key, attempt, place))
    }

    /// Gives a place back. If the host counts as dead from now on, or no more: who waits for it.
    pub(super) fn ended(
        &mut self,
        place: &Place,
        health: Health,
        jitter: u32,
        now: Timestamp,
    ) -> Turned {
        self.running -= 1;
        if place.suspect {
            self.suspects -= 1;
            self.release_suspect();
        }
        let Some(host) = self.hosts.get_mut(&place.host) else { return Turned::default() };
        host.running -= 1;
        host.is_known |= health == Health::Good;
        let was_open = host.breaker.is_open();
        host.breaker.ended(place.pass, health, jitter, now);
        let is_open = host.breaker.is_open();
        self.open = self.open + usize::from(is_open) - usize::from(was_open);
        if !host.waiting.is_empty() {
            self.released.push_back(place.host.clone());
        } else if host.running == 0 && !host.breaker.is_suspect() && !host.is_known {
            self.hosts.remove(&place.host);
            return Turned::default();
        }
        if was_open == is_open {
            return Turned::default();
        }
        Turned { is_open, waiting: host.waiting.iter().copied().collect() }
    }

    /// The clock was set back by so much: what hosts are kept from comes as much earlier by it.
    pub(super) fn set_back(&mut self, by: Duration) {
        for host in self.hosts.values_mut() {
            host.breaker.set_back(by);
            host.wake = host.wake.map(|at| before(at, by));
        }
    }

    /// Attempts that wait for a place, and hosts that attempts are kept back from.
    pub(super) fn waiting_and_open(&self) -> (usize, usize) {
        (self.waiting, self.open)
    }

    /// The time has come that was asked for with [`Self::wakes`].
    pub(super) fn wake(&mut self, name: HostName, at: Timestamp) {
        if let Some(host) = self.hosts.get_mut(&name) {
            host.wake.take_if(|known| *known == at);
            self.released.push_back(name);
        }
    }

    fn place(&mut self, name: &HostName, timeout: Duration, now: Timestamp) -> Turn {
        let max = match &self.relay {
            Some((relay, max)) if relay == name => *max,
            Some(_) | None => self.per_host_max,
        };
        let free = self.places_max.saturating_sub(self.running);
        let Some(host) = self.hosts.get_mut(name) else { return Turn::Wait };
        // One that waits for this has places, and is looked at again when one of them is given back.
        let has_its_share = host.running > 0 && host.running >= free;
        if host.running >= max || has_its_share {
            return if host.breaker.is_open() { Turn::Barred } else { Turn::Wait };
        }
        let suspect = host.breaker.is_suspect() || !host.is_known;
        if suspect && self.suspects >= self.suspects_max {
            if !std::mem::replace(&mut host.waits_for_suspects, true) {
                self.suspects_waiting.push_back(name.clone());
            }
            return if host.breaker.is_open() { Turn::Barred } else { Turn::Wait };
        }
        match host.breaker.permit(timeout + OUTCOME_GRACE, now) {
            Permit::Pass(pass) => {
                host.running += 1;
                self.running += 1;
                self.suspects += usize::from(suspect);
                Turn::Go(Place { host: name.clone(), pass, suspect })
            }
            Permit::Wait(until) => {
                if host.wake.is_none_or(|known| until < known) {
                    host.wake = Some(until);
                    self.wakes.push((until, name.clone()));
                }
                Turn::Barred
            }
        }
    }

    /// Offers room among hosts in trouble, if there is any, to the next that waits for it.
    fn release_suspect(&mut self) {
        if self.suspects >= self.suspects_max {
            return;
        }
        let Some(name) = self.suspects_waiting.pop_front() else { return };
        if let Some(host) = self.hosts.get_mut(&name) {
            host.waits_for_suspects = false;
        }
        self.released.push_back(name);
    }

    /// Forgets what is known of hosts that nobody speaks to, when it is much.
    fn shed(&mut self) {
        if self.hosts.len() > self.shed_at {
            self.hosts.retain(|_, host| host.running > 0 || !host.waiting.is_empty());
            self.open = self.hosts.values().filter(|host| host.breaker.is_open()).count();
            self.shed_at = HOSTS_IDLE_MAX.max(2 * self.hosts.len());
        }
    }
}

impl Host {
    fn new(policy: cresset_engine::BreakerPolicy) -> Self {
        Self {
            breaker: Breaker::new(policy),
            is_known: false,
            running: 0,
            waiting: VecDeque::new(),
            sweep_at: WAITING_MIN,
            waits_for_suspects: false,
            wake: None,
        }
    }

    /// Puts an attempt at the end. Those that nobody waits for any more leave now and then, so that
    /// a subscription that is changed over and over does not fill the queue.
    fn push(
        &mut self,
        entry: (SubscriptionKey, Attempt),
        is_awaited: impl Fn(&(SubscriptionKey, Attempt)) -> bool,
    ) {
        if self.waiting.len() >= self.sweep_at {
            self.waiting.retain(is_awaited);
            self.sweep_at = WAITING_MIN.max(2 * self.waiting.len());
        }
        self.waiting.push_back(entry);
    }
}

#[cfg(test)]
mod tests;
