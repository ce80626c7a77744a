//! The reference page, and what the names must be.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::names::{ALL, Kind};

const HEAD: &str = include_str!("page_head.txt");

fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in ALL {
        let (suffix, kind) = match metric.kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, help, labels) = (metric.name, metric.help, labels.join(", "));
        writeln!(page, "| `{name}{suffix}` | {kind} | {labels} | {help} |").unwrap();
    }
    page
}

#[test]
fn the_reference_tells_of_every_metric() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == page, "docs/metrics.md is old: UPDATE_GOLDEN=1 rewrites it");
}

#[test]
fn names_are_those_of_openmetrics_and_no_label_could_hold_an_id() {
    let mut seen = BTreeSet::new();
    let words = BTreeSet::from([
        "channel_type",
        "fhir_version",
        "interaction",
        "method",
        "notification_type",
        "outcome",
        "part",
        "reason",
        "status",
        "version",
    ]);
    for metric in ALL {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert!(
            metric.name.starts_with("cresset_") || metric.name.starts_with("process_"),
            "{}",
            metric.name
        );
        assert!(!metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.help);
        for label in metric.labels {
            assert!(words.contains(label), "{label} of {}", metric.name);
        }
    }
}
