//! The channel `kafka`: one record to a topic (docs/channels/kafka.md).
//!
//! **For**: one attempt, and what came of it; the speaking is `cresset-kafka`'s. **Must not know**
//! what the bytes are, nor what happens after a failure.
//!
//! **Invariants**: a success means that all replicas in sync have the record; its key is the
//! publication's, so that what one subscription tells stays in order in one partition; no subscriber
//! is blamed for what is the operator's to set right. What codes of a broker mean is tested in
//! `kafka/tests.rs`.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use cresset_kafka::{
    Config, Error as KafkaError, Login, Mechanism, Producer, Record, ServerAddress,
};
use tokio::time::Instant;

use crate::broker::{BrokerPolicy, Publication};
use crate::outcome::{Failure, FailureKind, NoResponse, Outcome, Verdict};
use crate::secret::Secret;
use crate::tls::{BrokerTls, Error, broker_config, untrusted_because};

/// How long a broker may leave records unanswered before the connection is given up. Subscribers with
/// shorter timeouts give up for themselves.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Where Kafka is and how to speak to it.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Brokers to ask for the cluster; at least one.
    pub servers: Vec<ServerAddress>,
    /// TLS; none for connections in the clear.
    pub tls: Option<BrokerTls>,
    /// How to log in; none for not at all, or with the certificate.
    pub login: Option<KafkaLogin>,
    /// What the brokers know the client by.
    pub client_id: String,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// Largest record, key and headers included.
    pub record_bytes_max: usize,
    /// Where records may go.
    pub policy: BrokerPolicy,
}

/// How to log in to Kafka.
#[derive(Debug, Clone)]
pub struct KafkaLogin {
    /// The SASL mechanism.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// The channel to Kafka. Clones share the connections, which are made when they are needed.
#[derive(Debug, Clone)]
pub struct Kafka(Arc<Shared>);

/// What clones share.
#[derive(Debug)]
struct Shared {
    config: KafkaConfig,
    producer: ArcSwap<Producer>,
}

impl Kafka {
    /// A channel that is not connected yet. Reads certificate files; call it at start-up.
    ///
    /// # Errors
    ///
    /// Files of certificates that cannot be used: do not start.
    pub fn new(config: KafkaConfig) -> Result<Self, Error> {
        let producer = ArcSwap::from_pointee(producer(&config)?);
        Ok(Self(Arc::new(Shared { config, producer })))
    }

    /// Reads certificate files again, for this and all its clones, and connects anew; attempts under way
    /// end as they began. Reads files; do not call it where nothing may block.
    ///
    /// # Errors
    ///
    /// As [`Self::new`]. Everything stays as it was then.
    pub fn reload(&self) -> Result<(), Error> {
        self.0.producer.store(Arc::new(producer(&self.0.config)?));
        Ok(())
    }

    /// Where records may go.
    pub fn policy(&self) -> &BrokerPolicy {
        &self.0.config.policy
    }

    /// Writes one record and waits until all replicas in sync have it.
    ///
    /// After a failure of kind `NoResponse` it may be written all the same.
    ///
    /// Cancel safety: dropping the future abandons the attempt; whether the record was written is
    /// then unknown.
    pub async fn attempt(&self, publication: Publication) -> Outcome {
        let started = Instant::now();
        let verdict = match self.publish(publication).await {
            Ok(()) => Verdict::Published,
            Err(failure) => Verdict::Failure(failure),
        };
        Outcome { verdict, duration: started.elapsed(), text: None }
    }

    async fn publish(&self, publication: Publication) -> Result<(), Failure> {
        let headers = publication.all_headers().map_err(|refusal| Failure {
            kind: FailureKind::Refused,
            detail: refusal.to_string(),
        })?;
        let headers = headers.into_iter();
        let record = Record {
            headers: headers
                .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value.as_bytes())))
                .collect(),
            topic: publication.destination,
            key: Bytes::from(publication.key),
            value: publication.body,
            timestamp: publication.now.as_millisecond(),
        };
        let producer = self.0.producer.load_full();
        let sent = producer.send(&record, publication.deadline).await;
        sent.map(|_| ()).map_err(|error| failure_of(&error))
    }
}

/// A producer that is not connected yet. Reads certificate files.
fn producer(config: &KafkaConfig) -> Result<Producer, Error> {
    let tls = config.tls.as_ref().map(broker_config).transpose()?;
    let login = config.login.as_ref().map(|login| Login {
        mechanism: login.mechanism,
        user: login.user.clone(),
        password: login.password.reveal().to_owned(),
    });
    Ok(Producer::new(Config {
        servers: config.servers.clone(),
        tls: tls.map(Arc::new),
        login,
        client_id: config.client_id.clone(),
        connect_timeout: config.connect_timeout,
        silence_max: SILENCE_MAX,
        record_bytes_max: config.record_bytes_max,
    }))
}

fn failure_of(error: &KafkaError) -> Failure {
    let kind = match error {
        // Until the operator has set it right, it is as if there were no broker.
        KafkaError::Authentication
        | KafkaError::Connect(_)
        | KafkaError::Exposed
        | KafkaError::Protocol(_) => FailureKind::NoResponse(NoResponse::Connect),
        // The operator's to set right, too, but perhaps of one topic only: those who write to others
        // do not wait for it.
        KafkaError::Forbidden(_) | KafkaError::Unavailable(_) => {
            FailureKind::Broker { lasting: false }
        }
        KafkaError::Interrupted => FailureKind::NoResponse(NoResponse::Interrupted),
        KafkaError::Lookup => FailureKind::DnsResolution,
        KafkaError::Refused(_) | KafkaError::TooLarge => FailureKind::Broker { lasting: true },
        KafkaError::Tls(_) => FailureKind::NoResponse(NoResponse::Tls),
        KafkaError::TimedOut => FailureKind::NoResponse(NoResponse::Timeout),
    };
    let detail = match error {
        KafkaError::Tls(cause) => untrusted_because(cause).to_owned(),
        KafkaError::TooLarge => {
            "the record is larger than the broker takes; a smaller maxCount or content helps"
                .to_owned()
        }
        KafkaError::Authentication
        | KafkaError::Connect(_)
        | KafkaError::Exposed
        | KafkaError::Forbidden(_)
        | KafkaError::Interrupted
        | KafkaError::Lookup
        | KafkaError::Protocol(_)
        | KafkaError::Refused(_)
        | KafkaError::TimedOut
        | KafkaError::Unavailable(_) => error.to_string(),
    };
    Failure { kind, detail }
}

#[cfg(test)]
mod tests;
