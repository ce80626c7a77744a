use super::*;

#[test]
fn all_three_tables_can_be_read() {
    for version in FhirVersion::ALL {
        let definitions = Definitions::of(version);
        assert_eq!(definitions.version(), version);
        assert!(definitions.resource_types().count() > 130);
    }
}
