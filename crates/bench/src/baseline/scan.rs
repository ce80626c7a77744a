//! M: what matching costs without an index, as a scan over every filter.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::statistics::per;

/// What one event costs against so many filters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Filters scanned for each event.
    pub filters: usize,
    /// Events scanned.
    pub events: u64,
    /// Time of an event, in microseconds; one thread, so also its CPU time on an idle machine.
    pub event_us: f64,
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
    let (started, mut events, mut matches) = (Instant::now(), 0, 0_u64);
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
    let elapsed = started.elapsed();
    assert_eq!(matches, events, "each event matches one filter");
    Figures { filters: filters.len(), events, event_us: per(elapsed.as_secs_f64() * 1e6, events) }
}
