//! The log: on standard error, for people or for machines.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging; once per process.
pub(crate) fn start(log: &Log) {
    let targets = Targets::new()
        .with_default(log.level)
        .with_targets(log.targets.iter().map(|(target, level)| (target.as_str(), *level)));
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match log.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Pretty => layer.with_target(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
}
