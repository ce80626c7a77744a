//! The configuration: `default.toml`, a file, the environment and flags, in this order.
//!
//! **For**: one value, [`Config`], whose parts cannot be wrong, or all [`Problems`] at once, each
//! with the place it comes from. **Owns** the keys and their bounds. **Must not know** what the
//! values are used for; wiring maps each section to the options of a crate.
//!
//! **Invariants**: what `default.toml` says is what is compiled in, so it cannot differ from the
//! defaults in force; every key in it is read and every key read is in it, with the bounds that its
//! comment tells; no message repeats a secret.
//!
//! Its tests are in `config/tests.rs` and `config/tests/`; one of them keeps
//! `docs/configuration.md` equal to `default.toml`.

pub(crate) mod auth;
pub(crate) mod brokers;
pub(crate) mod console;
mod email;
mod entries;
mod problem;
mod reader;
#[cfg(test)]
mod reference;
mod telemetry;
mod tls;
mod tree;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cresset_channel::{HostConfig, InvalidSigningKey, IpNet, ProxyUrl, SigningKey};
use cresset_fhir::ENTRIES_MAX;
use cresset_node::ValidationLevel;
use tracing::level_filters::LevelFilter;
use url::{Host, Url};

pub(crate) use auth::Auth;
pub(crate) use console::Console;
pub(crate) use email::Email;
pub(crate) use problem::{Origin, Problem, Problems};
use reader::Reader;
pub(crate) use telemetry::{Audit, AuditLevel, Metrics, Telemetry};
use tree::Table;
pub(crate) use value::parse_duration;
use value::{boolean, choice, count, duration, list, size};

/// The annotated defaults: the lowest layer, and what `cresset config default` prints.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

/// The whole configuration, one field for each section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    pub(crate) topics: Topics,
    pub(crate) auth: Auth,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) websocket: Websocket,
    pub(crate) rest_hook: RestHook,
    pub(crate) delivery: Delivery,
    pub(crate) message: Message,
    pub(crate) kafka: brokers::Kafka,
    pub(crate) nats: brokers::Nats,
    pub(crate) email: Email,
    pub(crate) recovery: Recovery,
    pub(crate) retention: Retention,
    pub(crate) search: Search,
    pub(crate) validation: Validation,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) telemetry: Telemetry,
    pub(crate) audit: Audit,
    pub(crate) console: Console,
}

/// `[server]`; its fields, as those of all sections, are described in `default.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    pub(crate) base_url: Option<Url>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) medplum: bool,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) kind: StoreKind,
    pub(crate) directory: PathBuf,
}

/// `store.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Embedded,
    Memory,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) body_max: NonZeroUsize,
    pub(crate) bundle_entries_max: NonZeroUsize,
    pub(crate) search_count_default: NonZeroUsize,
    pub(crate) search_count_max: NonZeroUsize,
    pub(crate) requests_max: NonZeroUsize,
    pub(crate) write_queue_max: NonZeroUsize,
    pub(crate) reads_max: NonZeroUsize,
    pub(crate) subscriptions_per_client_max: NonZeroUsize,
    pub(crate) sockets_max: NonZeroUsize,
    pub(crate) sockets_unbound_max: NonZeroUsize,
    pub(crate) socket_frame_max: NonZeroUsize,
}

/// `[topics]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topics {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) bundled: bool,
    /// Indices in [`crate::topics::PACKS`].
    pub(crate) packs: Vec<usize>,
    pub(crate) accept_draft: bool,
}

/// `[subscriptions]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscriptions {
    pub(crate) heartbeat_min: Duration,
    pub(crate) timeout_default: Duration,
    pub(crate) timeout_max: Duration,
    pub(crate) max_count_default: NonZeroU32,
    pub(crate) max_count_max: NonZeroU32,
    pub(crate) includes_per_event_max: NonZeroUsize,
    pub(crate) flush_missed: bool,
}

/// `[websocket]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Websocket {
    pub(crate) token_lifetime: Duration,
    pub(crate) bind_deadline: Duration,
    pub(crate) expiry_grace: Duration,
}

