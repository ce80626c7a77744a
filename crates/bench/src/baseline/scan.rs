//! M: what matching costs without an index, as a scan over every filter.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::process::Cpu;
use crate::statistics::per;

/// What one event costs against so many filters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Filters scanned for each event.
    pub filters: usize,
    /// Events scanned.
    pub events: u64,
    /// CPU time of an event, in microseconds.
    pub cpu_per_event_us: f64,
}

/// One equality: parameter and value.
struct Filter {
    parameter: u32,
    value: String,
}

/// Scans `filters` equalities on the patient for events of eight values, for this long.
#[must_use]
pub fn run(filters: usize, length: Duration) -> Figures {
    const PATIENT: u32 = 0;
    let filter = |number| Filter { parameter: PATIENT, value: crate::observation::patient(number) };
    let filters: Vec<Filter> = (0..filters).map(filter).collect();
    let wanted = crate::observation::patient(filters.len() / 2);
    let event: Vec<(u32, &str)> = std::iter::once((PATIENT, wanted.as_str()))
        .chain((1..8).map(|parameter| (parameter, "http://loinc.org|85354-9")))
        .collect();
    let (started, before) = (Instant::now(), Cpu::of_self());
    let (mut events, mut matches) = (0, 0_u64);
    while events == 0 || started.elapsed() < length {
        let matched = |filter: &&Filter| {
            let equals = |(parameter, value): &(u32, &str)| {
                *parameter == filter.parameter && *value == filter.value
            };
            event.iter().any(equals)
        };
        matches += black_box(&filters).iter().filter(matched).count() as u64;
        events += 1;
    }
    let cpu = Cpu::of_self().since(&before);
    assert_eq!(matches, events, "each event matches one filter");
    let cpu_per_event_us = per(cpu.as_secs_f64() * 1e6, events);
    Figures { filters: filters.len(), events, cpu_per_event_us }
}
