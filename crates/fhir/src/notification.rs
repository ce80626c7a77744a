//! Notification Bundles (RQ section 6): the frame, which entries there are and in which order.
//!
//! The rules of the content levels stand here once, for all versions; the status resource of each
//! version is written by `r4` or `status`. Bytes of stored resources are spliced in as they are.
//! Tests: `tests/golden` (exact bytes), `notification/tests.rs`.

mod decode;
mod medplum;
mod plan;
mod template;

#[cfg(test)]
pub(crate) mod tests;

use cresset_definitions::FhirVersion;
use cresset_model::{
    Interaction, Notification, NotificationResource, NotificationType, PayloadContent, ResourceId,
    ResourceType,
};

pub(crate) use decode::decode_notification;
pub use decode::{ReceivedEntry, ReceivedEvent, ReceivedNotification};
pub use medplum::render_for_medplum;
use plan::{PlannedEntry, plan_entries};
pub use template::{Blanks, NotificationTemplate};

use crate::instant::instant;
use crate::json::{ObjectWriter, write_object};
use crate::{r4, status, urls};

/// Writes one notification Bundle to the end of `out`.
pub(crate) fn render_notification(
    version: FhirVersion,
    notification: &Notification,
    out: &mut Vec<u8>,
) {
    let (bundle_type, profile) = match version {
        FhirVersion::R4 => ("history", Some(urls::PROFILE_NOTIFICATION_R4)),
        FhirVersion::R4B => ("history", Some(urls::PROFILE_NOTIFICATION_R4B)),
        FhirVersion::R5 => ("subscription-notification", None),
    };
    write_object(out, |o| {
        o.string("resourceType", "Bundle");
        o.string("id", &notification.id);
        if let Some(profile) = profile {
            o.object("meta", |o| o.strings("profile", [profile]));
        }
        o.string("type", bundle_type);
        o.string("timestamp", &instant(notification.timestamp));
        o.array("entry", |a| {
            a.object(|o| status_entry(version, notification, o));
            for entry in plan_entries(notification) {
                a.object(|o| {
                    o.string("fullUrl", &entry.full_url);
                    if let Some(body) = entry.body {
                        o.raw("resource", body);
                    }
                    exchange(version, notification.content, &entry, o);
                });
            }
        });
    });
}

/// Writes the answer of `$status`: a searchset with a status resource per subscription
/// (RQ-OP-05, TR-27).
pub(crate) fn render_status_searchset(
    version: FhirVersion,
    statuses: &[Notification],
    self_url: &str,
) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Bundle");
        o.string("type", "searchset");
        o.number("total", statuses.len() as u64);
        o.array("link", |a| {
            a.object(|o| {
                o.string("relation", "self");
                o.string("url", self_url);
            });
        });
        o.array("entry", |a| {
            for notification in statuses {
                a.object(|o| {
                    status_resource(version, notification, o);
                    o.object("search", |o| o.string("mode", "match"));
                });
            }
        });
    });
    out
}

/// The first entry: the status resource, asked for by `GET …/$status` (RQ-NB-05, RQ-OP-26).
fn status_entry(version: FhirVersion, notification: &Notification, o: &mut ObjectWriter<'_>) {
    status_resource(version, notification, o);
    let url = format!("{}/$status", subscription_url(notification));
    request_and_response(version, "GET", &url, "200", o);
}

fn status_resource(version: FhirVersion, notification: &Notification, o: &mut ObjectWriter<'_>) {
    o.string("fullUrl", &format!("urn:uuid:{}", notification.status_id));
    o.object("resource", |o| match version {
        FhirVersion::R4 => r4::write_status(notification, o),
        FhirVersion::R4B | FhirVersion::R5 => status::write_status(notification, o),
    });
}

/// What was asked and answered to make the resource what it is (RQ-NB-06, RQ-NB-26).
fn exchange(
    version: FhirVersion,
    content: PayloadContent,
    entry: &PlannedEntry<'_>,
    o: &mut ObjectWriter<'_>,
) {
    let NotificationResource { resource_type, id, .. } = entry.resource;
    let withheld = content == PayloadContent::FullResource && entry.body.is_none();
    let instance = format!("{resource_type}/{id}");
    let (method, url, status) = match entry.resource.interaction {
        Some(Interaction::Create) => ("POST", resource_type.as_str(), "201"),
        Some(Interaction::Update) => ("PUT", instance.as_str(), "200"),
        Some(Interaction::Delete) => ("DELETE", instance.as_str(), "204"),
        None if withheld => ("GET", instance.as_str(), "404"),
        None => ("GET", instance.as_str(), "200"),
    };
    request_and_response(version, method, url, status, o);
}

/// R4 and R4B demand both (RQ-NB-04); R5's profile forbids the response (RQ-NB-08, TR-02).
fn request_and_response(
    version: FhirVersion,
    method: &str,
    url: &str,
    status: &str,
    o: &mut ObjectWriter<'_>,
) {
    o.object("request", |o| {
        o.string("method", method);
        o.string("url", url);
    });
    match version {
        FhirVersion::R4 | FhirVersion::R4B => {
            o.object("response", |o| o.string("status", status));
        }
        FhirVersion::R5 => {}
    }
}

/// The Subscription's absolute URL, without a version (TR-30).
pub(crate) fn subscription_url(notification: &Notification) -> String {
    format!("{}/Subscription/{}", notification.base_url, notification.subscription)
}

/// A resource's absolute URL, without a version (RQ-NB-07, RQ-NB-29).
pub(crate) fn resource_url(
    notification: &Notification,
    resource_type: &ResourceType,
    id: &ResourceId,
) -> String {
    format!("{}/{resource_type}/{id}", notification.base_url)
}

/// The topic, where it may be told: never to an endpoint of `empty` notifications, for a topic
/// can tell of a patient's illness (RQ-NB-21, RQ-SS-09); always to the caller of `$status`.
pub(crate) fn told_topic(notification: &Notification) -> Option<String> {
    let told = match notification.content {
        PayloadContent::FullResource | PayloadContent::IdOnly => true,
        PayloadContent::Empty => match notification.notification_type {
            NotificationType::QueryStatus => true,
            NotificationType::EventNotification
            | NotificationType::Handshake
            | NotificationType::Heartbeat
            | NotificationType::QueryEvent => false,
        },
    };
    told.then(|| notification.topic.to_string())
}

/// Whether events name what changed (RQ-NB-20, RQ-NB-23).
pub(crate) const fn tells_focus(content: PayloadContent) -> bool {
    match content {
        PayloadContent::Empty => false,
        PayloadContent::FullResource | PayloadContent::IdOnly => true,
    }
}
