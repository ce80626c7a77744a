//! What is known of the cluster: which broker leads which partition, and the connections to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::config::{Config, ServerAddress};
use crate::connection::Connection;
use crate::error::{Code, Error};
use crate::partition::partition_of;

/// Topics that are remembered; when there are more, all are asked for anew.
const TOPICS_MAX: usize = 10_000;
/// Brokers whose connections are remembered, beyond which those that are closed are forgotten.
const BROKERS_MAX: usize = 256;
/// How long what was told of a topic is believed: partitions may be added.
const TOPIC_AGE_MAX: Duration = Duration::from_secs(300);

/// The version of the request for metadata from which on it can forbid that topics are made.
const TOPIC_CREATION_SINCE: i16 = 4;

/// The brokers that lead the partitions of a topic, by partition.
struct Topic {
    leaders: Vec<Option<ServerAddress>>,
    told: Instant,
}

/// A connection to one broker, made by one of those who want it while the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

/// The cluster as this client knows it.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    /// Which of the configured brokers is asked first.
    turn: AtomicUsize,
    topics: Mutex<BTreeMap<String, Arc<Topic>>>,
    slots: Mutex<BTreeMap<ServerAddress, Slot>>,
}

impl Cluster {
    pub(crate) fn new(config: Config) -> Self {
        let (topics, slots) = (Mutex::default(), Mutex::default());
        Self { config, turn: AtomicUsize::new(0), topics, slots }
    }

    /// The partition of a key, and a connection to the broker that leads it.
    pub(crate) async fn leader(
        &self,
        topic: &str,
        key: &[u8],
    ) -> Result<(i32, Arc<Connection>), Error> {
        let known = lock(&self.topics).get(topic).cloned();
        let known = known.filter(|known| known.told.elapsed() < TOPIC_AGE_MAX);
        let known = match known {
            Some(known) => known,
            None => self.ask_for(topic).await?,
        };
        let partition = partition_of(key, known.leaders.len());
        let leader = known.leaders.get(partition).and_then(Option::as_ref);
        let leader = leader.ok_or(Error::Unavailable(Code(ResponseError::LeaderNotAvailable)))?;
        let partition = i32::try_from(partition).map_err(|_| Error::Protocol("its partitions"))?;
        Ok((partition, self.connection(leader).await?))
    }

    /// Has the next record of this topic ask anew who leads its partitions.
    pub(crate) fn forget(&self, topic: &str) {
        lock(&self.topics).remove(topic);
    }

    /// Asks the configured brokers in turn, until one answers.
    async fn ask_for(&self, topic: &str) -> Result<Arc<Topic>, Error> {
        let servers = &self.config.servers;
        let first = self.turn.load(Ordering::Relaxed);
        let mut last = Error::Lookup;
        for index in 0..servers.len() {
            let at = (first + index) % servers.len();
            match self.ask_at(&servers[at], topic).await {
                Ok(found) => {
                    self.turn.store(at, Ordering::Relaxed);
                    let mut topics = lock(&self.topics);
                    if topics.len() >= TOPICS_MAX {
                        topics.clear();
                    }
                    topics.insert(topic.to_owned(), found.clone());
                    return Ok(found);
                }
                // What the broker knows of the topic, another knows too.
                Err(error @ (Error::Forbidden(_) | Error::Refused(_) | Error::Unavailable(_))) => {
                    return Err(error);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_at(&self, server: &ServerAddress, topic: &str) -> Result<Arc<Topic>, Error> {
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let topics = vec![MetadataRequestTopic::default().with_name(Some(name.clone()))];
        let connection = self.connection(server).await?;
        // Before, brokers that make topics make them for everybody who asks.
        let may_forbid = connection.version_of::<MetadataRequest>()? >= TOPIC_CREATION_SINCE;
        let request = MetadataRequest::default()
            .with_topics(Some(topics))
            .with_allow_auto_topic_creation(!may_forbid);
        let told = connection.ask(&request).await?;
        let brokers: BTreeMap<BrokerId, ServerAddress> = told
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                let address = ServerAddress { host: broker.host.to_string(), port };
                Some((broker.node_id, address))
            })
            .collect();
        let found = told.topics.iter().find(|one| one.name.as_ref() == Some(&name));
        let found = found.ok_or(Error::Protocol("it does not tell of the topic asked for"))?;
        if let Some(error) = Error::of_code(found.error_code) {
            return Err(error);
        }
        let leaders = leaders(found, &brokers)?;
        Ok(Arc::new(Topic { leaders, told: Instant::now() }))
    }

    /// A connection to this broker, the one that is there or a new one.
    async fn connection(&self, server: &ServerAddress) -> Result<Arc<Connection>, Error> {
        let slot = {
            let mut slots = lock(&self.slots);
            if slots.len() >= BROKERS_MAX {
                // Those in use are locked or shared.
                slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.try_lock().is_err());
            }
            slots.entry(server.clone()).or_default().clone()
        };
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|one| one.is_open()) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(Connection::open(server, &self.config).await?);
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

/// Who leads each partition, by its number.
fn leaders(
    topic: &MetadataResponseTopic,
    brokers: &BTreeMap<BrokerId, ServerAddress>,
) -> Result<Vec<Option<ServerAddress>>, Error> {
    let mut leaders = vec![None; topic.partitions.len()];
    for partition in &topic.partitions {
        let index = usize::try_from(partition.partition_index).ok();
        let place = index.and_then(|index| leaders.get_mut(index));
        let place = place.ok_or(Error::Protocol("the partitions of a topic have gaps"))?;
        *place = brokers.get(&partition.leader_id).cloned();
    }
    if leaders.is_empty() {
        return Err(Error::Protocol("a topic has no partitions"));
    }
    Ok(leaders)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
