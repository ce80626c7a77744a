use cresset_definitions::FhirVersion;

use super::*;
use crate::Parameters;

#[test]
fn a_type_keeps_its_own_branches_of_a_union() {
    let check = |source: &str, resource_type: &str, kept: &str| {
        let definitions = Definitions::of(FhirVersion::R4);
        assert_eq!(branches_for(source, resource_type, definitions), kept, "{source}");
    };
    let patient = "AllergyIntolerance.patient | CareTeam.subject.where(resolve() is Patient) | \
        Observation.subject";
    check(patient, "CareTeam", "CareTeam.subject.where(resolve() is Patient)");
    check(patient, "Observation", "Observation.subject");
    check(patient, "Group", "");
    check("(Patient.a | Group.b).c | Person.d", "Group", "(Patient.a | Group.b).c");
    check("Resource.id", "Patient", "Resource.id");
    check("Patient.x.where(a='|') | Group.y", "Patient", "Patient.x.where(a='|')");
    check("name | InsurancePlan.alias", "InsurancePlan", "name | InsurancePlan.alias");
    check("Patient.name | nothing", "Patient", "Patient.name");
}

/// Parameters of R5 that HL7's definition says too little of: no branch of the expression is for the
/// type, or a component is a parameter that does not exist or is special.
const LOST: [(&str, &str); 13] = [
    ("CareTeam", "date"),
    ("Composition", "section-code-text"),
    ("DeviceDefinition", "specification-version"),
    ("Encounter", "location-period"),
    ("EvidenceVariable", "topic"),
    ("Ingredient", "strength-concentration-ratio"),
    ("Ingredient", "strength-presentation-ratio"),
    ("Observation", "code-value-string"),
    ("ResearchStudy", "progress-status-state-actual"),
    ("ResearchStudy", "progress-status-state-period"),
    ("ResearchStudy", "progress-status-state-period-actual"),
    ("TestScript", "scope-artifact-conformance"),
    ("TestScript", "scope-artifact-phase"),
];

#[test]
fn every_parameter_with_an_expression_compiles() {
    for version in FhirVersion::ALL {
        let parameters = Parameters::of(version);
        let mut failed = Vec::new();
        for resource_type in parameters.definitions().resource_types() {
            for parameter in parameters.of_type(resource_type) {
                let supported = parameter.is_membership()
                    || parameter.definition().expression.is_some()
                        && parameter.kind() != SearchKind::Special;
                let is_lost = version == FhirVersion::R5
                    && LOST.contains(&(parameter.resource_type(), parameter.code()));
                let supported = supported && !is_lost;
                if parameter.check().is_ok() != supported {
                    failed.push(format!("{parameter:?}: {:?}", parameter.check()));
                }
                let parts = parameter.definition().components.len();
                assert_eq!(parameter.components().len(), if supported { parts } else { 0 });
            }
        }
        assert!(failed.is_empty(), "{}: {failed:#?}", version.full());
    }
}
