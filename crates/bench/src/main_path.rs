//! `cresset-bench main-path`: what a durable create costs from the request to the subscriber's frame.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::audit::Passed;
use crate::baseline::{self, scan};
use crate::machine::{Busy, Machine};
use crate::report::{FORMAT, Goal, Report};
use crate::target::Kind;

mod fan_out;
mod idle;
mod open_loop;
mod throughput;

/// Most of a processor's CPU that W1 may take, as a multiple of K's.
const CPU_LIMIT: f64 = 3.0;
/// Latest frame of W1 and W5, as a multiple of K's p50.
const FRAME_LIMIT: f64 = 3.0;
/// Most memory of an idle subscription.
const SUBSCRIPTION_BYTES_LIMIT: f64 = 1_024.0;
/// Most memory of an idle socket.
const SOCKET_BYTES_LIMIT: f64 = 12.0 * 1_024.0;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's binary; without it only the baselines run.
    pub server: Option<PathBuf>,
    /// Where the targets keep their data.
    pub work: PathBuf,
    /// Which parts run.
    pub parts: Vec<Part>,
    /// Length of a measured stretch.
    pub length: Duration,
    /// Stretches of each target.
    pub pairs: usize,
    /// Numbers of clients for W1.
    pub clients: Vec<usize>,
    /// Rates of W5.
    pub rates: Vec<u32>,
    /// Connections of W5.
    pub open_loop_clients: usize,
    /// Runs of W7, each on a target of its own.
    pub idle_runs: usize,
    /// Idle subscriptions of W7.
    pub subscriptions: usize,
    /// Creates that warm the target of W7: more than any cache of its own holds.
    pub warm_up_creates: u64,
    /// Idle sockets of W7.
    pub sockets: usize,
    /// Sockets of W.
    pub fan_out: usize,
    /// Filters of M.
    pub filters: Vec<usize>,
    /// Whether this is a rehearsal.
    pub tiny: bool,
}

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// A linear scan.
    M,
    /// A bare broadcaster.
    W,
    /// Creates in a closed loop.
    W1,
    /// Creates at intended times.
    W5,
    /// Idle subscriptions and sockets.
    W7,
}

impl Settings {
    /// The server as a target, where there is one.
    fn ours(&self) -> Option<Kind> {
        self.server.clone().map(Kind::Cresset)
    }

    /// How long a stretch runs before it is measured.
    fn warm_up(&self) -> Duration {
        (self.length / 5).min(Duration::from_millis(300))
    }

    fn directory(&self) -> anyhow::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(&self.work)
            .context("making a data directory")
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
        benchmark: "main-path",
        settings: crate::report::Settings {
            server_binary: settings.server.as_deref().map(|path| path.display().to_string()),
            server_environment: crate::target::server_environment(),
            seconds: settings.length.as_secs_f64(),
            pairs: settings.pairs,
            body_bytes: crate::observation::body(&crate::observation::patient(0)).len(),
            tiny: settings.tiny,
        },
        machine: Machine::look(&settings.work),
        w1: Vec::new(),
        w5: Vec::new(),
        w7: None,
        w: None,
        m: Vec::new(),
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
    if settings.parts.contains(&Part::W1) {
        for clients in &settings.clients {
            let (figures, passed) = throughput::run(settings, *clients).await?;
            report.w1.push(figures);
            report.audit.add(passed);
        }
    }
    if settings.parts.contains(&Part::W5) {
        for rate in &settings.rates {
            let (figures, passed) = open_loop::run(settings, *rate).await?;
            report.w5.push(figures);
            report.audit.add(passed);
        }
    }
    if settings.parts.contains(&Part::W7) {
        let (figures, passed) = idle::run(settings, report.machine.open_files_max).await?;
        report.w7 = Some(figures);
        report.audit.add(passed);
    }
    if settings.parts.contains(&Part::W) {
        report.w = Some(fan_out::run(settings).await?);
    }
    if settings.parts.contains(&Part::M) {
        report.m = scans(settings)?;
    }
    Ok(())
}

fn scans(settings: &Settings) -> anyhow::Result<Vec<scan::Figures>> {
    let seconds = settings.length.as_secs_f64().to_string();
    let scan = |filters: &usize| {
        let arguments = ["m", "--filters", &filters.to_string(), "--seconds", &seconds];
        baseline::measure(&arguments.map(str::to_owned))
    };
    settings.filters.iter().map(scan).collect()
}

/// The aims of this stage for whatever was measured of the server.
fn goals(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    if let Some(ratios) =
        report.w1.iter().max_by_key(|w1| w1.clients).and_then(|w1| w1.ratios.as_ref())
    {
        let limits = [
            (
                "w1-cpu",
                "W1: server CPU for a create, over K",
                CPU_LIMIT,
                ratios.server_cpu_per_create,
            ),
            ("w1-frame", "W1: POST to frame p50, over K", FRAME_LIMIT, ratios.frame_p50),
        ];
        goals.extend(limits.into_iter().filter_map(|(id, what, limit, ratio)| {
            ratio.map(|ratio| Goal::new(id.to_owned(), what, limit, ratio.median))
        }));
    }
    for w5 in &report.w5 {
        if let Some(ratio) = w5.ratios.as_ref().and_then(|ratios| ratios.frame_p50) {
            let id = format!("w5-{}-frame", w5.rate_per_second);
            let what = "W5: POST to frame p50, over K";
            goals.push(Goal::new(id, what, FRAME_LIMIT, ratio.median));
        }
    }
    if let Some(ours) = report.w7.as_ref().and_then(|w7| w7.ours.as_ref()) {
        let (subscription, socket) = (ours.bytes_per_subscription, ours.bytes_per_socket);
        let limits = [
            (
                "w7-subscription",
                "W7: bytes of an idle subscription",
                SUBSCRIPTION_BYTES_LIMIT,
                subscription,
            ),
            ("w7-socket", "W7: bytes of an idle socket", SOCKET_BYTES_LIMIT, socket),
        ];
        goals.extend(limits.into_iter().filter_map(|(id, what, limit, bytes)| {
            bytes.map(|bytes| Goal::new(id.to_owned(), what, limit, bytes.median))
        }));
    }
    goals
}
