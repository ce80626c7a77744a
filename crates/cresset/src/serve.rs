//! `cresset serve`: from configuration to a running server, and to an orderly end.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use std::{io, process};

use anyhow::Context;
use cresset_api::Server;
use cresset_channel::{AddressPolicy, EndpointPolicy, RestHook, SIGNING_KEYS_MAX, SigningKey};
use cresset_engine::{BreakerPolicy, RetryPolicy, RetrySchedule};
use cresset_node::{
    AuditConfig, Authentication, Caller, Clock, Node, Rights, Stopper, SubscriptionBounds,
    TokenHash, Tracer,
};
use cresset_store::{MemoryStore, Store};
use cresset_store_embedded::EmbeddedStore;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::certificates::{self, Certificates};
use crate::cli::Serve;
use crate::config::auth::{Auth, Right};
use crate::config::{self, AuditLevel, Config, SearchIndex, StoreKind};
use crate::{brokers, demo, mail, otlp, telemetry, topics};

/// How long the store may take to be closed when the grace time is over.
const CLOSING_TIME_MAX: Duration = Duration::from_secs(30);

/// Runs the server until SIGTERM or SIGINT.
pub(crate) fn serve(arguments: &Serve) -> anyhow::Result<()> {
    let loaded =
        config::load(arguments.config.as_deref(), config::environment(), arguments.flags());
    let mut config = loaded.map_err(|problems| {
        anyhow::anyhow!("{} problem(s) in the configuration\n{problems}", problems.len())
    })?;
    if arguments.demo {
        demo::adjust(&mut config, arguments.data.is_some() || arguments.config.is_some());
    }
    telemetry::start(&config.log);
    // For HTTP clients that are made without a configuration of their own.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(run(config, arguments.demo))
}

/// Lets the process open as many files as the system allows it: every socket is one, and what a
/// shell passes on is often 1,024.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    match raised {
        Ok(()) => {
            tracing::debug!(limit.before = ?limit.current, limit = ?limit.maximum, "open files")
        }
        Err(error) => tracing::warn!(%error, "the limit on open files cannot be raised"),
    }
}

