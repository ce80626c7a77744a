//! Message Bundles: a notification as the content of a FHIR message (RQ-CH-81, RQ-CH-82).
//!
//! The notification is spliced in as it was rendered. Tests: `tests/golden`, `message/tests.rs`.

use cresset_definitions::FhirVersion;
use jiff::Timestamp;

use crate::instant::instant;
use crate::json::write_object;

/// What a message says besides its content.
#[derive(Debug, Clone, Copy)]
pub struct MessageFrame<'f> {
    /// A UUID: that of the MessageHeader, and the same for each repetition of the message.
    pub id: &'f str,
    /// When it is sent.
    pub timestamp: Timestamp,
    /// System and code of `MessageHeader.event`.
    pub event: (&'f str, &'f str),
    /// URL of the base it comes from.
    pub source: &'f str,
    /// URL it goes to, as the subscriber gave it.
    pub destination: &'f str,
}

/// Writes a message Bundle around a rendered notification to the end of `out`.
pub(crate) fn render_message(
    version: FhirVersion,
    frame: &MessageFrame<'_>,
    notification: &[u8],
    out: &mut Vec<u8>,
) {
    let endpoint = match version {
        FhirVersion::R4 | FhirVersion::R4B => "endpoint",
        FhirVersion::R5 => "endpointUrl",
    };
    // The content has a name of its own; that it follows from the message's keeps it stable, too.
    let content = format!("urn:uuid:{}", content_id(frame.id));
    write_object(out, |o| {
        o.string("resourceType", "Bundle");
        o.string("type", "message");
        o.string("timestamp", &instant(frame.timestamp));
        o.array("entry", |a| {
            a.object(|o| {
                o.string("fullUrl", &format!("urn:uuid:{}", frame.id));
                o.object("resource", |o| {
                    o.string("resourceType", "MessageHeader");
                    o.string("id", frame.id);
                    o.object("eventCoding", |o| {
                        o.string("system", frame.event.0);
                        o.string("code", frame.event.1);
                    });
                    o.array("destination", |a| {
                        a.object(|o| o.string(endpoint, without_query(frame.destination)));
                    });
                    o.object("source", |o| o.string(endpoint, frame.source));
                    o.array("focus", |a| a.object(|o| o.string("reference", &content)));
                });
            });
            a.object(|o| {
                o.string("fullUrl", &content);
                o.raw("resource", notification);
            });
        });
    });
}

/// A query may hold a secret of the endpoint's, which is no business of those the message is
/// passed on to.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Another UUID, made from this one.
fn content_id(id: &str) -> String {
    let last = id.chars().last().and_then(|digit| digit.to_digit(16)).unwrap_or_default();
    let kept = &id[..id.len().saturating_sub(1)];
    format!("{kept}{:x}", last ^ 1)
}

#[cfg(test)]
mod tests;
