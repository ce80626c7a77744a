//! Fills a store with subscriptions and events at the speed of the disk: `cargo xtask bench delivery` measures a
//! restart on it.
//!
//! `fill DIRECTORY SUBSCRIPTIONS CHANGES EVENTS-PER-CHANGE AWAY` appends, in large groups and after whatever is in
//! the store, what a server would have appended for: R4 Subscriptions in the form of the Backport guide, active,
//! on the benchmark's topic and a patient each, half of them websockets, half rest-hooks, all with a heartbeat a day;
//! and Observations, each an event of the first AWAY subscriptions and of so many others in turn that it has
//! EVENTS-PER-CHANGE. All that is sent to an endpoint counts as delivered; nothing else has been. The search index is
//! left behind: a server brings it up to date.
//!
//! Ids count up, so that whoever runs this knows them: `00000000-0000-7000-8000-` and the number of the
//! subscription in twelve hexadecimal digits, from 0 on.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool of the benchmarks ends with a panic or a figure"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use cresset_model::{
    Base, Change, ClientName, EventNumber, Interaction, Position, ResourceId, ResourceKey,
    ResourceType, SubscriptionKey, VersionId,
};
use cresset_store::{ChangeLog as _, Entry, Group, Record, SubscriptionLife};
use cresset_store_embedded::EmbeddedStore;
use jiff::Timestamp;

/// The base `/r4`.
const R4: Base = Base::new(1);
/// Entries and records of a group.
const GROUP: usize = 4_096;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [directory, numbers @ ..] = arguments.as_slice() else { return usage() };
    let numbers: Result<Vec<u64>, _> = numbers.iter().map(|text| text.parse()).collect();
    let Ok([subscriptions, changes, events, away]) = numbers.as_deref() else { return usage() };
    let load = Load {
        subscriptions: *subscriptions,
        changes: *changes,
        events: *events,
        away: (*away).min(*subscriptions),
    };
    let started = Instant::now();
    let store = EmbeddedStore::open(Path::new(directory)).expect("the store opens");
    Filler::new(store, load).fill();
    let (seconds, events) = (started.elapsed().as_secs_f64(), load.changes * load.events);
    println!(r#"{{"subscriptions":{subscriptions},"events":{events},"seconds":{seconds:.1}}}"#);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("fill DIRECTORY SUBSCRIPTIONS CHANGES EVENTS-PER-CHANGE AWAY");
    ExitCode::FAILURE
}

/// What is to be made.
#[derive(Clone, Copy)]
struct Load {
    subscriptions: u64,
    changes: u64,
    events: u64,
    away: u64,
}

impl Load {
    /// The other subscriptions that a change is an event of: those that follow the last change's.
    fn others(self, change: u64) -> impl Iterator<Item = u64> {
        let others = self.subscriptions - self.away;
        let each = self.events.saturating_sub(self.away).min(others);
        let first = change * each;
        (first..first + each).map(move |turn| self.away + turn % others)
    }
}

struct Filler {
    store: EmbeddedStore,
    load: Load,
    next: Position,
    /// Position of the first subscription.
    first: Position,
    at: Timestamp,
    group: Group,
    /// Events of each subscription so far.
    counts: Vec<u32>,
}

impl Filler {
    fn new(store: EmbeddedStore, load: Load) -> Self {
        let next = store.head().expect("a head").map_or(Position::FIRST, Position::next);
        let at = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("now");
        let counts = vec![0; usize::try_from(load.subscriptions).expect("a number that fits")];
        Self { store, load, next, first: next, at, group: Group::default(), counts }
    }

    fn fill(mut self) {
        for number in 0..self.load.subscriptions {
            let id = format!("00000000-0000-7000-8000-{number:012x}");
            let body = subscription(&id, number, self.at);
            let owner = client();
            let life = Some(SubscriptionLife::Begins { owner });
            self.push("Subscription", &id, body, Vec::new(), life);
        }
        for number in 0..self.load.changes {
            let id = format!("00000000-0000-7000-9000-{number:012x}");
            let of: Vec<u64> = (0..self.load.away).chain(self.load.others(number)).collect();
            for one in &of {
                self.counts[usize::try_from(*one).expect("a number that fits")] += 1;
            }
            let events = of.into_iter().map(|one| self.key(one)).collect();
            self.push("Observation", &id, observation(&id, self.at), events, None);
        }
        self.append();
        self.confirm();
    }

    /// Confirms all events of those that have an endpoint.
    fn confirm(&mut self) {
        for number in 0..self.load.subscriptions {
            let count = self.counts[usize::try_from(number).expect("a number that fits")];
            if let Some(last) = EventNumber::new(count.into()).filter(|_| has_endpoint(number)) {
                let record = Record::Cursor { subscription: self.key(number), number: last };
                self.group.records.push(record);
                if self.group.records.len() == GROUP {
                    self.append();
                }
            }
        }
        self.append();
    }

    fn push(
        &mut self,
        resource_type: &str,
        id: &str,
        body: String,
        events: Vec<SubscriptionKey>,
        subscription: Option<SubscriptionLife>,
    ) {
        let change = Change {
            position: self.next,
            key: ResourceKey {
                base: R4,
                resource_type: ResourceType::new(resource_type).expect("a type"),
                id: ResourceId::new(id).expect("an id"),
            },
            version: VersionId::FIRST,
            interaction: Interaction::Create,
            at: self.at,
            author: client(),
            body: Bytes::from(body),
            trace: None,
        };
        self.next = self.next.next();
        self.group.entries.push(Entry { change, events, subscription });
        if self.group.entries.len() == GROUP {
            self.append();
        }
    }

    fn append(&mut self) {
        self.store.append(&std::mem::take(&mut self.group)).expect("the group is appended");
    }

    fn key(&self, number: u64) -> SubscriptionKey {
        let position = Position::new(self.first.get() + number).expect("a position");
        SubscriptionKey::created_at(position)
    }
}

/// Whether notifications go to an endpoint: every other one's, but none of those that are away.
fn has_endpoint(number: u64) -> bool {
    number % 2 == 1 && number > 16
}

/// Whom a server without authentication takes everybody for.
fn client() -> ClientName {
    ClientName::new("anonymous").expect("a name")
}

fn subscription(id: &str, number: u64, at: Timestamp) -> String {
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    let (channel, endpoint) = match has_endpoint(number) {
        true => ("rest-hook", format!(r#""endpoint":"https://app-{number}.example.org/hook","#)),
        false => ("websocket", String::new()),
    };
    format!(
        r#"{{"resourceType":"Subscription","id":"{id}","meta":{{"versionId":"1","lastUpdated":"{at:.3}","profile":["{GUIDE}/backport-subscription"]}},"status":"active","reason":"Benchmark","criteria":"http://cresset.example/SubscriptionTopic/observation-created","_criteria":{{"extension":[{{"url":"{GUIDE}/backport-filter-criteria","valueString":"Observation?patient=Patient/s{number}"}}]}},"channel":{{"extension":[{{"url":"{GUIDE}/backport-heartbeat-period","valueUnsignedInt":86400}}],"type":"{channel}",{endpoint}"payload":"application/fhir+json","_payload":{{"extension":[{{"url":"{GUIDE}/backport-payload-content","valueCode":"id-only"}}]}}}}}}"#
    )
}

fn observation(id: &str, at: Timestamp) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"versionId":"1","lastUpdated":"{at:.3}"}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}}],"text":"Heart rate"}},"subject":{{"reference":"Patient/away"}},"effectiveDateTime":"2026-03-14T09:26:53+01:00","valueQuantity":{{"value":72,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}}}"#
    )
}
