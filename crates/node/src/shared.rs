//! What the use cases, the writer and the loops share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use cresset_channel::{BrokerPolicy, Kafka, Nats};
use cresset_definitions::{Definitions, FhirVersion};
use cresset_engine::CompiledTopic;
use cresset_model::{Base, Canonical, ChannelType, Position, Subscription};
use cresset_search::{Parameter, Parameters};
use cresset_store::Store;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::audit::Auditor;
use crate::caller::ClientRights;
use crate::catalogs::Catalogs;
use crate::catch_up::CatchUp;
use crate::clock::Clock;
use crate::config::{Config, SearchIndex};
use crate::counters::Counters;
use crate::cursors::Cursors;
use crate::error::Error;
use crate::figures::Kept;
use crate::frames::Frames;
use crate::hint::{Hints, Hub};
use crate::indexer::is_indexed;
use crate::live::{Live, LiveSubscription};
use crate::parsed::Parsed;
use crate::patch::Turns;
use crate::recent::Recent;
use crate::recovery::Recoveries;
use crate::settings::SettingsCache;
use crate::trigger_problems::TriggerProblems;

/// The topics in force per base, for capability statements and notifications.
pub(crate) type Topics = FxHashMap<Base, Arc<BaseTopics>>;

/// The topics in force on a base.
pub(crate) struct BaseTopics {
    /// Their canonicals, sorted.
    pub(crate) canonicals: Vec<Canonical>,
    /// What each URL means without a version.
    newest: FxHashMap<SmolStr, Canonical>,
    /// What each canonical means, with and without a version; only those that have shapes.
    shaped: FxHashMap<Canonical, Arc<CompiledTopic>>,
}

impl BaseTopics {
    /// The topic that a canonical means.
    fn meant<'n>(&'n self, name: &'n Canonical) -> Option<&'n Canonical> {
        if name.version.is_some() { Some(name) } else { self.newest.get(&name.url) }
    }
}

/// The brokers that the operator has configured.
#[derive(Debug, Clone, Default)]
pub struct Brokers {
    /// Apache Kafka.
    pub kafka: Option<Kafka>,
    /// NATS JetStream.
    pub nats: Option<Nats>,
}

impl Brokers {
    /// What a channel allows, if it is one to a broker that is configured.
    pub(crate) fn policy(&self, channel: &ChannelType) -> Option<&BrokerPolicy> {
        match channel {
            ChannelType::Kafka => self.kafka.as_ref().map(Kafka::policy),
            ChannelType::Nats => self.nats.as_ref().map(Nats::policy),
            ChannelType::Custom(_)
            | ChannelType::Email
            | ChannelType::Message
            | ChannelType::RestHook
            | ChannelType::Websocket => None,
        }
    }
}

/// One per node.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) brokers: Brokers,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) live: Live,
    pub(crate) settings: SettingsCache,
    pub(crate) rights: ClientRights,
    pub(crate) recent: Recent,
    /// Whose turn it is to patch a resource.
    pub(crate) turns: Turns,
    pub(crate) frames: Frames,
    pub(crate) recoveries: Recoveries,
    pub(crate) catch_up: CatchUp,
    pub(crate) cursors: Cursors,
    pub(crate) attempts: Attempts,
    pub(crate) counters: Counters,
    /// Keeps the audit trail, if one is kept.
    pub(crate) auditor: Option<Auditor>,
    /// What was last found out about all subscriptions.
    pub(crate) state_figures: Mutex<Option<Kept>>,
    /// Wakes the sockets.
    pub(crate) hub: Hub,
    /// Wakes the delivery loop.
    pub(crate) delivery: Hints,
    /// Wakes the indexer.
    pub(crate) index_wake: Notify,
    /// Tells the indexer that a search waits for it.
    pub(crate) index_wanted: Notify,
    /// Tells those who wait for the index that it moved.
    pub(crate) indexed: watch::Sender<u64>,
    /// Position of the last change that is durable and visible; 0 before the first.
    pub(crate) head: AtomicU64,
    /// The writer will write no more, or a loop has ended that the node needs.
    pub(crate) stopped: AtomicBool,
    pub(crate) topics: ArcSwap<Topics>,
    pub(crate) trigger_problems: TriggerProblems,
    /// What evaluations look at besides the changes.
    pub(crate) parsed: Parsed,
    /// When the node was started.
    pub(crate) started: Timestamp,
    /// Turns true when the node stops; sockets close then, and no attempt begins any more.
    pub(crate) stopping: AtomicBool,
    /// How long attempts may take then. Set before `stopping` turns true.
    pub(crate) grace_end: OnceLock<Instant>,
    /// Reads of the store at the same time.
    pub(crate) reads: Arc<Semaphore>,
    /// Searches at the same time, which are none of those.
    pub(crate) searches: Arc<Semaphore>,
    /// They are made where they are asked for, not on threads that may block.
    pub(crate) reads_in_place: bool,
    pub(crate) sockets: AtomicUsize,
    pub(crate) sockets_unbound: AtomicUsize,
    indexed_parameters: FxHashMap<(FhirVersion, &'static str), Vec<&'static Parameter>>,
}

