//! One occurrence, numbered, for one subscription.

use std::fmt;
use std::num::NonZeroU64;

use crate::{Position, SubscriptionKey};

/// `eventNumber`: 1, 2, 3 … per subscription (RQ-NB-40, RQ-NB-41).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventNumber(NonZeroU64);

impl EventNumber {
    /// The number of a subscription's first event.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The event number with this value, unless it is 0.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The value.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The number that follows this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for EventNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A durable event: the change at `position` is event `number` of `subscription`.
///
/// Only `Store::append` makes these. What the event tells (focus, interaction, time, content) is
/// the change at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// The subscription it belongs to.
    pub subscription: SubscriptionKey,
    /// Its number in that subscription.
    pub number: EventNumber,
    /// The change that it tells of.
    pub position: Position,
}
