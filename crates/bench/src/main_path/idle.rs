//! W7: what subscriptions and sockets cost that do nothing.
//!
//! Memory is read when it stands still. The server is warmed before the first reading, so that tables, caches and
//! threads that come up once are not charged to subscriptions.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;

use super::Settings;
use crate::audit::Passed;
use crate::baseline::Server;
use crate::http::Connection;
use crate::load::{Client, audit, closed_loop, open_clients};
use crate::observation::patient;
use crate::process::Memory;
use crate::report::{Growth, Idle, PerUnit};
use crate::socket::EventSocket;
use crate::statistics::{per, rate};
use crate::target::{Kind, Target};

/// Connections that subscribe and bind at a time.
const CONNECTIONS: usize = 16;
/// Clients of the warm-up, each with a subscription.
const WARM_UP_CLIENTS: usize = 64;
/// Between two looks at how many creates the warm-up has made.
const WARM_UP_STRETCH: Duration = Duration::from_millis(200);
/// Files that a process needs beside its sockets and the connections of their audit.
const OTHER_FILES: u64 = 512;
/// Numbers of the idle patients begin here, past those of the warm-up.
const FIRST_PATIENT: usize = 100_000;

/// Between two looks at memory.
const SETTLE_POLL: Duration = Duration::from_millis(100);
/// Looks in a row that must agree.
const SETTLE_LOOKS: u32 = 5;
/// How far they may differ.
const SETTLE_BYTES: u64 = 64 << 10;
/// How long memory may take to stand still.
const SETTLE_MAX: Duration = Duration::from_secs(20);

/// A subscription and the patient it is for.
type Subscribed = (usize, String);

/// Measures ours and the sockets of K, one after the other.
pub(super) async fn run(
    settings: &Settings,
    open_files_max: u64,
) -> anyhow::Result<(Idle, Passed)> {
    let needed = 2 * settings.sockets as u64 + OTHER_FILES;
    ensure!(
        open_files_max >= needed,
        "W7 needs {needed} open files and may have {open_files_max}: raise `ulimit -n`"
    );
    let mut passed = Passed::default();
    let mut ours = None;
    if let Some(kind) = settings.ours() {
        let (growth, audited) = growth(settings, &kind).await?;
        ours = Some(growth);
        passed.add(audited);
    }
    let (k, audited) = growth(settings, &Kind::Baseline(Server::BarePath)).await?;
    passed.add(audited);
    let (subscriptions, sockets) = (settings.subscriptions, settings.sockets);
    Ok((Idle { subscriptions, sockets, ours, k }, passed))
}

async fn growth(settings: &Settings, kind: &Kind) -> anyhow::Result<(Growth, Passed)> {
    let directory = settings.directory()?;
    let target = Target::start(kind, directory.path()).await?;
    let measured = grow(settings, &target).await;
    measured.with_context(|| format!("W7 of {}:\n{}", target.name(), target.log_tail()))
}

async fn grow(settings: &Settings, target: &Target) -> anyhow::Result<(Growth, Passed)> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(target.address).await?);
    }
    let mut passed = warm_up(settings, target).await?;
    let mut settled = true;
    let mut settle = async || -> anyhow::Result<Memory> {
        let (memory, stood_still) = settle(target).await?;
        settled &= stood_still;
        Ok(memory)
    };
    let warm = settle().await?;
    let (mut half, mut all) = (None, None);
    let mut subscribed = Vec::new();
    let (started, cpu) = (Instant::now(), target.process.cpu());
    let (mut subscribing, mut subscribing_cpu) = (Duration::ZERO, Duration::ZERO);
    if target.has_subscriptions() {
        let middle = settings.subscriptions / 2;
        subscribed.extend(subscribe(target, &mut connections, 0, middle).await?);
        (subscribing, subscribing_cpu) = (started.elapsed(), target.process.cpu().since(&cpu));
        half = Some(settle().await?);
        let (started, cpu) = (Instant::now(), target.process.cpu());
        subscribed
            .extend(subscribe(target, &mut connections, middle, settings.subscriptions).await?);
        subscribing += started.elapsed();
        subscribing_cpu += target.process.cpu().since(&cpu);
        all = Some(settle().await?);
    }
    let started = Instant::now();
    let sockets = bind(target, &mut connections, &subscribed, settings.sockets).await?;
    let sockets_per_second = rate(sockets.len() as u64, started.elapsed());
    let with_sockets = settle().await?;
    passed.add(deliver_once(target, sockets).await?);
    let growth = Growth {
        warm,
        half_of_subscriptions: half,
        subscriptions: all,
        sockets: with_sockets,
        per_subscription: all.map(|all| PerUnit::of(warm, all, subscribed.len())),
        per_subscription_second_half: half
            .zip(all)
            .map(|(half, all)| PerUnit::of(half, all, subscribed.len() - subscribed.len() / 2)),
        per_socket: PerUnit::of(all.unwrap_or(warm), with_sockets, settings.sockets),
        subscriptions_per_second: all.map(|_| rate(subscribed.len() as u64, subscribing)),
        server_cpu_per_subscription_us: all
            .map(|_| per(subscribing_cpu.as_secs_f64() * 1e6, subscribed.len() as u64)),
        sockets_per_second,
        settled,
    };
    Ok((growth, passed))
}

