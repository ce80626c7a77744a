//! The state in memory, folded anew from the store: at start, and after a commit of unknown
//! outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use cresset_engine::CompiledSubscription;
use cresset_fhir::json;
use cresset_model::{
    Change, Issue, IssueCode, Issues, Position, ResourceId, ResourceKey, ResourceType,
    Subscription, SubscriptionKey,
};
use cresset_store::{self as store, PAGE_MAX, SubscriptionRecord, crash_point};
use jiff::Timestamp;
use rustc_hash::FxHashSet;

use crate::bases::base_of;
use crate::catalogs::{Catalogs, compile_topic};
use crate::draft::{codec_of, is_counted};
use crate::live::LiveSubscription;
use crate::shared::Shared;
use cresset_definitions::FhirVersion;
use cresset_fhir::Codec;

/// What was found.
pub(crate) struct Loaded {
    pub(crate) catalogs: Catalogs,
    pub(crate) head: Option<Position>,
    /// Time of the last change; time never runs back in the log.
    pub(crate) last_at: Timestamp,
    /// Subscriptions that their owners may not have any more, with the reason.
    pub(crate) barred: Vec<(SubscriptionKey, Issue)>,
}

/// Reads topics and subscriptions, fills the live table, publishes the topics.
///
/// A topic or subscription that this version cannot use is reported and left out of the catalog:
/// nothing is sent for what cannot be evaluated (I9).
pub(crate) fn load(shared: &Shared) -> Result<Loaded, store::Error> {
    let head = shared.store.head()?;
    let last_at = match head {
        Some(head) => shared.store.change(head)?.map_or(Timestamp::UNIX_EPOCH, |change| change.at),
        None => Timestamp::UNIX_EPOCH,
    };
    let mut catalogs = Catalogs::new(&shared.config);
    for version in FhirVersion::ALL {
        load_topics(shared, &mut catalogs, version)?;
    }
    crash_point("load.topics");
    let barred = load_subscriptions(shared, &mut catalogs)?;
    crash_point("load.subscriptions");
    for version in FhirVersion::ALL {
        shared.publish_topics(base_of(version), &catalogs);
    }
    Ok(Loaded { catalogs, head, last_at, barred })
}

fn load_topics(
    shared: &Shared,
    catalogs: &mut Catalogs,
    version: FhirVersion,
) -> Result<(), store::Error> {
    let codec = Codec::of(version);
    let base = base_of(version);
    let Some(catalog) = catalogs.of_mut(base) else { return Ok(()) };
    let Ok(resource_type) = ResourceType::new(topic_type(version)) else { return Ok(()) };
    let mut after: Option<ResourceId> = None;
    loop {
        let page = shared.store.resources(base, &resource_type, after.as_ref(), PAGE_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.id.clone());
        for change in page {
            let Ok(value) = json::parse(&change.body) else { continue };
            if !codec.is_topic(&value) {
                continue;
            }
            let compiled = codec
                .parse_topic(&value)
                .and_then(|topic| compile_topic(catalog, &change.key.id, &topic));
            match compiled {
                Ok((compiled, _)) => catalog.insert_topic(change.key.id, Arc::new(compiled)),
                Err(issues) => tracing::warn!(
                    topic.id = %change.key.id,
                    fhir.version = version.mime(),
                    %issues,
                    "a stored topic cannot be used"
                ),
            }
        }
    }
}

/// The resource type that carries topics in a version (RQ-TP-02, RQ-TP-03).
pub(crate) fn topic_type(version: FhirVersion) -> &'static str {
    Codec::of(version).topic_type()
}

/// Subscriptions read in one go.
const PAGE: usize = PAGE_MAX;
/// Pages that are prepared and wait for their turn, for each thread.
const PAGES_AHEAD: usize = 4;

/// Reads all subscriptions: pages are read one after the other, parsed and compiled side by side, and brought into
/// force in the order of their creation. A million of them have to be there before the first change is taken.
fn load_subscriptions(
    shared: &Shared,
    catalogs: &mut Catalogs,
) -> Result<Vec<(SubscriptionKey, Issue)>, store::Error> {
    // Only where the state is read anew is there anything that may be gone.
    let known = shared.live.all();
    let mut found = FxHashSet::default();
    let mut barred = Vec::new();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let reader = Mutex::new(Reader { shared, after: None, number: 0 });
    let (prepared, pages) = mpsc::sync_channel(threads * PAGES_AHEAD);
    let topics = catalogs.clone();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (reader, topics, prepared) = (&reader, &topics, prepared.clone());
            scope.spawn(move || prepare(shared, topics, reader, &prepared));
        }
        drop(prepared);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, page) in pages {
            early.insert(number, page?);
            while let Some(page) = early.remove(&next) {
                next += 1;
                for one in page {
                    if !known.is_empty() {
                        found.insert(one.record.key);
                    }
                    barred.extend(admit(shared, catalogs, one));
                }
            }
        }
        Ok(())
    })?;
    for subscription in known {
        if !found.contains(&subscription.key) {
            shared.live.remove(subscription.key);
            subscription.state().gone = true;
        }
    }
    Ok(barred)
}

/// Reads pages in order.
struct Reader<'s> {
    shared: &'s Shared,
    after: Option<SubscriptionKey>,
    number: usize,
}

/// A page's subscriptions with their resources; one whose resource is deleted is not alive.
type Page = Vec<(SubscriptionRecord, Option<Change>)>;

