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

/// Parameters of R5 for types that HL7's expression has no branch for.
const LOST: [(&str, &str); 2] = [("CareTeam", "date"), ("EvidenceVariable", "topic")];

#[test]
fn every_parameter_with_an_expression_compiles() {
    for version in FhirVersion::ALL {
        let parameters = Parameters::of(version);
        let mut failed = Vec::new();
        for resource_type in parameters.definitions().resource_types() {
            for parameter in parameters.of_type(resource_type) {
                let supported = parameter.definition().expression.is_some()
                    && !matches!(parameter.kind(), SearchKind::Composite | SearchKind::Special)
                    && !MEMBERSHIPS.contains(&parameter.code());
                let is_lost = version == FhirVersion::R5
                    && LOST.contains(&(parameter.resource_type(), parameter.code()));
                let supported = supported && !is_lost;
                if parameter.check().is_ok() != supported {
                    failed.push(format!("{parameter:?}: {:?}", parameter.check()));
                }
            }
        }
        assert!(failed.is_empty(), "{}: {failed:#?}", version.full());
    }
}