/// The parameters that the index holds, by version and type; types without any are left out.
fn indexed_parameters(
    index: &SearchIndex,
) -> FxHashMap<(FhirVersion, &'static str), Vec<&'static Parameter>> {
    let mut all = FxHashMap::default();
    for version in FhirVersion::ALL {
        for resource_type in Definitions::of(version).resource_types() {
            let parameters = Parameters::of(version).of_type(resource_type);
            let indexed: Vec<_> = parameters
                .filter(|parameter| is_indexed(index, resource_type, parameter.code()))
                .collect();
            if !indexed.is_empty() {
                all.insert((version, resource_type), indexed);
            }
        }
    }
    all
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        brokers: Brokers,
        store: Arc<dyn Store>,
        clock: Clock,
    ) -> Self {
        let reads = Arc::new(Semaphore::new(config.limits.reads_max));
        let searches = Arc::new(Semaphore::new(config.search.concurrency_max));
        let indexed_parameters = indexed_parameters(&config.search.index);
        let delivery = &config.delivery;
        let attempts = Attempts::new(delivery.attempts_per_subscription_max, delivery.attempts_max);
        let auditor = config.audit.clone().map(Auditor::new);
        Self {
            rights: ClientRights::new(&config.authentication),
            config,
            brokers,
            store,
            clock: clock.clone(),
            live: Live::default(),
            settings: SettingsCache::default(),
            recent: Recent::default(),
            turns: Turns::new(),
            frames: Frames::default(),
            recoveries: Recoveries::default(),
            catch_up: CatchUp::default(),
            cursors: Cursors::default(),
            attempts,
            counters: Counters::default(),
            auditor,
            state_figures: Mutex::default(),
            hub: Hub::default(),
            delivery: Hints::default(),
            index_wake: Notify::new(),
            index_wanted: Notify::new(),
            indexed: watch::Sender::new(0),
            head: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            topics: ArcSwap::default(),
            trigger_problems: TriggerProblems::default(),
            parsed: Parsed::default(),
            started: clock.now(),
            stopping: AtomicBool::new(false),
            grace_end: OnceLock::new(),
            reads,
            searches,
            reads_in_place: false,
            sockets: AtomicUsize::new(0),
            sockets_unbound: AtomicUsize::new(0),
            indexed_parameters,
        }
    }

    /// The parameters of a type that the index holds.
    pub(crate) fn indexed_parameters(
        &self,
        version: FhirVersion,
        resource_type: &str,
    ) -> &[&'static Parameter] {
        let found = Definitions::of(version).type_named(resource_type);
        found
            .and_then(|found| self.indexed_parameters.get(&(version, found.name)))
            .map_or(&[], Vec::as_slice)
    }

    /// Asks the store on a thread that may block; at most `reads_max` at the same time.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, ask: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<T, cresset_store::Error> + Send + 'static,
    {
        let shared = self.clone();
        self.work(move || Ok(ask(shared.store.as_ref())?)).await
    }

    /// Does what blocks or takes long on a thread that may; at most `reads_max` at the same time.
    pub(crate) async fn work<T, F>(&self, piece: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        if self.reads_in_place {
            return piece();
        }
        let permit = self.reads.clone().acquire_owned().await.map_err(Error::internal)?;
        with_permit(permit, piece).await
    }

    /// Does the work of a search on a thread that may block; at most `concurrency_max` at the same
    /// time, beside [`Self::work`], so that what else is read waits for no search.
    ///
    /// # Errors
    /// `Unavailable` if its turn does not come within `wait_max`; those of `piece`.
    pub(crate) async fn work_of_search<T, F>(&self, piece: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        if self.reads_in_place {
            return piece();
        }
        let turn = self.searches.clone().acquire_owned();
        let Ok(permit) = tokio::time::timeout(self.config.search.wait_max, turn).await else {
            return Err(Error::unavailable("too many searches are under way; try again"));
        };
        with_permit(permit.map_err(Error::internal)?, piece).await
    }

    /// The same for a long page, behind everything else that the machine has to do.
    pub(crate) async fn work_apart<T, F>(&self, piece: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Error> + Send + 'static,
    {
        if self.reads_in_place {
            return piece();
        }
        self.catch_up.apart(piece).await
    }

    /// Tells everybody who may send for this subscription that it was changed.
    pub(crate) fn hint_all(&self, subscription: &LiveSubscription) {
        self.hub.give(subscription.key);
        self.delivery.give(subscription.key);
    }

    /// Makes the topics of a base known to capability statements.
    pub(crate) fn publish_topics(&self, base: Base, catalogs: &Catalogs) {
        let Some(catalog) = catalogs.of(base) else { return };
        let mut topics: Vec<Canonical> =
            catalog.topics().map(|(_, topic)| topic.canonical().clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        let bare = |topic: &Canonical| Canonical { url: topic.url.clone(), version: None };
        let named = topics.iter().flat_map(|topic| [topic.clone(), bare(topic)]);
        let meant = named.filter_map(|name| {
            let topic = catalog.topic(&name).filter(|topic| topic.shapes().next().is_some())?;
            Some((name, topic.clone()))
        });
        let shaped = meant.collect();
        let newest = topics.iter().filter_map(|topic| {
            let newest = catalog.topic(&bare(topic))?;
            Some((topic.url.clone(), newest.canonical().clone()))
        });
        let newest = newest.collect();
        let topics = Arc::new(BaseTopics { newest, shaped, canonicals: topics });
        self.topics.rcu(|before| {
            let mut after = Topics::clone(before);
            after.insert(base, topics.clone());
            after
        });
    }

    /// What last kept the triggers of the topic that a canonical means now from being evaluated.
    pub(crate) fn trigger_problem(&self, base: Base, name: &Canonical) -> Option<Arc<str>> {
        // Hardly ever is there any, and every notification asks.
        if !self.trigger_problems.any() {
            return None;
        }
        let topics = self.topics.load();
        self.trigger_problems.of(base, topics.get(&base)?.meant(name)?)
    }

    /// The topic that a canonical means now, if anything goes with its events.
    pub(crate) fn shaped_topic(&self, base: Base, name: &Canonical) -> Option<Arc<CompiledTopic>> {
        self.topics.load().get(&base)?.shaped.get(name).cloned()
    }

    /// Brings what a subscription asks for within the operator's bounds (RQ-SB-14, RQ-SB-27).
    pub(crate) fn bound(&self, subscription: &mut Subscription) {
        let config = &self.config.subscriptions;
        let heartbeat_min = match (&subscription.channel_type, &self.config.email) {
            (ChannelType::Email, Some(email)) => email.heartbeat_min.max(config.heartbeat_min),
            _ => config.heartbeat_min,
        };
        let raise = |period: Duration| period.max(heartbeat_min);
        subscription.heartbeat_period = subscription.heartbeat_period.map(raise);
        subscription.timeout = subscription.timeout.map(|one| one.min(config.timeout_max));
        subscription.max_count = subscription.max_count.map(|one| one.min(config.max_count_max));
    }

    /// Codes of the channels that this server sends over.
    pub(crate) fn channels(&self) -> Vec<&'static str> {
        let configured = [
            ("email", self.config.email.is_some()),
            ("kafka", self.brokers.kafka.is_some()),
            ("nats", self.brokers.nats.is_some()),
        ];
        let configured = configured.into_iter().filter_map(|(code, is)| is.then_some(code));
        ["rest-hook", "websocket", "message"].into_iter().chain(configured).collect()
    }

    /// Whether the node stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Position of the last visible change.
    pub(crate) fn head(&self) -> Option<Position> {
        Position::new(self.head.load(Ordering::Acquire))
    }

    /// URL of a base, such as `http://127.0.0.1:8080/r4`.
    pub(crate) fn base_url(&self, version: FhirVersion) -> String {
        format!("{}/{}", self.config.base_url, version.path())
    }
}

/// Does what blocks on a thread that may.
async fn with_permit<T, F>(permit: OwnedSemaphorePermit, piece: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    tokio::task::spawn_blocking(holding(permit, piece)).await.map_err(Error::internal)?
}

/// A piece of work that holds its permit until it has ended, also when nobody waits for it any more.
fn holding<T>(permit: OwnedSemaphorePermit, piece: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _permit = permit;
        piece()
    }
}

/// Whether notifications of a channel are sent by the delivery loop, to an endpoint or a broker.
pub(crate) fn is_sent_to(channel: &ChannelType) -> bool {
    match channel {
        ChannelType::Email
        | ChannelType::Kafka
        | ChannelType::Message
        | ChannelType::Nats
        | ChannelType::RestHook => true,
        ChannelType::Custom(_) | ChannelType::Websocket => false,
    }
}
