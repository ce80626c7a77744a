//! AuditEvents: who changed a subscription, and what was sent to whom (RQ-SS-11).
//!
//! Ids of resources are told, and nothing else of them; an endpoint is told by its host alone, for its
//! path and query may hold secrets. R4 and R4B have one form, R5 another.

use cresset_definitions::FhirVersion;
use cresset_model::{
    EventNumber, Interaction, NotificationType, PayloadContent, ResourceId, VersionId,
};
use jiff::Timestamp;

use crate::instant::instant;
use crate::json::{ArrayWriter, ObjectWriter, write_object};

/// Kinds of events.
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
/// The life of records.
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
/// DICOM's codes.
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
/// Interactions of REST.
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
/// Types of notifications.
const NOTIFICATION_TYPE: &str = "http://hl7.org/fhir/subscription-notification-type";
/// Outcomes, in R5.
const OUTCOME: &str = "http://terminology.hl7.org/CodeSystem/audit-event-outcome";

/// An entry of the audit trail.
#[derive(Debug, Clone)]
pub struct AuditEntry<'e> {
    /// Its id, unlike any other.
    pub id: &'e str,
    /// When it happened.
    pub recorded: Timestamp,
    /// What happened.
    pub what: Audited<'e>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Audited<'e> {
    /// A Subscription was created, changed or deleted, by its client or by the server.
    Change {
        /// Who did it.
        author: &'e str,
        /// What was done.
        interaction: Interaction,
        /// To which.
        subscription: &'e ResourceId,
        /// The version that came of it.
        version: VersionId,
        /// The status that it has now; none for a deleted one.
        status: Option<&'e str>,
    },
    /// Entries could not be kept.
    Loss {
        /// How many.
        entries: u64,
        /// Since when.
        since: Timestamp,
    },
    /// A notification was sent, with success or without.
    Sent(SentNotification<'e>),
    /// Somebody who operates the server was shown what events tell.
    Shown {
        /// Who.
        author: &'e str,
        /// Of which subscription.
        subscription: &'e ResourceId,
        /// Which events, both ends included.
        events: (EventNumber, EventNumber),
    },
}

/// A notification that was sent.
#[derive(Debug, Clone)]
pub struct SentNotification<'e> {
    /// Of which subscription.
    pub subscription: &'e ResourceId,
    /// The client that it belongs to.
    pub owner: &'e str,
    /// What was sent.
    pub notification_type: NotificationType,
    /// The events in it, both ends included.
    pub events: Option<(EventNumber, EventNumber)>,
    /// How much it told.
    pub content: PayloadContent,
    /// What it told of: `Type/id/_history/version`.
    pub resources: &'e [String],
    /// How it travelled.
    pub channel_type: &'e str,
    /// The host that it went to.
    pub destination: &'e str,
    /// How the attempt ended.
    pub outcome: &'e str,
    /// Whether it was taken.
    pub taken: bool,
}

/// A code that says what it means.
type Coded = (&'static str, &'static str);

/// Somebody who took part.
struct Agent<'e> {
    /// What it is called, and whether it is a client of ours.
    name: (&'e str, bool),
    requestor: bool,
    /// DICOM's code of its part.
    part: Option<&'static str>,
    /// The machine that it is.
    host: Option<&'e str>,
}

/// What an entry says in any version.
struct Parts<'e> {
    kind: Coded,
    more: Option<Coded>,
    action: &'static str,
    /// DICOM's code, and what it was in our words.
    outcome: (&'static str, Option<String>),
    agents: Vec<Agent<'e>>,
    /// References, the first of them with details.
    entities: Vec<String>,
    details: Vec<(&'static str, String)>,
}

/// Writes an AuditEvent to the end of `out`.
pub(crate) fn render_audit_event(version: FhirVersion, entry: &AuditEntry<'_>, out: &mut Vec<u8>) {
    let parts = match &entry.what {
        Audited::Change { author, interaction, subscription, version, status } => {
            let reference = format!("Subscription/{subscription}/_history/{version}");
            changed(author, *interaction, reference, *status)
        }
        Audited::Loss { entries, since } => lost(*entries, *since),
        Audited::Sent(sent) => sent_parts(sent),
        Audited::Shown { author, subscription, events } => shown(author, subscription, *events),
    };
    write_object(out, |o| {
        o.string("resourceType", "AuditEvent");
        o.string("id", entry.id);
        match version {
            FhirVersion::R4 | FhirVersion::R4B => write_r4(o, entry.recorded, &parts),
            FhirVersion::R5 => write_r5(o, entry.recorded, &parts),
        }
    });
}

/// The server itself.
fn server<'e>(requestor: bool, part: Option<&'static str>) -> Agent<'e> {
    Agent { name: ("cresset", false), requestor, part, host: None }
}

