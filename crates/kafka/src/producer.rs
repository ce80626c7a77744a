//! Writing one record.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::connection::left_until;
use crate::error::Error;
use crate::record::Record;

/// Confirmed by all replicas that are in sync.
const ACKS_ALL: i16 = -1;
/// What the broker gets less than the caller has: its word that the replicas were too slow is worth
/// more than none.
const BROKER_MARGIN: Duration = Duration::from_millis(200);

/// A producer. Clones share the connections. It connects when the first record is sent.
#[derive(Clone)]
pub struct Producer {
    cluster: Arc<Cluster>,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("config", &self.cluster.config).finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer that is not connected yet.
    pub fn new(config: Config) -> Self {
        Self { cluster: Arc::new(Cluster::new(config)) }
    }

    /// Writes a record and waits until all replicas in sync have it, at most for `within`.
    ///
    /// If another broker leads the partition by now, it is sent there; nothing else is tried again.
    ///
    /// Cancel safety: dropping the future abandons the record; whether it was written is then
    /// unknown.
    ///
    /// # Errors
    ///
    /// [`Error`] tells whether the record may have been written all the same.
    pub async fn send(&self, record: &Record, within: Duration) -> Result<Placed, Error> {
        if record.bytes() > self.cluster.config.record_bytes_max {
            return Err(Error::TooLarge);
        }
        let batch = record.batch()?;
        let deadline = Instant::now() + within;
        let sending = async {
            match self.send_once(record, &batch, deadline).await {
                Err(error) if error.may_be_of_yesterday() => {
                    self.cluster.forget(&record.topic);
                    self.send_once(record, &batch, deadline).await
                }
                other => other,
            }
        };
        timeout_at(deadline, sending).await.unwrap_or(Err(Error::TimedOut))
    }

    async fn send_once(
        &self,
        record: &Record,
        batch: &Bytes,
        deadline: Instant,
    ) -> Result<Placed, Error> {
        let (partition, connection) = self.cluster.leader(&record.topic, &record.key).await?;
        let wait = left_until(deadline).saturating_sub(BROKER_MARGIN).as_millis().max(1);
        let name = TopicName(StrBytes::from_string(record.topic.clone()));
        let data =
            PartitionProduceData::default().with_index(partition).with_records(Some(batch.clone()));
        let data = TopicProduceData::default().with_name(name).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(i32::try_from(wait).unwrap_or(i32::MAX))
            .with_topic_data(vec![data]);
        let told = connection.ask(&request).await?;
        let told = told.responses.first().and_then(|topic| topic.partition_responses.first());
        let told = told.ok_or(Error::Protocol("it does not tell what became of a record"))?;
        match Error::of_code(told.error_code) {
            None => Ok(Placed { partition, offset: told.base_offset }),
            Some(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