/// `[rest-hook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RestHook {
    pub(crate) handshake_delay: Duration,
    pub(crate) handshake_retry_schedule: Vec<Duration>,
    pub(crate) retry_schedule: Vec<Duration>,
    pub(crate) concurrency_max: NonZeroUsize,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_connections_per_host_max: NonZeroUsize,
    pub(crate) idle_connection_timeout: Duration,
    pub(crate) https_only: Option<bool>,
    pub(crate) allow_local_endpoints: bool,
    pub(crate) allow_addresses: Vec<IpNet>,
    pub(crate) deny_addresses: Vec<IpNet>,
    pub(crate) extra_ca_files: Vec<PathBuf>,
    pub(crate) proxy: Option<ProxyUrl>,
    /// `[[rest-hook.tls]]`.
    pub(crate) hosts: Vec<HostConfig>,
}

/// `[recovery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    pub(crate) events_per_second: NonZeroU32,
}

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) retry_after_max: Duration,
    pub(crate) rejection_retries_max: NonZeroU32,
    pub(crate) off_after: Duration,
    pub(crate) heartbeats_in_error: bool,
    pub(crate) coalesce_window: Duration,
    pub(crate) concurrency_per_host_max: NonZeroUsize,
    pub(crate) bytes_in_flight_max: NonZeroUsize,
    pub(crate) host_failures_max: NonZeroU32,
    pub(crate) host_pause_min: Duration,
    pub(crate) host_pause_max: Duration,
    pub(crate) attempts_per_subscription_max: NonZeroUsize,
    pub(crate) attempts_max: NonZeroUsize,
    pub(crate) signing_keys: Vec<SigningKeyText>,
    pub(crate) signing_key_files: Vec<PathBuf>,
    pub(crate) traceparent: bool,
}

/// A signing key as text that can be read as one. A secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningKeyText(String);

impl SigningKeyText {
    /// Checks that the text is a key.
    pub(crate) fn new(text: String) -> Result<Self, InvalidSigningKey> {
        SigningKey::parse(&text).map(|_| Self(text))
    }

    /// The key.
    pub(crate) fn key(&self) -> Result<SigningKey, InvalidSigningKey> {
        SigningKey::parse(&self.0)
    }
}

impl fmt::Debug for SigningKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeyText(…)")
    }
}

/// `[message]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) event_system: String,
    pub(crate) event_code: String,
}

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) events_keep: Duration,
    pub(crate) events_per_subscription_max: NonZeroUsize,
}

/// `[search]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) index: SearchIndex,
    pub(crate) wait_max: Duration,
    pub(crate) concurrency_max: NonZeroUsize,
}

/// `search.index`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchIndex {
    All,
    /// Codes, sorted, each once.
    Listed(Vec<String>),
    None,
}

/// `[validation]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validation {
    pub(crate) level: ValidationLevel,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LevelFilter,
    pub(crate) targets: Vec<(String, LevelFilter)>,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Json,
    Pretty,
}

/// What the flags of `serve` override, as text: they are checked with everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `--listen`.
    pub(crate) listen: Option<String>,
    /// `--base-url`.
    pub(crate) base_url: Option<String>,
    /// `--data`.
    pub(crate) data: Option<String>,
    /// `--topics`.
    pub(crate) topics: Option<String>,
    /// `--allow-local-endpoints`.
    pub(crate) allow_local_endpoints: bool,
}

impl Server {
    /// The URL that clients use, without a slash at its end; `bound` is the address listened on.
    pub(crate) fn base_url(&self, bound: SocketAddr) -> String {
        match &self.base_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{bound}"),
        }
    }

    /// Whether it is for this machine only, as far as the configuration tells.
    pub(crate) fn is_local(&self) -> bool {
        let is_here = self.base_url.as_ref().is_none_or(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        });
        is_here && self.listen.ip().to_canonical().is_loopback()
    }
}

/// Reads all layers.
///
/// `environment` may hold any variables; those that begin with `CRESSET__` count.
///
/// # Errors
///
/// Everything that is wrong in any layer: show it and do not start.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: Flags,
) -> Result<Config, Problems> {
    let defaults = defaults();
    let mut merged = defaults.clone();
    let mut problems = Vec::new();
    if let Some(path) = file {
        match tree::read_file(path) {
            Ok(layer) => tree::merge(&mut merged, layer, "", &mut problems),
            Err(errors) => problems.extend(errors),
        }
    }
    overlay_environment(&mut merged, environment, &mut problems);
    overlay_flags(&mut merged, flags, &mut problems);
    let mut reader = Reader::new(merged, defaults, problems);
    let config = Config::read(&mut reader);
    config.check(&mut reader);
    let (problems, _) = reader.finish();
    if problems.is_empty() { Ok(config) } else { Err(Problems::new(problems)) }
}

