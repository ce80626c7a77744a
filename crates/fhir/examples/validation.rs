//! What validation takes: nanoseconds for each resource of a few kinds, the median of several runs.
//!
//! `cargo run --release -p cresset-fhir --example validation`
#![expect(clippy::disallowed_methods, reason = "measuring takes a clock; nothing else here does")]
#![expect(clippy::print_stdout, reason = "a tool for developers")]

use std::hint::black_box;
use std::time::Instant;

use cresset_fhir::{Codec, FhirVersion, json};

/// Runs, of which the median counts.
const RUNS: usize = 11;
/// Validations in a run.
const VALIDATIONS: u32 = 20_000;

const PATIENT: &str = r#"{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"1"}],
    "active":true,"name":[{"family":"Chalmers","given":["Peter","James"]}],"gender":"male",
    "birthDate":"1974-12-25","address":[{"use":"home","line":["534 Erewhon St"],"city":"P"}]}"#;

const OBSERVATION: &str = r#"{"resourceType":"Observation",
    "meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},
    "identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:187e0c12-8dd2-67e2-99b2-bf273c878281"}],
    "status":"final","category":[{"coding":[{"code":"vital-signs","display":"Vital Signs",
    "system":"http://terminology.hl7.org/CodeSystem/observation-category"}]}],
    "code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}]},
    "subject":{"reference":"Patient/p"},"effectiveDateTime":"2026-03-14T09:26:53+01:00",
    "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
    "valueQuantity":{"value":128.0,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
    {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},
    "valueQuantity":{"value":82.0,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;

fn main() {
    for (name, text) in [("Patient", PATIENT), ("Observation", OBSERVATION)] {
        let codec = Codec::of(FhirVersion::R4);
        let value = json::parse(text.as_bytes()).expect("the text is JSON");
        assert!(!codec.validate(&value).has_errors(), "{name} is a good resource");
        let mut runs: Vec<u128> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..VALIDATIONS {
                    black_box(codec.validate(black_box(&value)));
                }
                start.elapsed().as_nanos() / u128::from(VALIDATIONS)
            })
            .collect();
        runs.sort_unstable();
        println!("{name}: {} ns, {} bytes", runs[RUNS / 2], text.len());
    }
}
