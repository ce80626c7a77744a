//! From JSON to notifications: R4's Parameters, and SubscriptionStatus of R4B and R5.

use std::num::NonZeroU64;

use serde_json::Value;

use super::{
    Entry, Event, NOTIFICATION_BYTES_MAX, Notification, NotificationType, Reference,
    SubscriptionStatus,
};
use crate::json::{items, named, named_text, number, text, value_of};

/// Why something is no notification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no JSON.
    #[error("the notification is no JSON")]
    Json(#[source] serde_json::Error),
    /// It is longer than [`NOTIFICATION_BYTES_MAX`].
    #[error("the notification has more than {NOTIFICATION_BYTES_MAX} bytes")]
    TooLarge,
    /// It is something else.
    #[error("a Bundle that begins with a status was expected")]
    NoStatus,
    /// An element is missing, or is not what it should be.
    #[error("{0} of the notification is missing or not valid")]
    Element(&'static str),
}

pub(super) fn bytes(json: &[u8]) -> Result<Notification, Error> {
    if json.len() > NOTIFICATION_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    bundle(&serde_json::from_slice(json).map_err(Error::Json)?)
}

pub(super) fn bundle(bundle: &Value) -> Result<Notification, Error> {
    let entries = items(bundle, "entry");
    let Some((first, others)) = entries.split_first() else { return Err(Error::NoStatus) };
    if bundle["resourceType"] != "Bundle" {
        return Err(Error::NoStatus);
    }
    Ok(Notification { entries: others.iter().map(entry).collect(), ..status(&first["resource"])? })
}

pub(super) fn searchset(bundle: &Value) -> Result<Vec<Notification>, Error> {
    if bundle["resourceType"] != "Bundle" {
        return Err(Error::NoStatus);
    }
    // An OperationOutcome may go along with what was found.
    let found = items(bundle, "entry").iter().map(|entry| &entry["resource"]);
    found.filter(|resource| resource["resourceType"] != "OperationOutcome").map(status).collect()
}

fn status(resource: &Value) -> Result<Notification, Error> {
    match resource["resourceType"].as_str() {
        Some("Parameters") => parameters(items(resource, "parameter")),
        Some("SubscriptionStatus") => subscription_status(resource),
        Some(_) | None => Err(Error::NoStatus),
    }
}

fn parameters(parameters: &[Value]) -> Result<Notification, Error> {
    let subscription = named(parameters, "subscription").find_map(value_of);
    let count = named(parameters, "events-since-subscription-start").find_map(value_of);
    let events = named(parameters, "notification-event").map(|event| part(items(event, "part")));
    Ok(Notification {
        kind: kind(named_text(parameters, "type"))?,
        status: code(named_text(parameters, "status"))?,
        subscription: literal(subscription)?,
        topic: named_text(parameters, "topic"),
        events_since_subscription_start: optional_count(count)?,
        events: events.collect::<Result<_, _>>()?,
        errors: named(parameters, "error").filter_map(value_of).cloned().collect(),
        entries: Vec::new(),
    })
}

fn part(parts: &[Value]) -> Result<Event, Error> {
    Ok(Event {
        number: event_number(named(parts, "event-number").find_map(value_of))?,
        timestamp: named_text(parts, "timestamp"),
        focus: named(parts, "focus").find_map(value_of).map(reference),
        additional_context: named(parts, "additional-context")
            .filter_map(value_of)
            .map(reference)
            .collect(),
    })
}

fn subscription_status(resource: &Value) -> Result<Notification, Error> {
    let events = items(resource, "notificationEvent").iter().map(|event| {
        Ok(Event {
            number: event_number(event.get("eventNumber"))?,
            timestamp: text(event, "timestamp"),
            focus: event.get("focus").map(reference),
            additional_context: items(event, "additionalContext").iter().map(reference).collect(),
        })
    });
    Ok(Notification {
        kind: kind(text(resource, "type"))?,
        status: code(text(resource, "status"))?,
        subscription: literal(resource.get("subscription"))?,
        topic: text(resource, "topic"),
        events_since_subscription_start: optional_count(
            resource.get("eventsSinceSubscriptionStart"),
        )?,
        events: events.collect::<Result<_, _>>()?,
        errors: items(resource, "error").to_vec(),
        entries: Vec::new(),
    })
}

fn entry(entry: &Value) -> Entry {
    Entry {
        full_url: text(entry, "fullUrl"),
        resource: entry.get("resource").cloned(),
        method: text(&entry["request"], "method"),
        url: text(&entry["request"], "url"),
    }
}

fn kind(code: Option<String>) -> Result<NotificationType, Error> {
    code.and_then(|code| NotificationType::parse(&code)).ok_or(Error::Element("type"))
}

fn code(code: Option<String>) -> Result<Option<SubscriptionStatus>, Error> {
    let Some(code) = code else { return Ok(None) };
    SubscriptionStatus::parse(&code).map(Some).ok_or(Error::Element("status"))
}

fn literal(element: Option<&Value>) -> Result<String, Error> {
    element.and_then(|element| reference(element).reference).ok_or(Error::Element("subscription"))
}

fn event_number(value: Option<&Value>) -> Result<NonZeroU64, Error> {
    value.and_then(number).and_then(NonZeroU64::new).ok_or(Error::Element("eventNumber"))
}

fn optional_count(value: Option<&Value>) -> Result<Option<u64>, Error> {
    let Some(value) = value else { return Ok(None) };
    number(value).map(Some).ok_or(Error::Element("eventsSinceSubscriptionStart"))
}

/// The reference implementation wrote references of R4's parameters as `valueString`.
fn reference(element: &Value) -> Reference {
    let literal = element.as_str().map(str::to_owned);
    Reference { reference: literal.or_else(|| text(element, "reference")), json: element.clone() }
}