/// The variables of this process; what is not Unicode in a value becomes `U+FFFD`, which no key
/// takes for anything else than text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        name.starts_with(tree::ENVIRONMENT_PREFIX)
            .then(|| (name, value.to_string_lossy().into_owned()))
    })
}

fn defaults() -> Table {
    tree::parse_toml(DEFAULT, &|_| Origin::Default).expect("default.toml is TOML; a test reads it")
}

fn overlay_environment(
    merged: &mut Table,
    environment: impl Iterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) {
    // Sorted, so that of two names for one key always the same wins.
    for (name, value) in environment.collect::<BTreeMap<_, _>>() {
        if let Some(path) = tree::environment_path(&name) {
            let inserted = tree::insert(merged, &path, value, Origin::Environment(name));
            problems.extend(inserted.err());
        }
    }
}

fn overlay_flags(merged: &mut Table, flags: Flags, problems: &mut Vec<Problem>) {
    let allow_local = flags.allow_local_endpoints.then(|| "true".to_owned());
    for (flag, section, key, value) in [
        ("--listen", "server", "listen", flags.listen),
        ("--base-url", "server", "base-url", flags.base_url),
        ("--data", "store", "directory", flags.data),
        ("--topics", "topics", "directory", flags.topics),
        ("--allow-local-endpoints", "rest-hook", "allow-local-endpoints", allow_local),
    ] {
        let Some(value) = value else { continue };
        let path = [section.to_owned(), key.to_owned()];
        problems.extend(tree::insert(merged, &path, value, Origin::Flag(flag)).err());
    }
}

impl Config {
    fn read(reader: &mut Reader) -> Self {
        Self {
            server: Server::read(reader),
            store: Store::read(reader),
            limits: Limits::read(reader),
            topics: Topics::read(reader),
            auth: auth::read(reader),
            subscriptions: Subscriptions::read(reader),
            websocket: Websocket::read(reader),
            rest_hook: RestHook::read(reader),
            delivery: Delivery::read(reader),
            message: Message::read(reader),
            kafka: brokers::Kafka::read(reader),
            nats: brokers::Nats::read(reader),
            email: Email::read(reader),
            recovery: Recovery::read(reader),
            retention: Retention::read(reader),
            search: Search::read(reader),
            validation: Validation::read(reader),
            log: Log::read(reader),
            metrics: Metrics::read(reader),
            telemetry: Telemetry::read(reader),
            audit: Audit::read(reader),
            console: Console::read(reader),
        }
    }

    /// What no key can be wrong about alone.
    fn check(&self, reader: &mut Reader) {
        let address = self.server.listen.ip();
        if self.auth == Auth::None && !address.to_canonical().is_loopback() {
            let text = "listening on an address other than loopback needs auth.mode \"tokens\"";
            reader.contradiction(&["server.listen", "auth.mode", "auth.client"], text);
        }
        if self.server.base_url.is_none() && address.to_canonical().is_unspecified() {
            let text =
                "is required when listening on all addresses: clients get links made from it";
            reader.contradiction(&["server.base-url", "server.listen"], text);
        }
        let limits = &self.limits;
        if limits.search_count_default > limits.search_count_max {
            let keys = ["limits.search-count-default", "limits.search-count-max"];
            reader.contradiction(&keys, "must not be above limits.search-count-max");
        }
        if limits.sockets_unbound_max > limits.sockets_max {
            let keys = ["limits.sockets-unbound-max", "limits.sockets-max"];
            reader.contradiction(&keys, "must not be above limits.sockets-max");
        }
        let delivery = &self.delivery;
        if delivery.host_pause_min > delivery.host_pause_max {
            let keys = ["delivery.host-pause-min", "delivery.host-pause-max"];
            reader.contradiction(&keys, "must not be above delivery.host-pause-max");
        }
        self.kafka.check(reader);
        self.nats.check(reader);
        self.email.check(reader);
        self.console.check(reader, &self.auth);
        let subscriptions = &self.subscriptions;
        if subscriptions.timeout_default > subscriptions.timeout_max {
            let keys = ["subscriptions.timeout-default", "subscriptions.timeout-max"];
            reader.contradiction(&keys, "must not be above subscriptions.timeout-max");
        }
        if subscriptions.max_count_default > subscriptions.max_count_max {
            let keys = ["subscriptions.max-count-default", "subscriptions.max-count-max"];
            reader.contradiction(&keys, "must not be above subscriptions.max-count-max");
        }
    }
}