fn changed<'e>(
    author: &'e str,
    interaction: Interaction,
    reference: String,
    status: Option<&str>,
) -> Parts<'e> {
    let action = match interaction {
        Interaction::Create => "C",
        Interaction::Delete => "D",
        Interaction::Update => "U",
    };
    Parts {
        kind: (EVENT_TYPE, "rest"),
        more: Some((INTERACTION, interaction.code())),
        action,
        outcome: ("0", None),
        agents: vec![Agent { name: (author, true), requestor: true, part: None, host: None }],
        entities: vec![reference],
        details: status.map(|status| ("status", status.to_owned())).into_iter().collect(),
    }
}

fn lost<'e>(entries: u64, since: Timestamp) -> Parts<'e> {
    let text = format!("{entries} entries since {} could not be kept", instant(since));
    Parts {
        // An activity of an application.
        kind: (DICOM, "110100"),
        more: None,
        action: "E",
        outcome: ("8", Some(text)),
        agents: vec![server(true, None)],
        entities: Vec::new(),
        details: Vec::new(),
    }
}

fn shown<'e>(
    author: &'e str,
    subscription: &ResourceId,
    (first, last): (EventNumber, EventNumber),
) -> Parts<'e> {
    Parts {
        kind: (EVENT_TYPE, "rest"),
        more: Some((INTERACTION, "operation")),
        action: "R",
        outcome: ("0", None),
        agents: vec![Agent { name: (author, true), requestor: true, part: None, host: None }],
        entities: vec![format!("Subscription/{subscription}")],
        details: vec![("first-event", first.to_string()), ("last-event", last.to_string())],
    }
}

fn sent_parts<'e>(sent: &SentNotification<'e>) -> Parts<'e> {
    let mut details = vec![
        ("channel-type", sent.channel_type.to_owned()),
        ("content", sent.content.code().to_owned()),
    ];
    if let Some((first, last)) = sent.events {
        details.extend([("first-event", first.to_string()), ("last-event", last.to_string())]);
    }
    let subscription = format!("Subscription/{}", sent.subscription);
    Parts {
        kind: (LIFECYCLE, "transmit"),
        more: Some((NOTIFICATION_TYPE, sent.notification_type.code())),
        action: "E",
        // What failed may be tried again: a minor failure.
        outcome: (if sent.taken { "0" } else { "4" }, Some(sent.outcome.to_owned())),
        agents: vec![
            server(false, Some("110153")),
            Agent { name: (sent.owner, true), requestor: true, part: None, host: None },
            Agent {
                name: (sent.destination, false),
                requestor: false,
                part: Some("110152"),
                host: Some(sent.destination),
            },
        ],
        entities: [subscription].into_iter().chain(sent.resources.iter().cloned()).collect(),
        details,
    }
}

fn write_r4(o: &mut ObjectWriter<'_>, recorded: Timestamp, parts: &Parts<'_>) {
    o.object("type", |o| coding(o, parts.kind));
    if let Some(more) = parts.more {
        o.array("subtype", |a| a.object(|o| coding(o, more)));
    }
    o.string("action", parts.action);
    o.string("recorded", &instant(recorded));
    o.string("outcome", parts.outcome.0);
    o.optional("outcomeDesc", parts.outcome.1.as_deref());
    o.array("agent", |a| {
        for agent in &parts.agents {
            a.object(|o| {
                write_agent(o, agent);
                if let Some(host) = agent.host {
                    o.object("network", |o| {
                        o.string("address", host);
                        // A machine's name.
                        o.string("type", "1");
                    });
                }
            });
        }
    });
    write_source(o);
    write_entities(o, parts, |o, kind| o.string("type", kind));
}

fn write_r5(o: &mut ObjectWriter<'_>, recorded: Timestamp, parts: &Parts<'_>) {
    // What is a kind of event in R4 is a category here, and the finer code the code.
    if parts.more.is_some() {
        o.array("category", |a| a.object(|o| concept(o, parts.kind)));
    }
    o.object("code", |o| concept(o, parts.more.unwrap_or(parts.kind)));
    o.string("action", parts.action);
    o.string("recorded", &instant(recorded));
    o.object("outcome", |o| {
        o.object("code", |o| coding(o, (OUTCOME, parts.outcome.0)));
        o.array("detail", |a| {
            if let Some(text) = &parts.outcome.1 {
                a.object(|o| o.string("text", text));
            }
        });
    });
    o.array("agent", |a| {
        for agent in &parts.agents {
            a.object(|o| {
                write_agent(o, agent);
                o.optional("networkString", agent.host);
            });
        }
    });
    write_source(o);
    write_entities(o, parts, |o, kind| o.object("type", |o| o.string("text", kind)));
}

