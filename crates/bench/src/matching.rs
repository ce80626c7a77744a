//! `cresset-bench match`: what a change costs while more and more subscriptions do not match it.
//!
//! First the engine alone, which a program of its own measures (`crates/engine/examples/matching`), then the
//! whole server: two servers side by side, one that keeps 1,000 idle subscriptions and one that grows to a
//! million. Both get the same creates in turn, so that the headline is a ratio within one run.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::audit::Passed;
use crate::churn::{Churned, closed_loop_with_churn};
use crate::http::Connection;
use crate::load::{Client, Segment, audit, closed_loop, open_clients};
use crate::machine::{Busy, Machine};
use crate::observation::patient;
use crate::process::Memory;
use crate::report::{FORMAT, Figures, Goal};
use crate::statistics::{Spread, per, rate};
use crate::target::{Kind, Target};

/// Idle subscriptions of the server that does not grow.
const FEW: usize = 1_000;
/// Subscriptions made with one request.
const BATCH: usize = 1_000;
/// Numbers of the idle patients begin here, past those of the clients.
const FIRST_PATIENT: usize = 100_000;
/// The number of subscriptions that W8 is for.
const CHURN_SUBSCRIPTIONS: usize = 100_000;
/// How much a create may cost more at the most subscriptions than at [`FEW`].
const GROWTH_LIMIT: f64 = 1.3;
/// The longest a change may take the engine at 1,000,000 subscriptions, in nanoseconds.
const ENGINE_LIMIT: f64 = 1_000.0;
/// The same for the mixed load.
const MIXED_LIMIT: f64 = 5_000.0;
/// The most memory of a subscription in the engine.
const BYTES_LIMIT: f64 = 256.0;
/// The number of subscriptions that the engine's limits are for.
const GOAL_SUBSCRIPTIONS: u64 = 1_000_000;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's binary; without it only the engine runs.
    pub server: Option<PathBuf>,
    /// The engine's program; without it only the server runs.
    pub engine: Option<PathBuf>,
    /// Where the servers keep their data.
    pub work: PathBuf,
    /// The most subscriptions.
    pub max: usize,
    /// Clients that create, each with a subscription and socket of its own.
    pub clients: usize,
    /// Stretches of each server at each number of subscriptions.
    pub pairs: usize,
    /// Length of a stretch.
    pub length: Duration,
    /// Whether this is a rehearsal.
    pub tiny: bool,
}

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// `match`.
    pub benchmark: &'static str,
    /// Where.
    pub machine: Machine,
    /// Whether the figures are too small to mean anything.
    pub tiny: bool,
    /// What the engine's program printed.
    pub engine: Option<Value>,
    /// The whole server, at each number of subscriptions.
    pub server: Vec<Level>,
    /// The aims against what was measured.
    pub goals: Vec<Goal>,
    /// What all audits add up to; a run with a fault has no report.
    pub audit: Passed,
}

/// The whole server at one number of subscriptions.
#[derive(Debug, Serialize)]
pub struct Level {
    /// Idle subscriptions of the server that grows.
    pub subscriptions: usize,
    /// The server that grows.
    pub many: Figures,
    /// The one beside it, which does not.
    pub few: Figures,
    /// Server CPU of a create, many over few.
    pub growth: Option<Spread>,
    /// What making the subscriptions since the level before took.
    pub grown: Grown,
    /// The same with churn, at the number of subscriptions that W8 is for or the most there are.
    pub churn: Option<Churn>,
}

/// Both servers while subscriptions come and go.
#[derive(Debug, Serialize)]
pub struct Churn {
    /// Subscribes a second, each with its unsubscribe, of the server that grows.
    pub many_per_second: Option<Spread>,
    /// The same of the one beside it.
    pub few_per_second: Option<Spread>,
    /// The server that grows; its CPU is also that of the churn.
    pub many: Figures,
    /// The one beside it.
    pub few: Figures,
    /// Server CPU of a create, many over few, both with churn.
    pub growth: Option<Spread>,
}

