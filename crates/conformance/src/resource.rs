//! Small resources that are valid in each version.

use serde_json::{Value, json};

use crate::version::Version;

/// A patient.
pub fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "active": true, "name": [{"family": "Marker"}]})
}

/// An encounter of a patient.
pub fn encounter(version: Version, id: &str, status: &str, patient: &str) -> Value {
    let class =
        json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"});
    let class = match version {
        Version::R4 | Version::R4B => class,
        Version::R5 => json!([{"coding": [class]}]),
    };
    json!({
        "resourceType": "Encounter",
        "id": id,
        "status": status,
        "class": class,
        "subject": {"reference": format!("Patient/{patient}")},
    })
}

/// A body weight of a patient, in kilograms.
pub fn observation(id: &str, patient: &str, kilograms: f64) -> Value {
    json!({
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs",
        }]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2026-03-01T08:30:00Z",
        "valueQuantity": {
            "value": kilograms,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    })
}
