//! W3: one event to many websockets, each bound to a subscription of its own, beside W.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::Settings;
use super::pairs::{Stretch, cpu_since};
use super::report::{FanOut, Ratios, Sent};
use crate::audit::{Ledger, Passed};
use crate::baseline::Server;
use crate::baseline::bare_path::WEBSOCKET_PATH;
use crate::baseline::broadcaster::SILENT_PATH;
use crate::http::Connection;
use crate::machine::Machine;
use crate::notification::Kind as Frame;
use crate::observation::{CREATE_PATH, create_request, patient};
use crate::settle::settle;
use crate::socket::EventSocket;
use crate::target::{Kind, Target};

/// Fewer sockets than this say nothing about the memory of one.
pub(super) const MEMORY_SOCKETS_MIN: usize = 1_000;
/// Subscriptions made with one request.
const BATCH: usize = 1_000;
/// One in so many sockets is bound before memory is read.
const WARM_UP_SHARE: usize = 5;
/// Connections that bind at a time.
const LANES: usize = 16;
/// Files that this program needs beside the sockets of both contenders.
const OTHER_FILES: u64 = 256;
/// Fewest rounds of a stretch.
const ROUNDS_MIN: u64 = 3;
/// Share of a stretch in which creates are made that nobody hears of.
const SILENT_SHARE: f64 = 0.5;
/// The patient of all subscriptions, and one of none.
const HEARD: usize = 0;
const UNHEARD: usize = 1;
/// How long a round may hang.
const HANG_MAX: Duration = Duration::from_secs(60);

/// Measures ours and W in turn.
pub(super) async fn run(
    settings: &Settings,
    sockets: usize,
    machine: &Machine,
) -> anyhow::Result<(FanOut, Passed)> {
    let needed = 2 * sockets as u64 + OTHER_FILES;
    let allowed = machine.open_files_max;
    ensure!(allowed >= needed, "W3 needs {needed} open files and may have {allowed}");
    let directory = settings.directory()?;
    let w = Kind::Baseline(Server::Broadcaster);
    let mut w = Contender::start(Target::start(&w, &directory.path().join("w")).await?).await?;
    w.follow(sockets).await?;
    let ours = Target::start(&settings.ours(), &directory.path().join("ours")).await?;
    let mut ours = Contender::start(ours).await?;
    let figures = measure(settings, sockets, &mut ours, &mut w).await;
    figures.with_context(|| format!("W3, {sockets} sockets:\n{}", ours.target.log_tail()))
}

async fn measure(
    settings: &Settings,
    sockets: usize,
    ours: &mut Contender,
    w: &mut Contender,
) -> anyhow::Result<(FanOut, Passed)> {
    let bytes_per_socket = ours.bind(sockets).await?;
    let (mut of_ours, mut of_w) = (Vec::new(), Vec::new());
    ours.stretch(settings.length / 5).await?;
    w.stretch(settings.length / 5).await?;
    for _ in 0..settings.pairs {
        of_ours.push(ours.stretch(settings.length).await?);
        of_w.push(w.stretch(settings.length).await?);
    }
    let passed = ours.audit().await?;
    let figures = FanOut {
        sockets,
        ratios: Ratios::of(&of_ours, &of_w),
        ours: Sent::of(&of_ours),
        w: Sent::of(&of_w),
        bytes_per_socket,
    };
    Ok((figures, passed))
}

/// One sender with the sockets it sends to.
struct Contender {
    target: Target,
    connection: Connection,
    heard: Vec<u8>,
    unheard: Vec<u8>,
    sockets: Vec<EventSocket>,
    accounts: Vec<(String, Ledger)>,
}

impl Contender {
    async fn start(target: Target) -> anyhow::Result<Self> {
        let connection = Connection::open(target.address).await?;
        let heard = create_request(&target.host(), &patient(HEARD));
        let unheard = match target.kind {
            Kind::Cresset(_) => create_request(&target.host(), &patient(UNHEARD)),
            Kind::Baseline(_) => silent(&heard)?,
        };
        let (sockets, accounts) = (Vec::new(), Vec::new());
        Ok(Self { target, connection, heard, unheard, sockets, accounts })
    }

    /// Opens sockets of W.
    async fn follow(&mut self, count: usize) -> anyhow::Result<()> {
        let url = format!("ws://{}{WEBSOCKET_PATH}", self.target.address);
        for _ in 0..count {
            let mut socket = EventSocket::open(self.target.address, &url).await?;
            socket.handshake().await?;
            self.sockets.push(socket);
        }
        Ok(())
    }