impl Reader<'_> {
    /// The next page and its number; none after the last.
    fn next(&mut self) -> Result<Option<(usize, Page)>, store::Error> {
        let store = &self.shared.store;
        let records = store.subscriptions(self.after, PAGE)?;
        let Some(last) = records.last() else { return Ok(None) };
        self.after = Some(last.key);
        let keys: Vec<ResourceKey> = records.iter().map(|record| record.resource.clone()).collect();
        let changes = store.current(&keys)?;
        self.number += 1;
        Ok(Some((self.number - 1, records.into_iter().zip(changes).collect())))
    }
}

/// A subscription ready to be brought into force.
struct Prepared {
    record: SubscriptionRecord,
    /// When its newest version was made.
    at: Timestamp,
    settings: Option<Subscription>,
    compiled: Result<CompiledSubscription, Unfit>,
}

/// Why a stored subscription cannot be in force.
enum Unfit {
    /// Its owner may not have it any more.
    Barred(Issue),
    /// It cannot be evaluated.
    Unusable(Issues),
}

/// Prepares pages until there are no more, or nobody waits for them.
fn prepare(
    shared: &Shared,
    topics: &Catalogs,
    reader: &Mutex<Reader<'_>>,
    prepared: &mpsc::SyncSender<(usize, Result<Vec<Prepared>, store::Error>)>,
) {
    loop {
        let read = reader.lock().unwrap_or_else(PoisonError::into_inner).next();
        let (number, page) = match read {
            Ok(Some((number, page))) => {
                let page = page.into_iter().filter_map(|(record, change)| {
                    Some(parse_and_compile(shared, topics, record, &change?))
                });
                (number, Ok(page.collect()))
            }
            Ok(None) => return,
            Err(error) => (0, Err(error)),
        };
        let failed = page.is_err();
        if prepared.send((number, page)).is_err() || failed {
            return;
        }
    }
}

fn parse_and_compile(
    shared: &Shared,
    topics: &Catalogs,
    record: SubscriptionRecord,
    change: &Change,
) -> Prepared {
    let internal = || {
        let text = "a base without a version";
        Issues::from(Issue::error(IssueCode::Internal, text))
    };
    let base = record.resource.base;
    let parsed = codec_of(base).map_err(|_| internal()).and_then(|codec| {
        let (mut settings, _) = codec.parse_subscription(&json::parse(&change.body)?)?;
        shared.bound(&mut settings);
        Ok(settings)
    });
    let (settings, compiled) = match parsed {
        Ok(mut settings) => {
            let catalog = topics.of(base).ok_or_else(internal);
            let compiled = catalog.and_then(|catalog| catalog.recompile_subscription(&settings));
            let compiled = compiled.map_err(Unfit::Unusable).and_then(|compiled| {
                let allowed = shared.rights.check(&record.owner, &compiled, settings.content);
                allowed.map(|()| compiled).map_err(Unfit::Barred)
            });
            if let Ok(compiled) = &compiled {
                // The same text as the topic's own, so that all subscriptions share it.
                settings.topic.url = compiled.topic().canonical().url.clone();
            }
            (Some(settings), compiled)
        }
        Err(issues) => (None, Err(Unfit::Unusable(issues))),
    };
    Prepared { record, at: change.at, settings, compiled }
}

/// Brings a subscription into force; gives why its owner may not have it any more, where that is so.
fn admit(
    shared: &Shared,
    catalogs: &mut Catalogs,
    prepared: Prepared,
) -> Option<(SubscriptionKey, Issue)> {
    let Prepared { record, at, settings, compiled } = prepared;
    let base = record.resource.base;
    let counted = settings.as_ref().is_some_and(|settings| is_counted(settings.status));
    if let Some(settings) = settings {
        restore(shared, &record, settings, at);
    }
    match (compiled, catalogs.of_mut(base)) {
        (Ok(compiled), Some(catalog)) if counted => {
            catalog.insert_subscription(record.key, compiled);
        }
        (Ok(_), _) => {}
        (Err(unfit), _) => {
            if counted {
                catalogs.note_unbound(base, record.key);
            }
            let issues = match unfit {
                Unfit::Barred(issue) => return counted.then_some((record.key, issue)),
                Unfit::Unusable(issues) => issues,
            };
            tracing::warn!(
                subscription.id = %record.resource.id,
                %issues,
                "a stored subscription cannot be evaluated; nothing is sent for it"
            );
            if let Some(live) = shared.live.get(record.key) {
                live.state().set_problem(Some(issues.to_string()));
            }
        }
    }
    None
}

/// Puts what the store holds into the live table; one that is there keeps its identity, because
/// sockets and loops hold on to it.
fn restore(shared: &Shared, record: &SubscriptionRecord, settings: Subscription, at: Timestamp) {
    let status = settings.status;
    let settings = shared.settings.share(settings);
    let known = shared.live.get(record.key);
    let is_new = known.is_none();
    let live = known.unwrap_or_else(|| {
        let live = Arc::new(LiveSubscription::new(
            record.key,
            (record.resource.base, record.resource.id.clone()),
            shared.live.owner(&record.owner),
            (settings.clone(), status),
            at,
        ));
        shared.live.insert(live.clone());
        live
    });
    let mut state = live.state();
    state.restore(settings, status, at, record.events);
    state.set_error(record.error.clone());
    if let Some(cursor) = record.cursor {
        state.move_cursor(cursor);
    }
    drop(state);
    if let Some(retries) = record.retries.filter(|_| is_new) {
        shared.cursors.keep_stored(record.key, retries);
    }
}
