//! What is appended in one step: changes with their events, and bookkeeping records.

use cresset_model::{
    Change, ClientName, Event, EventNumber, Interaction, Position, Retries, SubscriptionError,
    SubscriptionKey,
};

use crate::{Error, TokenRecord};

/// Most entries of one group.
pub const GROUP_ENTRIES_MAX: usize = 65_536;
/// Most events of one group; one change may match very many subscriptions.
pub const GROUP_EVENTS_MAX: usize = 4_000_000;
/// Most bookkeeping records of one group.
pub const GROUP_RECORDS_MAX: usize = 65_536;

/// One change, and what it means for subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The change.
    pub change: Change,
    /// Subscriptions that get one event of this change each. One named twice gets one (I2).
    pub events: Vec<SubscriptionKey>,
    /// Whether a subscription's life begins or ends with this change.
    pub subscription: Option<SubscriptionLife>,
}

/// Begin or end of a subscription's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionLife {
    /// The change creates the subscription `SubscriptionKey::created_at(change.position)`.
    Begins {
        /// The client it belongs to.
        owner: ClientName,
    },
    /// The change ends this subscription, after the events of the change itself.
    Ends(SubscriptionKey),
}

/// Durable bookkeeping that is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The subscription's events up to this number are confirmed. A cursor never moves back: a
    /// lower number than the stored one has no effect, nor has any for an ended subscription.
    Cursor {
        /// The subscription.
        subscription: SubscriptionKey,
        /// The last number confirmed; not above the last number given.
        number: EventNumber,
    },
    /// Why the subscription left `active`; none when nothing is wrong with it any more. No effect
    /// for a subscription that is not alive.
    Error {
        /// The subscription.
        subscription: SubscriptionKey,
        /// The reason.
        error: Option<SubscriptionError>,
    },
    /// Where the retries of the subscription stand; none when nothing is being repeated. No effect
    /// for a subscription that is not alive.
    Retries {
        /// The subscription.
        subscription: SubscriptionKey,
        /// Where they stand.
        retries: Option<Retries>,
    },
    /// A binding token was issued.
    Token(TokenRecord),
    /// The token with this hash is void from now on. Unknown hashes have no effect.
    TokenRevoked([u8; 32]),
}

/// What one [`crate::ChangeLog::append`] makes durable: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Changes at consecutive positions that follow the head.
    pub entries: Vec<Entry>,
    /// Bookkeeping; takes effect after the entries.
    pub records: Vec<Record>,
}

/// What an append gave out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// The events with their numbers, in the order of the entries and of their `events`.
    pub events: Vec<Event>,
}

impl Group {
    /// Checks what needs no store to check: bounds, and that the entries follow `head`.
    ///
    /// # Errors
    ///
    /// `Fenced` if the positions are not head + 1, head + 2 …; `Invalid` for anything else.
    pub fn check(&self, head: Option<Position>) -> Result<(), Error> {
        if self.entries.len() > GROUP_ENTRIES_MAX {
            return Err(Error::invalid("more entries than a group may have"));
        }
        if self.records.len() > GROUP_RECORDS_MAX {
            return Err(Error::invalid("more records than a group may have"));
        }
        if self.entries.iter().map(|entry| entry.events.len()).sum::<usize>() > GROUP_EVENTS_MAX {
            return Err(Error::invalid("more events than a group may have"));
        }
        let mut next = head.map_or(Position::FIRST, Position::next);
        for entry in &self.entries {
            if entry.change.position != next {
                return Err(Error::Fenced { head });
            }
            next = next.next();
            if entry.change.interaction == Interaction::Delete && !entry.change.body.is_empty() {
                return Err(Error::invalid("a delete with a body"));
            }
        }
        Ok(())
    }
}
