//! Events that are no change of data, in the group with all else, so that they are numbered there.

use std::sync::Arc;

use cresset_engine::{CompiledTopic, Occurrence as Fired, evaluate_occurrence};
use cresset_fhir::json;
use cresset_model::{Coding, Interaction, Issue, IssueCode, Issues, ResourceKey, VersionId};
use serde_json::Value;

use super::lookup::NOTHING;
use super::{Draft, is_alive};
use crate::error::{Error, Kind};
use crate::intent::{EventIntent, Notified, TopicName};
use crate::occurrence::{Occurrence, Subject};

/// Codes of a topic that a refusal lists.
const CODES_LISTED_MAX: usize = 20;

impl Draft<'_> {
    /// Decides whose event an occurrence is. Where it is nobody's, nothing is written.
    pub(crate) fn notify(&mut self, intent: EventIntent) -> Result<Notified, Error> {
        let EventIntent { key, topic, event, focus, context, author, trace } = intent;
        self.take_trace(trace);
        let topic = self.topic_named(&key, &topic)?;
        let types = topic.types_of_event(&event);
        if types.is_empty() {
            return Err(refused("event", no_such_event(&topic)));
        }
        if !types.contains(&focus.resource_type.as_str()) {
            let text = format!("must be of type {} for this event", types.join(" or "));
            return Err(refused("focus", text));
        }
        let (focus, value) = self.subject("focus", &focus)?;
        let context: Result<Vec<_>, Error> = context
            .iter()
            .map(|key| self.subject("context", key).map(|(subject, _)| subject))
            .collect();
        let occurrence = Occurrence { event, focus, context: context? };
        let mut warnings = Issues::default();
        if !topic.is_effective(self.now) {
            let text = "the topic is outside of its effectivePeriod, so nobody was told";
            warnings.push(Issue::warning(IssueCode::SurprisingTopic, text));
        }
        let fired = Fired {
            topic: &topic,
            resource_type: occurrence.focus.key.resource_type.as_str(),
            focus: &value,
            at: self.now,
        };
        let events = self.evaluate(key.base, &NOTHING, |catalog, lookup| {
            evaluate_occurrence(&fired, catalog, lookup)
        });
        let count = events.len();
        if count > 0 {
            let record = occurrence.encode();
            let entry = self.change(&key, VersionId::FIRST, Interaction::Create, &author, record);
            self.push(entry, events, None);
        }
        Ok(Notified { count, warnings })
    }

    fn topic_named(
        &self,
        key: &ResourceKey,
        name: &TopicName,
    ) -> Result<Arc<CompiledTopic>, Error> {
        let catalog = self.catalog(key.base)?;
        match name {
            TopicName::Canonical(canonical) => catalog.topic(canonical).cloned().ok_or_else(|| {
                let text = "the topic is not known here";
                Error::of(Kind::Unprocessable, IssueCode::UnknownTopic, text)
            }),
            TopicName::StoredAt(id) => {
                let unknown = || Error::not_found(format!("the topic {id}"));
                catalog.topic_stored_at(id).cloned().ok_or_else(unknown)
            }
        }
    }

    /// A resource that an event is about, as it is at this point of the log.
    fn subject(&mut self, name: &str, key: &ResourceKey) -> Result<(Subject, Value), Error> {
        let unknown = || refused(name, "names a resource that is not here".to_owned());
        let current = self.overlay.current(self.store, key)?.ok_or_else(unknown)?;
        if !is_alive(Some(&current)) {
            return Err(unknown());
        }
        let value = json::parse(&current.body).map_err(|_| unknown())?;
        Ok((Subject { key: key.clone(), version: current.version }, value))
    }
}

fn refused(name: &str, text: String) -> Error {
    let issue = Issue::error(IssueCode::InvalidParameter, text).at(name);
    Error::new(Kind::Unprocessable, issue)
}

fn no_such_event(topic: &CompiledTopic) -> String {
    let text = |coding: &Coding| match &coding.system {
        Some(system) => format!("{system}|{}", coding.code),
        None => coding.code.to_string(),
    };
    let codes: Vec<_> = topic.event_codes().map(text).take(CODES_LISTED_MAX).collect();
    match codes.is_empty() {
        true => "the topic has no event triggers".to_owned(),
        false => format!("is none of the topic's events: {}", codes.join(", ")),
    }
}
