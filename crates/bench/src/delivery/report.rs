//! The JSON document of a run of `delivery`. Its fields are described in `docs/performance.md`; they are added to,
//! never renamed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Large;
use crate::audit::Passed;
use crate::machine::Machine;
use crate::process::Memory;
use crate::report::Goal;
use crate::statistics::{Latency, Spread};

/// Everything one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`crate::report::FORMAT`].
    pub format: u32,
    /// `delivery`.
    pub benchmark: &'static str,
    /// What was asked for.
    pub settings: Settings,
    /// Where.
    pub machine: Machine,
    /// W3, for each number of sockets.
    pub w3: Vec<FanOut>,
    /// W4, for each number of endpoints.
    pub w4: Vec<Webhooks>,
    /// W6, killed at random.
    pub w6: Option<Killed>,
    /// W6, started on the large store, and its memory.
    pub restart: Option<Restart>,
    /// W10.
    pub w10: Option<Away>,
    /// The aims against what was measured.
    pub goals: Vec<Goal>,
    /// What all audits add up to; a run with a fault has no report.
    pub audit: Passed,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// The server's binary.
    pub server_binary: String,
    /// Variables of the environment that configured it beyond its defaults.
    pub server_environment: BTreeMap<String, String>,
    /// Length of a measured stretch.
    pub seconds: f64,
    /// Stretches of each target, interleaved.
    pub pairs: usize,
    /// Whether the figures are too small to mean anything.
    pub tiny: bool,
}

/// What a sender took for one event to many receivers.
#[derive(Debug, Serialize)]
pub struct Sent {
    /// Creates, each received by all.
    pub creates: u64,
    /// Frames or webhooks received.
    pub received: u64,
    /// CPU time of the sender for each, with its share of the create, in microseconds.
    pub cpu_us: Option<Spread>,
    /// CPU time of the sender for each beyond that of a create that nobody hears of.
    pub cpu_added_us: Option<Spread>,
    /// CPU time of a create that nobody hears of.
    pub silent_create_cpu_us: Option<Spread>,
    /// From a create to the last of its receivers.
    pub last: Option<Latency>,
}

/// Ours over the bare sender, pair by pair.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// Of `cpu_us`.
    pub cpu: Option<Spread>,
    /// Of `cpu_added_us`.
    pub cpu_added: Option<Spread>,
}

/// W3 at one number of sockets.
#[derive(Debug, Serialize)]
pub struct FanOut {
    /// Sockets, each bound to a subscription of its own.
    pub sockets: usize,
    /// The server.
    pub ours: Sent,
    /// The bare broadcaster, W.
    pub w: Sent,
    /// Ours over W.
    pub ratios: Ratios,
    /// Growth of the server's memory for each socket, before the first event.
    pub bytes_per_socket: f64,
}

/// W4 at one number of endpoints.
#[derive(Debug, Serialize)]
pub struct Webhooks {
    /// Endpoints, each a host with a subscription of its own.
    pub endpoints: usize,
    /// The server, with all of them healthy.
    pub ours: Sent,
    /// The bare client, R.
    pub bare: Sent,
    /// Ours over R.
    pub ratios: Ratios,
    /// Beside a server that has one endpoint that hangs for ever; none with fewer than ten endpoints.
    pub with_hanging: Option<WithHanging>,
    /// Beside a server that has a tenth of its endpoints dead; none with fewer than ten endpoints.
    pub with_dead: Option<WithDead>,
}

/// What an endpoint that hangs costs the others.
#[derive(Debug, Serialize)]
pub struct WithHanging {
    /// Creates intended in a second.
    pub rate_per_second: u32,
    /// From the intended time of a create to an endpoint, where none hangs: the same endpoints as below.
    pub none_hangs: Option<Latency>,
    /// The same beside the one that hangs.
    pub one_hangs: Option<Latency>,
    /// p99 of the one over the other, pair by pair.
    pub p99_ratio: Option<Spread>,
}

/// What dead endpoints cost the others.
#[derive(Debug, Serialize)]
pub struct WithDead {
    /// Endpoints that hang, refuse or are slow.
    pub dead: usize,
    /// Creates intended in a second.
    pub rate_per_second: u32,
    /// From the intended time of a create to an endpoint, where all are healthy: the same endpoints as below.
    pub none_dead: Option<Latency>,
    /// The same for the healthy ones beside the dead.
    pub tenth_dead: Option<Latency>,
    /// p99 with dead ones over that without, pair by pair.
    pub p99_ratio: Option<Spread>,
}

/// W6: killed at random.
#[derive(Debug, Serialize)]
pub struct Killed {
    /// How often.
    pub kills: usize,
    /// Creates answered with 201.
    pub acknowledged: u64,
    /// Events that came again, with the number that they had.
    pub repeats: u64,
    /// From exec to ready after a kill.
    pub ready_seconds: Option<Spread>,
}

/// W6: started on the large store.
#[derive(Debug, Serialize)]
pub struct Restart {
    /// What is in the store.
    pub store: Large,
    /// Its bytes on disk.
    pub store_bytes: u64,
    /// What filling it took, if this run did.
    pub fill_seconds: Option<f64>,
    /// What the first start after that took to bring the search index up to date, if this run did.
    pub index_seconds: Option<f64>,
    /// From exec until `/health/ready` answers, each start after a kill.
    pub ready_seconds: Option<Spread>,
    /// From exec until a socket was bound, a create made and its frame read.
    pub first_notification_seconds: Option<Spread>,
    /// CPU time from exec to ready.
    pub ready_cpu_seconds: Option<Spread>,
    /// The same server with an empty store.
    pub empty: Memory,
    /// With the large one, once memory stands still.
    pub full: Memory,
    /// Growth for each subscription.
    pub bytes_per_subscription: f64,
}

/// W10.
#[derive(Debug, Serialize)]
pub struct Away {
    /// Events the subscriber was away for.
    pub events: u64,
    /// Creates a second of the others.
    pub others_rate_per_second: u32,
    /// While it pages through `$events`.
    pub paging: Disturbed,
    /// While it reads what it missed from its socket.
    pub resuming: Disturbed,
}

/// What one that catches up does to the others.
#[derive(Debug, Serialize)]
pub struct Disturbed {
    /// Creates of the others to their frames while nobody catches up.
    pub quiet: Option<Latency>,
    /// And while one does.
    pub busy: Option<Latency>,
    /// p99 of the one over the other, pair by pair.
    pub p99_ratio: Option<Spread>,
    /// Events that it got in a second of the stretches.
    pub events_per_second: f64,
}
