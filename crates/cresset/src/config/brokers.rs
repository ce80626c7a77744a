//! The sections `[kafka]` and `[nats]`: the operator's message brokers.
//!
//! Without servers a section switches nothing on, whatever else it says. A login or whole resources
//! go over a connection without TLS only where it does not leave the machine.

use std::path::PathBuf;
use std::time::Duration;

use cresset_channel::{AllowedDestination, Broker, Mechanism, ServerAddress, is_loopback};

use super::reader::Reader;
use super::value::{self, boolean, choice, duration, list, size};

/// Most servers of one broker.
const SERVERS_MAX: usize = 16;
/// Most entries of a list of what clients may use.
const ALLOWED_MAX: usize = 10_000;

const MECHANISMS: &[(&str, Option<Mechanism>)] = &[
    ("none", None),
    ("plain", Some(Mechanism::Plain)),
    ("scram-sha-256", Some(Mechanism::ScramSha256)),
    ("scram-sha-512", Some(Mechanism::ScramSha512)),
];

/// `[kafka]`; its fields, as those of all sections, are described in `default.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kafka {
    pub(crate) connection: Connection,
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) topic: String,
    pub(crate) allow_topics: Vec<AllowedDestination>,
    pub(crate) record_max: std::num::NonZeroUsize,
}

/// `[nats]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nats {
    pub(crate) connection: Connection,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) subject: String,
    pub(crate) allow_subjects: Vec<AllowedDestination>,
}

/// What both sections have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) servers: Vec<ServerAddress>,
    pub(crate) tls: bool,
    pub(crate) extra_ca_files: Vec<PathBuf>,
    pub(crate) client_certificate_file: Option<PathBuf>,
    pub(crate) client_key_file: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
}

impl Connection {
    /// Whether nobody on the way can read what is sent.
    pub(crate) fn is_confidential(&self) -> bool {
        self.tls || self.servers.iter().all(|server| is_loopback(&server.host))
    }
}

impl Kafka {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let server = || list(value::broker_address(), SERVERS_MAX);
        let topics = list(value::allowed_destination(Broker::Kafka), ALLOWED_MAX);
        Self {
            connection: Connection {
                servers: reader.required("kafka.servers", &server()),
                tls: reader.required("kafka.tls", &boolean()),
                extra_ca_files: reader.required("kafka.extra-ca-files", &list(value::path(), 100)),
                client_certificate_file: reader
                    .optional("kafka.client-certificate-file", &value::path()),
                client_key_file: reader.optional("kafka.client-key-file", &value::path()),
                user: reader.optional("kafka.user", &value::name()),
                password_file: reader.optional("kafka.password-file", &value::path()),
                connect_timeout: reader.required("kafka.connect-timeout", &duration("100ms", "1m")),
            },
            mechanism: reader.required("kafka.mechanism", &choice(MECHANISMS)),
            topic: reader.required("kafka.topic", &value::destination(Broker::Kafka)),
            allow_topics: reader.required("kafka.allow-topics", &topics),
            record_max: reader.required("kafka.record-max", &size("1KiB", "64MiB")),
        }
    }

    pub(crate) fn check(&self, reader: &mut Reader) {
        let connection = &self.connection;
        if connection.client_certificate_file.is_some() != connection.client_key_file.is_some() {
            let keys = ["kafka.client-certificate-file", "kafka.client-key-file"];
            reader.contradiction(&keys, "goes together with kafka.client-key-file");
        }
        let login = (connection.user.is_some(), connection.password_file.is_some());
        let keys = ["kafka.mechanism", "kafka.user", "kafka.password-file"];
        match (self.mechanism.is_some(), login) {
            (true, (true, true)) | (false, (false, false)) => {}
            (true, _) => reader.contradiction(&keys, "needs a user and a file with its password"),
            (false, _) => reader.contradiction(&keys, "must say how to log in with the password"),
        }
        if self.mechanism.is_some() && !connection.is_confidential() {
            let text = "a login needs TLS, or a broker on this machine";
            reader.contradiction(&["kafka.mechanism", "kafka.tls", "kafka.servers"], text);
        }
    }
}

impl Nats {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let server = || list(value::broker_address(), SERVERS_MAX);
        let subjects = list(value::allowed_destination(Broker::Nats), ALLOWED_MAX);
        Self {
            connection: Connection {
                servers: reader.required("nats.servers", &server()),
                tls: reader.required("nats.tls", &boolean()),
                extra_ca_files: reader.required("nats.extra-ca-files", &list(value::path(), 100)),
                client_certificate_file: reader
                    .optional("nats.client-certificate-file", &value::path()),
                client_key_file: reader.optional("nats.client-key-file", &value::path()),
                user: reader.optional("nats.user", &value::name()),
                password_file: reader.optional("nats.password-file", &value::path()),
                connect_timeout: reader.required("nats.connect-timeout", &duration("100ms", "1m")),
            },
            token_file: reader.optional("nats.token-file", &value::path()),
            subject: reader.required("nats.subject", &value::destination(Broker::Nats)),
            allow_subjects: reader.required("nats.allow-subjects", &subjects),
        }
    }

    pub(crate) fn check(&self, reader: &mut Reader) {
        let connection = &self.connection;
        if connection.client_certificate_file.is_some() != connection.client_key_file.is_some() {
            let keys = ["nats.client-certificate-file", "nats.client-key-file"];
            reader.contradiction(&keys, "goes together with nats.client-key-file");
        }
        if connection.user.is_some() != connection.password_file.is_some() {
            let keys = ["nats.user", "nats.password-file"];
            reader.contradiction(&keys, "goes together with nats.password-file");
        }
        if self.token_file.is_some() && connection.user.is_some() {
            let keys = ["nats.token-file", "nats.user"];
            reader.contradiction(&keys, "is not needed beside nats.user");
        }
        let logs_in = self.token_file.is_some() || connection.user.is_some();
        if logs_in && !connection.is_confidential() {
            let text = "a login needs TLS, or a server on this machine";
            reader.contradiction(&["nats.tls", "nats.servers", "nats.user"], text);
        }
    }
}