    /// Subscribes and binds; gives the memory of a socket.
    async fn bind(&mut self, count: usize) -> anyhow::Result<f64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let patients = (ids.len()..count).take(BATCH).map(|_| patient(HEARD));
            ids.extend(self.target.subscribe_all(&mut self.connection, patients).await?);
        }
        // The first ones bring up what comes up once.
        let (first, others) = ids.split_at(count / WARM_UP_SHARE);
        self.bind_all(first).await?;
        let (before, _) = settle(&self.target).await?;
        self.bind_all(others).await?;
        let (after, _) = settle(&self.target).await?;
        let growth = after.resident_bytes.saturating_sub(before.resident_bytes);
        Ok(crate::statistics::per(super::pairs::as_float(growth), others.len() as u64))
    }

    async fn bind_all(&mut self, ids: &[String]) -> anyhow::Result<()> {
        let target = &self.target;
        let lanes = (0..LANES.min(ids.len())).map(async |lane| {
            let mut connection = Connection::open(target.address).await?;
            let mut bound = Vec::new();
            for id in ids.iter().skip(lane).step_by(LANES) {
                let socket = target.bind(&mut connection, id).await?;
                bound.push((socket, (id.clone(), Ledger::default())));
            }
            anyhow::Ok(bound)
        });
        for (socket, account) in try_join_all(lanes).await?.into_iter().flatten() {
            self.sockets.push(socket);
            self.accounts.push(account);
        }
        Ok(())
    }

    /// Creates again and again, each time waiting for the frame on every socket; then creates that nobody hears of.
    async fn stretch(&mut self, length: Duration) -> anyhow::Result<Stretch> {
        self.reconnect().await?;
        let mut stretch = Stretch::default();
        let (started, before) = (Instant::now(), self.target.process.cpu());
        while started.elapsed() < length || stretch.creates < ROUNDS_MIN {
            let sent = Instant::now();
            timeout(HANG_MAX, self.round()).await.context("a frame did not come")??;
            stretch.last.push(sent.elapsed());
            stretch.creates += 1;
        }
        stretch.cpu = cpu_since(&self.target, &before);
        stretch.received = stretch.creates * self.sockets.len() as u64;
        let (started, before) = (Instant::now(), self.target.process.cpu());
        while started.elapsed() < length.mul_f64(SILENT_SHARE) {
            let answer = self.connection.exchange(&self.unheard).await?;
            ensure!(answer.status == 201, "a create was answered {}", answer.describe());
            stretch.silent_creates += 1;
        }
        stretch.silent_cpu = cpu_since(&self.target, &before);
        Ok(stretch)
    }

    /// What was idle while the other one was measured may be closed by now.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        self.connection = Connection::open(self.target.address).await?;
        Ok(())
    }

    async fn round(&mut self) -> anyhow::Result<()> {
        let answer = self.connection.exchange(&self.heard).await?;
        ensure!(answer.status == 201, "a create was answered {}", answer.describe());
        let created = answer.created_id("Observation");
        for (_, ledger) in &mut self.accounts {
            ledger.acknowledge(created.context("a create without Location")?)?;
        }
        let read = try_join_all(self.sockets.iter_mut().map(EventSocket::next)).await?;
        for (_, frame) in &read {
            ensure!(frame.kind == Frame::Event, "a frame of another kind came");
        }
        for ((_, frame), (_, ledger)) in read.iter().zip(&mut self.accounts) {
            for event in &frame.events {
                ledger.deliver(event.number, &event.focus)?;
            }
        }
        Ok(())
    }

    async fn audit(&mut self) -> anyhow::Result<Passed> {
        self.reconnect().await?;
        let mut passed = Passed::default();
        for (socket, (id, ledger)) in self.sockets.iter_mut().zip(&self.accounts) {
            let rest = timeout(HANG_MAX, socket.drain()).await.context("no answer to a ping")??;
            ensure!(rest.is_empty(), "a frame came for which nothing was created");
            let counted = self.target.counted(&mut self.connection, id).await?;
            ledger.close(counted).with_context(|| format!("subscription {id}"))?;
            passed.add(Passed { subscriptions: 1, events: ledger.acknowledged() });
        }
        Ok(passed)
    }
}

/// The same request to where nobody hears of it.
pub(super) fn silent(request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = std::str::from_utf8(request).context("a request that is not text")?;
    Ok(text.replacen(CREATE_PATH, SILENT_PATH, 1).into_bytes())
}
