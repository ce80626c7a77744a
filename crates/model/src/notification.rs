//! One bundle that tells a subscriber something: the neutral form before a codec renders it.

use bytes::Bytes;
use jiff::Timestamp;

use crate::subscription::codes;
use crate::{
    Canonical, Coding, EventNumber, Interaction, PayloadContent, RelatedQuery, ResourceId,
    ResourceType, SubscriptionStatus, VersionId,
};

codes! {
    /// `SubscriptionStatus.type` (RQ section 6.4).
    NotificationType {
        /// Events.
        EventNotification = "event-notification",
        /// The channel works.
        Handshake = "handshake",
        /// Nothing happened, the channel still works.
        Heartbeat = "heartbeat",
        /// Answer of `$events`.
        QueryEvent = "query-event",
        /// Answer of `$status`.
        QueryStatus = "query-status",
    }
}

codes! {
    /// Code of `http://terminology.hl7.org/CodeSystem/subscription-error` (RQ-ER-05).
    SubscriptionErrorCode {
        /// The endpoint's name could not be resolved.
        DnsResolutionError = "dns-resolution-error",
        /// The endpoint answered with an error.
        ErrorResponse = "error-response",
        /// The endpoint did not answer.
        NoResponse = "no-response",
    }
}

/// Why a subscription left `active`, as `$status` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionError {
    /// FHIR's code, where one fits.
    pub code: Option<SubscriptionErrorCode>,
    /// For people, such as `HTTP status 503`. Holds no patient data and no secret.
    pub text: String,
}

/// A resource that a notification speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationResource {
    /// Type.
    pub resource_type: ResourceType,
    /// Id.
    pub id: ResourceId,
    /// Version that `body` is.
    pub version: VersionId,
    /// What was done to it; none for a resource that only goes with the focus.
    pub interaction: Option<Interaction>,
    /// The stored bytes, if they may be sent and exist. None renders request and response only
    /// (RQ-NB-26).
    pub body: Option<Bytes>,
}

/// One event in a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationEvent {
    /// Its number.
    pub number: EventNumber,
    /// When the change was accepted; the same in every retry (RQ-ER-15).
    pub timestamp: Timestamp,
    /// What changed.
    pub focus: NotificationResource,
    /// What goes with it (notificationShape).
    pub additional_context: Vec<NotificationResource>,
    /// Queries that tell more of it (notificationShape).
    pub related_queries: Vec<RelatedQuery>,
    /// What kinds of event it is of, where its topic says so.
    pub codes: Vec<Coding>,
}

/// What one notification says, before it has a version and bytes.
///
/// The builder puts in all it knows; the codecs leave out what `content` forbids (RQ section
/// 6.5), so the rule stands in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// `Bundle.id`.
    pub id: String,
    /// Id of the status resource (a UUID; its fullUrl is `urn:uuid:` and this).
    pub status_id: String,
    /// When the bundle was built.
    pub timestamp: Timestamp,
    /// URL of the base, without a slash at the end (`https://host/r4`).
    pub base_url: String,
    /// Id of the Subscription.
    pub subscription: ResourceId,
    /// Its topic.
    pub topic: Canonical,
    /// Its status when the bundle was built (RQ-NB-10).
    pub status: SubscriptionStatus,
    /// What kind of notification.
    pub notification_type: NotificationType,
    /// How many events there have been (RQ-NB-40, RQ-NB-41).
    pub events_since_subscription_start: u64,
    /// In ascending number.
    pub events: Vec<NotificationEvent>,
    /// Why the subscription is in `error`.
    pub errors: Vec<SubscriptionError>,
    /// How much may be told.
    pub content: PayloadContent,
}
