//! `cresset-bench`: the load generator and its baselines. See `docs/performance.md`.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use cresset_bench::audit::Passed;
use cresset_bench::baseline::{bare_path, broadcaster, echo, flush, scan, sender};
use cresset_bench::delivery;
use cresset_bench::main_path::{self, Part, Settings};
use cresset_bench::matching;
use cresset_bench::report::Goal;
use cresset_bench::rest;
use cresset_bench::summary::Summary;
use serde::Serialize;

/// The generator shares its cores with the server: it uses the same allocator, so that neither waits for a slower one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Cresset as a black box, beside baselines of known cost.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From a durable event to many subscribers, over a kill and a restart: W3, W4, W6 and W10 beside W and R.
    Delivery(Delivery),
    /// From a durable create to the subscriber's frame: W1, W5 and W7 beside E, S, F, K, W and M.
    MainPath(MainPath),
    /// What a change costs while more and more subscriptions do not match it, in the engine and in the server.
    Match(Match),
    /// What creates, reads and searches cost while the store grows.
    Rest(Rest),
    /// One baseline; started by the program itself.
    #[command(subcommand)]
    Baseline(Baseline),
}

#[derive(Debug, clap::Args)]
struct Delivery {
    /// Print the JSON document on one line.
    #[arg(long)]
    json: bool,
    /// Seconds of each measured stretch [default: 2, tiny: 0.2].
    #[arg(long)]
    seconds: Option<f64>,
    /// Stretches of each target, interleaved [default: 5, tiny: 1].
    #[arg(long)]
    pairs: Option<usize>,
    /// Only these parts [default: all].
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<delivery::Part>>,
    /// Numbers of websockets for W3 [default: 1,100,9000, tiny: 1,8].
    #[arg(long, value_delimiter = ',')]
    sockets: Option<Vec<usize>>,
    /// Numbers of endpoints for W4 [default: 1,100,1000, tiny: 1,10].
    #[arg(long, value_delimiter = ',')]
    endpoints: Option<Vec<usize>>,
    /// Subscriptions of the large store [default: 1000000, tiny: 1000]; it has ten times as many events.
    #[arg(long)]
    subscriptions: Option<u64>,
    /// Make the large store anew, though there is one in the work directory.
    #[arg(long)]
    fresh: bool,
    /// The server's binary [default: `cresset` beside this program].
    #[arg(long)]
    server_binary: Option<PathBuf>,
    /// The program that fills stores [default: `examples/fill` beside this program].
    #[arg(long)]
    fill_binary: Option<PathBuf>,
    /// Where the targets keep their data; must be a real disk [default: `bench-data` beside this program].
    #[arg(long)]
    work: Option<PathBuf>,
    /// A rehearsal of seconds, whose figures mean nothing.
    #[arg(long)]
    tiny: bool,
}

#[derive(Debug, clap::Args)]
struct MainPath {
    /// Print the JSON document on one line.
    #[arg(long)]
    json: bool,
    /// Seconds of each measured stretch [default: 2, tiny: 0.2].
    #[arg(long)]
    seconds: Option<f64>,
    /// Stretches of each target, interleaved [default: 5, tiny: 1].
    #[arg(long)]
    pairs: Option<usize>,
    /// Numbers of clients for W1 [default: 1,16,64, tiny: 1,4].
    #[arg(long, value_delimiter = ',')]
    clients: Option<Vec<usize>>,
    /// Only these parts [default: all].
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<Part>>,
    /// The server's binary [default: `cresset` beside this program].
    #[arg(long)]
    server_binary: Option<PathBuf>,
    /// Leave the server out.
    #[arg(long, conflicts_with = "server_binary")]
    baselines_only: bool,
    /// Where the targets keep their data; must be a real disk [default: `bench-data` beside this program].
    #[arg(long)]
    work: Option<PathBuf>,
    /// A rehearsal of seconds, whose figures mean nothing.
    #[arg(long)]
    tiny: bool,
}

