//! F: what the disk alone costs, as write plus fdatasync of groups of records.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::process::Cpu;
use crate::statistics::{Latency, Samples, per};

/// What appending in groups costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Records in a group.
    pub group: usize,
    /// Bytes of a record.
    pub record_bytes: usize,
    /// Records made durable.
    pub records: u64,
    /// Records a second.
    pub records_per_second: f64,
    /// CPU time of a record, in microseconds.
    pub cpu_per_record_us: f64,
    /// Half of the flushes took at most this, in microseconds.
    pub flush_p50_us: f64,
    /// 99 of 100 flushes took at most this, in microseconds.
    pub flush_p99_us: f64,
}

/// Appends groups to a file in `data` for this long.
///
/// # Errors
/// When the disk refuses.
pub fn run(
    data: &Path,
    group: usize,
    record_bytes: usize,
    length: Duration,
) -> anyhow::Result<Figures> {
    let mut file = File::create(data.join(format!("flush-{}", std::process::id())))?;
    let record = vec![b'x'; record_bytes];
    let bytes = record.repeat(group);
    let (mut flushes, mut groups) = (Samples::default(), 0_u64);
    let (started, before) = (Instant::now(), Cpu::of_self());
    while started.elapsed() < length {
        let begun = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        flushes.push(begun.elapsed());
        groups += 1;
    }
    let (elapsed, cpu) = (started.elapsed(), Cpu::of_self().since(&before));
    let records = groups * group as u64;
    let Latency { p50_us, p99_us, .. } =
        flushes.latency().ok_or_else(|| anyhow::anyhow!("no time for one flush"))?;
    Ok(Figures {
        group,
        record_bytes,
        records,
        records_per_second: crate::statistics::rate(records, elapsed),
        cpu_per_record_us: per(cpu.as_secs_f64() * 1e6, records),
        flush_p50_us: p50_us,
        flush_p99_us: p99_us,
    })
}
