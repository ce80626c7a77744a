//! The resource that the load is made of, and the request that creates it.
//!
//! A blood pressure panel as an electronic record would send it: profile, narrative, two components, performer,
//! 1.4 KB. Each client sends the same bytes again and again: building a body would be the generator's cost, and a
//! server that keeps versions gains nothing from equal content.

/// Path that all targets serve.
pub const CREATE_PATH: &str = "/r4/Observation";

/// The patient that client `number` writes about, in the form of a reference.
#[must_use]
pub fn patient(number: usize) -> String {
    format!("Patient/p{number}")
}

/// A blood pressure panel of this patient, R4.
#[must_use]
pub fn body(patient: &str) -> String {
    OBSERVATION.replace("{patient}", patient)
}

/// The whole request, head and body, ready for the wire.
///
/// `Prefer: return=minimal` keeps the answers of all targets alike: a head without a body.
#[must_use]
pub fn create_request(host: &str, patient: &str) -> Vec<u8> {
    let body = body(patient);
    format!(
        "POST {CREATE_PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\n\
         Accept: application/fhir+json\r\nPrefer: return=minimal\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},"#,
    r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Blood pressure 128/82 mmHg"#,
    r#", sitting, right arm, taken at rest by the nurse on duty</div>"},"#,
    r#""identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:187e0c12-8dd2-67e2-99b2-bf273c878281"}],"#,
    r#""status":"final","category":[{"coding":[{"system":"#,
    r#""http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","#,
    r#""display":"Vital Signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","#,
    r#""display":"Blood pressure panel with all children optional"}],"#,
    r#""text":"Blood pressure systolic & diastolic"},"subject":{"reference":"{patient}"},"#,
    r#""effectiveDateTime":"2026-03-14T09:26:53+01:00","performer":[{"reference":"Practitioner/nurse-17"}],"#,
    r#""bodySite":{"coding":[{"system":"http://snomed.info/sct","code":"368209003","#,
    r#""display":"Right arm"}]},"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","#,
    r#""display":"Systolic blood pressure"}]},"valueQuantity":{"value":128.0,"unit":"mmHg","#,
    r#""system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{"#,
    r#""system":"http://loinc.org","code":"8462-4","display":"Diastolic blood pressure"}]},"#,
    r#""valueQuantity":{"value":82.0,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#,
);

#[cfg(test)]
mod tests;
