//! The log: on standard error, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Beginning of the names of all our own crates.
const OWN: &str = "cresset";
/// What libraries log unless the configuration names them: in their finer levels they show bytes
/// of bodies, frames and headers.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// Starts logging; once per process.
pub(crate) fn start(log: &Log) {
    let targets = Targets::new()
        .with_default(log.level.min(LIBRARIES))
        .with_target(OWN, log.level)
        .with_targets(log.targets.iter().map(|(target, level)| (target.as_str(), *level)));
    let layer =
        fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let layer = match log.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Pretty => layer.with_target(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
}
