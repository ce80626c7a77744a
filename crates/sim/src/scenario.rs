//! What a seed makes of a run: what the operator set, and how much goes wrong.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_engine::{BreakerPolicy, RetryPolicy, RetrySchedule};
use cresset_node::{Config, RetentionConfig, SearchIndex};

use crate::prng::Prng;

/// Hosts of endpoints. The first one is never in trouble.
pub(crate) const HOSTS: usize = 4;
/// Subscriptions by endpoint.
pub(crate) const HOOKS: u64 = 10;
/// Subscriptions by websocket.
pub(crate) const WEBSOCKETS: u64 = 4;

/// Most runs have one version, so that as much as may be happens at its base.
pub(crate) const VERSIONS: [&[FhirVersion]; 4] =
    [&[FhirVersion::R4], &[FhirVersion::R4B], &[FhirVersion::R5], &FhirVersion::ALL];

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Which store is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// SQLite in files, with torn and lost writes at a power failure.
    Embedded,
    /// In memory: fast, and keeps what it was told.
    Memory,
}

/// A run's circumstances. Chances are in a thousand.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What everything is drawn from.
    pub seed: u64,
    /// The store.
    pub store: StoreKind,
    /// The operator's part.
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) per_host_max: usize,
    pub(crate) websocket_count_max: u32,
    /// Milliseconds between crashes, between jumps of the clock, between changes for the worse or
    /// the better: at most; none for never.
    pub(crate) crash_period: Option<u64>,
    pub(crate) jump_period: Option<u64>,
    pub(crate) trouble_period: u64,
    /// Longest jump of the clock.
    pub(crate) jump_max: u64,
    /// Of wake-ups: lost, or given for nothing.
    pub(crate) hints_lost: u64,
    pub(crate) hints_spurious: u64,
    /// Of appends: failed, of unknown outcome, with a crash in the middle.
    pub(crate) append_fails: u64,
    pub(crate) append_unknown: u64,
    pub(crate) append_crashes: u64,
    /// Of outcomes: late by more than anybody waits, never told.
    pub(crate) outcomes_late: u64,
    pub(crate) outcomes_lost: u64,
    /// Of frames: the connection breaks before they are written.
    pub(crate) sockets_break: u64,
    /// Machines of subscriptions that nothing happens to, before more of them are put away.
    pub(crate) machines_kept: usize,
    /// The FHIR versions that clients speak.
    pub(crate) versions: &'static [FhirVersion],
    /// What is kept of events.
    pub(crate) retention: RetentionConfig,
    /// Milliseconds between looks for what can be forgotten.
    pub(crate) forget_period: u64,
    /// What the embedded store keeps in memory before it writes it to its views.
    pub(crate) tail_weight_max: usize,
}

impl Scenario {
    /// The circumstances of a seed.
    pub fn new(seed: u64, store: StoreKind) -> Self {
        let mut draw = Prng::new(seed, "scenario");
        // A third of the runs is without each kind of fault, so that none hides another one.
        let mut rate = |max: u64| if draw.chance(330) { 0 } else { draw.between(1, max) };
        let hints_lost = rate(200);
        let hints_spurious = rate(100);
        let append_fails = rate(30);
        let append_unknown = rate(30);
        let append_crashes = rate(20);
        let outcomes_late = rate(50);
        let outcomes_lost = rate(30);
        let sockets_break = rate(150);
        let crash_period =
            (!draw.chance(250)).then(|| draw.pick(&[20 * SECOND, 10 * MINUTE, HOUR]));
        let jump_period = draw.chance(400).then_some(HOUR);
        Self {
            seed,
            store,
            retry: retry(&mut draw),
            breaker: BreakerPolicy {
                failures_max: NonZeroU32::new(draw.pick(&[2, 4, 10])).expect("not zero"),
                pause_min: Duration::from_secs(draw.between(1, 10)),
                pause_max: Duration::from_secs(draw.between(10, 120)),
            },
            per_host_max: draw.pick(&[1, 2, 4]),
            websocket_count_max: draw.pick(&[1, 3, 100]),
            crash_period,
            jump_period,
            trouble_period: draw.pick(&[20 * SECOND, 5 * MINUTE]),
            jump_max: draw.pick(&[30 * SECOND, 30 * MINUTE, 6 * HOUR]),
            hints_lost,
            hints_spurious,
            append_fails,
            append_unknown,
            append_crashes,
            outcomes_late,
            outcomes_lost,
            sockets_break,
            machines_kept: draw.pick(&[0, 3, 1_000]),
            versions: draw.pick(&VERSIONS),
            retention: retention(&mut draw),
            forget_period: draw.pick(&[MINUTE, HOUR]),
            tail_weight_max: draw.pick(&[5, 60, 300, 131_072]),
        }
    }

