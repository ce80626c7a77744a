//! W1: clients in a closed loop, each with a subscription and socket of its own.

use std::path::Path;

use anyhow::Context as _;

use super::Settings;
use crate::audit::Passed;
use crate::baseline::bare_path::{COUNTS_PATH, Counts};
use crate::baseline::{self, Server, flush};
use crate::http::Connection;
use crate::load::{Client, Segment, audit, closed_loop, open_clients};
use crate::report::{Figures, Ratios, Throughput};
use crate::statistics::per;
use crate::target::{Kind, Target};

/// One target with its clients and what it has given so far.
struct Contender {
    target: Target,
    clients: Vec<Client>,
    segments: Vec<Segment>,
}

/// Measures ours, K, E and S in turn, pair after pair, then F.
pub(super) async fn run(
    settings: &Settings,
    clients: usize,
) -> anyhow::Result<(Throughput, Passed)> {
    let directory = settings.directory()?;
    let mut ours = None;
    if let Some(kind) = settings.ours() {
        ours = Some(Contender::start(&kind, directory.path(), clients, true).await?);
    }
    let baseline = |server| Kind::Baseline(server);
    let mut k =
        Contender::start(&baseline(Server::BarePath), directory.path(), clients, true).await?;
    let mut e = Contender::start(&baseline(Server::Echo), directory.path(), clients, false).await?;
    let mut s = Contender::start(&baseline(Server::Sink), directory.path(), clients, false).await?;
    let before = counts(&k.target).await?;
    for _ in 0..settings.pairs {
        for contender in ours.iter_mut().chain([&mut k, &mut e, &mut s]) {
            contender.measure(settings).await?;
        }
    }
    let after = counts(&k.target).await?;
    let mut passed = k.audit().await?;
    if let Some(ours) = &mut ours {
        passed.add(ours.audit().await?);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
    let group = per((after.records - before.records) as f64, after.flushes - before.flushes);
    let figures = Throughput {
        clients,
        f: flushes(settings, directory.path(), group)?,
        ratios: ours.as_ref().map(|ours| Ratios::of(&ours.segments, &k.segments)),
        ours: ours.map(|ours| Figures::of(&ours.segments)),
        k: Figures { records_per_flush: Some(group), ..Figures::of(&k.segments) },
        e: Figures::of(&e.segments),
        s: Figures::of(&s.segments),
    };
    Ok((figures, passed))
}

impl Contender {
    async fn start(
        kind: &Kind,
        directory: &Path,
        count: usize,
        subscribed: bool,
    ) -> anyhow::Result<Self> {
        let directory = match kind {
            Kind::Baseline(server) => directory.join(server.letter()),
            Kind::Cresset(_) => directory.join("ours"),
        };
        let target = Target::start(kind, &directory).await?;
        let clients = open_clients(&target, count, subscribed).await;
        let clients =
            clients.with_context(|| format!("{}:\n{}", target.name(), target.log_tail()))?;
        Ok(Self { target, clients, segments: Vec::new() })
    }

    async fn measure(&mut self, settings: &Settings) -> anyhow::Result<()> {
        let (warm_up, length) = (settings.warm_up(), settings.length);
        let segment = closed_loop(&self.target, &mut self.clients, warm_up, length).await;
        self.segments.push(segment.with_context(|| format!("W1 of {}", self.target.name()))?);
        Ok(())
    }

    async fn audit(&mut self) -> anyhow::Result<Passed> {
        audit(&self.target, &mut self.clients).await.context("the audit of W1 failed")
    }
}

async fn counts(target: &Target) -> anyhow::Result<Counts> {
    let mut connection = Connection::open(target.address).await?;
    Ok(serde_json::from_slice(&connection.get(&target.host(), COUNTS_PATH).await?)?)
}

/// F at a group of one and at K's mean group.
fn flushes(
    settings: &Settings,
    directory: &Path,
    group: f64,
) -> anyhow::Result<Vec<flush::Figures>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a group")]
    let mut groups = vec![1, (group.round() as usize).max(1)];
    groups.dedup();
    let bytes = crate::observation::body(&crate::observation::patient(0)).len();
    let flush = |group: usize| {
        let seconds = settings.length.as_secs_f64();
        let arguments = [
            "f".to_owned(),
            format!("--group={group}"),
            format!("--record-bytes={bytes}"),
            format!("--seconds={seconds}"),
            format!("--data={}", directory.display()),
        ];
        baseline::measure(&arguments)
    };
    groups.into_iter().map(flush).collect()
}
