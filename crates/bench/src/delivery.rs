//! `cresset-bench delivery`: what notifications cost once the create is durable, and what a restart takes.
//!
//! W3 (one event to many websockets), W4 (to many endpoints, some of them dead), W6 (killed, and started again on a
//! large store), W10 (a subscriber that was away for long), and the memory of what is idle.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::audit::Passed;
use crate::machine::{Busy, Machine};
use crate::report::{FORMAT, Goal};
use crate::statistics::Spread;
use crate::target::Kind;

mod away;
mod fan_out;
mod kill;
mod large;
mod pairs;
pub mod report;
mod restart;
mod webhooks;

use report::Report;

/// Most CPU of a frame or a webhook, as a multiple of the bare sender's.
const CPU_LIMIT: f64 = 2.0;
/// Fewer receivers than this share the cost of the create among too few to tell theirs (ADR 0006).
const RECEIVERS_MIN: usize = 100;
/// Most that others may be slowed down, as a multiple of their p99.
const OTHERS_LIMIT: f64 = 1.5;
/// The same where one endpoint of many hangs.
const BESIDE_ONE_LIMIT: f64 = 1.1;
/// Longest time from exec to serving with the large store, in seconds.
const RESTART_LIMIT: f64 = 15.0;
/// Most memory of an idle subscription, all in.
const SUBSCRIPTION_BYTES_LIMIT: f64 = 600.0;
/// Most memory of an idle socket.
const SOCKET_BYTES_LIMIT: f64 = 8.0 * 1_024.0;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's binary.
    pub server: PathBuf,
    /// The program that fills stores.
    pub fill: PathBuf,
    /// Where the targets keep their data.
    pub work: PathBuf,
    /// Which parts run.
    pub parts: Vec<Part>,
    /// Length of a measured stretch.
    pub length: Duration,
    /// Stretches of each target.
    pub pairs: usize,
    /// Numbers of websockets of W3.
    pub sockets: Vec<usize>,
    /// Numbers of endpoints of W4.
    pub endpoints: Vec<usize>,
    /// Times that W6 kills the server.
    pub kills: usize,
    /// Times that the server is started on the large store.
    pub restarts: usize,
    /// The large store.
    pub large: Large,
    /// Whether the large store is made anew.
    pub fresh: bool,
    /// Creates a second of those who are not away, in W10.
    pub others_rate: u32,
    /// Whether this is a rehearsal.
    pub tiny: bool,
}

/// What the large store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Large {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Changes of other resources.
    pub changes: u64,
    /// Events of each change.
    pub events_per_change: u64,
    /// Subscriptions that each change is an event of: a run of W10 uses one up.
    pub away: u64,
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// One event to many websockets.
    W3,
    /// One event to many endpoints.
    W4,
    /// Killed at random.
    W6,
    /// Started on the large store, and its memory there.
    Restart,
    /// A subscriber that was away.
    W10,
}

impl Settings {
    fn ours(&self) -> Kind {
        Kind::Cresset(self.server.clone())
    }

    fn directory(&self) -> anyhow::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&self.work)
            .context("making a data directory")
    }

    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Runs all parts.
///
/// # Errors
/// When a target fails, and with the fault when an audit does: there are no figures then.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    ensure!(settings.pairs > 0 && !settings.length.is_zero(), "nothing to measure");
    std::fs::create_dir_all(&settings.work).context("making the work directory")?;
    let mut report = Report {
        format: FORMAT,
        benchmark: "delivery",
        settings: report::Settings {
            server_binary: settings.server.display().to_string(),
            server_environment: crate::target::server_environment(),
            seconds: settings.length.as_secs_f64(),
            pairs: settings.pairs,
            tiny: settings.tiny,
        },
        machine: Machine::look(&settings.work),
        w3: Vec::new(),
        w4: Vec::new(),
        w6: None,
        restart: None,
        w10: None,
        goals: Vec::new(),
        audit: Passed::default(),
    };
    let (busy, own) = (Busy::now(), crate::process::ticks_of_this_run());
    measure(settings, &mut report).await?;
    let own = crate::process::ticks_of_this_run() - own;
    report.machine.others_cpu_share = Some(Busy::now().others_since(&busy, own));
    report.goals = goals(&report);
    Ok(report)
}

