use super::*;

#[test]
fn a_type_has_its_own_parameters_and_those_of_its_bases() {
    let parameters = Parameters::of(FhirVersion::R4);
    let get = |resource_type, code| parameters.get(resource_type, code);
    assert_eq!(get("Observation", "patient").map(Parameter::resource_type), Some("Observation"));
    assert_eq!(get("Observation", "_id").map(Parameter::resource_type), Some("Resource"));
    assert_eq!(get("Resource", "_id"), get("Observation", "_id"));
    assert_eq!(get("Observation", "_text").map(Parameter::resource_type), Some("DomainResource"));
    assert!(get("Bundle", "_text").is_none());
    assert!(get("Bundle", "_id").is_some());
    assert!(get("Resource", "patient").is_none());
    assert!(get("Foo", "_id").is_none());
    assert!(get("observation", "patient").is_none());
}

#[test]
fn every_version_can_ask_for_the_sets_that_a_resource_is_in() {
    for version in FhirVersion::ALL {
        for code in MEMBERSHIPS {
            for resource_type in ["Patient", "Encounter", "Bundle"] {
                let found = Parameters::of(version).get(resource_type, code);
                assert!(found.is_some_and(|one| one.check().is_ok()), "{resource_type}.{code}");
            }
        }
    }
}

#[test]
fn slots_are_unique_within_a_type() {
    for version in FhirVersion::ALL {
        let parameters = Parameters::of(version);
        for resource_type in parameters.definitions().resource_types() {
            let mut slots: Vec<_> =
                parameters.of_type(resource_type).map(Parameter::slot).collect();
            slots.sort_unstable();
            let count = slots.len();
            slots.dedup();
            assert_eq!(slots.len(), count, "{resource_type}");
            let bound = parameters.of_concrete(resource_type).unwrap().slots();
            assert!(slots.iter().all(|slot| *slot < bound));
        }
    }
}

#[test]
fn every_type_has_the_parameters_all_resources_have() {
    for version in FhirVersion::ALL {
        let parameters = Parameters::of(version);
        for resource_type in parameters.definitions().resource_types() {
            for code in ["_id", "_lastUpdated", "_profile", "_security", "_tag"] {
                let found = parameters.get(resource_type, code);
                assert!(found.is_some_and(|one| one.check().is_ok()), "{resource_type}.{code}");
            }
        }
    }
}
