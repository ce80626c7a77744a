//! A node on a store that can be told to fail, and short ways to ask it things.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use cresset_channel::RestHook;
use cresset_definitions::FhirVersion;
use cresset_model::{
    Base, Change, ClientName, Event, EventNumber, PayloadContent, Position, ResourceId,
    ResourceKey, ResourceType, SubscriptionKey, VersionId,
};
use cresset_store::{
    Appended, ChangeLog, Error as StoreError, Forgotten, Group, IndexBatch, MemoryStore, Page,
    Query, Retention, Store, SubscriptionRecord, TokenRecord,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::bases::base_of;
use crate::live::LiveSubscription;
use crate::{
    Caller, Clock, Condition, Config, Effect, Error, EventsQuery, Node, Right, SearchIndex,
    Stopper, Written,
};

/// Longest wait for something that is due at once.
const SOON: Duration = Duration::from_secs(10);

/// What the next append does instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Fails, and has done nothing.
    Unavailable,
    /// Fails, and has done it all the same.
    UnknownDone,
    /// Fails for an unknown reason, and has done nothing.
    UnknownNotDone,
}

/// Where a read waits in the store. A test that ends before it has opened it keeps nothing waiting.
pub(super) struct Gate {
    arrived: oneshot::Receiver<()>,
    open: mpsc::Sender<()>,
}

impl Gate {
    /// Returns once the read is there.
    pub(super) async fn arrived(&mut self) {
        timeout(SOON, &mut self.arrived).await.expect("a read is due").unwrap();
    }

    /// Lets it on.
    pub(super) fn open(self) {
        self.open.send(()).unwrap();
    }
}

/// The read of the token with this hash, which waits for its gate.
struct HeldRead {
    hash: [u8; 32],
    arrives: oneshot::Sender<()>,
    opened: mpsc::Receiver<()>,
}

/// A memory store with faults.
#[derive(Default)]
pub(super) struct FaultyStore {
    inner: MemoryStore,
    next: Mutex<Option<Fault>>,
    lookups_fail: AtomicBool,
    search_fails: AtomicBool,
    subscriptions_fail: AtomicBool,
    held: Mutex<Option<HeldRead>>,
}

impl FaultyStore {
    /// From now on, no search is answered.
    pub(super) fn fail_searches(&self) {
        self.search_fails.store(true, Ordering::Relaxed);
    }

    pub(super) fn fail_next(&self, fault: Fault) {
        *self.next.lock().unwrap() = Some(fault);
    }

    /// Has searches fail, and reads of patients and groups, which no test writes meanwhile.
    pub(super) fn fail_lookups(&self, fail: bool) {
        self.lookups_fail.store(fail, Ordering::Release);
    }

    /// Has reads of single subscriptions fail.
    pub(super) fn fail_subscriptions(&self, fail: bool) {
        self.subscriptions_fail.store(fail, Ordering::Release);
    }

    /// Has the next read of the token with this hash wait.
    pub(super) fn hold_token(&self, hash: [u8; 32]) -> Gate {
        let (arrives, arrived) = oneshot::channel();
        let (open, opened) = mpsc::channel();
        *self.held.lock().unwrap() = Some(HeldRead { hash, arrives, opened });
        Gate { arrived, open }
    }

    fn look_up(&self, concerned: bool) -> Result<(), StoreError> {
        if concerned && self.lookups_fail.load(Ordering::Acquire) {
            let source = Box::new(std::io::Error::other("planted"));
            return Err(StoreError::Unavailable { source });
        }
        Ok(())
    }
}

impl ChangeLog for FaultyStore {
    fn head(&self) -> Result<Option<Position>, StoreError> {
        self.inner.head()
    }

