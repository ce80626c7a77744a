//! The JSON document of a run. Its fields are described in `docs/performance.md`; they are added to, never renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::Passed;
use crate::baseline::{flush, scan};
use crate::load::Segment;
use crate::machine::Machine;
use crate::process::Memory;
use crate::statistics::{Latency, Samples, Spread, per, rate};

/// The number of the document's form.
pub const FORMAT: u32 = 1;

/// Everything one run of `main-path` measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// `main-path`.
    pub benchmark: &'static str,
    /// What was asked for.
    pub settings: Settings,
    /// Where.
    pub machine: Machine,
    /// W1, for each number of clients.
    pub w1: Vec<Throughput>,
    /// W5, for each rate.
    pub w5: Vec<OpenLoop>,
    /// W7.
    pub w7: Option<Idle>,
    /// W: one frame to many sockets.
    pub w: Option<FanOut>,
    /// M: a linear scan.
    pub m: Vec<scan::Figures>,
    /// The aims of this stage against what was measured.
    pub goals: Vec<Goal>,
    /// What all audits add up to; a run with a fault has no report.
    pub audit: Passed,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// The server's binary; none when only baselines ran.
    pub server_binary: Option<String>,
    /// Variables of the environment that configured it beyond its defaults.
    pub server_environment: BTreeMap<String, String>,
    /// Length of a measured stretch.
    pub seconds: f64,
    /// Stretches of each target, interleaved.
    pub pairs: usize,
    /// Bytes of the created resource.
    pub body_bytes: usize,
    /// Whether the figures are too small to mean anything.
    pub tiny: bool,
}

/// The stretches of one target, summed up.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Creates in all measured stretches.
    pub creates: u64,
    /// Creates a second.
    pub creates_per_second: Option<Spread>,
    /// CPU time of the target for a create, in microseconds.
    pub server_cpu_per_create_us: Option<Spread>,
    /// CPU time of the generator for a create, in microseconds.
    pub client_cpu_per_create_us: Option<Spread>,
    /// Create to 201, over all stretches.
    pub created: Option<Latency>,
    /// Create to frame, over all stretches.
    pub frame: Option<Latency>,
    /// Open loop only: how late creates were sent, by the generator's own delay and by waiting for a free
    /// connection; contained in the latencies.
    pub lag: Option<Latency>,
    /// K only: records in a flush, on average.
    pub records_per_flush: Option<f64>,
}

/// Ours over K, pair by pair.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// CPU time of the server for a create.
    pub server_cpu_per_create: Option<Spread>,
    /// Creates a second.
    pub creates_per_second: Option<Spread>,
    /// p50 from create to frame.
    pub frame_p50: Option<Spread>,
    /// p99 from create to frame.
    pub frame_p99: Option<Spread>,
}

/// W1 at one number of clients.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Clients, each with one websocket subscription of its own.
    pub clients: usize,
    /// The server.
    pub ours: Option<Figures>,
    /// The bare durable path.
    pub k: Figures,
    /// axum echo.
    pub e: Figures,
    /// axum sink.
    pub s: Figures,
    /// Write and fdatasync, one by one and at K's mean group.
    pub f: Vec<flush::Figures>,
    /// Ours over K.
    pub ratios: Option<Ratios>,
}

/// W5 at one rate.
#[derive(Debug, Serialize)]
pub struct OpenLoop {
    /// Creates intended in a second.
    pub rate_per_second: u32,
    /// Connections they are spread over, each with a subscription of its own.
    pub clients: usize,
    /// The server.
    pub ours: Option<Figures>,
    /// The bare durable path.
    pub k: Figures,
    /// Ours over K.
    pub ratios: Option<Ratios>,
}

/// W7.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// Idle subscriptions.
    pub subscriptions: usize,
    /// Idle sockets, each bound to one of them.
    pub sockets: usize,
    /// The server.
    pub ours: Option<Grown>,
    /// The same sockets on the bare durable path.
    pub k: Grown,
}

/// How memory grew, over all runs. An allocator keeps what bursts left behind: one run says little.
#[derive(Debug, Serialize)]
pub struct Grown {
    /// Growth of resident memory for a subscription, in bytes.
    pub bytes_per_subscription: Option<Spread>,
    /// Growth of resident memory for a socket, in bytes.
    pub bytes_per_socket: Option<Spread>,
    /// Subscriptions created in a second.
    pub subscriptions_per_second: Option<Spread>,
    /// CPU time of the server for a subscription, in microseconds.
    pub server_cpu_per_subscription_us: Option<Spread>,
    /// Sockets opened and bound in a second.
    pub sockets_per_second: Option<Spread>,
    /// Whether memory stood still before every reading.
    pub settled: bool,
    /// Each run, on a target of its own.
    pub runs: Vec<Growth>,
}

/// How memory grew in one run.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Once warm.
    pub warm: Memory,
    /// With the subscriptions, for targets that have them without sockets.
    pub subscribed: Option<Subscribed>,
    /// With the sockets too.
    pub sockets: Memory,
    /// Growth for a socket.
    pub per_socket: PerUnit,
    /// Sockets opened and bound in a second.
    pub sockets_per_second: f64,
    /// Whether memory stood still before each reading.
    pub settled: bool,
}

/// What subscriptions cost in one run.
#[derive(Debug, Serialize)]
pub struct Subscribed {
    /// Memory with half of them.
    pub half: Memory,
    /// Memory with all of them.
    pub all: Memory,
    /// Growth for each.
    pub each: PerUnit,
    /// Growth for each of the second half.
    pub each_of_second_half: PerUnit,
    /// Created in a second.
    pub per_second: f64,
    /// CPU time of the server for each, in microseconds.
    pub server_cpu_each_us: f64,
}

