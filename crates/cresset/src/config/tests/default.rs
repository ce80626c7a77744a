//! `default.toml`: what it says is what holds, and its prose is true.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use cresset_channel::Security;
use tracing::level_filters::LevelFilter;

use super::super::brokers::{Connection, Kafka, Nats};
use super::super::console::{Console, Serve};
use super::super::reader::Reader;
use super::super::{
    Audit, AuditLevel, Auth, Config, DEFAULT, Delivery, Email, Limits, Log, LogFormat, Message,
    Metrics, Recovery, RestHook, Retention, Search, SearchIndex, Server, Store, StoreKind,
    Subscriptions, Telemetry, Topics, Validation, Websocket, defaults, reference,
};
use super::{flags, load_with};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn n(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

/// To no broker.
fn connection() -> Connection {
    Connection {
        servers: Vec::new(),
        tls: true,
        extra_ca_files: Vec::new(),
        client_certificate_file: None,
        client_key_file: None,
        user: None,
        password_file: None,
        connect_timeout: seconds(5),
    }
}

fn expected() -> Config {
    Config {
        server: Server {
            listen: "127.0.0.1:8080".parse().unwrap(),
            base_url: None,
            shutdown_grace: seconds(10),
            request_timeout: seconds(30),
            cors_origins: Vec::new(),
            medplum: true,
        },
        store: Store { kind: StoreKind::Embedded, directory: PathBuf::from("data") },
        limits: Limits {
            body_max: n(10 << 20),
            bundle_entries_max: n(10_000),
            search_count_default: n(50),
            search_count_max: n(1000),
            requests_max: n(1024),
            write_queue_max: n(4096),
            reads_max: n(16),
            subscriptions_per_client_max: n(100_000),
            sockets_max: n(20_000),
            sockets_unbound_max: n(1000),
            socket_frame_max: n(64 << 10),
        },
        topics: Topics { directory: None, bundled: true, packs: Vec::new(), accept_draft: false },
        auth: Auth::None,
        subscriptions: Subscriptions {
            heartbeat_min: seconds(5),
            timeout_default: seconds(30),
            timeout_max: seconds(60),
            max_count_default: NonZeroU32::new(100).unwrap(),
            max_count_max: NonZeroU32::new(1000).unwrap(),
            includes_per_event_max: NonZeroUsize::new(50).unwrap(),
            flush_missed: false,
        },
        websocket: Websocket {
            token_lifetime: seconds(30 * 60),
            bind_deadline: seconds(30),
            expiry_grace: seconds(10),
        },
        rest_hook: RestHook {
            handshake_delay: seconds(1),
            handshake_retry_schedule: [2, 4, 8, 15, 30].map(seconds).to_vec(),
            retry_schedule: [5, 30, 120, 900, 3_600, 14_400, 43_200, 86_400].map(seconds).to_vec(),
            concurrency_max: n(256),
            connect_timeout: seconds(5),
            idle_connections_per_host_max: n(8),
            idle_connection_timeout: seconds(60),
            https_only: None,
            allow_local_endpoints: false,
            allow_addresses: Vec::new(),
            deny_addresses: Vec::new(),
            extra_ca_files: Vec::new(),
            proxy: None,
            hosts: Vec::new(),
        },
        delivery: Delivery {
            retry_after_max: seconds(60 * 60),
            rejection_retries_max: NonZeroU32::new(3).unwrap(),
            off_after: seconds(5 * 24 * 60 * 60),
            heartbeats_in_error: true,
            coalesce_window: Duration::ZERO,
            concurrency_per_host_max: n(32),
            bytes_in_flight_max: n(256 << 20),
            host_failures_max: NonZeroU32::new(10).unwrap(),
            host_pause_min: seconds(5),
            host_pause_max: seconds(5 * 60),
            attempts_per_subscription_max: n(20),
            attempts_max: n(10_000),
            signing_keys: Vec::new(),
            signing_key_files: Vec::new(),
            traceparent: false,
        },
        message: Message {
            event_system: "http://example.org/fhir/message-events".to_owned(),
            event_code: "subscription-notification".to_owned(),
        },
        kafka: Kafka {
            connection: connection(),
            mechanism: None,
            topic: "cresset".to_owned(),
            allow_topics: Vec::new(),
            record_max: n(1_000_000),
        },
        nats: Nats {
            connection: connection(),
            token_file: None,
            subject: "cresset".to_owned(),
            allow_subjects: Vec::new(),
        },
        email: Email {
            relay: None,
            port: NonZeroU32::new(587).unwrap(),
            security: Security::StartTls,
            username: None,
            password: None,
            password_file: None,
            extra_ca_files: Vec::new(),
            connect_timeout: seconds(10),
            connections_max: n(4),
            from: None,
            reply_to: None,
            link_base_url: None,
            link_key_file: None,
            confirm: true,
            confirmation_lifetime: seconds(2 * 24 * 60 * 60),
            message_max: n(10 << 20),
            allow_full_resource: false,
            allow_domains: Vec::new(),
            deny_domains: Vec::new(),
            mails_per_hour_max: NonZeroU32::new(60).unwrap(),
            confirmations_per_day_max: NonZeroU32::new(5).unwrap(),
            heartbeat_min: seconds(60 * 60),
        },
        recovery: Recovery { events_per_second: NonZeroU32::new(100).unwrap() },
        retention: Retention {
            events_keep: seconds(30 * 24 * 60 * 60),
            events_per_subscription_max: n(100_000),
        },
        search: Search {
            index: SearchIndex::Listed(
                "asserter authoredon birthdate category clinical-status code criteria date \
                 derived-or-self encounter family gender given identifier intent name organization \
                 patient performer practitioner resource status subject title topic type url version"
                    .split(' ')
                    .map(str::to_owned)
                    .collect(),
            ),
            wait_max: seconds(5),
            concurrency_max: n(8),
        },
        validation: Validation { level: cresset_node::ValidationLevel::Strict },
        log: Log { format: LogFormat::Pretty, level: LevelFilter::INFO, targets: Vec::new() },
        metrics: Metrics { access: cresset_api::MetricsAccess::Right },
        telemetry: Telemetry {
            otlp_endpoint: None,
            otlp_headers_file: None,
            sampled_one_in: NonZeroU32::MIN,
        },
        audit: Audit {
            level: AuditLevel::Off,
            directory: None,
            file_max: n(16 << 20),
            files_max: n(64),
        },
        console: Console {
            serve: Serve::Local,
            user: None,
            password_hash: None,
            session_lifetime: seconds(8 * 60 * 60),
        },
    }
}

#[test]
fn the_defaults_are_the_expected_ones() {
    assert_eq!(load_with("", &[], flags()).unwrap(), expected());
}

#[test]
fn the_printed_default_is_a_file_that_changes_nothing() {
    assert_eq!(load_with(DEFAULT, &[], flags()).unwrap(), expected());
}

#[test]
fn the_examples_of_keys_without_default_are_good() {
    let uncommented: String = DEFAULT
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(text) if !text.is_empty() && !text.starts_with(' ') => format!("{text}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let uncommented = uncommented
        .replace("mode = \"none\"", "mode = \"tokens\"")
        .replace("mechanism = \"none\"", "mechanism = \"plain\"")
        // Instead of a user.
        .replace("token-file = \"nats-token\"", "")
        // Instead of a password.
        .replace("password-file = \"/run/secrets/smtp-password\"", "");
    let loaded = load_with(&uncommented, &[], flags()).unwrap();
    assert!(loaded.server.base_url.is_some());
    assert!(loaded.topics.directory.is_some());
    assert!(matches!(loaded.auth, Auth::Tokens(clients) if clients.len() == 1));
    assert_eq!((loaded.rest_hook.hosts.len(), loaded.rest_hook.proxy.is_some()), (1, true));
}

/// The comment above each key of the file.
fn comments() -> BTreeMap<String, String> {
    let mut comments = BTreeMap::new();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in DEFAULT.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
            continue;
        }
        if bare.starts_with('[') {
            section = bare.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = bare.split_once(" = ") {
            comments.insert(format!("{section}.{key}"), comment.join(" "));
        }
        comment.clear();
    }
    comments
}

#[test]
fn every_key_is_documented_with_its_bounds_and_every_documented_key_is_read() {
    let mut reader = Reader::new(defaults(), defaults(), Vec::new());
    let _read = Config::read(&mut reader);
    let (problems, known) = reader.finish();
    assert_eq!(problems, []);
    let mut comments = comments();
    // Lists of sections are read whole, so their keys are not among the known.
    for list in ["auth.client", "rest-hook.tls"] {
        let keys = comments.len();
        comments.retain(|key, _| !key.starts_with(&format!("{list}.")));
        assert!(comments.len() < keys, "{list} has keys");
        comments.insert(list.to_owned(), "A list of sections.".to_owned());
    }
    let documented: Vec<_> = comments.keys().map(String::as_str).collect();
    let read: Vec<_> = known.keys().copied().collect();
    assert_eq!(documented, read);
    for (key, bounds) in known {
        let comment = &comments[key];
        assert!(!comment.is_empty(), "{key} has no comment");
        if let Some(bounds) = bounds {
            assert!(comment.contains(&bounds), "{key} does not say {bounds:?}: {comment}");
        }
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = reference::render();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == page, "docs/configuration.md is old: UPDATE_GOLDEN=1 rewrites it");
}
