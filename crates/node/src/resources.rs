//! Resources: read, version read, create, update, delete.

use bytes::Bytes;
use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::Codec;
use cresset_model::{
    Change, Interaction, Issue, IssueCode, Issues, ResourceId, ResourceKey, ResourceType, VersionId,
};
use serde_json::Value;
use uuid::Uuid;

use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::error::{Error, Kind};
use crate::history::HISTORY_PAGE_MAX;
use crate::intent::{Action, Body, Intent, Precondition, Role, Written};
use crate::node::Node;
use crate::{indexer, subscriptions};

/// What a client makes its update or delete conditional on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// `If-Match: W/"n"`.
    IfMatch(VersionId),
    /// `If-Match: *`.
    IfExists,
    /// `If-None-Match: *`.
    IfNoneMatch,
    /// Nothing.
    #[default]
    None,
}

impl Node {
    /// The newest version of a resource.
    ///
    /// # Errors
    /// `NotFound` if there is none that the caller may know of, `Gone` if it was deleted.
    pub async fn read(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: &str,
        id: &str,
    ) -> Result<Change, Error> {
        let key = self.readable(caller, version, resource_type, id)?;
        let wanted = key.clone();
        let mut found =
            self.shared.read(move |store| store.current(std::slice::from_ref(&wanted))).await?;
        let change = found.pop().flatten().ok_or_else(|| Error::not_found(&key))?;
        self.check_visible(caller, &change).await?;
        if change.interaction == Interaction::Delete {
            return Err(Error::gone(&key));
        }
        Ok(change)
    }

    /// One version of a resource.
    ///
    /// # Errors
    /// As [`Self::read`]; `Gone` if this version is a delete.
    pub async fn read_version(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: &str,
        id: &str,
        number: &str,
    ) -> Result<Change, Error> {
        let key = self.readable(caller, version, resource_type, id)?;
        let unknown = || Error::not_found(format!("{resource_type}/{id}/_history/{number}"));
        let number = number.parse().ok().and_then(VersionId::new).ok_or_else(unknown)?;
        let change = self.shared.read(move |store| store.version(&key, number)).await?;
        let change = change.ok_or_else(unknown)?;
        self.check_visible(caller, &change).await?;
        if change.interaction == Interaction::Delete {
            return Err(Error::gone(format!("{}/_history/{number}", change.key)));
        }
        Ok(change)
    }

    /// Creates a resource under a new id.
    ///
    /// When it returns, the change is on disk and its events are counted. That a notification was
    /// sent it does not mean.
    ///
    /// # Errors
    /// `Malformed` or `Unprocessable` with every issue found; `Forbidden`; `Unavailable` (nothing
    /// was done); `Timeout` (it may have been done).
    pub async fn create(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: &str,
        bytes: Bytes,
    ) -> Result<Written, Error> {
        let id = ResourceId::new(&Uuid::now_v7().to_string()).map_err(Error::internal)?;
        let key = key(version, resource_type, id)?;
        let body = self.prepare(caller, version, &key, None, bytes)?;
        let intent = intent(caller, key, Action::Put(Box::new(body)), Precondition::Fresh);
        self.write_one(intent).await
    }