fn write_agent(o: &mut ObjectWriter<'_>, agent: &Agent<'_>) {
    if let Some(part) = agent.part {
        o.object("type", |o| concept(o, (DICOM, part)));
    }
    let (name, is_client) = agent.name;
    o.object("who", |o| {
        if is_client {
            o.object("identifier", |o| o.string("value", name));
        }
        o.string("display", name);
    });
    o.boolean("requestor", agent.requestor);
}

fn write_source(o: &mut ObjectWriter<'_>) {
    o.object("source", |o| o.object("observer", |o| o.string("display", "cresset")));
}

/// The references; `kind_of` writes what a detail is about in the form of the version.
fn write_entities(
    o: &mut ObjectWriter<'_>,
    parts: &Parts<'_>,
    kind_of: impl Fn(&mut ObjectWriter<'_>, &str),
) {
    o.array("entity", |a| {
        for (index, reference) in parts.entities.iter().enumerate() {
            a.object(|o| {
                o.object("what", |o| o.string("reference", reference));
                o.array("detail", |a| {
                    if index == 0 {
                        write_details(a, &parts.details, &kind_of);
                    }
                });
            });
        }
    });
}

fn write_details(
    a: &mut ArrayWriter<'_>,
    details: &[(&'static str, String)],
    kind_of: &impl Fn(&mut ObjectWriter<'_>, &str),
) {
    for (kind, text) in details {
        a.object(|o| {
            kind_of(o, kind);
            o.string("valueString", text);
        });
    }
}

fn coding(o: &mut ObjectWriter<'_>, (system, code): Coded) {
    o.string("system", system);
    o.string("code", code);
}

fn concept(o: &mut ObjectWriter<'_>, coded: Coded) {
    o.array("coding", |a| a.object(|o| coding(o, coded)));
}

#[cfg(test)]
mod tests {
    use cresset_model::Issues;
    use serde_json::Value;

    use super::*;
    use crate::Codec;

    fn rendered(version: FhirVersion, what: Audited<'_>) -> Value {
        let recorded = Timestamp::from_second(1_700_000_000).unwrap();
        let mut bytes = Vec::new();
        let entry = AuditEntry { id: "an-id", recorded, what };
        Codec::of(version).render_audit_event(&entry, &mut bytes);
        let resource = crate::json::parse(&bytes).unwrap();
        assert_eq!(Codec::of(version).validate(&resource), Issues::default(), "{resource:#}");
        resource
    }

    fn id() -> ResourceId {
        ResourceId::new("s").unwrap()
    }

    #[test]
    fn a_change_tells_who_did_what_to_which_version() {
        for version in FhirVersion::ALL {
            let subscription = &id();
            let change = |interaction, status| Audited::Change {
                author: "ward-7",
                interaction,
                subscription,
                version: VersionId::new(3).unwrap(),
                status,
            };
            let resource = rendered(version, change(Interaction::Update, Some("off")));
            assert_eq!(resource["recorded"], "2023-11-14T22:13:20.000Z");
            assert_eq!(resource["action"], "U");
            let who = &resource["agent"][0]["who"];
            assert_eq!(who["identifier"]["value"], "ward-7");
            let entity = &resource["entity"][0];
            assert_eq!(entity["what"]["reference"], "Subscription/s/_history/3");
            assert_eq!(entity["detail"][0]["valueString"], "off");
            rendered(version, change(Interaction::Delete, None));
        }
    }

    #[test]
    fn what_was_sent_tells_of_whom_to_whom_and_how_it_ended() {
        for version in FhirVersion::ALL {
            let (first, last) = (EventNumber::FIRST, EventNumber::new(2).unwrap());
            let resource = rendered(
                version,
                Audited::Sent(SentNotification {
                    subscription: &id(),
                    owner: "ward-7",
                    notification_type: NotificationType::EventNotification,
                    events: Some((first, last)),
                    content: PayloadContent::IdOnly,
                    resources: &["Patient/p/_history/1".to_owned()],
                    channel_type: "rest-hook",
                    destination: "hook.example:443",
                    outcome: "no-response",
                    taken: false,
                }),
            );
            let text = resource.to_string();
            for told in
                ["\"Subscription/s\"", "Patient/p/_history/1", "hook.example:443", "no-response"]
            {
                assert!(text.contains(told), "{told} in {text}");
            }
            assert_eq!(resource["agent"].as_array().map(Vec::len), Some(3));
        }
    }

    #[test]
    fn a_loss_is_told() {
        for version in FhirVersion::ALL {
            let since = Timestamp::UNIX_EPOCH;
            let text = rendered(version, Audited::Loss { entries: 7, since }).to_string();
            assert!(text.contains("7 entries since 1970-01-01T00:00:00.000Z"), "{text}");
        }
    }
}