impl Server {
    fn read(reader: &mut Reader) -> Self {
        Self {
            listen: reader.required("server.listen", &value::socket_address()),
            base_url: reader.optional("server.base-url", &value::base_url()),
            shutdown_grace: reader.required("server.shutdown-grace", &duration("0s", "10m")),
            request_timeout: reader.required("server.request-timeout", &duration("1s", "10m")),
            cors_origins: reader.required("server.cors-origins", &list(value::origin(), 100)),
            medplum: reader.required("server.medplum", &boolean()),
        }
    }
}

impl Store {
    fn read(reader: &mut Reader) -> Self {
        const KINDS: &[(&str, StoreKind)] =
            &[("embedded", StoreKind::Embedded), ("memory", StoreKind::Memory)];
        Self {
            kind: reader.required("store.kind", &choice(KINDS)),
            directory: reader.required("store.directory", &value::path()),
        }
    }
}

impl Limits {
    fn read(reader: &mut Reader) -> Self {
        Self {
            body_max: reader.required("limits.body-max", &size("1KiB", "1GiB")),
            bundle_entries_max: reader
                .required("limits.bundle-entries-max", &count(1, ENTRIES_MAX as u64)),
            search_count_default: reader.required("limits.search-count-default", &count(1, 1000)),
            search_count_max: reader.required("limits.search-count-max", &count(1, 1000)),
            requests_max: reader.required("limits.requests-max", &count(1, 100_000)),
            write_queue_max: reader.required("limits.write-queue-max", &count(1, 1_000_000)),
            reads_max: reader.required("limits.reads-max", &count(1, 256)),
            subscriptions_per_client_max: reader
                .required("limits.subscriptions-per-client-max", &count(1, 10_000_000)),
            sockets_max: reader.required("limits.sockets-max", &count(1, 1_000_000)),
            sockets_unbound_max: reader
                .required("limits.sockets-unbound-max", &count(1, 1_000_000)),
            socket_frame_max: reader.required("limits.socket-frame-max", &size("1KiB", "1MiB")),
        }
    }
}

impl Topics {
    fn read(reader: &mut Reader) -> Self {
        Self {
            directory: reader.optional("topics.directory", &value::path()),
            bundled: reader.required("topics.bundled", &boolean()),
            packs: reader.required("topics.packs", &list(value::topic_pack(), 20)),
            accept_draft: reader.required("topics.accept-draft", &boolean()),
        }
    }
}

impl Subscriptions {
    fn read(reader: &mut Reader) -> Self {
        Self {
            heartbeat_min: reader.required("subscriptions.heartbeat-min", &duration("1s", "1h")),
            timeout_default: reader
                .required("subscriptions.timeout-default", &duration("1s", "10m")),
            timeout_max: reader.required("subscriptions.timeout-max", &duration("1s", "10m")),
            max_count_default: reader.required("subscriptions.max-count-default", &count(1, 1000)),
            max_count_max: reader.required("subscriptions.max-count-max", &count(1, 1000)),
            includes_per_event_max: reader
                .required("subscriptions.includes-per-event-max", &count(1, 1000)),
            flush_missed: reader.required("subscriptions.flush-missed", &boolean()),
        }
    }
}

impl Websocket {
    fn read(reader: &mut Reader) -> Self {
        Self {
            token_lifetime: reader.required("websocket.token-lifetime", &duration("1s", "1d")),
            bind_deadline: reader.required("websocket.bind-deadline", &duration("1s", "10m")),
            expiry_grace: reader.required("websocket.expiry-grace", &duration("0s", "10m")),
        }
    }
}

