//! Which FHIR version each base speaks: the one place where the two meet.

use cresset_definitions::FhirVersion;
use cresset_model::Base;

/// The base of a version. The numbers are stored and never change.
pub(crate) const fn base_of(version: FhirVersion) -> Base {
    match version {
        FhirVersion::R4 => Base::new(1),
        FhirVersion::R4B => Base::new(2),
        FhirVersion::R5 => Base::new(3),
    }
}

/// The version that a base speaks; none for a base of another program.
pub(crate) fn version_of(base: Base) -> Option<FhirVersion> {
    FhirVersion::ALL.into_iter().find(|version| base_of(*version) == base)
}
