use cresset_definitions::{Definitions, FhirVersion};

use super::literal_type;

#[test]
fn a_literal_reference_says_its_type() {
    let check = |reference: &str, expect: Option<&str>| {
        let definitions = Definitions::of(FhirVersion::R4);
        assert_eq!(literal_type(definitions, reference), expect, "{reference}");
    };
    check("Patient/1", Some("Patient"));
    check("Patient/1/_history/2", Some("Patient"));
    check("https://example.org/fhir/r4/Group/a-b.c", Some("Group"));
    check("https://example.org/fhir/r4/Group/a/_history/1", Some("Group"));
    check("Patient?identifier=http://example.org|1", Some("Patient"));
    check("Nothing?a=b", None);
    check("#p1", None);
    check("Patient", None);
    check("Patient/", None);
    check("Nothing/1", None);
    check("Resource/1", None);
    check("urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a", None);
    check("http://hl7.org/fhir/ValueSet/a|1", None);
    check("", None);
}