async fn measure(settings: &Settings, report: &mut Report) -> anyhow::Result<()> {
    if settings.has(Part::W3) {
        for sockets in &settings.sockets {
            let (figures, passed) = fan_out::run(settings, *sockets, &report.machine).await?;
            progress("w3", &figures)?;
            report.w3.push(figures);
            report.audit.add(passed);
        }
    }
    if settings.has(Part::W4) {
        for endpoints in &settings.endpoints {
            let (figures, passed) = webhooks::run(settings, *endpoints).await?;
            progress("w4", &figures)?;
            report.w4.push(figures);
            report.audit.add(passed);
        }
    }
    if settings.has(Part::W6) {
        let (figures, passed) = kill::run(settings).await?;
        progress("w6", &figures)?;
        report.w6 = Some(figures);
        report.audit.add(passed);
    }
    if settings.has(Part::Restart) || settings.has(Part::W10) {
        let store = large::Store::ready(settings).await?;
        if settings.has(Part::Restart) {
            let (figures, passed) = restart::run(settings, &store).await?;
            progress("restart", &figures)?;
            report.restart = Some(figures);
            report.audit.add(passed);
        }
        if settings.has(Part::W10) {
            let (figures, passed) = away::run(settings, store).await?;
            progress("w10", &figures)?;
            report.w10 = Some(figures);
            report.audit.add(passed);
        }
    }
    Ok(())
}

/// Tells a part's figures as soon as they are known: a run takes minutes.
fn progress(part: &str, figures: &impl serde::Serialize) -> anyhow::Result<()> {
    eprintln!("{part} {}", serde_json::to_string(figures)?);
    Ok(())
}

fn goals(report: &Report) -> Vec<Goal> {
    let of_many = |ratio: Option<Spread>, receivers| {
        ratio.filter(|_| receivers >= RECEIVERS_MIN).map(|ratio| ratio.median)
    };
    let mut goals = Vec::new();
    let mut goal = |id: String, what, limit, measured: Option<f64>| {
        goals.extend(measured.map(|measured| Goal::new(id, what, limit, measured)));
    };
    for w3 in &report.w3 {
        let sockets = w3.sockets;
        // With its share of the create, which is durable here and is not in W; and without it.
        let what = "CPU of a frame with its share of the create, over W";
        goal(format!("w3-{sockets}"), what, CPU_LIMIT, of_many(w3.ratios.cpu, sockets));
        let what = "CPU that a frame adds to a create, over W";
        goal(format!("w3-{sockets}-added"), what, CPU_LIMIT, of_many(w3.ratios.cpu_added, sockets));
        let bytes = (sockets >= fan_out::MEMORY_SOCKETS_MIN).then_some(w3.bytes_per_socket);
        goal(format!("w3-{sockets}-bytes"), "bytes of an idle socket", SOCKET_BYTES_LIMIT, bytes);
    }
    for w4 in &report.w4 {
        let endpoints = w4.endpoints;
        let what = "CPU of a webhook with its share of the create, over the bare client";
        goal(format!("w4-{endpoints}"), what, CPU_LIMIT, of_many(w4.ratios.cpu, endpoints));
        let what = "CPU that a webhook adds to a create, over the bare client";
        goal(
            format!("w4-{endpoints}-added"),
            what,
            CPU_LIMIT,
            of_many(w4.ratios.cpu_added, endpoints),
        );
        let p99 = w4.with_hanging.as_ref().and_then(|one| one.p99_ratio).map(|ratio| ratio.median);
        let what = "p99 of the others with one endpoint that hangs, over none";
        // A tenth of few endpoints is more than one can be without being felt.
        let p99 = p99.filter(|_| endpoints >= webhooks::ONE_HANGS_OF);
        goal(format!("w4-{endpoints}-hang"), what, BESIDE_ONE_LIMIT, p99);
        let p99 = w4.with_dead.as_ref().and_then(|dead| dead.p99_ratio).map(|ratio| ratio.median);
        let what = "p99 of healthy endpoints with a tenth dead, over none dead";
        goal(format!("w4-{endpoints}-p99"), what, OTHERS_LIMIT, p99);
    }
    if let Some(restart) = &report.restart {
        let first = restart.first_notification_seconds.map(|seconds| seconds.median);
        let what = "seconds from exec to the first notification";
        goal("restart".to_owned(), what, RESTART_LIMIT, first);
        let what = "bytes of an idle subscription, all in";
        let bytes = Some(restart.bytes_per_subscription);
        goal("memory".to_owned(), what, SUBSCRIPTION_BYTES_LIMIT, bytes);
    }
    if let Some(w10) = &report.w10 {
        let what = "p99 of the others while `$events` is paged, over quiet";
        goal(
            "w10-events".to_owned(),
            what,
            OTHERS_LIMIT,
            w10.paging.p99_ratio.map(|one| one.median),
        );
        let what = "p99 of the others while the subscriber resumes, over quiet";
        goal(
            "w10-resume".to_owned(),
            what,
            OTHERS_LIMIT,
            w10.resuming.p99_ratio.map(|one| one.median),
        );
    }
    goals
}
