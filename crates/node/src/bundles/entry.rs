//! One entry of a batch or transaction: what it asks for, and what it is answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cresset_definitions::FhirVersion;
use cresset_fhir::{AnswerEntry, Method, RequestEntry, parse_instant};
use cresset_model::{Change, Issue, IssueCode, Issues, ResourceId, ResourceType, VersionId};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

use super::Representation;
use super::room::Room;
use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::intent::{Effect, Written};
use crate::interactions::drawn_id;
use crate::node::Node;
use crate::patch::Patch;
use crate::resources::{Condition, key, parse_id};
use crate::search::{SearchRequest, SearchTarget};

/// The content type of a Binary that holds a JSON Patch.
const JSON_PATCH: &str = "application/json-patch+json";

/// What an entry asks for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// To read or search.
    Read(ReadEntry),
    /// To change something.
    Write(WriteEntry),
}

/// An entry that reads.
#[derive(Debug, Clone)]
pub(super) struct ReadEntry {
    url: String,
    is_head: bool,
    known: Option<VersionId>,
    known_since: Option<Timestamp>,
}

/// An entry that writes.
#[derive(Debug, Clone)]
pub(super) struct WriteEntry {
    pub(super) method: Method,
    pub(super) resource_type: ResourceType,
    pub(super) of: Of,
    pub(super) condition: Condition,
}

/// Which resource an entry is about.
#[derive(Debug, Clone)]
pub(super) enum Of {
    /// The one that these criteria find.
    Found(String),
    /// The one with this id.
    Id(ResourceId),
    /// A new one.
    New,
}

impl Asked {
    /// What an entry asks for.
    ///
    /// # Errors
    /// `Unprocessable` for a URL that does not fit the method, `NotFound` for a type that there is
    /// not, `Malformed` for a precondition that cannot be read.
    pub(super) fn parse(version: FhirVersion, entry: &RequestEntry<'_>) -> Result<Self, Error> {
        let (path, query) = match entry.url.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (entry.url, None),
        };
        if matches!(entry.method, Method::Get | Method::Head) {
            return Ok(Self::Read(ReadEntry {
                url: entry.url.to_owned(),
                is_head: entry.method == Method::Head,
                known: entry.if_none_match.and_then(etag_version),
                known_since: entry.if_modified_since.and_then(parse_instant),
            }));
        }
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (name, of) = match (entry.method, parts.as_slice(), query) {
            (Method::Post, [name], None) => match entry.if_none_exist {
                Some(criteria) => (*name, Of::Found(criteria.to_owned())),
                None => (*name, Of::New),
            },
            (Method::Delete | Method::Patch | Method::Put, [name], Some(query)) => {
                (*name, Of::Found(query.to_owned()))
            }
            (Method::Delete | Method::Patch | Method::Put, [name, id], None) => {
                (*name, Of::Id(parse_id(id)?))
            }
            _ => {
                let text = "the URL of the entry does not fit its method";
                return Err(Error::of(Kind::Unprocessable, IssueCode::InvalidBundle, text));
            }
        };
        let resource_type = key(version, name, drawn_id()?)?.resource_type;
        let condition = condition(entry)?;
        Ok(Self::Write(WriteEntry { method: entry.method, resource_type, of, condition }))
    }
}

/// The version in an ETag.
fn etag_version(etag: &str) -> Option<VersionId> {
    let number = etag.trim().trim_start_matches("W/").trim_matches('"').parse().ok();
    number.and_then(VersionId::new)
}

fn condition(entry: &RequestEntry<'_>) -> Result<Condition, Error> {
    let unreadable = || {
        let text = "ifMatch must be an ETag such as W/\"3\", ifNoneMatch must be *";
        Error::of(Kind::Malformed, IssueCode::InvalidPrecondition, text)
    };
    if entry.if_match == Some("*") {
        return Ok(Condition::IfExists);
    }
    if let Some(etag) = entry.if_match {
        return etag_version(etag).map(Condition::IfMatch).ok_or_else(unreadable);
    }
    match entry.if_none_match {
        Some("*") => Ok(Condition::IfNoneMatch),
        Some(_) => Err(unreadable()),
        None => Ok(Condition::None),
    }
}

