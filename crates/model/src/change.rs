//! The change log's record: one accepted change of one resource.

use std::fmt;
use std::num::NonZeroU64;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{ClientName, ResourceKey, TraceContext, VersionId};

/// Place of a change in the change log: 1, 2, 3 … without gap, over all bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(NonZeroU64);

impl Position {
    /// The position of the first change.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The position with this number, unless it is 0.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The position that follows this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What was done to a resource (`SubscriptionTopic.resourceTrigger.supportedInteraction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interaction {
    /// It came into being, also again after a delete (RQ-TP-35).
    Create,
    /// It was deleted.
    Delete,
    /// It was changed.
    Update,
}

impl Interaction {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Update => "update",
        }
    }

    /// The interaction with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "create" => Some(Self::Create),
            "delete" => Some(Self::Delete),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}

/// One accepted change as the log keeps it: which resource, what was done, what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the log.
    pub position: Position,
    /// The resource.
    pub key: ResourceKey,
    /// The version this change made.
    pub version: VersionId,
    /// What was done.
    pub interaction: Interaction,
    /// When the server accepted it; `meta.lastUpdated` of the version.
    pub at: Timestamp,
    /// The client that did it.
    pub author: ClientName,
    /// The resource as it is sent to clients, `id` and `meta` included. Empty for a delete.
    pub body: Bytes,
    /// The trace of the request that made it, where the request named one.
    pub trace: Option<TraceContext>,
}
