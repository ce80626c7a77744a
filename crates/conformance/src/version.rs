//! The three FHIR versions, as a client sees them.

use std::fmt;

/// A FHIR version that the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 4.0.1 with the backport guide.
    R4,
    /// 4.3.0 with the backport guide.
    R4B,
    /// 5.0.0.
    R5,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::R4, Self::R4B, Self::R5];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::R4 => "R4",
            Self::R4B => "R4B",
            Self::R5 => "R5",
        }
    }

    /// The first part of its paths.
    pub const fn path(self) -> &'static str {
        match self {
            Self::R4 => "r4",
            Self::R4B => "r4b",
            Self::R5 => "r5",
        }
    }

    /// `CapabilityStatement.fhirVersion`.
    pub const fn full(self) -> &'static str {
        match self {
            Self::R4 => "4.0.1",
            Self::R4B => "4.3.0",
            Self::R5 => "5.0.0",
        }
    }

    /// The MIME parameter `fhirVersion`.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::R4 => "4.0",
            Self::R4B => "4.3",
            Self::R5 => "5.0",
        }
    }

    /// Whether subscriptions have the form of the backport guide.
    pub const fn is_backport(self) -> bool {
        match self {
            Self::R4 | Self::R4B => true,
            Self::R5 => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}
