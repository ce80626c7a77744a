//! Notifications of all versions as one type.
//!
//! A server may send more than is read here: unknown members, parts and entries are passed over. What is
//! read is read strictly, so that nothing is counted that was not told. Its tests are in
//! `notification/tests.rs`.

mod parse;

use std::fmt;
use std::num::NonZeroU64;

use serde_json::Value;

pub use parse::Error;

/// Largest notification that is read; more is an error.
pub const NOTIFICATION_BYTES_MAX: usize = 64 << 20;

/// What a notification is for (RQ 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationType {
    /// Tells of events.
    EventNotification,
    /// Opens a channel.
    Handshake,
    /// Shows that the channel works.
    Heartbeat,
    /// The answer of `$events`.
    QueryEvent,
    /// The answer of `$status`.
    QueryStatus,
}

/// What a subscription is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionStatus {
    /// It notifies.
    Active,
    /// It should never have been.
    EnteredInError,
    /// Notifying failed; the client has to ask for it again.
    Error,
    /// It notifies no more.
    Off,
    /// The server is setting it up.
    Requested,
}

/// A notification: one Bundle about one subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// What it is for.
    pub kind: NotificationType,
    /// The subscription's status when it was made.
    pub status: Option<SubscriptionStatus>,
    /// Reference to the subscription, as sent.
    pub subscription: String,
    /// Canonical of the topic, where told.
    pub topic: Option<String>,
    /// How many events the subscription has had, this notification's included.
    pub events_since_subscription_start: Option<u64>,
    /// The events, in the order sent.
    pub events: Vec<Event>,
    /// What the server tells of errors: CodeableConcepts.
    pub errors: Vec<Value>,
    /// The entries behind the status.
    pub entries: Vec<Entry>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number in the subscription.
    pub number: NonZeroU64,
    /// When it happened, an instant.
    pub timestamp: Option<String>,
    /// What it is about; none with content `empty`.
    pub focus: Option<Reference>,
    /// What goes with it.
    pub additional_context: Vec<Reference>,
}

/// A Reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Its literal: absolute, or relative to the server's base; none in a logical reference.
    pub reference: Option<String>,
    /// The whole element.
    pub json: Value,
}

/// One entry behind the status.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `fullUrl`
    pub full_url: Option<String>,
    /// The resource; none with content `id-only`, or if it is deleted or withheld.
    pub resource: Option<Value>,
    /// `request.method`
    pub method: Option<String>,
    /// `request.url`
    pub url: Option<String>,
}

impl Notification {
    /// Reads a notification, or what `$events` answers, of any version (RQ-NB-03).
    ///
    /// # Errors
    ///
    /// What is not as it should be; its texts hold nothing of the notification.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        parse::bytes(json)
    }

    /// As [`Self::parse`], of JSON that is read already.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn from_json(bundle: &Value) -> Result<Self, Error> {
        parse::bundle(bundle)
    }

    /// Reads the statuses in the answer of `$status`.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn statuses(searchset: &Value) -> Result<Vec<Self>, Error> {
        parse::searchset(searchset)
    }

    /// Id of the subscription.
    pub fn subscription_id(&self) -> &str {
        id_of(&self.subscription)
    }

    /// The resource that an event's reference is to, if it was sent along (RQ-NB-29).
    pub fn resource(&self, reference: &Reference) -> Option<&Value> {
        let literal = reference.reference.as_deref()?;
        self.entries.iter().find(|entry| entry.is_of(literal))?.resource.as_ref()
    }
}

impl Entry {
    /// Whether a literal reference is to it: the same URL, or the same type and id where one of them is relative.
    fn is_of(&self, literal: &str) -> bool {
        let Some(full_url) = &self.full_url else { return false };
        let (shorter, longer) = if literal.len() < full_url.len() {
            (literal, full_url.as_str())
        } else {
            (full_url.as_str(), literal)
        };
        longer == shorter
            || !shorter.contains(':')
                && longer.strip_suffix(shorter).is_some_and(|base| base.ends_with('/'))
    }
}

impl NotificationType {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EventNotification => "event-notification",
            Self::Handshake => "handshake",
            Self::Heartbeat => "heartbeat",
            Self::QueryEvent => "query-event",
            Self::QueryStatus => "query-status",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        [
            Self::EventNotification,
            Self::Handshake,
            Self::Heartbeat,
            Self::QueryEvent,
            Self::QueryStatus,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

impl SubscriptionStatus {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::EnteredInError => "entered-in-error",
            Self::Error => "error",
            Self::Off => "off",
            Self::Requested => "requested",
        }
    }

    /// Reads FHIR's code.
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Active, Self::EnteredInError, Self::Error, Self::Off, Self::Requested]
            .into_iter()
            .find(|status| status.code() == code)
    }
}

impl fmt::Display for NotificationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The id in a reference, which should have no version but may (TR-30).
pub(crate) fn id_of(reference: &str) -> &str {
    let whole = reference.split_once("/_history/").map_or(reference, |(whole, _)| whole);
    whole.rsplit('/').next().unwrap_or(whole)
}

#[cfg(test)]
mod tests;
