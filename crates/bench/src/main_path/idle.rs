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
use crate::report::{self, Grown, Growth, Idle, PerUnit};
use crate::settle::settle;
use crate::socket::EventSocket;
use crate::statistics::{per, rate};
use crate::target::{Kind, Target};

/// Connections that subscribe and bind at a time.
const CONNECTIONS: usize = 16;
/// Clients of the warm-up, each with a subscription.
const WARM_UP_CLIENTS: usize = 64;
/// The warm-up makes this share of the subscriptions that are measured.
const WARM_UP_SHARE: usize = 5;
/// Between two looks at how many creates the warm-up has made.
const WARM_UP_STRETCH: Duration = Duration::from_millis(200);
/// Files that a process needs beside its sockets and the connections of their audit.
const OTHER_FILES: u64 = 512;
/// Numbers of the idle patients begin here, past those of the warm-up.
const FIRST_PATIENT: usize = 100_000;

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
    let (mut ours, mut k) = (Vec::new(), Vec::new());
    for _ in 0..settings.idle_runs {
        if let Some(kind) = settings.ours() {
            ours.push(growth(settings, &kind, &mut passed).await?);
        }
        k.push(growth(settings, &Kind::Baseline(Server::BarePath), &mut passed).await?);
    }
    let (subscriptions, sockets) = (settings.subscriptions, settings.sockets);
    let ours = settings.server.is_some().then(|| Grown::of(ours));
    Ok((Idle { subscriptions, sockets, ours, k: Grown::of(k) }, passed))
}

async fn growth(settings: &Settings, kind: &Kind, passed: &mut Passed) -> anyhow::Result<Growth> {
    let directory = settings.directory()?;
    let target = Target::start(kind, directory.path()).await?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(target.address).await?);
    }
    let mut subject = Subject { target, connections, subscribed: Vec::new(), settled: true };
    let measured = subject.grow(settings, passed).await;
    let target = &subject.target;
    measured.with_context(|| format!("W7 of {}:\n{}", target.name(), target.log_tail()))
}

/// A target that grows.
struct Subject {
    target: Target,
    connections: Vec<Connection>,
    subscribed: Vec<Subscribed>,
    settled: bool,
}

/// What making some subscriptions took, and the memory after it.
struct Step {
    elapsed: Duration,
    cpu: Duration,
    memory: Memory,
}

impl Subject {
    async fn grow(&mut self, settings: &Settings, passed: &mut Passed) -> anyhow::Result<Growth> {
        passed.add(self.warm_up(settings).await?);
        let warm = self.settle().await?;
        let mut steps = None;
        if self.target.has_subscriptions() {
            let middle = settings.subscriptions / 2;
            let first = self.subscribe(middle).await?;
            steps = Some((first, self.subscribe(settings.subscriptions - middle).await?));
        }
        let started = Instant::now();
        let sockets = self.bind(settings.sockets).await?;
        let sockets_per_second = rate(sockets.len() as u64, started.elapsed());
        let with_sockets = self.settle().await?;
        passed.add(deliver_once(&self.target, sockets).await?);
        let before_sockets = steps.as_ref().map_or(warm, |(_, second)| second.memory);
        Ok(Growth {
            warm,
            subscribed: steps.map(|steps| subscribed(settings.subscriptions, warm, &steps)),
            sockets: with_sockets,
            per_socket: PerUnit::of(before_sockets, with_sockets, settings.sockets),
            sockets_per_second,
            settled: self.settled,
        })
    }

    /// Creates, subscriptions and sockets, so that what comes up once is up, and caches with a bound are full.
    async fn warm_up(&mut self, settings: &Settings) -> anyhow::Result<Passed> {
        let mut clients = open_clients(&self.target, WARM_UP_CLIENTS, true).await?;
        let mut created = 0;
        while created < settings.warm_up_creates {
            let stretch = closed_loop(&self.target, &mut clients, Duration::ZERO, WARM_UP_STRETCH);
            created += stretch.await?.creates;
        }
        let passed = audit(&self.target, &mut clients).await?;
        if self.target.has_subscriptions() {
            self.subscribe(settings.subscriptions / WARM_UP_SHARE).await?;
        }
        Ok(passed)
    }

    /// Reads memory when it stands still.
    async fn settle(&mut self) -> anyhow::Result<Memory> {
        let (memory, stood_still) = settle(&self.target).await?;
        self.settled &= stood_still;
        Ok(memory)
    }

    /// Makes so many more subscriptions, shared out over the connections.
    async fn subscribe(&mut self, count: usize) -> anyhow::Result<Step> {
        let Self { target, connections, subscribed, .. } = self;
        let target = &*target;
        let (started, before) = (Instant::now(), target.process.cpu());
        let (from, to) = (subscribed.len(), subscribed.len() + count);
        let lanes = connections.iter_mut().enumerate().map(async |(lane, connection)| {
            let mut subscribed = Vec::new();
            for number in (from + lane..to).step_by(CONNECTIONS) {
                let number = FIRST_PATIENT + number;
                let id = target.subscribe(connection, &patient(number)).await?;
                subscribed.push((number, id));
            }
            anyhow::Ok(subscribed)
        });
        let made = try_join_all(lanes).await?;
        let (elapsed, cpu) = (started.elapsed(), target.process.cpu().since(&before));
        subscribed.extend(made.into_iter().flatten());
        Ok(Step { elapsed, cpu, memory: self.settle().await? })
    }

    /// Opens and binds so many sockets, shared out over the connections.
    async fn bind(&mut self, count: usize) -> anyhow::Result<Vec<(Subscribed, EventSocket)>> {
        let Self { target, connections, subscribed, .. } = self;
        let (target, subscribed) = (&*target, &*subscribed);
        let lanes = connections.iter_mut().enumerate().map(async |(lane, connection)| {
            let mut sockets = Vec::new();
            for index in (lane..count).step_by(CONNECTIONS) {
                sockets.push(match subscribed.get(index) {
                    Some((number, id)) => {
                        ((*number, id.clone()), target.bind(connection, id).await?)
                    }
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
}

/// What two halves of the subscriptions cost.
fn subscribed(count: usize, warm: Memory, (first, second): &(Step, Step)) -> report::Subscribed {
    let cpu = first.cpu + second.cpu;
    report::Subscribed {
        half: first.memory,
        all: second.memory,
        each: PerUnit::of(warm, second.memory, count),
        each_of_second_half: PerUnit::of(first.memory, second.memory, count - count / 2),
        per_second: rate(count as u64, first.elapsed + second.elapsed),
        server_cpu_each_us: per(cpu.as_secs_f64() * 1e6, count as u64),
    }
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