async fn run(config: Config, demo: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let bound = listener.local_addr().context("the listener has no address")?;
    let base_url = config.server.base_url(bound);
    let rest_hook = rest_hook(&config)?;
    // Heard before the store is read, which may take a while.
    let hangup = certificates::hangup()?;
    let (tracer, exporter) = otlp::start(&config.telemetry)?.unzip();
    let (node, stopper, certificates) = start(&config, base_url.clone(), rest_hook, tracer)?;
    certificates.reload_on(hangup);
    load_topics(&node, &config).await?;
    // Heard before anybody is told that the server is there, so that no SIGTERM is an abrupt end.
    let signals = wait_for_signal()?;
    announce(&format!("listening on http://{bound}\n"));
    tracing::info!(address = %bound, base_url, "listening");
    let server = Server::new(node.clone(), api_config(&config));
    let server = match console_config(&config) {
        Some(console) => {
            tracing::info!(url = format!("{base_url}/console"), "the console is served");
            server.beside(cresset_console::router(node.clone(), console))
        }
        None => server,
    };
    if demo {
        tokio::spawn(demo::play(base_url, config.store.directory.clone()));
    }
    let stopping = node.clone();
    let grace = config.server.shutdown_grace;
    let (tell_end, grace_end) = oneshot::channel();
    let stop = async move {
        signals.await;
        tracing::info!("stopping");
        let grace_end = Instant::now() + grace;
        stopping.begin_stop(grace_end);
        // Whoever waits for it has failed otherwise.
        let _nobody_waits = tell_end.send(grace_end);
    };
    server.serve(listener, stop, grace).await.context("the server failed")?;
    stop_by(grace_end.await.unwrap_or_else(|_| Instant::now()), stopper, node).await;
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the node to end, which has no attempt under way after the end of the grace time.
async fn stop_by(grace_end: Instant, stopper: Stopper, node: Arc<Node>) {
    let stopping = tokio::time::timeout_at(grace_end + CLOSING_TIME_MAX, stopper.stop(node));
    if stopping.await.is_err() {
        tracing::error!("the node did not end in time");
        process::exit(1);
    }
}

/// Opens the store and starts the node on it; gives the channels whose certificates can change, too.
fn start(
    config: &Config,
    base_url: String,
    rest_hook: RestHook,
    tracer: Option<Tracer>,
) -> anyhow::Result<(Arc<Node>, Stopper, Certificates)> {
    let store: Arc<dyn Store> = match config.store.kind {
        StoreKind::Embedded => {
            let directory = &config.store.directory;
            let opened = EmbeddedStore::open(directory);
            Arc::new(opened.with_context(|| {
                format!("the store in {} cannot be opened", directory.display())
            })?)
        }
        StoreKind::Memory => Arc::new(MemoryStore::new()),
    };
    let email = mail::config(config, &base_url)?;
    let brokers = brokers::open(config)?;
    let certificates = Certificates {
        rest_hook: rest_hook.clone(),
        email: email.as_ref().map(|email| email.relay.clone()),
        brokers: brokers.clone(),
    };
    let node_config = cresset_node::Config { email, tracer, ..node_config(config, base_url)? };
    let (node, stopper) = Node::start(node_config, store, rest_hook, brokers, Clock::system())
        .context("the state cannot be read from the store")?;
    Ok((node, stopper, certificates))
}

/// The channel that notifications are sent over.
fn rest_hook(config: &Config) -> anyhow::Result<RestHook> {
    let rest_hook = RestHook::new(&channel_config(config), endpoint_policy(config))
        .context("the HTTP client cannot be made")?
        .signing_with(signing_keys(config)?);
    if rest_hook.trusted_roots() == 0 {
        tracing::warn!("no certificate authorities are known: https endpoints will all fail");
    }
    Ok(rest_hook)
}

/// Brings bundled and configured topics into force; what is wrong with one is told and left out.
async fn load_topics(node: &Node, config: &Config) -> anyhow::Result<()> {
    let mut files = if config.topics.bundled { topics::bundled() } else { Vec::new() };
    files.extend(config.topics.packs.iter().flat_map(|pack| topics::pack(*pack)));
    if let Some(directory) = &config.topics.directory {
        files.extend(topics::read(directory)?);
    }
    let problems = node.load_topics(&files).await.context("topics cannot be loaded")?;
    for problem in problems {
        let refused = problem.issues.has_errors();
        for issue in problem.issues.0 {
            let file = &problem.name;
            if refused {
                tracing::error!(file, issue = %issue, "a topic was left out");
            } else {
                tracing::warn!(file, issue = %issue, "a topic may surprise");
            }
        }
    }
    Ok(())
}

/// Writes a line that scripts wait for; nobody reading it is no failure.
fn announce(line: &str) {
    let mut out = io::stdout();
    let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written {
        tracing::debug!(%error, "standard output is closed");
    }
}

/// Ready when the process is told to stop.
fn wait_for_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn api_config(config: &Config) -> cresset_api::Config {
    cresset_api::Config {
        body_bytes_max: config.limits.body_max.get(),
        request_time_max: config.server.request_timeout,
        requests_max: config.limits.requests_max.get(),
        socket_frame_bytes_max: config.limits.socket_frame_max.get(),
        cors_origins: config.server.cors_origins.clone(),
        medplum: config.server.medplum,
        metrics: config.metrics.access,
        ..cresset_api::Config::default()
    }
}

fn endpoint_policy(config: &Config) -> EndpointPolicy {
    EndpointPolicy {
        addresses: AddressPolicy {
            allow_local: config.rest_hook.allow_local_endpoints,
            allow: config.rest_hook.allow_addresses.clone(),
            deny: config.rest_hook.deny_addresses.clone(),
        },
        // Receivers of one's own, for trying things out, seldom have certificates.
        https_only: config.rest_hook.https_only.unwrap_or(!config.rest_hook.allow_local_endpoints),
    }
}

fn channel_config(config: &Config) -> cresset_channel::Config {
    cresset_channel::Config {
        connect_timeout: config.rest_hook.connect_timeout,
        idle_connections_per_host_max: config.rest_hook.idle_connections_per_host_max.get(),
        idle_connection_timeout: config.rest_hook.idle_connection_timeout,
        extra_ca_files: config.rest_hook.extra_ca_files.clone(),
        hosts: config.rest_hook.hosts.clone(),
        proxy: config.rest_hook.proxy.clone(),
        ..cresset_channel::Config::default()
    }
}

fn node_config(config: &Config, base_url: String) -> anyhow::Result<cresset_node::Config> {
    let Config { limits, subscriptions, websocket, retention, delivery, .. } = config;
    let endpoints = endpoint_policy(config);
    Ok(cresset_node::Config {
        base_url,
        authentication: authentication(&config.auth, &config.console),
        limits: cresset_node::Limits {
            write_events_max: cresset_store::GROUP_EVENTS_MAX / 4 * 3,
            body_bytes_max: limits.body_max.get(),
            bundle_entries_max: limits.bundle_entries_max.get(),
            search_count_default: limits.search_count_default.get(),
            search_count_max: limits.search_count_max.get(),
            subscriptions_per_client_max: limits.subscriptions_per_client_max.get(),
            write_queue_max: limits.write_queue_max.get(),
            reads_max: limits.reads_max.get(),
        },
        topics: cresset_node::TopicConfig { accept_draft: config.topics.accept_draft },
        subscriptions: cresset_node::SubscriptionConfig {
            heartbeat_min: subscriptions.heartbeat_min,
            timeout_max: subscriptions.timeout_max,
            max_count_max: subscriptions.max_count_max,
            includes_per_event_max: subscriptions.includes_per_event_max.get(),
            endpoints,
        },
        delivery: cresset_node::DeliveryConfig {
            retry: retry_policy(config)?,
            concurrency_max: config.rest_hook.concurrency_max,
            concurrency_per_host_max: delivery.concurrency_per_host_max,
            bytes_in_flight_max: delivery.bytes_in_flight_max,
            breaker: BreakerPolicy {
                failures_max: delivery.host_failures_max,
                pause_min: delivery.host_pause_min,
                pause_max: delivery.host_pause_max,
            },
            traceparent: delivery.traceparent,
            message_event: cresset_node::MessageEvent {
                system: config.message.event_system.clone(),
                code: config.message.event_code.clone(),
            },
            attempts_per_subscription_max: delivery.attempts_per_subscription_max,
            attempts_max: delivery.attempts_max,
        },
        websocket: cresset_node::WebsocketConfig {
            token_lifetime: websocket.token_lifetime,
            bind_deadline: websocket.bind_deadline,
            expiry_grace: websocket.expiry_grace,
            max_count_default: subscriptions.max_count_default,
            sockets_max: limits.sockets_max.get(),
            sockets_unbound_max: limits.sockets_unbound_max.get(),
        },
        // Wiring adds them: they have keys and files of their own.
        email: None,
        tracer: None,
        recovery: cresset_node::RecoveryConfig {
            events_per_second: config.recovery.events_per_second,
        },
        retention: cresset_node::RetentionConfig {
            events_keep: retention.events_keep,
            events_per_subscription_max: retention.events_per_subscription_max.get() as u64,
        },
        search: cresset_node::SearchConfig {
            index: match &config.search.index {
                SearchIndex::All => cresset_node::SearchIndex::All,
                SearchIndex::Listed(codes) => cresset_node::SearchIndex::Listed(codes.clone()),
                SearchIndex::None => cresset_node::SearchIndex::None,
            },
            wait_max: config.search.wait_max,
            concurrency_max: config.search.concurrency_max.get(),
        },
        validation: config.validation.level,
        audit: audit_config(config),
    })
}

/// The audit trail, if one is kept.
fn audit_config(config: &Config) -> Option<AuditConfig> {
    let notifications = match config.audit.level {
        AuditLevel::All => true,
        AuditLevel::Changes => false,
        AuditLevel::Off => return None,
    };
    let beside_the_store = || config.store.directory.join("audit");
    Some(AuditConfig {
        notifications,
        directory: config.audit.directory.clone().unwrap_or_else(beside_the_store),
        file_bytes_max: config.audit.file_max.get() as u64,
        files_max: config.audit.files_max,
    })
}

/// The keys of the configuration and of its files. No message repeats one.
fn signing_keys(config: &Config) -> anyhow::Result<Vec<SigningKey>> {
    let mut keys = Vec::new();
    for text in &config.delivery.signing_keys {
        keys.push(text.key()?);
    }
    for path in &config.delivery.signing_key_files {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the signing keys in {} cannot be read", path.display()))?;
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let key = SigningKey::parse(text.trim())
                .with_context(|| format!("the signing key in {}, line {line}", path.display()))?;
            keys.push(key);
        }
    }
    if keys.len() > SIGNING_KEYS_MAX {
        anyhow::bail!("there are more than {SIGNING_KEYS_MAX} signing keys");
    }
    for public in keys.iter().filter_map(SigningKey::public_key) {
        tracing::info!(public, "notifications are signed; receivers verify with this key");
    }
    Ok(keys)
}

