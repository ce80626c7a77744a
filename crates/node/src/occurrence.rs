//! What the log keeps of an event that is no change of data (`$notify-event`).
//!
//! It is an entry of the log like any other, with a position, a time and an author, so that it is
//! numbered, sent, retried and replayed in the one way there is. Its type is none of FHIR's: no
//! request can name it, no history and no search shows it. It tells which version of which resource
//! the event was about, so that a retry and `$events` say what was said first (RQ-ER-15).

use bytes::Bytes;
use cresset_model::{Base, Change, Coding, ResourceId, ResourceKey, ResourceType, VersionId};
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// The type under which occurrences stand in the log.
const TYPE: &str = "CressetOccurrence";
/// The form of the record. A new one gets the next number, and old ones are read for ever.
const FORMAT: u64 = 1;

/// A resource at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) key: ResourceKey,
    pub(crate) version: VersionId,
}

/// An event that is no change of data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// What happened.
    pub(crate) event: Vec<Coding>,
    /// What it happened to.
    pub(crate) focus: Subject,
    /// What the one who reported it says goes with it.
    pub(crate) context: Vec<Subject>,
}

/// The key under which an occurrence stands in the log.
pub(crate) fn key(base: Base, id: ResourceId) -> ResourceKey {
    let resource_type = ResourceType::new(TYPE).expect("a literal of the right form");
    ResourceKey { base, resource_type, id }
}

/// Whether an entry of the log is an occurrence.
pub(crate) fn is_occurrence(change: &Change) -> bool {
    change.key.resource_type.as_str() == TYPE
}

impl Occurrence {
    /// The record of it.
    pub(crate) fn encode(&self) -> Bytes {
        let subject = |subject: &Subject| {
            json!({
                "type": subject.key.resource_type.as_str(),
                "id": subject.key.id.as_str(),
                "version": subject.version.get(),
            })
        };
        let coding = |coding: &Coding| match &coding.system {
            Some(system) => json!({ "system": system.as_str(), "code": coding.code.as_str() }),
            None => json!({ "code": coding.code.as_str() }),
        };
        let record = json!({
            "format": FORMAT,
            "event": self.event.iter().map(coding).collect::<Vec<_>>(),
            "focus": subject(&self.focus),
            "context": self.context.iter().map(subject).collect::<Vec<_>>(),
        });
        Bytes::from(record.to_string())
    }

    /// Reads the record of an occurrence of a base; none for what this program has not written.
    pub(crate) fn decode(base: Base, record: &[u8]) -> Option<Self> {
        let record: Value = serde_json::from_slice(record).ok()?;
        let subject = |value: &Value| {
            let resource_type = ResourceType::new(value.get("type")?.as_str()?).ok()?;
            let id = ResourceId::new(value.get("id")?.as_str()?).ok()?;
            let version = VersionId::new(value.get("version")?.as_u64()?)?;
            Some(Subject { key: ResourceKey { base, resource_type, id }, version })
        };
        let coding = |value: &Value| {
            let system = value.get("system").and_then(Value::as_str).map(Into::into);
            Some(Coding { system, code: value.get("code")?.as_str()?.into() })
        };
        if record.get("format")?.as_u64()? != FORMAT {
            return None;
        }
        Some(Self {
            event: record.get("event")?.as_array()?.iter().map(coding).collect::<Option<_>>()?,
            focus: subject(record.get("focus")?)?,
            context: record
                .get("context")?
                .as_array()?
                .iter()
                .map(subject)
                .collect::<Option<_>>()?,
        })
    }
}
