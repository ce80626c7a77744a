//! SubscriptionStatus, the same in R4B and R5 as JSON: R4B's numbers are strings by type, R5's
//! `integer64` is a string in JSON (RQ-NB-42, TR-03).

use cresset_model::{Notification, SubscriptionError, SubscriptionErrorCode};

use crate::instant::instant;
use crate::json::ObjectWriter;
use crate::notification::{resource_url, subscription_url, tells_focus, told_topic};
use crate::topic::related_queries;
use crate::urls;

/// Writes the members of the resource.
pub(crate) fn write_status(notification: &Notification, o: &mut ObjectWriter<'_>) {
    o.string("resourceType", "SubscriptionStatus");
    o.string("id", &notification.status_id);
    o.string("status", notification.status.code());
    o.string("type", notification.notification_type.code());
    let count = notification.events_since_subscription_start.to_string();
    o.string("eventsSinceSubscriptionStart", &count);
    o.array("notificationEvent", |a| {
        for event in &notification.events {
            a.object(|o| {
                // A query tells of the topic, which `empty` does not.
                if tells_focus(notification.content) {
                    o.array("extension", |a| related_queries(a, &event.related_queries));
                }
                o.string("eventNumber", &event.number.to_string());
                o.string("timestamp", &instant(event.timestamp));
                if !tells_focus(notification.content) {
                    return;
                }
                let url = |it: &cresset_model::NotificationResource| {
                    resource_url(notification, &it.resource_type, &it.id)
                };
                o.object("focus", |o| o.string("reference", &url(&event.focus)));
                o.array("additionalContext", |a| {
                    for resource in &event.additional_context {
                        a.object(|o| o.string("reference", &url(resource)));
                    }
                });
            });
        }
    });
    o.object("subscription", |o| o.string("reference", &subscription_url(notification)));
    o.optional("topic", told_topic(notification).as_deref());
    o.array("error", |a| {
        for error in &notification.errors {
            a.object(|o| write_error(error, o));
        }
    });
}

/// Writes an error as CodeableConcept (RQ-ER-05).
pub(crate) fn write_error(error: &SubscriptionError, o: &mut ObjectWriter<'_>) {
    if let Some(code) = error.code.map(SubscriptionErrorCode::code) {
        o.array("coding", |a| {
            a.object(|o| {
                o.string("system", urls::SUBSCRIPTION_ERROR);
                o.string("code", code);
            });
        });
    }
    if !error.text.is_empty() {
        o.string("text", &error.text);
    }
}