/// The patch in an entry: Parameters, or a Binary with a JSON Patch.
pub(super) fn patch(resource: &Value) -> Result<Patch, Error> {
    let invalid = |text: &str| Error::of(Kind::Malformed, IssueCode::InvalidPatch, text);
    match resource["resourceType"].as_str() {
        Some("Parameters") => Ok(Patch::FhirPath(resource.clone())),
        Some("Binary") if resource["contentType"] == JSON_PATCH => {
            let data = resource["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
            let data = data.ok_or_else(|| invalid("the data of the Binary must be base64"))?;
            Patch::parse(&data, true)
        }
        Some(_) | None => Err(invalid(
            "a patch in a bundle is Parameters, or a Binary with the content type \
             application/json-patch+json",
        )),
    }
}

impl Node {
    /// Answers an entry that reads: a read, a version read or a search.
    pub(super) async fn read_entry(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        entry: &ReadEntry,
        room: &Room,
    ) -> AnswerEntry {
        let mut answer = match self.read_url(caller, version, entry, room).await {
            Ok(answer) => answer,
            Err(error) => failed(&error),
        };
        if entry.is_head {
            answer.resource = None;
        }
        room.take(&answer);
        answer
    }

    async fn read_url(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        entry: &ReadEntry,
        room: &Room,
    ) -> Result<AnswerEntry, Error> {
        room.check()?;
        let (path, query) = entry.url.split_once('?').unwrap_or((&entry.url, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let read = match parts.as_slice() {
            [resource_type, id] => self.read(caller, version, resource_type, id).await,
            [resource_type, id, "_history", number] => {
                self.read_version(caller, version, resource_type, id, number).await
            }
            parts => {
                let Some(target) = search_target(parts) else {
                    let text = "a bundle can read, read versions and search";
                    return Err(Error::of(Kind::NotFound, IssueCode::UnknownPath, text));
                };
                let request = SearchRequest::parse(query);
                room.check_search()?;
                let found = self.search(caller, version, target, &request).await?;
                let resource = Some(found.body);
                return Ok(AnswerEntry { status: 200, resource, ..AnswerEntry::default() });
            }
        };
        read.map(|change| read_answer(&change, entry))
    }
}

/// What a path says is to be searched, if it is one of a search.
fn search_target<'p>(parts: &[&'p str]) -> Option<SearchTarget<'p>> {
    match *parts {
        [""] => Some(SearchTarget::System),
        [resource_type] => Some(SearchTarget::Type(resource_type)),
        [compartment, id, resource_type] if !resource_type.starts_with(['_', '$']) => {
            Some(SearchTarget::in_compartment(compartment, id, resource_type))
        }
        _ => None,
    }
}

fn read_answer(change: &Change, entry: &ReadEntry) -> AnswerEntry {
    let is_known = match entry.known {
        Some(version) => version == change.version,
        None => entry.known_since.is_some_and(|since| change.at <= since),
    };
    AnswerEntry {
        status: if is_known { 304 } else { 200 },
        version: Some(change.version),
        last_modified: Some(change.at),
        resource: (!is_known).then(|| change.body.to_vec()),
        ..AnswerEntry::default()
    }
}

/// The same error, its issues placed in the bundle.
pub(super) fn located(error: &Error, index: usize) -> Error {
    let place = format!("Bundle.entry[{index}]");
    let issues = error.issues().0.iter().map(|issue| Issue {
        expression: Some(match &issue.expression {
            // `Patient.name` becomes `Bundle.entry[3].resource.name`.
            Some(path) => match path.split_once('.') {
                Some((_, rest)) => format!("{place}.resource.{rest}"),
                None => format!("{place}.resource"),
            },
            None => place.clone(),
        }),
        ..issue.clone()
    });
    let located = Error::new(error.kind(), Issues(issues.collect()));
    if error.is_stale() { located.into_stale() } else { located }
}

/// What an entry that failed is answered.
pub(super) fn failed(error: &Error) -> AnswerEntry {
    AnswerEntry {
        status: error.kind().http_status(),
        outcome: Some(error.issues().clone()),
        ..AnswerEntry::default()
    }
}

/// What an entry that wrote is answered.
pub(super) fn done(written: &Written, representation: Representation) -> AnswerEntry {
    let (status, change) = match written.effect {
        Effect::Created => (201, written.change.as_ref()),
        Effect::Found | Effect::Updated => (200, written.change.as_ref()),
        Effect::Deleted | Effect::Untouched => (204, None),
    };
    let resource = match representation {
        Representation::Full => change.map(|change| change.body.to_vec()),
        Representation::None | Representation::Outcome => None,
    };
    let warnings = &written.warnings;
    let outcome = match representation {
        Representation::Outcome => Some(warnings.clone()),
        Representation::Full | Representation::None => {
            (!warnings.0.is_empty()).then(|| warnings.clone())
        }
    };
    AnswerEntry {
        status,
        location: change.map(|change| format!("{}/_history/{}", change.key, change.version)),
        version: change.map(|change| change.version),
        last_modified: change.map(|change| change.at),
        resource,
        outcome,
    }
}
