//! What the figures were measured on.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::statistics::round;

/// The machine and how busy it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Processors of this program.
    pub cpus: usize,
    /// Their model.
    pub cpu_model: String,
    /// Memory.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// File system of the data.
    pub data_filesystem: String,
    /// Open files allowed to a process, `ulimit -n`; sockets in W7 are bounded by it.
    pub open_files_max: u64,
    /// Load average of one minute before the run.
    pub load_before: f64,
    /// Share of all processor time during the run that went to processes not of this run, and to the host.
    pub others_cpu_share: Option<f64>,
}

/// Processor time of the whole machine, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Busy {
    busy: u64,
    all: u64,
}

impl Machine {
    /// Looks at the machine; `data` is where the targets keep theirs.
    #[must_use]
    pub fn look(data: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        let load = load.split_whitespace().next().and_then(|load| load.parse().ok());
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu_model: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(kibibytes)
                .unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            data_filesystem: filesystem(&read("/proc/self/mountinfo"), data),
            open_files_max: open_files(&read("/proc/self/limits")).unwrap_or_default(),
            load_before: load.unwrap_or_default(),
            others_cpu_share: None,
        }
    }
}

impl Busy {
    /// The machine's processor time so far.
    #[must_use]
    pub fn now() -> Self {
        parse_busy(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default()
    }

    /// Share of processor time since an earlier reading that was not `ours` (in ticks).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ticks of a run stay far below 2^52")]
    pub fn others_since(&self, earlier: &Self, ours: u64) -> f64 {
        let (busy, all) = (self.busy - earlier.busy, self.all - earlier.all);
        round(busy.saturating_sub(ours) as f64 / all.max(1) as f64)
    }
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse_busy(stat: &str) -> Option<Busy> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let all: u64 = ticks.iter().sum();
    Some(Busy { busy: all - ticks.get(3)? - ticks.get(4)?, all })
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

fn kibibytes(value: &str) -> Option<u64> {
    value.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The soft limit of open files.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Type of the file system whose mount point holds `path`: the longest one wins.
fn filesystem(mounts: &str, path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let holds = mounts.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        path.starts_with(point).then_some((point.len(), filesystem.split(' ').next()?))
    });
    holds.max_by_key(|(length, _)| *length).map_or_else(String::new, |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests;
