//! Child processes under measurement, and what the kernel says about them.
//!
//! CPU time is the sum over all threads of the process and its descendants. The nanosecond counters of
//! `/proc/<pid>/task/<tid>/schedstat` are used where no thread ended between two readings; otherwise the
//! 10 ms ticks of `/proc/<pid>/stat`, which include ended threads and waited-for children.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context as _;

/// Length of a tick of `/proc/<pid>/stat`: USER_HZ is 100 in the ABI of Linux on all our platforms.
const TICK: Duration = Duration::from_millis(10);

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// CPU time used so far.
#[derive(Debug, Clone, Default)]
pub struct Cpu {
    threads: BTreeMap<u32, Duration>,
    ticks: Duration,
}

/// Resident memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// `VmRSS`: all resident pages, also of mapped files.
    pub resident_bytes: u64,
    /// `RssAnon`: resident pages of the process's own.
    pub anonymous_bytes: u64,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, as a power failure would, and waits for its end.
    pub fn kill(&mut self) {
        // Already ended is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// CPU time of it and its descendants.
    #[must_use]
    pub fn cpu(&self) -> Cpu {
        Cpu::of(self.id())
    }

    /// Its resident memory.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        parse_memory(&status).context("no memory figures in /proc")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cpu {
    /// CPU time of a process and its descendants; nothing for one that has ended.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let mut cpu = Self::default();
        cpu.add(pid);
        cpu
    }

    /// CPU time of this program itself.
    #[must_use]
    pub fn of_self() -> Self {
        let mut cpu = Self::default();
        // Children are measured on their own.
        cpu.add_threads(Path::new("/proc/self"));
        cpu
    }

    /// CPU time since the start, that of threads that have ended included; in ticks of 10 ms.
    #[must_use]
    pub const fn since_start(&self) -> Duration {
        self.ticks
    }

    /// CPU time since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let ended = earlier.threads.keys().any(|thread| !self.threads.contains_key(thread));
        if ended || self.threads.is_empty() {
            return self.ticks.saturating_sub(earlier.ticks);
        }
        let since = |(thread, now): (&u32, &Duration)| {
            now.saturating_sub(earlier.threads.get(thread).copied().unwrap_or_default())
        };
        self.threads.iter().map(since).sum()
    }

    fn add(&mut self, pid: u32) {
        let directory = format!("/proc/{pid}");
        for child in self.add_threads(Path::new(&directory)) {
            self.add(child);
        }
    }

    /// Adds one process and gives its children.
    fn add_threads(&mut self, directory: &Path) -> Vec<u32> {
        let mut children = Vec::new();
        if let Ok(stat) = fs::read_to_string(directory.join("stat")) {
            self.ticks += parse_ticks(&stat).unwrap_or_default();
        }
        let Ok(threads) = fs::read_dir(directory.join("task")) else { return children };
        for thread in threads.flatten() {
            let path = thread.path();
            let tid = thread.file_name().to_str().and_then(|name| name.parse().ok());
            let used = fs::read_to_string(path.join("schedstat")).ok();
            let used = used.as_deref().and_then(parse_schedstat);
            if let Some((tid, used)) = tid.zip(used) {
                self.threads.insert(tid, used);
            }
            let listed = fs::read_to_string(path.join("children")).unwrap_or_default();
            children.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        children
    }
}

/// Processor time of this program and the children it has waited for, in ticks.
#[must_use]
pub fn ticks_of_this_run() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let used = parse_ticks(&stat).unwrap_or_default();
    u64::try_from(used.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX)
}

/// User and system time of the process and its waited-for children, from `/proc/<pid>/stat`.
fn parse_ticks(stat: &str) -> Option<Duration> {
    // The name in brackets may hold spaces and brackets: fields are counted from the last bracket.
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks: u32 = times.map(str::parse::<u32>).sum::<Result<_, _>>().ok()?;
    Some(TICK * ticks)
}

/// Time on a processor, the first field of `schedstat`.
fn parse_schedstat(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

fn parse_memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { resident_bytes: bytes("VmRSS:")?, anonymous_bytes: bytes("RssAnon:")? })
}

#[cfg(test)]
mod tests;
