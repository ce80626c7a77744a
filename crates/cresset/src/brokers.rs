//! The channels to message brokers, made of their sections of the configuration.

use std::path::Path;

use anyhow::Context as _;
use cresset_channel::{
    AllowedDestination, Broker, BrokerPolicy, BrokerTls, Identity, Kafka, KafkaConfig, KafkaLogin,
    Nats, NatsConfig, NatsLogin, Secret,
};
use cresset_node::Brokers;

use crate::config::{Config, brokers};

/// What brokers know this server by.
const NAME: &str = "cresset";

/// The brokers that are configured. Reads the files of certificates and passwords; connects to none.
pub(crate) fn open(config: &Config) -> anyhow::Result<Brokers> {
    let has_kafka = !config.kafka.connection.servers.is_empty();
    let has_nats = !config.nats.connection.servers.is_empty();
    Ok(Brokers {
        kafka: has_kafka.then(|| kafka(&config.kafka)).transpose()?,
        nats: has_nats.then(|| nats(&config.nats)).transpose()?,
    })
}

fn kafka(section: &brokers::Kafka) -> anyhow::Result<Kafka> {
    let connection = &section.connection;
    let login = match (section.mechanism, &connection.user, password(connection)?) {
        (Some(mechanism), Some(user), Some(password)) => {
            Some(KafkaLogin { mechanism, user: user.clone(), password })
        }
        _ => None,
    };
    let config = KafkaConfig {
        servers: connection.servers.clone(),
        tls: tls(connection),
        login,
        client_id: NAME.to_owned(),
        connect_timeout: connection.connect_timeout,
        record_bytes_max: section.record_max.get(),
        policy: policy(Broker::Kafka, &section.topic, &section.allow_topics, connection),
    };
    Kafka::new(config).context("the channel kafka cannot be set up")
}

fn nats(section: &brokers::Nats) -> anyhow::Result<Nats> {
    let connection = &section.connection;
    let token = section.token_file.as_deref().map(secret_in).transpose()?;
    let login = match (&connection.user, password(connection)?, token) {
        (Some(user), Some(password), _) => {
            Some(NatsLogin::Password { user: user.clone(), password })
        }
        (_, _, token) => token.map(NatsLogin::Token),
    };
    let config = NatsConfig {
        servers: connection.servers.clone(),
        tls: tls(connection),
        login,
        name: NAME.to_owned(),
        connect_timeout: connection.connect_timeout,
        policy: policy(Broker::Nats, &section.subject, &section.allow_subjects, connection),
    };
    Nats::new(config).context("the channel nats cannot be set up")
}

fn policy(
    broker: Broker,
    default: &str,
    allow: &[AllowedDestination],
    connection: &brokers::Connection,
) -> BrokerPolicy {
    let confidential = connection.is_confidential();
    BrokerPolicy { broker, default: default.to_owned(), allow: allow.to_vec(), confidential }
}

fn tls(connection: &brokers::Connection) -> Option<BrokerTls> {
    let certificate = connection.client_certificate_file.clone();
    connection.tls.then(|| BrokerTls {
        extra_ca_files: connection.extra_ca_files.clone(),
        identity: certificate
            .zip(connection.client_key_file.clone())
            .map(|(certificate_file, key_file)| Identity { certificate_file, key_file }),
    })
}

fn password(connection: &brokers::Connection) -> anyhow::Result<Option<Secret>> {
    connection.password_file.as_deref().map(secret_in).transpose()
}

/// The secret that a file holds, without the line break at its end.
fn secret_in(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the secret in {} cannot be read", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!text.is_empty(), "the file {} holds no secret", path.display());
    Ok(Secret::new(text.to_owned()))
}
