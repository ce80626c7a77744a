//! Paired stretches of one event to many receivers, ours and the bare sender's.

use std::time::Duration;

use super::report::{Ratios, Sent};
use crate::process::Cpu;
use crate::statistics::{Samples, Spread, per};
use crate::target::Target;

/// What one measured stretch gave.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// Creates, each received by all.
    pub(super) creates: u64,
    /// Frames or webhooks received.
    pub(super) received: u64,
    /// CPU time of the sender.
    pub(super) cpu: Duration,
    /// From a create to the last of its receivers.
    pub(super) last: Samples,
    /// Creates that nobody hears of, made beside.
    pub(super) silent_creates: u64,
    /// And their CPU time.
    pub(super) silent_cpu: Duration,
}

impl Stretch {
    /// CPU time for each frame or webhook, the create's included, in microseconds.
    fn cpu_us(&self) -> f64 {
        per(self.cpu.as_secs_f64() * 1e6, self.received)
    }

    /// CPU time for each frame or webhook beyond that of a create that nobody hears of, in microseconds.
    fn cpu_added_us(&self) -> f64 {
        let silent = self.silent_create_us() * as_float(self.creates);
        per(self.cpu.as_secs_f64() * 1e6 - silent, self.received)
    }

    fn silent_create_us(&self) -> f64 {
        per(self.silent_cpu.as_secs_f64() * 1e6, self.silent_creates)
    }
}

impl Sent {
    /// Sums up the stretches of one sender.
    pub(super) fn of(stretches: &[Stretch]) -> Self {
        let spread = |figure: fn(&Stretch) -> f64| Spread::of(stretches.iter().map(figure));
        let mut last = Samples::default();
        stretches.iter().for_each(|stretch| last.extend(&stretch.last));
        Self {
            creates: stretches.iter().map(|stretch| stretch.creates).sum(),
            received: stretches.iter().map(|stretch| stretch.received).sum(),
            cpu_us: spread(Stretch::cpu_us),
            cpu_added_us: spread(Stretch::cpu_added_us),
            silent_create_cpu_us: spread(Stretch::silent_create_us),
            last: last.latency(),
        }
    }
}

impl Ratios {
    /// Compares the stretches pair by pair.
    pub(super) fn of(ours: &[Stretch], bare: &[Stretch]) -> Self {
        let ratio = |figure: fn(&Stretch) -> f64| {
            let pairs = ours.iter().zip(bare);
            Spread::of_ratios(pairs.map(|(ours, bare)| (figure(ours), figure(bare))))
        };
        Self { cpu: ratio(Stretch::cpu_us), cpu_added: ratio(Stretch::cpu_added_us) }
    }
}

/// CPU time of a target since a reading.
pub(super) fn cpu_since(target: &Target, before: &Cpu) -> Duration {
    target.process.cpu().since(before)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
pub(super) const fn as_float(count: u64) -> f64 {
    count as f64
}