    /// Creates or changes the resource with this id.
    ///
    /// # Errors
    /// As [`Self::create`]; `VersionMismatch` if the condition does not hold.
    pub async fn update(
        &self,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, id): (&str, &str),
        condition: Condition,
        bytes: Bytes,
    ) -> Result<Written, Error> {
        let id = parse_id(id)?;
        let key = key(version, resource_type, id)?;
        let body = self.prepare(caller, version, &key, Some(&key.id), bytes)?;
        let precondition = precondition(condition);
        self.write_one(intent(caller, key, Action::Put(Box::new(body)), precondition)).await
    }

    /// Deletes a resource; deleting what is not there is no fault.
    ///
    /// # Errors
    /// `Forbidden`, `VersionMismatch`, `Unavailable`, `Timeout` as for the others.
    pub async fn delete(
        &self,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, id): (&str, &str),
        condition: Condition,
    ) -> Result<Written, Error> {
        let key = key(version, resource_type, parse_id(id)?)?;
        check_delete(caller, &key)?;
        self.write_one(intent(caller, key, Action::Delete, precondition(condition))).await
    }

    /// Reads a body and checks all that can be checked without the writer.
    pub(crate) fn prepare(
        &self,
        caller: &Caller,
        version: FhirVersion,
        key: &ResourceKey,
        id: Option<&ResourceId>,
        bytes: Bytes,
    ) -> Result<Body, Error> {
        let codec = Codec::of(version);
        let parsed = codec.parse_resource(&bytes).map_err(|issues| {
            let kind = if issues.0.iter().any(|one| one.code == IssueCode::NestedTooDeep) {
                Kind::TooLarge
            } else {
                Kind::Malformed
            };
            Error::new(kind, issues)
        })?;
        if parsed.resource_type != key.resource_type {
            let text = format!(
                "the body is a {}, the URL asks for a {}",
                parsed.resource_type, key.resource_type
            );
            let issue = Issue::error(IssueCode::WrongResourceType, text);
            return Err(Error::new(Kind::Malformed, issue.at("resourceType")));
        }
        if let Some(id) = id {
            check_same_id(&key.resource_type, id, parsed.id.as_ref())?;
        }
        let mut body = self.give_role(caller, version, bytes, parsed.value)?;
        body.warnings = self.check_form(version, &body.value)?;
        Ok(body)
    }

    /// What the body is to the catalog, and whether the caller may write such a thing.
    fn give_role(
        &self,
        caller: &Caller,
        version: FhirVersion,
        bytes: Bytes,
        value: Value,
    ) -> Result<Body, Error> {
        let codec = Codec::of(version);
        if value.get("resourceType").and_then(Value::as_str) == Some("Subscription") {
            caller.require(Right::Subscribe)?;
            let (subscription, chosen) =
                subscriptions::prepare(&self.shared, caller, version, &value)?;
            let bytes = match chosen {
                Some(values) => Bytes::from(codec.with_subscription_values(&bytes, &values)),
                None => bytes,
            };
            let role = Role::Subscription(Box::new(subscription));
            return Ok(Body { bytes, value, role, rows: None, warnings: Issues::default() });
        }
        if codec.is_topic(&value) {
            caller.require(Right::Topics)?;
            let topic = codec
                .parse_topic(&value)
                .map_err(|issues| Error::new(Kind::Unprocessable, issues))?;
            let rows = Some(indexer::rows_of(&self.shared, version, &value).into());
            let role = Role::Topic(Box::new(topic));
            return Ok(Body { bytes, value, role, rows, warnings: Issues::default() });
        }
        caller.require(Right::Write)?;
        let rows = Some(indexer::rows_of(&self.shared, version, &value).into());
        Ok(Body { bytes, value, role: Role::Plain, rows, warnings: Issues::default() })
    }

    async fn write_one(&self, intent: Intent) -> Result<Written, Error> {
        let mut written = self.writer.write(vec![intent]).await?;
        written.pop().ok_or_else(|| Error::internal("a write without an answer"))
    }

    /// The key of what the caller wants to read, if the type is known and reading allowed.
    pub(crate) fn readable(
        &self,
        caller: &Caller,
        version: FhirVersion,
        resource_type: &str,
        id: &str,
    ) -> Result<ResourceKey, Error> {
        let unknown = |_| Error::not_found(format!("{resource_type}/{id}"));
        let key = key(version, resource_type, ResourceId::new(id).map_err(unknown)?)?;
        require_read(caller, resource_type)?;
        Ok(key)
    }

    /// A Subscription of somebody else looks as if it were not there (RQ-SS-07).
    pub(crate) async fn check_visible(
        &self,
        caller: &Caller,
        change: &Change,
    ) -> Result<(), Error> {
        if change.key.resource_type.as_str() != "Subscription" || caller.is_admin() {
            return Ok(());
        }
        if let Some(live) = self.shared.live.find(change.key.base, &change.key.id) {
            return match caller.sees(&live.owner) {
                true => Ok(()),
                false => Err(Error::not_found(&change.key)),
            };
        }
        // Deleted: its owner is the client that made its last life.
        let key = change.key.clone();
        let first = self.shared.read(move |store| creator(store, &key)).await?;
        match first {
            Some(owner) if caller.sees(&owner) => Ok(()),
            Some(_) | None => Err(Error::not_found(&change.key)),
        }
    }

    /// Whether the caller may know of a version of a resource. Blocks.
    pub(crate) fn is_visible(&self, caller: &Caller, key: &ResourceKey) -> Result<bool, Error> {
        if key.resource_type.as_str() != "Subscription" || caller.is_admin() {
            return Ok(true);
        }
        if let Some(live) = self.shared.live.find(key.base, &key.id) {
            return Ok(caller.sees(&live.owner));
        }
        let owner = creator(self.shared.store.as_ref(), key)?;
        Ok(owner.is_some_and(|owner| caller.sees(&owner)))
    }
}

