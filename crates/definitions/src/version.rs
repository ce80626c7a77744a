//! The FHIR versions the server speaks.

use std::fmt;

/// A FHIR version, as an input and never guessed from content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FhirVersion {
    /// 4.0.1
    R4,
    /// 4.3.0
    R4B,
    /// 5.0.0
    R5,
}

impl FhirVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::R4, Self::R4B, Self::R5];

    /// The full version number, as `CapabilityStatement.fhirVersion` has it.
    pub const fn full(self) -> &'static str {
        match self {
            Self::R4 => "4.0.1",
            Self::R4B => "4.3.0",
            Self::R5 => "5.0.0",
        }
    }

    /// The value of the MIME parameter `fhirVersion` (RQ-SB-04).
    pub const fn mime(self) -> &'static str {
        match self {
            Self::R4 => "4.0",
            Self::R4B => "4.3",
            Self::R5 => "5.0",
        }
    }

    /// The path segment its resources are served under.
    pub const fn path(self) -> &'static str {
        match self {
            Self::R4 => "r4",
            Self::R4B => "r4b",
            Self::R5 => "r5",
        }
    }
}

impl fmt::Display for FhirVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::R4 => "R4",
            Self::R4B => "R4B",
            Self::R5 => "R5",
        })
    }
}
