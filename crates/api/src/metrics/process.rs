//! What the system says of the process, from `/proc`; what it does not say is left out.

use std::fs;

use super::exposition::Exposition;
use super::names;

/// Parts of a second that Linux counts processor time in; the same on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds what is known of the process.
pub(super) fn write(exposition: &mut Exposition) {
    if let Some(seconds) = cpu_seconds() {
        exposition.single(&names::PROCESS_CPU, seconds);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (metric, field) in
        [(&names::PROCESS_RESIDENT, "VmRSS:"), (&names::PROCESS_VIRTUAL, "VmSize:")]
    {
        if let Some(kib) = field_of(&status, field).and_then(|text| text.parse::<u64>().ok()) {
            exposition.single(metric, kib * 1024);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        exposition.single(&names::PROCESS_OPEN_FDS, open.count());
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(max) = field_of(&limits, "Max open files") {
        exposition.single(&names::PROCESS_MAX_FDS, max.replace("unlimited", "+Inf"));
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may have blanks in it; what follows has none.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// The first word behind the name of a field.
fn field_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}