/// The author of the newest create of a resource.
pub(crate) fn creator(
    store: &dyn cresset_store::Store,
    key: &ResourceKey,
) -> Result<Option<cresset_model::ClientName>, cresset_store::Error> {
    let mut before = None;
    loop {
        let page = store.history(key, before, HISTORY_PAGE_MAX)?;
        let Some(last) = page.last() else { return Ok(None) };
        before = Some(last.version);
        let created = page.iter().find(|change| change.interaction == Interaction::Create);
        if let Some(created) = created {
            return Ok(Some(created.author.clone()));
        }
    }
}

/// Whether the caller may delete such a thing. A `Basic` is a topic or is none: the writer knows.
pub(crate) fn check_delete(caller: &Caller, key: &ResourceKey) -> Result<(), Error> {
    require_write(caller, key.resource_type.as_str())
}

/// Whether the caller may write something of a type, as far as the type tells.
pub(crate) fn require_write(caller: &Caller, resource_type: &str) -> Result<(), Error> {
    match resource_type {
        "Subscription" => caller.require(Right::Subscribe),
        "SubscriptionTopic" => caller.require(Right::Topics),
        "Basic" => caller.require(Right::Topics).or_else(|_| caller.require(Right::Write)),
        _ => caller.require(Right::Write),
    }
}

/// Reading subscriptions is a matter of subscribing, all else of reading.
pub(crate) fn require_read(caller: &Caller, resource_type: &str) -> Result<(), Error> {
    match resource_type {
        "Subscription" => caller.require(Right::Subscribe),
        "SubscriptionTopic" => {
            caller.require(Right::Subscribe).or_else(|_| caller.require(Right::Read))
        }
        _ => caller.require(Right::Read),
    }
}

/// The key of a resource of a type that the version defines.
pub(crate) fn key(
    version: FhirVersion,
    resource_type: &str,
    id: ResourceId,
) -> Result<ResourceKey, Error> {
    let unknown = || {
        let text = format!("FHIR {} defines no such resource type", version.full());
        Error::of(Kind::NotFound, IssueCode::UnknownPath, text)
    };
    // The status resource has no REST endpoint (RQ-NB-11).
    if !Definitions::of(version).is_resource(resource_type) || resource_type == "SubscriptionStatus"
    {
        return Err(unknown());
    }
    let resource_type = ResourceType::new(resource_type).map_err(|_| unknown())?;
    Ok(ResourceKey { base: base_of(version), resource_type, id })
}

pub(crate) fn parse_id(id: &str) -> Result<ResourceId, Error> {
    ResourceId::new(id)
        .map_err(|error| Error::of(Kind::Malformed, IssueCode::InvalidId, error.to_string()))
}

fn check_same_id(
    resource_type: &ResourceType,
    asked: &ResourceId,
    found: Option<&ResourceId>,
) -> Result<(), Error> {
    if found == Some(asked) {
        return Ok(());
    }
    let text = match found {
        Some(_) => "the id in the body is not the id in the URL",
        None => "an update needs the id of the URL in the body",
    };
    let issue = Issue::error(IssueCode::InvalidId, text).at(format!("{resource_type}.id"));
    Err(Error::new(Kind::Malformed, issue))
}

pub(crate) fn precondition(condition: Condition) -> Precondition {
    match condition {
        Condition::IfMatch(version) => Precondition::Version(version),
        Condition::IfExists => Precondition::Present,
        Condition::IfNoneMatch => Precondition::Absent,
        Condition::None => Precondition::None,
    }
}

pub(crate) fn intent(
    caller: &Caller,
    key: ResourceKey,
    action: Action,
    precondition: Precondition,
) -> Intent {
    Intent {
        key,
        action,
        precondition,
        author: caller.client().clone(),
        admin: caller.is_admin(),
        may_read: caller.require(Right::Read).is_ok(),
        may_topics: caller.require(Right::Topics).is_ok(),
        may_write: caller.require(Right::Write).is_ok(),
        trace: caller.trace(),
    }
}
