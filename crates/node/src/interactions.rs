//! Conditional create, update and delete: prepared on what the condition finds, decided by the
//! writer, and prepared anew where somebody came in between ([`crate::conditional`]).

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::json;
use cresset_model::{Change, Issue, IssueCode, Issues, ResourceId, ResourceKey, ResourceType};
use serde_json::Value;
use uuid::Uuid;

use crate::caller::Caller;
use crate::conditional::{
    Assumption, ROUNDS_MAX, Selection, Selector, Tail, select, several, stale,
};
use crate::draft::is_alive;
use crate::error::{Error, Kind};
use crate::intent::{Action, Effect, Precondition, Work, Written};
use crate::node::Node;
use crate::resources::{
    Condition, check_delete, intent, key, parse_id, precondition, require_read, require_write,
};

/// A change as it is known before the writer.
pub(crate) struct Plan<T> {
    /// What the writer is to do.
    pub(crate) work: Work,
    /// What else is needed to answer.
    pub(crate) rest: T,
}

/// What a request aims at once its condition is looked up.
pub(crate) enum Aim {
    /// This resource; what must hold of it.
    At(ResourceKey, Precondition),
    /// There is nothing to write.
    Nothing(Written),
}

/// A resource named by its id, or by search criteria.
#[derive(Debug, Clone)]
pub enum Target {
    /// `[type]/[id]`
    Id(String),
    /// `[type]?criteria`
    Query(String),
}