#[derive(Debug, clap::Args)]
struct Match {
    /// Print the JSON document on one line.
    #[arg(long)]
    json: bool,
    /// The most subscriptions [default: 1000000, tiny: 1000]. A million takes the server some minutes to make.
    #[arg(long)]
    max: Option<usize>,
    /// Seconds of each measured stretch [default: 2, tiny: 0.2].
    #[arg(long)]
    seconds: Option<f64>,
    /// Stretches of each server, interleaved [default: 5, tiny: 1].
    #[arg(long)]
    pairs: Option<usize>,
    /// Only this part [default: both].
    #[arg(long)]
    only: Option<MatchPart>,
    /// The server's binary [default: `cresset` beside this program].
    #[arg(long)]
    server_binary: Option<PathBuf>,
    /// The engine's program [default: `examples/matching` beside this program].
    #[arg(long)]
    engine_binary: Option<PathBuf>,
    /// Where the servers keep their data; must be a real disk [default: `bench-data` beside this program].
    #[arg(long)]
    work: Option<PathBuf>,
    /// A rehearsal of seconds, whose figures mean nothing.
    #[arg(long)]
    tiny: bool,
}

#[derive(Debug, clap::Args)]
struct Rest {
    /// Print the JSON document on one line.
    #[arg(long)]
    json: bool,
    /// Numbers of resources, rising [default: 100000,1000000, tiny: 1000,2000].
    #[arg(long, value_delimiter = ',')]
    sizes: Option<Vec<usize>>,
    /// Seconds of each measured stretch [default: 2, tiny: 0.2].
    #[arg(long)]
    seconds: Option<f64>,
    /// Stretches of each request at each size [default: 3, tiny: 1].
    #[arg(long)]
    pairs: Option<usize>,
    /// The server's binary [default: `cresset` beside this program].
    #[arg(long)]
    server_binary: Option<PathBuf>,
    /// Where the server keeps its data; must be a real disk [default: `bench-data` beside this program].
    #[arg(long)]
    work: Option<PathBuf>,
    /// A rehearsal of seconds, whose figures mean nothing.
    #[arg(long)]
    tiny: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MatchPart {
    /// The engine alone.
    Engine,
    /// The whole server, over HTTP and websockets.
    Server,
}

#[derive(Debug, Subcommand)]
enum Baseline {
    /// axum echo.
    E(Data),
    /// Write and fdatasync in groups.
    F {
        #[command(flatten)]
        data: Data,
        /// Records in a group.
        #[arg(long)]
        group: usize,
        /// Bytes of a record.
        #[arg(long)]
        record_bytes: usize,
        /// How long.
        #[arg(long)]
        seconds: f64,
    },
    /// The bare durable path.
    K(Data),
    /// A linear scan.
    M {
        /// Filters.
        #[arg(long)]
        filters: usize,
        /// How long.
        #[arg(long)]
        seconds: f64,
    },
    /// A bare sender of webhooks.
    R(Data),
    /// axum sink.
    S(Data),
    /// A bare websocket broadcaster.
    W(Data),
}

#[derive(Debug, clap::Args)]
struct Data {
    /// Where it may keep data.
    #[arg(long)]
    data: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Delivery(arguments) => arguments.run(),
        Command::MainPath(arguments) => arguments.run(),
        Command::Match(arguments) => arguments.run(),
        Command::Rest(arguments) => arguments.run(),
        Command::Baseline(baseline) => baseline.run(),
    }
}

impl Delivery {
    fn run(self) -> anyhow::Result<()> {
        sharpen_timers();
        let json = self.json;
        let settings = self.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(delivery::run(&settings))?;
        tell(&report.goals, report.audit);
        print(&report, json)
    }