fn retry_policy(config: &Config) -> anyhow::Result<RetryPolicy> {
    let schedule = |delays: &[Duration]| {
        RetrySchedule::new(delays).context("a retry schedule has too many entries")
    };
    Ok(RetryPolicy {
        handshake_delay: config.rest_hook.handshake_delay,
        handshake_retries: schedule(&config.rest_hook.handshake_retry_schedule)?,
        retries: schedule(&config.rest_hook.retry_schedule)?,
        retry_after_max: config.delivery.retry_after_max,
        rejection_retries_max: config.delivery.rejection_retries_max.get(),
        off_after: Some(config.delivery.off_after).filter(|after| !after.is_zero()),
        heartbeats_in_error: config.delivery.heartbeats_in_error,
        coalesce_window: config.delivery.coalesce_window,
        timeout_default: config.subscriptions.timeout_default,
        max_count_default: config.subscriptions.max_count_default,
        flush_missed: config.subscriptions.flush_missed,
    })
}

/// The operators' pages, if they are served.
fn console_config(config: &Config) -> Option<cresset_console::Config> {
    let is_served = match config.console.serve {
        config::console::Serve::Local => config.server.is_local(),
        config::console::Serve::Off => false,
        config::console::Serve::On => true,
    };
    let password = config.console.user.clone().zip(config.console.password_hash);
    is_served.then(|| cresset_console::Config {
        password: password
            .map(|(user, hash)| cresset_console::Password { user, hash: TokenHash(hash.0) }),
        session_lifetime: config.console.session_lifetime,
    })
}