impl Node {
    /// Creates a resource unless the criteria find one (`If-None-Exist`).
    ///
    /// # Errors
    /// As [`Self::create`]; `VersionMismatch` if they find several; `Conflict` if others change what
    /// they find again and again.
    pub async fn create_unless_found(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, query): (&str, &str),
        bytes: Bytes,
    ) -> Result<Written, Error> {
        let selector = self.selector(version, resource_type, query)?;
        require_write(caller, resource_type)?;
        let by = caller.clone();
        self.settle_one(move |node| {
            let selection = node.selected(&by, &selector)?;
            let found = Some((&*selector, &selection));
            let aim = node.aim_create(version, selector.resource_type(), found)?;
            node.put_plan(&by, version, aim, bytes.clone(), (&selector, selection))
        })
        .await
    }

    /// Updates the one resource that the criteria find; creates one if they find none.
    ///
    /// # Errors
    /// As [`Self::update`] and [`Self::create_unless_found`]; `Malformed` if the body has another id
    /// than what is found, `Conflict` if nothing is found and the body's id is taken.
    pub async fn update_found(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, query): (&str, &str),
        condition: Condition,
        bytes: Bytes,
    ) -> Result<Written, Error> {
        let selector = self.selector(version, resource_type, query)?;
        let by = caller.clone();
        self.settle_one(move |node| {
            let selection = node.selected(&by, &selector)?;
            let value = json::parse(&bytes).map_err(|one| Error::new(Kind::Malformed, one))?;
            let asked = precondition(condition);
            let aim = node.aim_update(selector.resource_type(), &selection, &value, asked);
            node.put_plan(&by, version, aim?, bytes.clone(), (&selector, selection))
        })
        .await
    }

    /// Deletes the one resource that the criteria find; finding none is no fault.
    ///
    /// # Errors
    /// As [`Self::delete`] and [`Self::create_unless_found`].
    pub async fn delete_found(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, query): (&str, &str),
        condition: Condition,
    ) -> Result<Written, Error> {
        let selector = self.selector(version, resource_type, query)?;
        require_write(caller, resource_type)?;
        let by = caller.clone();
        self.settle_one(move |node| {
            let selection = node.selected(&by, &selector)?;
            let aim = aim_delete(&selection, precondition(condition))?;
            let (key, precondition) = match aim {
                Aim::At(key, precondition) => (key, precondition),
                Aim::Nothing(written) => return Ok(nothing(written)),
            };
            check_delete(&by, &key)?;
            let intents = vec![intent(&by, key, Action::Delete, precondition)];
            let assumptions = vec![Assumption { selector: selector.clone(), selection }];
            Ok(Plan { work: Work { intents, assumptions }, rest: None })
        })
        .await
    }

    /// The criteria of a condition on resources of a type.
    ///
    /// # Errors
    /// `NotFound` for a type that the version does not define; `Malformed`.
    pub(crate) fn selector(
        &self,
        version: FhirVersion,
        resource_type: &str,
        query: &str,
    ) -> Result<Arc<Selector>, Error> {
        let resource_type = key(version, resource_type, drawn_id()?)?.resource_type;
        Selector::parse(&self.shared, version, &resource_type, query).map(Arc::new)
    }

    /// What a condition finds now. Blocks. What it finds tells of resources, so asking takes the
    /// right to read them.
    pub(crate) fn selected(
        &self,
        caller: &Caller,
        selector: &Selector,
    ) -> Result<Selection, Error> {
        let tail = &mut Tail::take(&self.shared)?;
        self.selected_with(caller, selector, tail)
    }

    /// The same, with what is behind the index taken before.
    pub(crate) fn selected_with(
        &self,
        caller: &Caller,
        selector: &Selector,
        tail: &mut Tail,
    ) -> Result<Selection, Error> {
        require_read(caller, selector.resource_type().as_str())?;
        select(&self.shared, caller, selector, tail)
    }

    /// What a create aims at.
    pub(crate) fn aim_create(
        &self,
        version: FhirVersion,
        resource_type: &ResourceType,
        condition: Option<(&Selector, &Selection)>,
    ) -> Result<Aim, Error> {
        let found = match condition {
            Some((selector, selection)) => single(selection)?.map(|found| (selector, found)),
            None => None,
        };
        let Some((selector, found)) = found else {
            let key = key(version, resource_type.as_str(), drawn_id()?)?;
            return Ok(Aim::At(key, Precondition::Fresh));
        };
        let current = self.shared.store.current(std::slice::from_ref(found))?.pop().flatten();
        // What was found is answered as it is now, if it is still what was asked for.
        let fits = |one: &Change| {
            is_alive(Some(one))
                && json::parse(&one.body).is_ok_and(|value| selector.is_match(&value))
        };
        let change = current.filter(fits).ok_or_else(stale)?;
        let warnings = Issues::default();
        let change = Some(Arc::new(change));
        Ok(Aim::Nothing(Written { change, effect: Effect::Found, warnings, spent: None }))
    }

    /// What a conditional update with this body aims at.
    pub(crate) fn aim_update(
        &self,
        resource_type: &ResourceType,
        selection: &Selection,
        value: &Value,
        asked: Precondition,
    ) -> Result<Aim, Error> {
        let id = value.get("id").and_then(Value::as_str).map(parse_id).transpose()?;
        if let Some(found) = single(selection)? {
            if id.is_some_and(|id| id != found.id) {
                let text = "the id in the body is not that of the resource that the criteria find";
                let issue = Issue::error(IssueCode::InvalidId, text);
                let issue = issue.at(format!("{resource_type}.id"));
                return Err(Error::new(Kind::Malformed, issue));
            }
            return Ok(Aim::At(found.clone(), asked));
        }
        if let Precondition::Present | Precondition::Version(_) = asked {
            let text = "the criteria find no resource, so none has the version asked for";
            return Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text));
        }
        let base = selection.base;
        let key = |id| ResourceKey { base, resource_type: resource_type.clone(), id };
        let Some(id) = id else { return Ok(Aim::At(key(drawn_id()?), Precondition::Fresh)) };
        let key = key(id);
        let current = self.shared.store.current(std::slice::from_ref(&key))?.pop().flatten();
        if is_alive(current.as_ref()) {
            let text = format!("the criteria find no resource, and the id of {key} is taken");
            return Err(Error::of(Kind::Conflict, IssueCode::Conflict, text));
        }
        Ok(Aim::At(key, Precondition::Absent))
    }

    fn put_plan(
        &self,
        caller: &Caller,
        version: FhirVersion,
        aim: Aim,
        bytes: Bytes,
        (selector, selection): (&Arc<Selector>, Selection),
    ) -> Result<Plan<Option<Written>>, Error> {
        let (key, precondition) = match aim {
            Aim::At(key, precondition) => (key, precondition),
            Aim::Nothing(written) => return Ok(nothing(written)),
        };
        let body = self.prepare(caller, version, &key, None, bytes)?;
        let intents = vec![intent(caller, key, Action::Put(Box::new(body)), precondition)];
        let assumptions = vec![Assumption { selector: selector.clone(), selection }];
        Ok(Plan { work: Work { intents, assumptions }, rest: None })
    }

    /// The same as [`Self::settle`] for one change, or what is known already.
    pub(crate) async fn settle_one(
        self: &Arc<Self>,
        plan: impl Fn(&Self) -> Result<Plan<Option<Written>>, Error> + Send + Sync + 'static,
    ) -> Result<Written, Error> {
        let (mut written, known) = self.settle(plan, |_, error| error).await?;
        let missing = || Error::internal("a write without an answer");
        known.or_else(|| written.pop()).ok_or_else(missing)
    }

    /// Plans a change and has it written, again and again while others come in between.
    ///
    /// `plan` runs on a thread that may block; `locate` tells an error of the writer in the terms of
    /// the plan.
    pub(crate) async fn settle<T: Send + 'static>(
        self: &Arc<Self>,
        plan: impl Fn(&Self) -> Result<Plan<T>, Error> + Send + Sync + 'static,
        locate: impl Fn(&T, Error) -> Error,
    ) -> Result<(Vec<Written>, T), Error> {
        let plan = Arc::new(plan);
        for _ in 0..ROUNDS_MAX {
            let (node, plan) = (self.clone(), plan.clone());
            let planned = match self.shared.work(move || plan(&node)).await {
                Err(error) if error.is_stale() => continue,
                planned => planned?,
            };
            if planned.work.intents.is_empty() {
                return Ok((Vec::new(), planned.rest));
            }
            match self.writer.submit(planned.work).await?.wait().await {
                Ok(written) => return Ok((written, planned.rest)),
                Err(error) if error.is_stale() => {}
                Err(error) => return Err(locate(&planned.rest, error)),
            }
        }
        Err(stale())
    }
}

/// What a conditional delete aims at.
pub(crate) fn aim_delete(selection: &Selection, asked: Precondition) -> Result<Aim, Error> {
    Ok(match single(selection)? {
        Some(found) => Aim::At(found.clone(), asked),
        None => {
            let warnings = Issues::default();
            let effect = Effect::Untouched;
            Aim::Nothing(Written { change: None, effect, warnings, spent: None })
        }
    })
}

/// The one resource found, or none.
///
/// # Errors
/// `VersionMismatch` if there are several.
pub(crate) fn single(selection: &Selection) -> Result<Option<&ResourceKey>, Error> {
    if selection.found.len() > 1 { Err(several()) } else { Ok(selection.found.first()) }
}

fn nothing(written: Written) -> Plan<Option<Written>> {
    Plan { work: Work::default(), rest: Some(written) }
}

/// A new id.
pub(crate) fn drawn_id() -> Result<ResourceId, Error> {
    ResourceId::new(&Uuid::now_v7().to_string()).map_err(Error::internal)
}
