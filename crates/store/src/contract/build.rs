//! Builds groups for the cases, with as little to say as a case needs.

use std::collections::BTreeMap;

use bytes::Bytes;
use cresset_model::{
    Base, Change, ClientName, EventNumber, Interaction, Position, ResourceId, ResourceKey,
    ResourceType, SubscriptionKey, VersionId,
};
use jiff::{SignedDuration, Timestamp};

use crate::{Entry, Group, SubscriptionLife};

/// The position with this number.
pub fn position(number: u64) -> Position {
    Position::new(number).expect("not 0")
}

/// The event number with this value.
pub fn number(number: u64) -> EventNumber {
    EventNumber::new(number).expect("not 0")
}

/// The version with this number.
pub fn version(number: u64) -> VersionId {
    VersionId::new(number).expect("not 0")
}

/// The subscription that the change at this position creates.
pub fn subscription(number: u64) -> SubscriptionKey {
    SubscriptionKey::created_at(position(number))
}

/// A client.
pub fn client(name: &str) -> ClientName {
    ClientName::new(name).expect("a client name")
}

/// A resource id.
pub fn id(id: &str) -> ResourceId {
    ResourceId::new(id).expect("an id")
}

/// The key `Type/id` in base 4.
pub fn key(reference: &str) -> ResourceKey {
    let (resource_type, name) = reference.split_once('/').expect("Type/id");
    ResourceKey {
        base: Base::new(4),
        resource_type: ResourceType::new(resource_type).expect("a type"),
        id: id(name),
    }
}

/// A time, by seconds, with a fraction that only nanoseconds can tell.
pub fn at(second: i64) -> Timestamp {
    Timestamp::new(1_790_000_000, 123_456_789).expect("in range")
        + SignedDuration::from_secs(second)
}

/// Makes entries whose positions, versions and times go on from one another.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    head: u64,
    versions: BTreeMap<ResourceKey, u64>,
}

impl Builder {
    /// Starts at the first position.
    pub fn new() -> Self {
        Self::default()
    }

    /// The position of the last entry made; 0 before the first.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// An entry that changes `Type/id`. Its time is `at(position)`.
    pub fn change(&mut self, reference: &str, interaction: Interaction) -> Entry {
        let key = key(reference);
        self.head += 1;
        let number = self.versions.entry(key.clone()).or_insert(0);
        *number += 1;
        let body = match interaction {
            Interaction::Create | Interaction::Update => {
                Bytes::from(format!("{{\"id\":\"{reference}\",\"version\":{number}}}"))
            }
            Interaction::Delete => Bytes::new(),
        };
        let change = Change {
            position: position(self.head),
            key,
            version: version(*number),
            interaction,
            at: at(i64::try_from(self.head).expect("small")),
            author: client("writer"),
            body,
            trace: None,
        };
        Entry { change, events: Vec::new(), subscription: None }
    }

    /// An entry that creates or updates `Type/id`.
    pub fn put(&mut self, reference: &str) -> Entry {
        let known = self.versions.contains_key(&key(reference));
        self.change(reference, if known { Interaction::Update } else { Interaction::Create })
    }

    /// An entry that deletes `Type/id`.
    pub fn delete(&mut self, reference: &str) -> Entry {
        self.change(reference, Interaction::Delete)
    }

    /// An entry that changes some resource and gives one event to each of these subscriptions.
    pub fn events(&mut self, of: &[SubscriptionKey]) -> Entry {
        Entry { events: of.to_vec(), ..self.put("Encounter/e") }
    }

    /// An entry that begins a subscription, and its key.
    pub fn begin(&mut self, reference: &str) -> (Entry, SubscriptionKey) {
        let entry = self.put(reference);
        let life = SubscriptionLife::Begins { owner: client("subscriber") };
        (Entry { subscription: Some(life), ..entry }, subscription(self.head))
    }

    /// An entry that deletes a Subscription and ends its life.
    pub fn end(&mut self, reference: &str, key: SubscriptionKey) -> Entry {
        let entry = self.delete(reference);
        Entry { subscription: Some(SubscriptionLife::Ends(key)), ..entry }
    }
}

impl From<Entry> for Group {
    fn from(entry: Entry) -> Self {
        Self { entries: vec![entry], records: Vec::new() }
    }
}

impl From<Vec<Entry>> for Group {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries, records: Vec::new() }
    }
}
