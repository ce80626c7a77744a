//! The FHIR versions in which subscriptions by topic exist.

use std::fmt;

/// A FHIR version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FhirVersion {
    /// 4.0, with the Subscriptions R5 Backport guide.
    R4,
    /// 4.3, with the same guide.
    R4B,
    /// 5.0.
    R5,
}

impl FhirVersion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::R4, Self::R4B, Self::R5];

    /// Reads `CapabilityStatement.fhirVersion` (`4.0.1`) or the MIME parameter `fhirVersion` (`4.0`).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        match (parts.next()?, parts.next()?) {
            ("4", "0") => Some(Self::R4),
            ("4", "3") => Some(Self::R4B),
            ("5", "0") => Some(Self::R5),
            _ => None,
        }
    }

    /// Whether subscriptions have the form of the backport guide.
    pub const fn is_backport(self) -> bool {
        match self {
            Self::R4 | Self::R4B => true,
            Self::R5 => false,
        }
    }

    /// The type of the resources that hold topics.
    pub const fn topic_type(self) -> &'static str {
        match self {
            Self::R4 => "Basic",
            Self::R4B | Self::R5 => "SubscriptionTopic",
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