    fn append(&self, group: &Group) -> Result<Appended, StoreError> {
        // Bookkeeping alone is not what the tests are about.
        let fault = if group.entries.is_empty() { None } else { self.next.lock().unwrap().take() };
        let source = || Box::new(std::io::Error::other("planted"));
        match fault {
            None => self.inner.append(group),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable { source: source() }),
            Some(Fault::UnknownNotDone) => Err(StoreError::Unknown { source: source() }),
            Some(Fault::UnknownDone) => {
                self.inner.append(group)?;
                Err(StoreError::Unknown { source: source() })
            }
        }
    }

    fn changes(&self, after: Option<Position>, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.inner.changes(after, limit)
    }

    fn change(&self, position: Position) -> Result<Option<Change>, StoreError> {
        self.inner.change(position)
    }
}

impl Store for FaultyStore {
    fn current(&self, keys: &[ResourceKey]) -> Result<Vec<Option<Change>>, StoreError> {
        if self.subscriptions_fail.load(Ordering::Acquire)
            && keys.iter().any(|key| key.resource_type.as_str() == "Subscription")
        {
            let source = Box::new(std::io::Error::other("planted"));
            return Err(StoreError::Unavailable { source });
        }
        self.look_up(
            keys.iter().any(|key| ["Group", "Patient"].contains(&key.resource_type.as_str())),
        )?;
        self.inner.current(keys)
    }

    fn version(&self, key: &ResourceKey, version: VersionId) -> Result<Option<Change>, StoreError> {
        self.inner.version(key, version)
    }

    fn history(
        &self,
        key: &ResourceKey,
        before: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.inner.history(key, before, limit)
    }

    fn resources(
        &self,
        base: Base,
        resource_type: &ResourceType,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.inner.resources(base, resource_type, after, limit)
    }

    fn subscriptions(
        &self,
        after: Option<SubscriptionKey>,
        limit: usize,
    ) -> Result<Vec<SubscriptionRecord>, StoreError> {
        self.inner.subscriptions(after, limit)
    }

    fn subscription(&self, key: SubscriptionKey) -> Result<Option<SubscriptionRecord>, StoreError> {
        self.inner.subscription(key)
    }

    fn events(
        &self,
        subscription: SubscriptionKey,
        from: EventNumber,
        to: EventNumber,
        limit: usize,
    ) -> Result<Vec<Event>, StoreError> {
        self.inner.events(subscription, from, to, limit)
    }

    fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>, StoreError> {
        let held = self.held.lock().unwrap().take_if(|held| held.hash == *hash);
        if let Some(HeldRead { arrives, opened, .. }) = held
            && arrives.send(()).is_ok()
        {
            // An error says that the test has ended.
            opened.recv().unwrap_or_default();
        }
        self.inner.token(hash)
    }

    fn forget(&self, retention: &Retention, limit: usize) -> Result<Forgotten, StoreError> {
        self.inner.forget(retention, limit)
    }

    fn index_position(&self) -> Result<Option<Position>, StoreError> {
        self.inner.index_position()
    }

    fn index(&self, batch: &IndexBatch) -> Result<(), StoreError> {
        self.inner.index(batch)
    }

    fn prepare_index(&self, scheme: u64) -> Result<(), StoreError> {
        self.inner.prepare_index(scheme)
    }

    fn flush_index(&self) -> Result<(), StoreError> {
        self.inner.flush_index()
    }

    fn search(&self, query: &Query) -> Result<Page, StoreError> {
        self.look_up(true)?;
        if self.search_fails.load(Ordering::Relaxed) {
            let source = Box::new(std::io::Error::other("planted"));
            return Err(StoreError::Unavailable { source });
        }
        self.inner.search(query)
    }
}

/// A running node, R4 where nothing else is said.
pub(super) struct Fixture {
    pub(super) store: Arc<FaultyStore>,
    pub(super) node: Arc<Node>,
    pub(super) clock: Clock,
    stopper: Stopper,
}

impl Fixture {
    /// A node on an empty store.
    pub(super) fn new() -> Self {
        Self::on(Arc::default())
    }

