//! What is written.

use std::fmt;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use crate::error::Error;

/// The format of record batches since Kafka 0.11.
const BATCH_VERSION: i8 = 2;

/// One record to write.
#[derive(Clone)]
pub struct Record {
    /// The topic at the broker.
    pub topic: String,
    /// Decides the partition; records with the same key stay in order.
    pub key: Bytes,
    /// Names and values; of several with one name the last counts.
    pub headers: Vec<(String, Bytes)>,
    /// What is told.
    pub value: Bytes,
    /// When it was made, in milliseconds since 1970.
    pub timestamp: i64,
}

/// Not derived: keys, headers and values are not for logs.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Bytes of key, headers and value.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        self.key.len() + self.value.len() + headers.sum::<usize>()
    }

    /// A batch of this record alone.
    pub(crate) fn batch(&self) -> Result<Bytes, Error> {
        let headers = self.headers.iter();
        let record = kafka_protocol::records::Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence: NO_SEQUENCE,
            timestamp: self.timestamp,
            key: Some(self.key.clone()),
            value: Some(self.value.clone()),
            headers: headers
                .map(|(name, value)| (StrBytes::from_string(name.clone()), Some(value.clone())))
                .collect(),
        };
        let options =
            RecordEncodeOptions { version: BATCH_VERSION, compression: Compression::None };
        let mut bytes = BytesMut::with_capacity(self.bytes() + 256);
        RecordBatchEncoder::encode(&mut bytes, [&record], &options)
            .map_err(|_| Error::Protocol("the record cannot be coded"))?;
        Ok(bytes.freeze())
    }
}