/// What making subscriptions took.
#[derive(Debug, Serialize)]
pub struct Grown {
    /// How many.
    pub subscriptions: usize,
    /// In a second.
    pub per_second: f64,
    /// Server CPU of one.
    pub server_cpu_us: f64,
    /// Growth of the server's own memory by one.
    pub bytes: f64,
}

/// Runs both parts.
///
/// # Errors
/// When a program fails, and with the fault when an audit does: there are no figures then.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    std::fs::create_dir_all(&settings.work).context("making the work directory")?;
    let mut report = Report {
        format: FORMAT,
        benchmark: "match",
        machine: Machine::look(&settings.work),
        tiny: settings.tiny,
        engine: None,
        server: Vec::new(),
        goals: Vec::new(),
        audit: Passed::default(),
    };
    let busy = Busy::now();
    if let Some(program) = &settings.engine {
        let mut command = Command::new(program);
        let output = command.args(["figures", &settings.max.to_string()]).stderr(Stdio::inherit());
        let output = output.output().context("starting the engine's program")?;
        ensure!(output.status.success(), "the engine's program ended with {}", output.status);
        report.engine = Some(serde_json::from_slice(&output.stdout)?);
    }
    if let Some(server) = &settings.server {
        grow(settings, &Kind::Cresset(server.clone()), &mut report).await?;
    }
    let ours = crate::process::ticks_of_this_run();
    report.machine.others_cpu_share = Some(Busy::now().others_since(&busy, ours));
    report.goals = goals(&report);
    Ok(report)
}

async fn grow(settings: &Settings, kind: &Kind, report: &mut Report) -> anyhow::Result<()> {
    let mut few = Contender::start(settings, kind).await?;
    let mut many = Contender::start(settings, kind).await?;
    few.grow(FEW).await?;
    for subscriptions in [FEW, 10_000, 100_000, 1_000_000] {
        if subscriptions > settings.max.max(FEW) {
            break;
        }
        let grown = many.grow(subscriptions).await?;
        few.reconnect().await?;
        many.reconnect().await?;
        let (mut few_segments, mut many_segments) = (Vec::new(), Vec::new());
        for _ in 0..settings.pairs {
            few_segments.push(few.measure(settings).await?);
            many_segments.push(many.measure(settings).await?);
        }
        let has_churn = subscriptions == CHURN_SUBSCRIPTIONS.min(settings.max.max(FEW));
        let churn =
            if has_churn { Some(churn(&mut few, &mut many, settings).await?) } else { None };
        let level = Level {
            subscriptions,
            growth: growth(&many_segments, &few_segments),
            many: Figures::of(&many_segments),
            few: Figures::of(&few_segments),
            grown,
            churn,
        };
        eprintln!("{}", serde_json::to_string(&level)?);
        report.server.push(level);
    }
    for mut contender in [few, many] {
        let passed = audit(&contender.target, &mut contender.clients).await;
        report.audit.add(passed.context("the audit failed")?);
    }
    Ok(())
}

/// Server CPU of a create, many over few.
fn growth(many: &[Segment], few: &[Segment]) -> Option<Spread> {
    let cpu = Segment::server_cpu_per_create_us;
    Spread::of_ratios(many.iter().zip(few).map(|(many, few)| (cpu(many), cpu(few))))
}

/// W8: the same stretches while subscriptions come and go.
async fn churn(
    few: &mut Contender,
    many: &mut Contender,
    settings: &Settings,
) -> anyhow::Result<Churn> {
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..settings.pairs {
        of_few.push(few.measure_with_churn(settings).await?);
        of_many.push(many.measure_with_churn(settings).await?);
    }
    let per_second = |all: &[Churned]| Spread::of(all.iter().map(|one| one.per_second));
    let rates = (per_second(&of_many), per_second(&of_few));
    let segments = |all: Vec<Churned>| Vec::from_iter(all.into_iter().map(|one| one.segment));
    let (of_many, of_few) = (segments(of_many), segments(of_few));
    Ok(Churn {
        many_per_second: rates.0,
        few_per_second: rates.1,
        growth: growth(&of_many, &of_few),
        many: Figures::of(&of_many),
        few: Figures::of(&of_few),
    })
}

