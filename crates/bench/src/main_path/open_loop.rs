//! W5: creates at intended times, however long those before them take.

use anyhow::Context as _;

use super::Settings;
use crate::audit::Passed;
use crate::baseline::Server;
use crate::load::{Client, Segment, audit, open_clients, open_loop};
use crate::report::{Figures, OpenLoop, Ratios};
use crate::target::{Kind, Target};

/// Measures ours and K in turn at one rate.
pub(super) async fn run(settings: &Settings, rate: u32) -> anyhow::Result<(OpenLoop, Passed)> {
    let directory = settings.directory()?;
    let clients = settings.open_loop_clients;
    let mut contenders = Vec::new();
    for kind in settings.ours().into_iter().chain([Kind::Baseline(Server::BarePath)]) {
        let directory = directory.path().join(contenders.len().to_string());
        let target = Target::start(&kind, &directory).await?;
        let clients = open_clients(&target, clients, true).await?;
        contenders.push((target, clients, Vec::new()));
    }
    for (target, clients, _) in &mut contenders {
        // Connections, caches and threads come up outside the measure.
        open_loop(target, clients, rate, settings.warm_up()).await?;
    }
    for _ in 0..settings.pairs {
        for contender in &mut contenders {
            measure(settings, rate, contender).await?;
        }
    }
    let mut passed = Passed::default();
    for (target, clients, _) in &mut contenders {
        passed.add(audit(target, clients).await.context("the audit of W5 failed")?);
    }
    let mut segments = contenders.into_iter().map(|(_, _, segments)| segments);
    let ours = settings.server.as_ref().and_then(|_| segments.next());
    let k = segments.next().unwrap_or_default();
    let figures = OpenLoop {
        rate_per_second: rate,
        clients,
        ratios: ours.as_ref().map(|ours| Ratios::of(ours, &k)),
        ours: ours.as_deref().map(Figures::of),
        k: Figures::of(&k),
    };
    Ok((figures, passed))
}

async fn measure(
    settings: &Settings,
    rate: u32,
    (target, clients, segments): &mut (Target, Vec<Client>, Vec<Segment>),
) -> anyhow::Result<()> {
    let segment = open_loop(target, clients, rate, settings.length).await;
    segments.push(segment.with_context(|| format!("W5 of {}", target.name()))?);
    Ok(())
}
