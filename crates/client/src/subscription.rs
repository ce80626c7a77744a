//! Subscriptions of all versions as one type, R5-shaped.
//!
//! Its tests are in `subscription/tests.rs`.

mod parse;
mod render;

use serde_json::Value;

use crate::filter::Filter;
use crate::notification::SubscriptionStatus;
use crate::version::FhirVersion;

/// Where the guide's extensions are defined.
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
/// The system of R5's channel types.
const CHANNEL_TYPES: &str = "http://terminology.hl7.org/CodeSystem/subscription-channel-type";
/// The MIME type of notifications that this library reads.
const JSON: &str = "application/fhir+json";

/// How much of what changed is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadContent {
    /// Nothing but that there was an event.
    Empty,
    /// What it is about, as references.
    IdOnly,
    /// The resources.
    FullResource,
}

/// The type of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChannelType {
    /// The system of the code; none for FHIR's own.
    pub system: Option<String>,
    /// The code, such as `rest-hook`.
    pub code: String,
}

/// A subscription: what a client asks a server for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The server's id; none before it is created.
    pub id: Option<String>,
    /// Its status.
    pub status: SubscriptionStatus,
    /// Canonical of the topic.
    pub topic: String,
    /// Why it is there.
    pub reason: Option<String>,
    /// Until when, an instant.
    pub end: Option<String>,
    /// The filters, all of which must hold.
    pub filters: Vec<Filter>,
    /// How notifications travel.
    pub channel_type: ChannelType,
    /// Where to; none for websockets.
    pub endpoint: Option<String>,
    /// Headers to be sent along, name and value. May be secrets.
    pub headers: Vec<(String, String)>,
    /// Seconds without an event after which a heartbeat is to come.
    pub heartbeat_period: Option<u32>,
    /// Seconds that a delivery may take.
    pub timeout: Option<u32>,
    /// MIME type of notifications.
    pub content_type: Option<String>,
    /// How much is sent.
    pub content: PayloadContent,
    /// Most events in one notification.
    pub max_count: Option<u32>,
}

/// Why a resource is no subscription to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} of the Subscription is missing or not valid")]
pub struct InvalidSubscription(pub(crate) &'static str);

impl Subscription {
    /// Asks for a topic over a websocket, `id-only`, in JSON.
    pub fn websocket(topic: &str) -> Self {
        Self {
            id: None,
            status: SubscriptionStatus::Requested,
            topic: topic.to_owned(),
            reason: None,
            end: None,
            filters: Vec::new(),
            channel_type: ChannelType { system: None, code: "websocket".to_owned() },
            endpoint: None,
            headers: Vec::new(),
            heartbeat_period: None,
            timeout: None,
            content_type: Some(JSON.to_owned()),
            content: PayloadContent::IdOnly,
            max_count: None,
        }
    }

    /// Asks for a topic by rest-hook, `id-only`, in JSON.
    pub fn rest_hook(topic: &str, endpoint: &str) -> Self {
        Self {
            channel_type: ChannelType { system: None, code: "rest-hook".to_owned() },
            endpoint: Some(endpoint.to_owned()),
            ..Self::websocket(topic)
        }
    }

    /// The resource in a version's form.
    pub fn render(&self, version: FhirVersion) -> Value {
        render::subscription(self, version)
    }

    /// Reads a Subscription of a version.
    ///
    /// # Errors
    ///
    /// The element that is not as it should be, such as the criteria of a subscription to no topic.
    pub fn parse(version: FhirVersion, resource: &Value) -> Result<Self, InvalidSubscription> {
        parse::subscription(version, resource)
    }
}

impl PayloadContent {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::IdOnly => "id-only",
            Self::FullResource => "full-resource",
        }
    }

    /// Reads FHIR's code.
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Empty, Self::IdOnly, Self::FullResource].into_iter().find(|one| one.code() == code)
    }
}

#[cfg(test)]
mod tests;
