//! The code systems that elements of type `code` imply.
//!
//! A `code` is written without a system: its element is bound to a value set, whose systems are
//! meant. `status=http://hl7.org/fhir/encounter-status|planned` needs them. The files in `data` hold
//! them for each token parameter, a line each: resource type, parameter, systems. They are made from
//! HL7's definitions by `tests.rs`, which checks them, and writes them where `UPDATE_GOLDEN=1` is set.

use std::sync::LazyLock;

use cresset_definitions::FhirVersion;
use rustc_hash::FxHashMap;

static R4: LazyLock<Table> =
    LazyLock::new(|| parse(include_str!("../data/implied-systems-r4.txt")));
static R4B: LazyLock<Table> =
    LazyLock::new(|| parse(include_str!("../data/implied-systems-r4b.txt")));
static R5: LazyLock<Table> =
    LazyLock::new(|| parse(include_str!("../data/implied-systems-r5.txt")));

/// Systems by resource type and parameter.
type Table = FxHashMap<(&'static str, &'static str), Vec<&'static str>>;

/// The systems that the `code` elements a parameter finds may imply; none where none is known.
pub(crate) fn implied_systems(
    version: FhirVersion,
    resource_type: &'static str,
    code: &'static str,
) -> &'static [&'static str] {
    let table = match version {
        FhirVersion::R4 => &R4,
        FhirVersion::R4B => &R4B,
        FhirVersion::R5 => &R5,
    };
    table.get(&(resource_type, code)).map_or(&[], Vec::as_slice)
}

fn parse(text: &'static str) -> Table {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(((words.next()?, words.next()?), words.collect()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests;