    fn settings(self) -> anyhow::Result<delivery::Settings> {
        use delivery::Part;
        let beside = std::env::current_exe().context("finding this program")?;
        let server = self.server_binary.unwrap_or_else(|| beside.with_file_name("cresset"));
        let fill = self.fill_binary;
        let fill = fill.unwrap_or_else(|| beside.with_file_name("examples").join("fill"));
        let parts = self
            .only
            .unwrap_or_else(|| vec![Part::W3, Part::W4, Part::W6, Part::Restart, Part::W10]);
        let fills = parts.iter().any(|part| matches!(part, Part::Restart | Part::W10));
        for program in [Some(&server), fills.then_some(&fill)].into_iter().flatten() {
            ensure!(program.is_file(), "{} is not there: build it first", program.display());
        }
        let tiny = self.tiny;
        let seconds = self.seconds.unwrap_or(if tiny { 0.2 } else { 2.0 });
        let subscriptions = self.subscriptions.unwrap_or(if tiny { 1_000 } else { 1_000_000 });
        Ok(delivery::Settings {
            server,
            fill,
            work: self.work.unwrap_or_else(|| beside.with_file_name("bench-data")),
            parts,
            length: Duration::try_from_secs_f64(seconds).context("--seconds")?,
            pairs: self.pairs.unwrap_or(if tiny { 1 } else { 5 }),
            sockets: self.sockets.unwrap_or(if tiny { vec![1, 8] } else { vec![1, 100, 9_000] }),
            endpoints: self.endpoints.unwrap_or(if tiny {
                vec![1, 10]
            } else {
                vec![1, 100, 1_000]
            }),
            kills: if tiny { 1 } else { 10 },
            restarts: if tiny { 1 } else { 3 },
            large: delivery::Large {
                subscriptions,
                changes: subscriptions,
                events_per_change: 10,
                away: 4,
            },
            fresh: self.fresh,
            others_rate: if tiny { 100 } else { 500 },
            tiny,
        })
    }
}

/// Tells the aims and the audit in words, for people who watch the run.
fn tell(goals: &[Goal], audit: Passed) {
    for goal in goals {
        let met = if goal.met { "met" } else { "MISSED" };
        eprintln!("{met}: {}: {}: {} of at most {}", goal.id, goal.what, goal.measured, goal.limit);
    }
    eprintln!("audit passed: {} events of {} subscriptions", audit.events, audit.subscriptions);
}

impl MainPath {
    fn run(self) -> anyhow::Result<()> {
        sharpen_timers();
        let json = self.json;
        let settings = self.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(main_path::run(&settings))?;
        write!(std::io::stderr().lock(), "{}", Summary(&report))?;
        print(&report, json)
    }

    fn settings(self) -> anyhow::Result<Settings> {
        let beside = std::env::current_exe().context("finding this program")?;
        let server = (!self.baselines_only)
            .then(|| self.server_binary.unwrap_or_else(|| beside.with_file_name("cresset")));
        if let Some(server) = &server {
            ensure!(server.is_file(), "{} is not there: build it first", server.display());
        }
        let tiny = self.tiny;
        let seconds = self.seconds.unwrap_or(if tiny { 0.2 } else { 2.0 });
        let every = vec![Part::W1, Part::W5, Part::W7, Part::W, Part::M];
        let clients = if tiny { vec![1, 4] } else { vec![1, 16, 64] };
        Ok(Settings {
            server,
            work: self.work.unwrap_or_else(|| beside.with_file_name("bench-data")),
            parts: self.only.unwrap_or(every),
            length: Duration::try_from_secs_f64(seconds).context("--seconds")?,
            pairs: self.pairs.unwrap_or(if tiny { 1 } else { 5 }),
            clients: self.clients.unwrap_or(clients),
            rates: vec![100, 1_000],
            open_loop_clients: if tiny { 16 } else { 64 },
            idle_runs: if tiny { 1 } else { 3 },
            subscriptions: if tiny { 100 } else { 10_000 },
            warm_up_creates: if tiny { 100 } else { 40_000 },
            sockets: if tiny { 20 } else { 1_000 },
            fan_out: if tiny { 8 } else { 64 },
            filters: if tiny { vec![1_000] } else { vec![1_000, 1_000_000] },
            tiny,
        })
    }
}

impl Match {
    fn run(self) -> anyhow::Result<()> {
        let json = self.json;
        let settings = self.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(matching::run(&settings))?;
        for goal in &report.goals {
            let met = if goal.met { "met" } else { "missed" };
            eprintln!("{}: {} (aim {}: {met})", goal.what, goal.measured, goal.limit);
        }
        print(&report, json)
    }