/// Growth of memory for one of many.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PerUnit {
    /// Of all resident pages.
    pub resident_bytes: f64,
    /// Of the process's own.
    pub anonymous_bytes: f64,
}

/// W: what one frame costs a bare broadcaster.
#[derive(Debug, Serialize)]
pub struct FanOut {
    /// Sockets that each frame goes to.
    pub sockets: usize,
    /// Frames delivered.
    pub frames: u64,
    /// Frames delivered in a second.
    pub frames_per_second: f64,
    /// CPU time of the broadcaster for a frame, in microseconds.
    pub server_cpu_per_frame_us: f64,
    /// POST to the last of the frames.
    pub last_frame: Option<Latency>,
}

/// One aim and whether it was met.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// Which.
    pub id: String,
    /// What is compared.
    pub what: &'static str,
    /// The most allowed.
    pub limit: f64,
    /// What was measured.
    pub measured: f64,
    /// Whether it is within the limit.
    pub met: bool,
}

impl Figures {
    /// Sums up the stretches of one target.
    #[must_use]
    pub fn of(segments: &[Segment]) -> Self {
        let spread = |figure: fn(&Segment) -> f64| Spread::of(segments.iter().map(figure));
        let pooled = |samples: fn(&Segment) -> &Samples| {
            let mut pool = Samples::default();
            segments.iter().for_each(|segment| pool.extend(samples(segment)));
            pool.latency()
        };
        Self {
            creates: segments.iter().map(|segment| segment.creates).sum(),
            creates_per_second: spread(Segment::creates_per_second),
            server_cpu_per_create_us: spread(Segment::server_cpu_per_create_us),
            client_cpu_per_create_us: spread(Segment::client_cpu_per_create_us),
            created: pooled(|segment| &segment.created),
            frame: pooled(|segment| &segment.framed),
            lag: pooled(|segment| &segment.lag),
            records_per_flush: None,
        }
    }
}

impl Ratios {
    /// Compares the stretches pair by pair.
    #[must_use]
    pub fn of(ours: &[Segment], theirs: &[Segment]) -> Self {
        let ratio = |figure: fn(&Segment) -> f64| {
            let pairs = ours.iter().zip(theirs);
            Spread::of_ratios(pairs.map(|(ours, theirs)| (figure(ours), figure(theirs))))
        };
        Self {
            server_cpu_per_create: ratio(Segment::server_cpu_per_create_us),
            creates_per_second: ratio(Segment::creates_per_second),
            frame_p50: ratio(|segment| segment.frame(|latency| latency.p50_us)),
            frame_p99: ratio(|segment| segment.frame(|latency| latency.p99_us)),
        }
    }
}

impl Segment {
    /// Creates done in a second.
    #[must_use]
    pub fn creates_per_second(&self) -> f64 {
        rate(self.creates, self.elapsed)
    }

    /// CPU time of the target for a create, in microseconds.
    #[must_use]
    pub fn server_cpu_per_create_us(&self) -> f64 {
        per(self.server_cpu.as_secs_f64() * 1e6, self.creates)
    }

    /// One figure of the latencies from create to frame; not a number without any.
    fn frame(&self, figure: fn(Latency) -> f64) -> f64 {
        self.framed.latency().map_or(f64::NAN, figure)
    }

    /// CPU time of the generator for a create, in microseconds.
    #[must_use]
    pub fn client_cpu_per_create_us(&self) -> f64 {
        per(self.client_cpu.as_secs_f64() * 1e6, self.creates)
    }
}

impl Grown {
    /// Sums up the runs.
    #[must_use]
    pub fn of(runs: Vec<Growth>) -> Self {
        let each = |figure: fn(&Subscribed) -> f64| {
            Spread::of(runs.iter().filter_map(|run| run.subscribed.as_ref()).map(figure))
        };
        let socket = |figure: fn(&Growth) -> f64| Spread::of(runs.iter().map(figure));
        Self {
            bytes_per_subscription: each(|subscribed| subscribed.each.resident_bytes),
            bytes_per_socket: socket(|run| run.per_socket.resident_bytes),
            subscriptions_per_second: each(|subscribed| subscribed.per_second),
            server_cpu_per_subscription_us: each(|subscribed| subscribed.server_cpu_each_us),
            sockets_per_second: socket(|run| run.sockets_per_second),
            settled: runs.iter().all(|run| run.settled),
            runs,
        }
    }
}

impl PerUnit {
    /// Growth from one reading to another, for each of `count`.
    #[must_use]
    pub fn of(before: Memory, after: Memory, count: usize) -> Self {
        let growth = |before: u64, after: u64| {
            let growth = i64::try_from(after).unwrap_or_default()
                - i64::try_from(before).unwrap_or_default();
            per(as_float(growth), count as u64)
        };
        Self {
            resident_bytes: growth(before.resident_bytes, after.resident_bytes),
            anonymous_bytes: growth(before.anonymous_bytes, after.anonymous_bytes),
        }
    }
}

impl Goal {
    /// Compares what was measured with the most allowed.
    #[must_use]
    pub fn new(id: String, what: &'static str, limit: f64, measured: f64) -> Self {
        Self { id, what, limit, measured, met: measured <= limit }
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
const fn as_float(bytes: i64) -> f64 {
    bytes as f64
}