    /// The version of a subscription, by its id: there is one with that id at no other base. The first
    /// two for websockets are bound together, so theirs is the same.
    pub(crate) fn version_of(&self, id: &str) -> FhirVersion {
        let number = id.get(1..).and_then(|number| number.parse().ok());
        let number: usize = number.filter(|_| !matches!(id, "w0" | "w1")).unwrap_or(0);
        self.versions[number % self.versions.len()]
    }

    /// The node's options.
    pub(crate) fn config(&self) -> Config {
        let size = |number: usize| NonZeroUsize::new(number).expect("not zero");
        let mut config = Config::small("http://sim.test");
        config.limits.write_queue_max = 64;
        config.delivery.retry = self.retry.clone();
        // Room for every host and one more: what one host may take, no other can miss.
        config.delivery.concurrency_max = size(self.per_host_max * (HOSTS + 1));
        config.delivery.concurrency_per_host_max = size(self.per_host_max);
        config.delivery.breaker = self.breaker;
        config.delivery.attempts_per_subscription_max = size(3);
        let count_max = NonZeroU32::new(self.websocket_count_max).expect("not zero");
        config.websocket.max_count_default = count_max;
        config.websocket.sockets_max = 1_000;
        config.websocket.sockets_unbound_max = 1_000;
        config.retention = self.retention.clone();
        config.search.index = SearchIndex::All;
        config.search.concurrency_max = 1;
        config
    }

    /// Longest time that all retries of a notification may take, and a probe of its host after that.
    pub(crate) fn patience(&self) -> u64 {
        // The ladders below end after 15 minutes; Retry-After and the breaker add theirs.
        HOUR + self.jump_max
    }
}

/// Half of the runs keep everything.
fn retention(draw: &mut Prng) -> RetentionConfig {
    let years = Duration::from_secs(10 * 365 * 86_400);
    let few = draw.chance(250);
    let short = draw.chance(330);
    RetentionConfig {
        events_keep: if short { Duration::from_secs(draw.pick(&[300, 3_600])) } else { years },
        events_per_subscription_max: if few { draw.between(1, 30) } else { 1_000_000 },
    }
}

fn retry(draw: &mut Prng) -> RetryPolicy {
    let seconds = |list: &[u64]| {
        let delays: Vec<_> = list.iter().map(|one| Duration::from_secs(*one)).collect();
        RetrySchedule::new(&delays).expect("a short ladder")
    };
    let ladder: &[u64] = draw.pick(&[&[1, 5, 30][..], &[2, 2, 2, 2, 2, 2], &[5, 30, 120, 600]]);
    let handshakes: &[u64] = draw.pick(&[&[2, 4, 8][..], &[5]]);
    RetryPolicy {
        handshake_delay: Duration::from_secs(draw.between(0, 2)),
        handshake_retries: seconds(handshakes),
        retries: seconds(ladder),
        retry_after_max: Duration::from_secs(draw.pick(&[10, 600])),
        rejection_retries_max: u32::try_from(draw.between(0, 3)).expect("small"),
        off_after: draw.pick(&[None, Some(Duration::from_secs(2 * 3_600))]),
        heartbeats_in_error: draw.chance(500),
        coalesce_window: Duration::from_secs(draw.pick(&[0, 0, 3])),
        timeout_default: Duration::from_secs(draw.pick(&[2, 10, 30])),
        max_count_default: NonZeroU32::new(draw.pick(&[1, 3, 100])).expect("not zero"),
        flush_missed: draw.chance(250),
    }
}