    fn settings(self) -> anyhow::Result<matching::Settings> {
        let beside = std::env::current_exe().context("finding this program")?;
        let server = (self.only != Some(MatchPart::Engine))
            .then(|| self.server_binary.unwrap_or_else(|| beside.with_file_name("cresset")));
        let engine = (self.only != Some(MatchPart::Server)).then(|| {
            self.engine_binary.unwrap_or_else(|| beside.with_file_name("examples").join("matching"))
        });
        for program in [&server, &engine].into_iter().flatten() {
            ensure!(program.is_file(), "{} is not there: build it first", program.display());
        }
        let tiny = self.tiny;
        let seconds = self.seconds.unwrap_or(if tiny { 0.2 } else { 2.0 });
        Ok(matching::Settings {
            server,
            engine,
            work: self.work.unwrap_or_else(|| beside.with_file_name("bench-data")),
            max: self.max.unwrap_or(if tiny { 1_000 } else { 1_000_000 }),
            clients: if tiny { 4 } else { 64 },
            pairs: self.pairs.unwrap_or(if tiny { 1 } else { 5 }),
            length: Duration::try_from_secs_f64(seconds).context("--seconds")?,
            tiny,
        })
    }
}

impl Rest {
    fn run(self) -> anyhow::Result<()> {
        let json = self.json;
        let settings = self.settings()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(rest::run(&settings))?;
        for goal in &report.goals {
            let met = if goal.met { "met" } else { "missed" };
            eprintln!("{}: {}: {} (aim {}: {met})", goal.id, goal.what, goal.measured, goal.limit);
        }
        print(&report, json)
    }

    fn settings(self) -> anyhow::Result<rest::Settings> {
        let beside = std::env::current_exe().context("finding this program")?;
        let server = self.server_binary.unwrap_or_else(|| beside.with_file_name("cresset"));
        ensure!(server.is_file(), "{} is not there: build it first", server.display());
        let tiny = self.tiny;
        let seconds = self.seconds.unwrap_or(if tiny { 0.2 } else { 2.0 });
        let sizes = if tiny { vec![1_000, 2_000] } else { vec![100_000, 1_000_000] };
        let sizes = self.sizes.unwrap_or(sizes);
        let rise = sizes.windows(2).all(|pair| pair[0] < pair[1]);
        ensure!(rise && sizes.iter().all(|size| size % 100 == 0), "--sizes must rise, in hundreds");
        Ok(rest::Settings {
            server,
            work: self.work.unwrap_or_else(|| beside.with_file_name("bench-data")),
            sizes,
            clients: if tiny { 2 } else { 8 },
            pairs: self.pairs.unwrap_or(if tiny { 1 } else { 3 }),
            length: Duration::try_from_secs_f64(seconds).context("--seconds")?,
            tiny,
        })
    }
}

impl Baseline {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::E(_) => echo::serve_echo(),
            Self::F { data, group, record_bytes, seconds } => {
                let length = Duration::try_from_secs_f64(seconds)?;
                print(&flush::run(&data.data, group, record_bytes, length)?, true)
            }
            Self::K(data) => bare_path::serve(&data.data),
            Self::M { filters, seconds } => {
                print(&scan::run(filters, Duration::try_from_secs_f64(seconds)?), true)
            }
            Self::R(_) => sender::serve(),
            Self::S(_) => echo::serve_sink(),
            Self::W(_) => broadcaster::serve(),
        }
    }
}

/// Prints a document on standard output.
fn print(document: &impl Serialize, one_line: bool) -> anyhow::Result<()> {
    let text = if one_line {
        serde_json::to_string(document)
    } else {
        serde_json::to_string_pretty(document)
    };
    Ok(writeln!(std::io::stdout().lock(), "{}", text?)?)
}

/// Asks the kernel not to bundle this program's timers: an open loop is only as good as its clock. Where that is
/// not allowed the generator is late by some 50 µs, which its own figure (`lag`) shows.
fn sharpen_timers() {
    drop(std::fs::write("/proc/self/timerslack_ns", "1"));
}
