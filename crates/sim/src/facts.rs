//! What is durable, folded anew and naively from what the store acknowledged.
//!
//! It stands outside of the node: what it knows is what every node has to know after a restart.

use std::collections::BTreeMap;

use cresset_definitions::FhirVersion;
use cresset_model::{Base, Change, Event, Interaction, Position, SubscriptionKey};
use cresset_node::RetentionConfig;
use jiff::Timestamp;
use serde_json::Value;

use crate::forms::{read, version_at};
use crate::naive::{Encounter, Filter, TopicKind, Verdict, topic_url, verdict};

/// A change with the events that it got.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) change: Change,
    pub(crate) events: Vec<Event>,
    /// Names the group that it was appended with.
    pub(crate) append: u64,
    /// The node was told that it is durable; otherwise it goes by what was before, until it reads again.
    pub(crate) told: bool,
    /// Nothing could be looked up when it was decided.
    pub(crate) blind: bool,
}

/// What a client asked for that a notification has to keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The content level.
    pub(crate) content: String,
    /// In milliseconds; zero for no heartbeats.
    pub(crate) heartbeat_period: u64,
    /// Zero where it leaves that to the server.
    pub(crate) max_count: u64,
}

/// One life of a subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) key: SubscriptionKey,
    base: Base,
    pub(crate) id: String,
    pub(crate) topic: String,
    pub(crate) filter: Filter,
    pub(crate) endpoint: Option<String>,
    pub(crate) terms: Terms,
    /// What it asked for before, as long as the node may go by that.
    pub(crate) terms_before: Vec<Terms>,
    pub(crate) status: String,
    /// The version of the resource that counts now.
    pub(crate) version: Position,
    /// Its client's newest version.
    pub(crate) asked: Position,
    /// What happened before it was last switched on may have been missed (RQ-ER-10).
    pub(crate) since: Position,
    pub(crate) is_alive: bool,
    /// What was missed is sent after all.
    flushes_missed: bool,
    /// Where each event happened: the first one is event 1.
    pub(crate) events: Vec<Position>,
    /// Events up to this one may be gone from the store.
    pub(crate) forgotten: u64,
}

impl Subscription {
    /// Events are counted for it.
    pub(crate) fn is_counted(&self) -> bool {
        self.is_alive && !matches!(self.status.as_str(), "off" | "entered-in-error")
    }

    pub(crate) fn is_active(&self) -> bool {
        self.is_alive && self.status == "active"
    }

    pub(crate) fn last(&self) -> u64 {
        u64::try_from(self.events.len()).expect("a number of events")
    }

    /// Whether this event has to arrive while the subscription stays active.
    pub(crate) fn is_owed(&self, number: u64) -> bool {
        number > self.forgotten && (self.flushes_missed || !self.was_missed(number))
    }

    /// Whether this event happened before its client last switched it on.
    pub(crate) fn was_missed(&self, number: u64) -> bool {
        self.position(number).is_none_or(|position| position <= self.since)
    }

    pub(crate) fn position(&self, number: u64) -> Option<Position> {
        self.events.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
    }
}

/// What a change of an Encounter should be to each subscription that counts events.
pub(crate) type Expected = Vec<(SubscriptionKey, Verdict)>;

/// The fold.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What was missed is sent after all.
    pub(crate) flushes_missed: bool,
    pub(crate) log: Vec<Committed>,
    pub(crate) subscriptions: BTreeMap<SubscriptionKey, Subscription>,
    by_id: BTreeMap<String, SubscriptionKey>,
    /// What is in force, by URL.
    topics: BTreeMap<(Base, String), TopicKind>,
    encounters: BTreeMap<(Base, String), Encounter>,
    females: BTreeMap<(Base, String), bool>,
}

impl Facts {
    /// The subscription that has this id now.
    pub(crate) fn find(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.get(self.by_id.get(id)?).filter(|one| one.is_alive)
    }

    /// All lives of the subscription with this id, the newest first.
    pub(crate) fn lives(&self, id: &str) -> Vec<SubscriptionKey> {
        let lives = self.subscriptions.values().rev().filter(|one| one.id == id);
        lives.map(|one| one.key).collect()
    }

    /// Whether this topic is in force.
    pub(crate) fn has_topic(&self, version: FhirVersion, id: &str) -> bool {
        let url = topic_url(id);
        self.topics.keys().any(|(base, known)| version_at(*base) == version && *known == url)
    }