    /// A node with other options.
    pub(super) fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self::with(Arc::default(), config)
    }

    /// A node on a store that may hold something, as after a restart.
    pub(super) fn on(store: Arc<FaultyStore>) -> Self {
        Self::with(store, config())
    }

    fn with(store: Arc<FaultyStore>, config: Config) -> Self {
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let endpoints = config.subscriptions.endpoints.clone();
        let rest_hook = RestHook::new(&cresset_channel::Config::default(), endpoints).unwrap();
        let (node, stopper) =
            Node::start(config, store.clone(), rest_hook, crate::Brokers::default(), clock.clone())
                .unwrap();
        Self { store, node, clock, stopper }
    }

    /// Stops the node in order and starts another on the same store.
    pub(super) async fn restart(self) -> Self {
        self.restart_configured(|_| ()).await
    }

    /// The same, with other options from now on.
    pub(super) async fn restart_configured(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self::with(self.stop().await, config)
    }

    /// Stops the node in order; gives its store.
    pub(super) async fn stop(self) -> Arc<FaultyStore> {
        self.node.begin_stop(Instant::now() + Duration::from_secs(30));
        self.stopper.stop(self.node).await;
        self.store
    }

    /// Writes a resource as somebody else than the admin.
    pub(super) async fn put_as(&self, caller: &Caller, resource: &Value) -> Result<Written, Error> {
        let target = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let bytes = Bytes::from(resource.to_string());
        self.node.update(caller, FhirVersion::R4, target, Condition::None, bytes).await
    }

    pub(super) async fn create(&self, resource: &Value) -> Result<Written, Error> {
        let resource_type = resource["resourceType"].as_str().unwrap();
        let bytes = Bytes::from(resource.to_string());
        self.node.create(&admin(), FhirVersion::R4, resource_type, bytes).await
    }

    pub(super) async fn put(&self, resource: &Value) -> Result<Written, Error> {
        self.put_if(resource, Condition::None).await
    }

    pub(super) async fn put_if(
        &self,
        resource: &Value,
        condition: Condition,
    ) -> Result<Written, Error> {
        let target = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let bytes = Bytes::from(resource.to_string());
        self.node.update(&admin(), FhirVersion::R4, target, condition, bytes).await
    }

    pub(super) async fn delete(&self, resource_type: &str, id: &str) -> Effect {
        let target = (resource_type, id);
        let deleted = self.node.delete(&admin(), FhirVersion::R4, target, Condition::None).await;
        deleted.unwrap().effect
    }

    /// What the loops know of a subscription.
    pub(super) fn live(&self, id: &str) -> Arc<LiveSubscription> {
        let base = base_of(FhirVersion::R4);
        self.node.shared.live.find(base, &ResourceId::new(id).unwrap()).unwrap()
    }

    /// The id of a resource just written.
    pub(super) fn id(written: &Written) -> String {
        written.change.as_ref().unwrap().key.id.to_string()
    }

    /// Creates a subscription and gives its id.
    pub(super) async fn subscribe(&self, topic: &str, filters: &[&str]) -> String {
        let created = self.create(&subscription(topic, filters)).await;
        Self::id(&created.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Status, number of events and errors, as `$status` tells them.
    pub(super) fn status(&self, id: &str) -> (String, u64, Vec<String>) {
        let id = ResourceId::new(id).unwrap();
        let bytes = self
            .node
            .subscription_status(&admin(), FhirVersion::R4, &id, "http://test/self")
            .unwrap();
        let bundle: Value = serde_json::from_slice(&bytes).unwrap();
        let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap().clone();
        let find = |name: &str| {
            parameters.iter().filter(move |one| one["name"] == name).cloned().collect::<Vec<_>>()
        };
        let status = find("status")[0]["valueCode"].as_str().unwrap().to_owned();
        let count =
            find("events-since-subscription-start")[0]["valueString"].as_str().unwrap().parse();
        let errors = find("error").iter().map(|error| error.to_string()).collect();
        (status, count.unwrap(), errors)
    }

    /// What `$events` answers, with this content if it is granted.
    pub(super) async fn events_bundle(&self, id: &str, content: PayloadContent) -> Value {
        let id = ResourceId::new(id).unwrap();
        let query = EventsQuery { content: Some(content), ..EventsQuery::default() };
        let answer = self.node.subscription_events(&admin(), FhirVersion::R4, &id, query).await;
        serde_json::from_slice(&answer.unwrap()).unwrap()
    }

    /// Number and focus of each event that `$events` gives.
    pub(super) async fn events(&self, id: &str) -> Vec<(u64, String)> {
        let id = ResourceId::new(id).unwrap();
        let query = EventsQuery::default();
        let bytes =
            self.node.subscription_events(&admin(), FhirVersion::R4, &id, query).await.unwrap();
        let bundle: Value = serde_json::from_slice(&bytes).unwrap();
        let parameters = bundle["entry"][0]["resource"]["parameter"].as_array().unwrap();
        let events = parameters.iter().filter(|one| one["name"] == "notification-event");
        events
            .map(|event| {
                let part = |name: &str| {
                    event["part"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .find(|one| one["name"] == name)
                        .unwrap()
                };
                let number = part("event-number")["valueString"].as_str().unwrap().parse().unwrap();
                let focus = part("focus")["valueReference"]["reference"].as_str().unwrap();
                (number, focus.trim_start_matches("http://test/r4/").to_owned())
            })
            .collect()
    }
}

pub(super) fn admin() -> Caller {
    Caller::new(ClientName::new("admin").unwrap(), [Right::Admin].into_iter().collect())
}

pub(crate) fn config() -> Config {
    let mut config = Config::small("http://test");
    config.limits.subscriptions_per_client_max = 100;
    let indexed = ["status", "url", "Observation.encounter"];
    config.search.index = SearchIndex::Listed(indexed.map(str::to_owned).to_vec());
    config
}

/// A topic on every change of Encounters, in R4's form; `criteria` are extra parts of its trigger.
pub(super) fn topic(id: &str, criteria: &[Value]) -> Value {
    const BASE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
    let mut trigger = vec![json!({"url": "resource", "valueUri": "Encounter"})];
    trigger.extend(criteria.iter().cloned());
    json!({
        "resourceType": "Basic",
        "id": id,
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
        "modifierExtension": [{"url": format!("{BASE}.status"), "valueCode": "active"}],
        "extension": [
            {"url": format!("{BASE}.url"), "valueUri": format!("http://test/topic/{id}")},
            {"url": format!("{BASE}.resourceTrigger"), "extension": trigger},
            {"url": format!("{BASE}.canFilterBy"), "extension": [
                {"url": "resource", "valueUri": "Encounter"},
                {"url": "filterParameter", "valueString": "patient"},
            ]},
        ],
    })
}

/// A filter that a topic of [`topic`] offers: its name, and modifiers after spaces.
pub(super) fn offering(text: &str) -> Value {
    const BASE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
    let (name, modifiers) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = vec![
        json!({"url": "resource", "valueUri": "Encounter"}),
        json!({"url": "filterParameter", "valueString": name}),
    ];
    let modifiers = modifiers.split(' ').filter(|one| !one.is_empty());
    parts.extend(modifiers.map(|one| json!({"url": "modifier", "valueCode": one})));
    json!({"url": format!("{BASE}.canFilterBy"), "extension": parts})
}

/// A websocket subscription on a topic of [`topic`].
pub(super) fn subscription(topic: &str, filters: &[&str]) -> Value {
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    let url = format!("{GUIDE}/backport-filter-criteria");
    let extensions: Vec<Value> =
        filters.iter().map(|filter| json!({"url": url, "valueString": filter})).collect();
    let mut subscription = json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": format!("http://test/topic/{topic}"),
        "channel": {
            "type": "websocket",
            "payload": "application/fhir+json",
            "_payload": {"extension": [
                {"url": format!("{GUIDE}/backport-payload-content"), "valueCode": "id-only"},
            ]},
        },
    });
    if !extensions.is_empty() {
        subscription["_criteria"] = json!({"extension": extensions});
    }
    subscription
}

pub(super) fn encounter(id: &str, status: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Encounter",
        "id": id,
        "status": status,
        "class": {"code": "IMP"},
        "subject": {"reference": format!("Patient/{patient}")},
    })
}
