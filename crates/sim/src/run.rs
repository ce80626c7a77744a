//! One run: so many steps in which things go wrong, and the calm after them.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use jiff::Timestamp;

use crate::checkers::Violation;
use crate::scenario::{Scenario, StoreKind};
use crate::trace::Trace;
use crate::world::World;

/// How often in the calm clients look whether something is switched off, in milliseconds.
const LOOK_PERIOD: u64 = 10_000;

/// Steps of the calm at most.
const CALM_STEPS_MAX: u64 = 500_000;

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps of the agenda.
    pub steps: u64,
    /// Time that passed in the world.
    pub milliseconds: u64,
    /// Changes in the log.
    pub changes: usize,
    /// Their events.
    pub events: usize,
    /// Attempts at endpoints.
    pub attempts: u64,
    /// Notifications that an endpoint took.
    pub taken: u64,
    /// Frames written to sockets.
    pub frames: u64,
    /// Crashes.
    pub crashes: u64,
    /// A hash of the trace.
    pub hash: u64,
    /// How often what was judged.
    pub judged: BTreeMap<&'static str, u64>,
}

/// A run that broke an invariant.
#[derive(Debug)]
pub struct Failure {
    /// What was seen.
    pub violation: Violation,
    /// What was run.
    pub seed: u64,
    /// So many steps were asked for.
    pub steps: u64,
    /// On this store.
    pub store: StoreKind,
    /// The step at which it was seen.
    pub step: u64,
    /// The last steps.
    pub last: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { violation, seed, steps, store, step, last } = self;
        for line in last {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "{violation}")?;
        let commit = commit_id().unwrap_or_else(|| "unknown".to_owned());
        writeln!(f, "seed {seed}, commit {commit}, step {step}")?;
        let store = match store {
            StoreKind::Embedded => " --store embedded",
            StoreKind::Memory => "",
        };
        write!(f, "replay: cargo run -p cresset-sim -- --seed {seed} --steps {steps}{store}")
    }
}

/// Runs a scenario for so many steps, and then until all that is owed has arrived.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(scenario: Scenario, steps: u64, trace: Trace) -> Result<(Report, Trace), Box<Failure>> {
    let (seed, store) = (scenario.seed, scenario.store);
    let failure = |violation, world: Option<&World>| {
        let step = world.map_or(0, |world| world.report().steps);
        let last = world.map(|world| world.trace().last().map(str::to_owned).collect());
        Box::new(Failure { violation, seed, steps, store, step, last: last.unwrap_or_default() })
    };
    let mut world = World::new(scenario, trace).map_err(|error| {
        failure(Violation::new("assertion", format!("no world: {error:#}")), None)
    })?;
    // A broken assertion of the node is as much a finding as one of the checkers.
    let ended =
        catch_unwind(AssertUnwindSafe(|| live(&mut world, steps))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Violation::new("assertion", text.unwrap_or_else(|| "a panic".to_owned())))
        });
    match ended {
        Ok(()) => Ok((world.report(), world.into_trace())),
        Err(violation) => Err(failure(violation, Some(&world))),
    }
}

fn live(world: &mut World, steps: u64) -> Result<(), Violation> {
    while world.report.steps < steps {
        world.step()?;
    }
    world.calm();
    let end = world.now + world.patience();
    let last_step = world.report.steps + CALM_STEPS_MAX;
    let mut look_at = world.now;
    loop {
        if world.now >= look_at {
            look_at = world.now + LOOK_PERIOD;
            world.make_well();
            if world.is_settled() {
                break;
            }
        }
        if world.now > end || world.report.steps > last_step {
            world.checkers.no_loss.check(&world.checkers.facts)?;
            return Err(Violation::new("no_loss", "requests are never answered"));
        }
        world.step()?;
    }
    world.end()
}

/// The commit of the working tree, if there is one.
pub fn commit_id() -> Option<String> {
    let asked = Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let id = String::from_utf8(asked.stdout).ok()?;
    asked.status.success().then(|| id.trim().to_owned())
}

/// A seed that each commit has another one of; where there is none, that each moment has.
#[expect(clippy::disallowed_methods, reason = "a seed is told with what fails")]
pub fn commit_seed() -> u64 {
    let of_commit = commit_id().and_then(|id| u64::from_str_radix(id.get(..12)?, 16).ok());
    of_commit.unwrap_or_else(|| Timestamp::now().as_millisecond().unsigned_abs())
}
