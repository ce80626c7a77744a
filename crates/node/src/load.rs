//! The state in memory, folded anew from the store: at start, and after a commit of unknown
//! outcome.

use std::sync::Arc;

use cresset_fhir::json;
use cresset_model::{
    Change, IssueCode, Issues, Position, ResourceId, ResourceKey, ResourceType, Subscription,
    SubscriptionKey,
};
use cresset_store::{self as store, PAGE_MAX, SubscriptionRecord, crash_point};
use jiff::Timestamp;
use rustc_hash::FxHashSet;

use crate::bases::base_of;
use crate::caller::{Right, check_may_ask};
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
    load_subscriptions(shared, &mut catalogs)?;
    crash_point("load.subscriptions");
    for version in FhirVersion::ALL {
        shared.publish_topics(base_of(version), &catalogs);
    }
    Ok(Loaded { catalogs, head, last_at })
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

fn load_subscriptions(shared: &Shared, catalogs: &mut Catalogs) -> Result<(), store::Error> {
    let mut after: Option<SubscriptionKey> = None;
    let mut found = FxHashSet::default();
    loop {
        let page = shared.store.subscriptions(after, PAGE_MAX)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        let keys: Vec<ResourceKey> = page.iter().map(|record| record.resource.clone()).collect();
        let changes = shared.store.current(&keys)?;
        for (record, change) in page.into_iter().zip(changes) {
            found.insert(record.key);
            let Some(change) = change else { continue };
            if let Err(issues) = load_subscription(shared, catalogs, &record, &change) {
                tracing::warn!(
                    subscription.id = %record.resource.id,
                    %issues,
                    "a stored subscription cannot be evaluated; nothing is sent for it"
                );
                if let Some(live) = shared.live.get(record.key) {
                    live.state().problem = Some(issues.to_string().into());
                }
            }
        }
    }
    for subscription in shared.live.all() {
        if !found.contains(&subscription.key) {
            shared.live.remove(subscription.key);
            subscription.state().gone = true;
        }
    }
    Ok(())
}

fn load_subscription(
    shared: &Shared,
    catalogs: &mut Catalogs,
    record: &SubscriptionRecord,
    change: &Change,
) -> Result<(), Issues> {
    let internal = || {
        let text = "a base without a version";
        Issues::from(cresset_model::Issue::error(IssueCode::Internal, text))
    };
    let codec = codec_of(record.resource.base).map_err(|_| internal())?;
    let (mut settings, _) = codec.parse_subscription(&json::parse(&change.body)?)?;
    shared.bound(&mut settings);
    let catalog = catalogs.of(record.resource.base).ok_or_else(internal)?;
    let compiled = catalog.recompile_subscription(&settings).and_then(|compiled| {
        check_may_ask(shared.rights.has(&record.owner, Right::Read), &compiled)?;
        Ok(compiled)
    });
    if let Ok(compiled) = &compiled {
        // The same text as the topic's own, so that all subscriptions share it.
        settings.topic.url = compiled.topic().canonical().url.clone();
    }
    settings.filters = Vec::new();
    let counted = is_counted(settings.status);
    restore(shared, record, settings, change.at);
    match (compiled, catalogs.of_mut(record.resource.base)) {
        (Ok(compiled), Some(catalog)) if counted => {
            catalog.insert_subscription(record.key, compiled);
            Ok(())
        }
        (Ok(_), _) => Ok(()),
        (Err(issues), _) => {
            if counted {
                catalogs.note_unbound(record.resource.base, record.key);
            }
            Err(issues)
        }
    }
}

/// Puts what the store holds into the live table; one that is there keeps its identity, because
/// sockets and loops hold on to it.
fn restore(shared: &Shared, record: &SubscriptionRecord, settings: Subscription, at: Timestamp) {
    let settings = shared.settings.share(settings);
    let known = shared.live.get(record.key);
    let is_new = known.is_none();
    let live = known.unwrap_or_else(|| {
        let live = Arc::new(LiveSubscription::new(
            record.key,
            record.resource.base,
            record.resource.id.clone(),
            record.owner.clone(),
            settings.clone(),
            at,
        ));
        shared.live.insert(live.clone());
        live
    });
    let mut state = live.state();
    state.restore(settings, at, record.events);
    state.error = record.error.clone().map(Box::new);
    if let Some(cursor) = record.cursor {
        state.move_cursor(cursor);
    }
    drop(state);
    if let Some(retries) = record.retries.filter(|_| is_new) {
        shared.cursors.keep_stored(record.key, retries);
    }
}
