//! `$notify-event`: a system tells of an event that is no change of data (RQ-TP-34).
//!
//! The event goes through the writer like a change, so it is numbered in a transaction, durable
//! before it is answered, and ordered with all else.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::{NotifyEvent, render_notified};
use cresset_model::{Issue, IssueCode, ResourceId, ResourceKey};
use uuid::Uuid;

use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::catalogs::NEVER_A_FOCUS;
use crate::error::{Error, Kind};
use crate::intent::{EventIntent, TopicName};
use crate::node::Node;
use crate::{occurrence, reference};

impl Node {
    /// Tells the subscriptions to a topic of an event; answers how many got one.
    ///
    /// `id` is that of the topic's resource; without it, the input names the topic by its
    /// canonical. Called twice, it is two events.
    ///
    /// # Errors
    /// `Forbidden` without the right `notify`; `NotFound` for an unknown topic; `Unprocessable`
    /// for an event that the topic does not have, or a focus or context that is not here;
    /// `Unavailable` (nothing was done); `Timeout` (it may have been done).
    pub async fn notify_event(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: Option<&str>,
        input: NotifyEvent,
    ) -> Result<Vec<u8>, Error> {
        caller.require(Right::Notify)?;
        let topic = match (id, input.topic) {
            (Some(id), None) => {
                let unknown = |_| Error::not_found(format!("the topic {id}"));
                TopicName::StoredAt(ResourceId::new(id).map_err(unknown)?)
            }
            (None, Some(canonical)) => TopicName::Canonical(canonical),
            (Some(_), Some(_)) => return Err(malformed("topic", "is named by the URL already")),
            (None, None) => return Err(malformed("topic", "is missing")),
        };
        let focus = self.subject(version, "focus", &input.focus)?;
        let context: Result<Vec<_>, Error> =
            input.context.iter().map(|one| self.subject(version, "context", one)).collect();
        let id = ResourceId::new(&Uuid::now_v7().to_string()).map_err(Error::internal)?;
        let notified = self
            .writer
            .notify(EventIntent {
                key: occurrence::key(base_of(version), id),
                topic,
                event: input.event,
                focus,
                context: context?,
                author: caller.client().clone(),
                trace: caller.trace(),
            })
            .await?;
        Ok(render_notified(notified.count, &notified.warnings))
    }

    /// The resource of this base that a reference names.
    fn subject(
        &self,
        version: FhirVersion,
        name: &str,
        reference: &str,
    ) -> Result<ResourceKey, Error> {
        let base_url = self.shared.base_url(version);
        let relative = reference
            .strip_prefix(&base_url)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(reference);
        let key = reference::key_of(base_of(version), relative).filter(|key| {
            let resource_type = key.resource_type.as_str();
            Definitions::of(version).is_resource(resource_type)
                && !NEVER_A_FOCUS.contains(&resource_type)
        });
        key.ok_or_else(|| malformed(name, "must refer to a resource of this base: Type/id"))
    }
}

fn malformed(name: &str, what: &str) -> Error {
    let issue = Issue::error(IssueCode::InvalidParameter, format!("`{name}` {what}"));
    Error::new(Kind::Malformed, issue)
}
