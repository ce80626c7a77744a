//! What people read: bodies of mails, as plain text and as HTML of the simplest kind.
//!
//! A body says no more than the content level allows (RQ-CH-63): with `empty` neither topic nor
//! numbers nor ids but that of the subscription, else the topic and references, and never anything of
//! a resource, whatever the level; resources are for the attachment.

use std::fmt::Write as _;

use cresset_channel::BodyKind;
use cresset_model::{Notification, NotificationEvent, NotificationType, PayloadContent};
use url::Url;

/// Events that a body lists; the attachment has all.
const EVENTS_LISTED_MAX: usize = 20;

/// A part of a body.
enum Part {
    /// A link on a line of its own.
    Link(String),
    List(Vec<String>),
    Paragraph(String),
}

/// The subject line of a mail where the subscriber asked for none.
pub(crate) const fn subject(kind: NotificationType) -> &'static str {
    match kind {
        NotificationType::Handshake => "Your subscription begins",
        NotificationType::Heartbeat => "Your subscription is alive",
        NotificationType::EventNotification
        | NotificationType::QueryEvent
        | NotificationType::QueryStatus => "News for your subscription",
    }
}

/// The subject line of the mail that asks for confirmation: never the subscriber's own, since it
/// goes to somebody who has agreed to nothing yet.
pub(crate) const CONFIRMATION_SUBJECT: &str = "Please confirm a subscription";

/// The body of a notification.
pub(crate) fn notification(
    told: &Notification,
    is_attached: bool,
    unsubscribe: &Url,
    body: BodyKind,
) -> String {
    let mut parts = vec![Part::Paragraph(opening(told).to_owned())];
    if told.content != PayloadContent::Empty {
        parts.push(Part::Paragraph(format!("Topic: {}", told.topic)));
        if !told.events.is_empty() {
            parts.push(Part::List(told.events.iter().take(EVENTS_LISTED_MAX).map(event).collect()));
        }
        let more = told.events.len().saturating_sub(EVENTS_LISTED_MAX);
        if more > 0 {
            parts.push(Part::Paragraph(format!("And {more} more.")));
        }
    }
    let subscription = format!("{}/Subscription/{}", told.base_url, told.subscription);
    parts.push(Part::Paragraph(format!("Subscription: {subscription}")));
    if is_attached {
        let text = "The attached file is the notification as programs read it.";
        parts.push(Part::Paragraph(text.to_owned()));
    }
    parts.extend(ending(unsubscribe));
    rendered(&parts, body)
}

/// The body of a mail that asks for confirmation.
pub(crate) fn confirmation(confirm: &Url, unsubscribe: &Url, body: BodyKind) -> String {
    let mut parts: Vec<Part> = [
        "Somebody has asked this server to send notifications of events in a health record system \
         to this mailbox. Nothing is sent until you confirm that you want it. If you do, open this \
         page and press the button:",
    ]
    .map(|text| Part::Paragraph(text.to_owned()))
    .into();
    parts.push(Part::Link(confirm.to_string()));
    let text = "If you do not know what this is about, do nothing, or end it:";
    parts.push(Part::Paragraph(text.to_owned()));
    parts.push(Part::Link(unsubscribe.to_string()));
    rendered(&parts, body)
}

fn opening(told: &Notification) -> &'static str {
    match told.notification_type {
        NotificationType::Handshake => "Notifications to this mailbox begin.",
        NotificationType::Heartbeat => "Nothing has happened; your subscription is alive.",
        NotificationType::EventNotification
        | NotificationType::QueryEvent
        | NotificationType::QueryStatus => "Something has happened that you have subscribed to.",
    }
}

fn event(event: &NotificationEvent) -> String {
    let focus = &event.focus;
    format!("{}: {}/{}, at {}", event.number, focus.resource_type, focus.id, event.timestamp)
}

fn ending(unsubscribe: &Url) -> [Part; 2] {
    let text = "To get no more of these mails, open this page and press the button:";
    [Part::Paragraph(text.to_owned()), Part::Link(unsubscribe.to_string())]
}

fn rendered(parts: &[Part], body: BodyKind) -> String {
    let mut out = String::new();
    for part in parts {
        // Writing to a string cannot fail.
        let _written = match (part, body) {
            (Part::Paragraph(text) | Part::Link(text), BodyKind::Plain) => {
                write!(out, "{text}\r\n\r\n")
            }
            (Part::List(items), BodyKind::Plain) => {
                let items: String = items.iter().flat_map(|item| ["- ", item, "\r\n"]).collect();
                write!(out, "{items}\r\n")
            }
            (Part::Paragraph(text), BodyKind::Html) => write!(out, "<p>{}</p>\r\n", escaped(text)),
            (Part::Link(url), BodyKind::Html) => {
                let url = escaped(url);
                write!(out, "<p><a href=\"{url}\">{url}</a></p>\r\n")
            }
            (Part::List(items), BodyKind::Html) => {
                let items: String =
                    items.iter().map(|item| format!("<li>{}</li>\r\n", escaped(item))).collect();
                write!(out, "<ul>\r\n{items}</ul>\r\n")
            }
        };
    }
    match body {
        BodyKind::Html => format!("<!DOCTYPE html>\r\n<html><body>\r\n{out}</body></html>\r\n"),
        BodyKind::Plain => out,
    }
}

/// The text where markup is read.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