impl RestHook {
    fn read(reader: &mut Reader) -> Self {
        Self {
            handshake_delay: reader.required("rest-hook.handshake-delay", &duration("0s", "10m")),
            handshake_retry_schedule: reader
                .required("rest-hook.handshake-retry-schedule", &list(duration("0s", "1h"), 64)),
            retry_schedule: reader
                .required("rest-hook.retry-schedule", &list(duration("0s", "1d"), 64)),
            concurrency_max: reader.required("rest-hook.concurrency-max", &count(1, 100_000)),
            connect_timeout: reader.required("rest-hook.connect-timeout", &duration("100ms", "1m")),
            idle_connections_per_host_max: reader
                .required("rest-hook.idle-connections-per-host-max", &count(1, 1000)),
            idle_connection_timeout: reader
                .required("rest-hook.idle-connection-timeout", &duration("1s", "1h")),
            https_only: reader.optional("rest-hook.https-only", &boolean()),
            allow_local_endpoints: reader.required("rest-hook.allow-local-endpoints", &boolean()),
            allow_addresses: reader
                .required("rest-hook.allow-addresses", &list(value::prefix(), 1000)),
            deny_addresses: reader
                .required("rest-hook.deny-addresses", &list(value::prefix(), 1000)),
            extra_ca_files: reader.required("rest-hook.extra-ca-files", &list(value::path(), 100)),
            proxy: reader.optional("rest-hook.proxy", &value::proxy_url()),
            hosts: tls::read(reader),
        }
    }
}

impl Recovery {
    fn read(reader: &mut Reader) -> Self {
        Self {
            events_per_second: reader.required("recovery.events-per-second", &count(1, 100_000)),
        }
    }
}

impl Delivery {
    fn read(reader: &mut Reader) -> Self {
        Self {
            retry_after_max: reader.required("delivery.retry-after-max", &duration("0s", "1d")),
            rejection_retries_max: reader.required("delivery.rejection-retries-max", &count(1, 64)),
            off_after: reader.required("delivery.off-after", &duration("0s", "3650d")),
            heartbeats_in_error: reader.required("delivery.heartbeats-in-error", &boolean()),
            coalesce_window: reader.required("delivery.coalesce-window", &duration("0s", "10m")),
            concurrency_per_host_max: reader
                .required("delivery.concurrency-per-host-max", &count(1, 100_000)),
            bytes_in_flight_max: reader
                .required("delivery.bytes-in-flight-max", &size("1MiB", "64GiB")),
            host_failures_max: reader.required("delivery.host-failures-max", &count(1, 10_000)),
            host_pause_min: reader.required("delivery.host-pause-min", &duration("100ms", "1h")),
            host_pause_max: reader.required("delivery.host-pause-max", &duration("100ms", "1d")),
            attempts_per_subscription_max: reader
                .required("delivery.attempts-per-subscription-max", &count(1, 1000)),
            attempts_max: reader.required("delivery.attempts-max", &count(1, 1_000_000)),
            signing_keys: reader.required(
                "delivery.signing-keys",
                &value::signing_keys(cresset_channel::SIGNING_KEYS_MAX),
            ),
            signing_key_files: reader
                .required("delivery.signing-key-files", &list(value::path(), 8)),
            traceparent: reader.required("delivery.traceparent", &boolean()),
        }
    }
}

impl Message {
    fn read(reader: &mut Reader) -> Self {
        Self {
            event_system: reader.required("message.event-system", &value::name()),
            event_code: reader.required("message.event-code", &value::name()),
        }
    }
}

impl Retention {
    fn read(reader: &mut Reader) -> Self {
        Self {
            events_keep: reader.required("retention.events-keep", &duration("1m", "3650d")),
            events_per_subscription_max: reader
                .required("retention.events-per-subscription-max", &count(1, 1_000_000_000)),
        }
    }
}

impl Search {
    fn read(reader: &mut Reader) -> Self {
        Self {
            index: reader.required("search.index", &value::search_index(1000)),
            wait_max: reader.required("search.wait-max", &duration("100ms", "1m")),
            concurrency_max: reader.required("search.concurrency-max", &count(1, 256)),
        }
    }
}

impl Validation {
    fn read(reader: &mut Reader) -> Self {
        const LEVELS: &[(&str, ValidationLevel)] = &[
            ("lenient", ValidationLevel::Lenient),
            ("off", ValidationLevel::Off),
            ("strict", ValidationLevel::Strict),
        ];
        Self { level: reader.required("validation.level", &choice(LEVELS)) }
    }
}

impl Log {
    fn read(reader: &mut Reader) -> Self {
        const FORMATS: &[(&str, LogFormat)] =
            &[("json", LogFormat::Json), ("pretty", LogFormat::Pretty)];
        Self {
            format: reader.required("log.format", &choice(FORMATS)),
            level: reader.required("log.level", &choice(value::LEVELS)),
            targets: reader.required("log.targets", &list(value::log_target(), 100)),
        }
    }
}

#[cfg(test)]
mod tests;
