//! What must hold, whatever happens: one file for each invariant.
//!
//! They look at what is durable ([`Facts`]), at what leaves the node and at what arrives. They know
//! nothing of how the node works.

mod catalog;
mod closed;
mod content;
mod durable;
mod gapless;
mod isolation;
mod no_loss;
mod once;
mod order;
mod silence;
mod status;

use std::collections::BTreeMap;
use std::fmt;

use cresset_model::SubscriptionKey;
use cresset_node::RetentionConfig;
use cresset_store::Store;
use jiff::Timestamp;

pub(crate) use self::durable::Durable;
pub(crate) use self::isolation::Isolation;
pub(crate) use self::no_loss::NoLoss;
pub(crate) use self::order::{Order, Sent};
use self::silence::Silence;
pub(crate) use self::status::{Heard, Status};
use crate::facts::{Committed, Facts};
use crate::wire::Notification;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The checker that saw it.
    pub checker: &'static str,
    /// What it saw.
    pub text: String,
}

impl Violation {
    pub(crate) fn new(checker: &'static str, text: impl Into<String>) -> Self {
        Self { checker, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.text)
    }
}

/// What a checker says.
pub(crate) type Checked = Result<(), Violation>;

/// All checkers that remember something, and the facts that they share.
#[derive(Default)]
pub(crate) struct Checkers {
    pub(crate) facts: Facts,
    pub(crate) durable: Durable,
    pub(crate) isolation: Isolation,
    pub(crate) no_loss: NoLoss,
    pub(crate) order: Order,
    silence: Silence,
    pub(crate) status: Status,
    /// How often what was judged: a checker that sees nothing finds nothing.
    pub(crate) judged: BTreeMap<&'static str, u64>,
}

impl Checkers {
    /// Changes are durable, `now` by the clock of the world.
    pub(crate) fn committed(
        &mut self,
        group: Vec<Committed>,
        store: &dyn Store,
        now: u64,
    ) -> Checked {
        let first = group.first().map(|one| one.change.position);
        let mut told = false;
        for committed in group {
            once::committed(&committed)?;
            gapless::committed(&committed, &self.facts)?;
            self.durable.committed(&committed)?;
            let (events, blind) = (committed.events.clone(), committed.blind);
            let change = &committed.change;
            let (key, version) = (&change.key, change.version);
            let at = format!("{key} v{version} {}", String::from_utf8_lossy(&change.body));
            if committed.told {
                // The node reads again before it appends anything more.
                told = true;
            }
            let expected = self.facts.fold(committed);
            catalog::committed((&at, blind), &expected, &events, &self.facts)?;
            closed::committed(&at, &expected, &events)?;
            self.isolation.committed(&events, &self.facts, now);
        }
        if told {
            self.facts.read_again();
        }
        self.silence.committed(&self.facts, now);
        self.durable.whole()?;
        self.count("isolation", self.isolation.watched());
        self.count("silence", self.silence.watched());
        if let Some(first) = first {
            let judged = self.status.committed(first, &self.facts, store)?;
            self.count("status", judged);
        }
        Ok(())
    }

    fn count(&mut self, judged: &'static str, times: usize) {
        *self.judged.entry(judged).or_default() += u64::try_from(times).expect("a number");
    }

    /// The node has forgotten what it need not keep at this time, and nothing else.
    pub(crate) fn forgotten(
        &mut self,
        retention: &RetentionConfig,
        now: Timestamp,
        store: &dyn Store,
    ) -> Checked {
        self.facts.forget(retention, now);
        self.isolation.forgotten(&self.facts);
        gapless::kept(&self.facts, store)
    }

    /// A node has started on what was stored.
    pub(crate) fn restarted(&mut self, store: &dyn Store) -> Checked {
        gapless::stored(&self.facts, store)?;
        self.durable.stored(store)?;
        self.facts.read_again();
        self.excuse(0);
        self.isolation.restarted();
        self.status.restarted();
        self.order.restarted();
        Ok(())
    }

    /// A notification leaves the node for an endpoint.
    pub(crate) fn sent(&mut self, sent: Sent, notification: &Notification, now: u64) -> Checked {
        self.told(sent.key, notification)?;
        self.contained(sent.key, notification, true)?;
        self.count_told(sent.key, notification);
        self.silence.sent(sent.key, now);
        if let Some((first, last)) = notification.range() {
            self.isolation.sent(sent.key, first, last);
            self.order.sent(sent, (first, last), notification.has_error, &self.facts)?;
        } else {
            self.order.silent(sent.key, notification, &self.facts)?;
        }
        self.overdue(now)
    }

    /// Something else is to blame for what takes long until then.
    pub(crate) fn excuse(&mut self, until: u64) {
        self.isolation.excuse(until);
        self.silence.excuse(until);
    }

    /// Nothing has waited for too long.
    pub(crate) fn overdue(&self, now: u64) -> Checked {
        self.isolation.overdue(now)?;
        self.silence.overdue(now)
    }

    /// What holds for every notification, wherever it goes.
    pub(crate) fn told(&self, key: SubscriptionKey, notification: &Notification) -> Checked {
        let Some(subscription) = self.facts.subscriptions.get(&key) else {
            let text = format!("a notification of {key}, which is not in the log");
            return Err(Violation::new("durable", text));
        };
        durable::told(subscription, notification)?;
        gapless::told(subscription, notification)?;
        once::told(subscription, notification, &self.facts)
    }

    /// What a notification may hold, of the one that it is for; how much at once and how often, where `paced`: a
    /// socket goes by what it was told, while a hint is lost.
    pub(crate) fn contained(
        &self,
        key: SubscriptionKey,
        notification: &Notification,
        paced: bool,
    ) -> Checked {
        let Some(subscription) = self.facts.subscriptions.get(&key) else { return Ok(()) };
        content::told(subscription, notification, paced, &self.facts)
    }

    /// Counts notifications of events whose content was judged.
    pub(crate) fn count_told(&mut self, key: SubscriptionKey, notification: &Notification) {
        let subscription = self.facts.subscriptions.get(&key);
        if let Some(subscription) = subscription.filter(|_| notification.range().is_some()) {
            let judged = content::name(&subscription.terms);
            self.count(judged, 1);
        }
    }

    /// A receiver has taken a notification.
    pub(crate) fn taken(&mut self, key: SubscriptionKey, notification: &Notification) -> Checked {
        if let Some((first, last)) = notification.range() {
            let in_order = self.order.taken(key, first, &self.facts, &self.no_loss);
            self.no_loss.taken(key, first, last);
            in_order?;
        }
        Ok(())
    }
}