/// Some subscriptions, sockets and creates, so that what comes up once is up, and caches with a bound are full.
async fn warm_up(settings: &Settings, target: &Target) -> anyhow::Result<Passed> {
    let mut clients = open_clients(target, WARM_UP_CLIENTS, true).await?;
    let mut created = 0;
    while created < settings.warm_up_creates {
        created +=
            closed_loop(target, &mut clients, Duration::ZERO, WARM_UP_STRETCH).await?.creates;
    }
    audit(target, &mut clients).await
}

/// Reads memory until it stands still; the flag is false if it did not.
async fn settle(target: &Target) -> anyhow::Result<(Memory, bool)> {
    let deadline = Instant::now() + SETTLE_MAX;
    let mut last = target.process.memory()?;
    let mut agreed = 0;
    while agreed < SETTLE_LOOKS {
        if Instant::now() > deadline {
            return Ok((last, false));
        }
        tokio::time::sleep(SETTLE_POLL).await;
        let memory = target.process.memory()?;
        let near = memory.resident_bytes.abs_diff(last.resident_bytes) <= SETTLE_BYTES
            && memory.anonymous_bytes.abs_diff(last.anonymous_bytes) <= SETTLE_BYTES;
        agreed = if near { agreed + 1 } else { 0 };
        last = memory;
    }
    Ok((last, true))
}

/// Makes subscriptions `from..to`, shared out over the connections.
async fn subscribe(
    target: &Target,
    connections: &mut [Connection],
    from: usize,
    to: usize,
) -> anyhow::Result<Vec<Subscribed>> {
    let lanes = connections.iter_mut().enumerate().map(async |(lane, connection)| {
        let mut subscribed = Vec::new();
        for number in (from + lane..to).step_by(CONNECTIONS) {
            let number = FIRST_PATIENT + number;
            subscribed.push((number, target.subscribe(connection, &patient(number)).await?));
        }
        anyhow::Ok(subscribed)
    });
    Ok(try_join_all(lanes).await?.concat())
}

/// Opens and binds `count` sockets, shared out over the connections.
async fn bind(
    target: &Target,
    connections: &mut [Connection],
    subscribed: &[Subscribed],
    count: usize,
) -> anyhow::Result<Vec<(Subscribed, EventSocket)>> {
    let lanes = connections.iter_mut().enumerate().map(async |(lane, connection)| {
        let mut sockets = Vec::new();
        for index in (lane..count).step_by(CONNECTIONS) {
            sockets.push(match subscribed.get(index) {
                Some((number, id)) => ((*number, id.clone()), target.bind(connection, id).await?),
                None => {
                    let number = FIRST_PATIENT + index;
                    let subscriber = target.subscriber(connection, &patient(number)).await?;
                    ((number, subscriber.id), subscriber.socket)
                }
            });
        }
        anyhow::Ok(sockets)
    });
    Ok(try_join_all(lanes).await?.into_iter().flatten().collect())
}

/// The audit: each idle socket gets one event, and only its own.
async fn deliver_once(
    target: &Target,
    sockets: Vec<(Subscribed, EventSocket)>,
) -> anyhow::Result<Passed> {
    let mut clients = Vec::with_capacity(sockets.len());
    for ((number, id), socket) in sockets {
        let mut client = Client::adopt(target, number, id, socket).await?;
        client.create_once().await?;
        clients.push(client);
    }
    audit(target, &mut clients).await.context("the audit of W7 failed")
}
