//! R4: the status resource is a Parameters (RQ section 6.2).

use cresset_model::{Notification, NotificationEvent, NotificationResource};

use crate::instant::instant;
use crate::json::{ArrayWriter, ObjectWriter};
use crate::notification::{resource_url, subscription_url, tells_focus, told_topic};
use crate::status::write_error;
use crate::topic::coding;
use crate::urls;

/// Writes the members of the Parameters. Its names are kebab-case (TR-04), its numbers strings.
pub(crate) fn write_status(notification: &Notification, o: &mut ObjectWriter<'_>) {
    o.string("resourceType", "Parameters");
    o.string("id", &notification.status_id);
    o.object("meta", |o| o.strings("profile", [urls::PROFILE_STATUS_R4]));
    o.array("parameter", |a| {
        reference(a, "subscription", &subscription_url(notification));
        if let Some(topic) = told_topic(notification) {
            text(a, "topic", "valueCanonical", &topic);
        }
        text(a, "status", "valueCode", notification.status.code());
        text(a, "type", "valueCode", notification.notification_type.code());
        let count = notification.events_since_subscription_start.to_string();
        text(a, "events-since-subscription-start", "valueString", &count);
        for event in &notification.events {
            a.object(|o| {
                o.string("name", "notification-event");
                o.array("part", |a| write_event(notification, event, a));
            });
        }
        for error in &notification.errors {
            a.object(|o| {
                o.string("name", "error");
                o.object("valueCodeableConcept", |o| write_error(error, o));
            });
        }
    });
}

fn write_event(notification: &Notification, event: &NotificationEvent, a: &mut ArrayWriter<'_>) {
    text(a, "event-number", "valueString", &event.number.to_string());
    text(a, "timestamp", "valueInstant", &instant(event.timestamp));
    if !tells_focus(notification.content) {
        return;
    }
    let url = |it: &NotificationResource| resource_url(notification, &it.resource_type, &it.id);
    reference(a, "focus", &url(&event.focus));
    for resource in &event.additional_context {
        reference(a, "additional-context", &url(resource));
    }
    // Not in the guide: US Core adds it, and clients of other topics see none.
    for code in &event.codes {
        a.object(|o| {
            o.string("name", "trigger");
            o.object("valueCoding", |o| coding(o, code));
        });
    }
    for query in &event.related_queries {
        a.object(|o| {
            o.string("name", "related-query");
            o.array("part", |a| {
                if let Some(query_type) = &query.query_type {
                    a.object(|o| {
                        o.string("name", "query-type");
                        o.raw("valueCoding", query_type.0.as_bytes());
                    });
                }
                text(a, "query", "valueString", &query.query);
            });
        });
    }
}

fn text(a: &mut ArrayWriter<'_>, name: &str, member: &str, value: &str) {
    a.object(|o| {
        o.string("name", name);
        o.string(member, value);
    });
}

fn reference(a: &mut ArrayWriter<'_>, name: &str, url: &str) {
    a.object(|o| {
        o.string("name", name);
        o.object("valueReference", |o| o.string("reference", url));
    });
}