/// A server with its clients and idle subscriptions.
struct Contender {
    target: Target,
    clients: Vec<Client>,
    connection: Connection,
    idle: usize,
    /// Removed when the server has ended.
    _directory: tempfile::TempDir,
}

impl Contender {
    async fn start(settings: &Settings, kind: &Kind) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&settings.work)?;
        let target = Target::start(kind, directory.path()).await?;
        let clients = open_clients(&target, settings.clients, true).await?;
        let connection = Connection::open(target.address).await?;
        Ok(Self { target, clients, connection, idle: 0, _directory: directory })
    }

    /// Makes idle subscriptions until there are so many.
    async fn grow(&mut self, subscriptions: usize) -> anyhow::Result<Grown> {
        let (started, cpu, memory) = (Instant::now(), self.target.process.cpu(), self.memory()?);
        let first = self.idle;
        while self.idle < subscriptions {
            let count = BATCH.min(subscriptions - self.idle);
            let from = FIRST_PATIENT + self.idle;
            let patients = (from..from + count).map(patient);
            drop(self.target.subscribe_all(&mut self.connection, patients).await?);
            self.idle += count;
        }
        let made = (self.idle - first) as u64;
        let cpu = self.target.process.cpu().since(&cpu).as_secs_f64() * 1e6;
        let bytes = self.memory()?.anonymous_bytes.saturating_sub(memory.anonymous_bytes);
        #[expect(clippy::cast_precision_loss, reason = "memory of a run stays far below 2^52")]
        let bytes = bytes as f64;
        Ok(Grown {
            subscriptions: self.idle - first,
            per_second: rate(made, started.elapsed()),
            server_cpu_us: per(cpu, made),
            bytes: per(bytes, made),
        })
    }

    /// What was idle while the other one grew is closed by now.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        for client in &mut self.clients {
            client.reconnect(&self.target).await?;
        }
        self.connection = Connection::open(self.target.address).await?;
        Ok(())
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        self.target.process.memory()
    }

    async fn measure(&mut self, settings: &Settings) -> anyhow::Result<Segment> {
        closed_loop(&self.target, &mut self.clients, settings.length / 5, settings.length).await
    }

    async fn measure_with_churn(&mut self, settings: &Settings) -> anyhow::Result<Churned> {
        let Self { target, clients, .. } = self;
        closed_loop_with_churn(target, clients, settings.length / 5, settings.length).await
    }
}

fn goals(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    let goal = |id: &str, what, limit, measured| Goal::new(id.to_owned(), what, limit, measured);
    if let Some(level) = report.server.last()
        && let Some(growth) = level.growth
    {
        let what = "server CPU for a create with the most subscriptions, over 1,000";
        goals.push(goal("server-growth", what, GROWTH_LIMIT, growth.median));
    }
    let mut churned = report.server.iter().filter_map(|level| level.churn.as_ref()?.growth);
    if let Some(growth) = churned.next_back() {
        let what = "the same while 1,000 subscriptions a second come and go";
        goals.push(goal("server-growth-churn", what, GROWTH_LIMIT, growth.median));
    }
    let loads = report.engine.as_ref().and_then(|engine| engine["loads"].as_array());
    for load in loads.into_iter().flatten() {
        if load["subscriptions"].as_u64() != Some(GOAL_SUBSCRIPTIONS) {
            continue;
        }
        let (time, bytes) =
            (load["ns_per_change"].as_f64(), load["bytes_per_subscription"].as_f64());
        match (load["load"].as_str(), time, bytes) {
            (Some("patient"), Some(time), Some(bytes)) => {
                goals.push(goal(
                    "engine",
                    "engine: ns of a change, a patient each",
                    ENGINE_LIMIT,
                    time,
                ));
                goals.push(goal("bytes", "engine: bytes of a subscription", BYTES_LIMIT, bytes));
            }
            (Some("mixed"), Some(time), _) => {
                goals.push(goal(
                    "engine-mixed",
                    "engine: ns of a change, mixed",
                    MIXED_LIMIT,
                    time,
                ));
            }
            _ => {}
        }
    }
    goals
}