    /// Takes in what is durable now; tells what it should have been to whom.
    pub(crate) fn fold(&mut self, committed: Committed) -> Expected {
        let Change { key, interaction, position, .. } = &committed.change;
        let id = key.id.as_str().to_owned();
        let (interaction, position, base) = (*interaction, *position, key.base);
        let body = body_of(&committed.change);
        let name = (base, id.clone());
        let mut expected = Expected::new();
        match key.resource_type.as_str() {
            "Encounter" => {
                let current = body.is_object().then(|| Encounter::read(&body));
                let previous = self.encounters.remove(&name);
                let change = (previous.as_ref(), current.as_ref());
                expected = self.expected(base, interaction, change);
                self.encounters.extend(current.map(|current| (name, current)));
            }
            "Patient" => {
                self.females.insert(name, body["gender"] == "female");
            }
            "Basic" | "SubscriptionTopic" => {
                let name = (base, topic_url(&id));
                self.topics.remove(&name);
                self.topics.extend(TopicKind::read(&body).map(|kind| (name, kind)));
            }
            "Subscription" => {
                let by_client = committed.change.author.as_str() != "cresset";
                self.subscription(name, position, by_client, &body);
            }
            _ => {}
        }
        for event in &committed.events {
            if let Some(subscription) = self.subscriptions.get_mut(&event.subscription) {
                subscription.events.push(event.position);
            }
        }
        self.log.push(committed);
        expected
    }

    /// The node goes by what is durable now.
    pub(crate) fn read_again(&mut self) {
        self.subscriptions.values_mut().for_each(|one| one.terms_before.clear());
    }

    /// Takes in that the node forgot what it need not keep.
    pub(crate) fn forget(&mut self, retention: &RetentionConfig, now: Timestamp) {
        let before = now.checked_sub(retention.events_keep).unwrap_or(Timestamp::MIN);
        let is_old = |position: &Position| {
            let index = usize::try_from(position.get() - 1).expect("a position");
            self.log[index].change.at < before
        };
        for one in self.subscriptions.values_mut() {
            let over = one.last().saturating_sub(retention.events_per_subscription_max);
            let old = one.events.iter().take_while(|position| is_old(position)).count();
            let old = u64::try_from(old).expect("a number of events");
            one.forgotten = one.forgotten.max(over).max(old);
        }
    }

    /// What a subscription asks for, and what triggers its topic.
    pub(crate) fn describe(&self, key: SubscriptionKey) -> String {
        let Some(one) = self.subscriptions.get(&key) else { return key.to_string() };
        let kind = self.topics.get(&(one.base, one.topic.clone()));
        format!("{} ({}, topic {kind:?}, filter {:?})", one.id, one.status, one.filter)
    }

    fn subscription(
        &mut self,
        (base, id): (Base, String),
        position: Position,
        by_client: bool,
        body: &Value,
    ) {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| body[name].as_u64().unwrap_or_default();
        let existing = self.by_id.get(&id).copied();
        if body.is_null() {
            if let Some(key) = self.by_id.remove(&id)
                && let Some(ended) = self.subscriptions.get_mut(&key)
            {
                ended.is_alive = false;
            }
            return;
        }
        let key = existing.unwrap_or(SubscriptionKey::created_at(position));
        self.by_id.insert(id.clone(), key);
        let before = self.subscriptions.remove(&key);
        let status = text("status");
        let was_off = before
            .as_ref()
            .is_none_or(|one| !matches!(one.status.as_str(), "active" | "requested"));
        let since = match &before {
            Some(before) if !was_off => before.since,
            Some(_) | None => position,
        };
        let terms_before = before.iter().flat_map(|before| {
            before.terms_before.iter().chain(std::iter::once(&before.terms)).cloned()
        });
        let terms_before = terms_before.collect();
        let asked = before.as_ref().filter(|_| !by_client).map_or(position, |one| one.asked);
        self.subscriptions.insert(
            key,
            Subscription {
                key,
                base,
                id,
                topic: text("topic"),
                filter: Filter::read(body),
                endpoint: body["endpoint"].as_str().map(str::to_owned),
                terms: Terms {
                    content: text("content"),
                    heartbeat_period: number("heartbeatPeriod") * 1_000,
                    max_count: number("maxCount"),
                },
                terms_before,
                flushes_missed: self.flushes_missed,
                status,
                version: position,
                asked,
                since,
                is_alive: true,
                forgotten: before.as_ref().map_or(0, |before| before.forgotten),
                events: before.map(|before| before.events).unwrap_or_default(),
            },
        );
    }

    fn expected(
        &self,
        base: Base,
        interaction: Interaction,
        change: (Option<&Encounter>, Option<&Encounter>),
    ) -> Expected {
        let is_female =
            |id: &str| self.females.get(&(base, id.to_owned())).copied().unwrap_or(false);
        let alive = self.subscriptions.values().filter(|one| one.base == base);
        alive
            .filter(|one| one.is_counted())
            .map(|one| {
                let told = self
                    .topics
                    .get(&(base, one.topic.clone()))
                    .map(|kind| verdict((*kind, &one.filter), interaction, change, is_female));
                (one.key, told.unwrap_or(Verdict::No))
            })
            .collect()
    }
}

/// The resource that a change made, as R5 would have it; null after a delete.
pub(crate) fn body_of(change: &Change) -> Value {
    match change.interaction {
        Interaction::Create | Interaction::Update => {
            let body: Value = serde_json::from_slice(&change.body).unwrap_or_default();
            read(version_at(change.key.base), &body)
        }
        Interaction::Delete => Value::Null,
    }
}
