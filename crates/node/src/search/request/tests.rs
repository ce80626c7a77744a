//! What compartments are made of can be asked.

use cresset_definitions::FhirVersion;
use cresset_search::Parameters;

use super::*;

#[test]
fn each_code_of_each_compartment_can_be_asked() {
    let mut asked = 0;
    for version in FhirVersion::ALL {
        let scope = Scope { parameters: Parameters::of(version), base_url: "" };
        let definitions = scope.parameters.definitions();
        for compartment in definitions.compartments() {
            for resource_type in definitions.resource_types() {
                let codes = definitions.compartment(compartment, resource_type);
                let mut expected: Vec<&str> =
                    codes.iter().copied().filter(|code| *code != ITSELF).collect();
                if resource_type == compartment {
                    expected.insert(0, "_id");
                }
                let belongs = belonging(&scope, resource_type, (compartment, "x")).unwrap();
                let found: Vec<&str> = belongs.iter().map(|one| one.parameter().code()).collect();
                assert_eq!(found, expected, "{version} {compartment} {resource_type}");
                asked += found.len();
            }
        }
    }
    assert!(asked > 800, "{asked}");
}