fn authentication(auth: &Auth, console: &config::Console) -> Authentication {
    let clients = match auth {
        Auth::None => return Authentication::None,
        Auth::Tokens(clients) => clients,
    };
    let tokens = clients.iter().flat_map(|client| {
        let rights = client.rights.iter().map(|right| match right {
            Right::Admin => cresset_node::Right::Admin,
            Right::Metrics => cresset_node::Right::Metrics,
            Right::Notify => cresset_node::Right::Notify,
            Right::Read => cresset_node::Right::Read,
            Right::Subscribe => cresset_node::Right::Subscribe,
            Right::Topics => cresset_node::Right::Topics,
            Right::Write => cresset_node::Right::Write,
        });
        let bounds = SubscriptionBounds {
            topics: client.topics.clone(),
            content_max: client.content_max.unwrap_or(SubscriptionBounds::NONE.content_max),
        };
        let caller = Caller::new(client.name.clone(), rights.collect()).bounded(bounds);
        client.token_hashes.iter().map(move |hash| (TokenHash(hash.0), caller.clone()))
    });
    // Whoever logs in at the console with a password has subscriptions like any client, and its rights
    // when they are told of something. The password is no token: what people choose can be guessed, and the
    // API would let anybody guess as fast as it answers.
    let user = console.user.clone().filter(|_| console.password_hash.is_some());
    let others = user.map(|user| Caller::new(user, Rights::ALL)).into_iter().collect();
    Authentication::Tokens { callers: tokens.collect(), others }
}
