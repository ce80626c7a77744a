//! Batch and transaction bundles.
//!
//! A transaction is one job of the writer: all its changes happen together or not at all, one
//! event per entry. The entries of a batch are jobs of their own that share disk flushes.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{
    AnswerEntry, BundleKind, Codec, Method, RequestEntry, Targets, json, parse_bundle,
    render_batch_response,
};
use cresset_model::{Change, Issue, IssueCode, Issues, ResourceId, ResourceKey, VersionId};
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::intent::{Action, Effect, Intent, Precondition, Written};
use crate::node::Node;
use crate::resources::{intent, key, parse_id};
use crate::search::SearchRequest;
use crate::writer::Pending;

/// Whether writes in a bundle give the resource back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// Yes.
    Full,
    /// No, only location and version.
    None,
}

/// An entry that changes something.
struct Write {
    index: usize,
    order: u8,
    intent: Intent,
}

impl Node {
    /// Carries out a batch or transaction and answers with the response bundle.
    ///
    /// # Errors
    /// A transaction fails as a whole, with the issues of the entry that failed. A batch fails as
    /// a whole only when it cannot be read; what is wrong with an entry is in its answer.
    pub async fn bundle(
        &self,
        caller: &Caller,
        version: FhirVersion,
        bytes: Bytes,
        representation: Representation,
    ) -> Result<Vec<u8>, Error> {
        let malformed = |issues| Error::new(Kind::Malformed, issues);
        let value = json::parse(&bytes).map_err(malformed)?;
        let bundle = parse_bundle(&value, &bytes).map_err(malformed)?;
        if bundle.entries.len() > self.shared.config.limits.bundle_entries_max {
            let max = self.shared.config.limits.bundle_entries_max;
            let text = format!("a bundle may have at most {max} entries");
            return Err(Error::of(Kind::TooLarge, IssueCode::InvalidBundle, text));
        }
        let answers = match bundle.kind {
            BundleKind::Batch => self.batch(caller, version, bundle.entries, representation).await,
            BundleKind::Transaction => {
                let entries: Result<Vec<_>, Issues> = bundle.entries.into_iter().collect();
                let entries = entries.map_err(malformed)?;
                self.transaction(caller, version, &entries, representation).await?
            }
        };
        Ok(render_batch_response(bundle.kind, &answers))
    }

    async fn batch(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entries: Vec<Result<RequestEntry<'_>, Issues>>,
        representation: Representation,
    ) -> Vec<AnswerEntry> {
        let mut answers: Vec<Option<AnswerEntry>> = Vec::with_capacity(entries.len());
        let mut pending: Vec<(usize, Pending)> = Vec::new();
        let mut reads = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let answer = match entry {
                Err(issues) => Some(failed(&Error::new(Kind::Malformed, issues))),
                Ok(entry) if is_read(&entry) => {
                    reads.push((index, entry));
                    None
                }
                Ok(entry) => match self.start_entry(caller, version, &entry).await {
                    Ok(job) => {
                        pending.push((index, job));
                        None
                    }
                    Err(error) => Some(failed(&error)),
                },
            };
            answers.push(answer);
        }
        for (index, job) in pending {
            let written = job.wait().await.map(|mut written| written.pop());
            answers[index] = Some(match written {
                Ok(Some(written)) => done(&written, representation),
                Ok(None) => failed(&Error::internal("a write without an answer")),
                Err(error) => failed(&error),
            });
        }
        for (index, entry) in reads {
            answers[index] = Some(self.read_entry(caller, version, &entry).await);
        }
        answers.into_iter().flatten().collect()
    }

    /// Hands a batch entry to the writer.
    async fn start_entry(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entry: &RequestEntry<'_>,
    ) -> Result<Pending, Error> {
        let (key, precondition) = target(version, entry)?;
        let bytes = entry.resource.as_ref().map(|resource| Bytes::copy_from_slice(resource.bytes));
        let action = self.action(caller, version, entry, &key, bytes).await?;
        self.writer.submit(vec![intent(caller, key, action, precondition)]).await
    }

    async fn transaction(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entries: &[RequestEntry<'_>],
        representation: Representation,
    ) -> Result<Vec<AnswerEntry>, Error> {
        let mut targets = Targets::new();
        let mut keys: Vec<Option<(ResourceKey, Precondition)>> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if is_read(entry) {
                keys.push(None);
                continue;
            }
            let (key, precondition) =
                target(version, entry).map_err(|error| located(error, index))?;
            if let Some(full_url) = entry.full_url {
                targets.insert(full_url, key.to_string());
            }
            keys.push(Some((key, precondition)));
        }
        check_distinct(&keys)?;
        let mut writes = Vec::new();
        for (index, (entry, key)) in entries.iter().zip(keys).enumerate() {
            let Some((key, precondition)) = key else { continue };
            let bytes = rewritten(version, entry, &targets);
            let action = self.action(caller, version, entry, &key, bytes).await;
            let action = action.map_err(|error| located(error, index))?;
            let order = order(entry.method);
            writes.push(Write { index, order, intent: intent(caller, key, action, precondition) });
        }
        // FHIR's order: deletes, creates, updates; within these as they stand.
        writes.sort_by_key(|write| (write.order, write.index));
        let indices: Vec<usize> = writes.iter().map(|write| write.index).collect();
        let intents: Vec<Intent> = writes.into_iter().map(|write| write.intent).collect();
        let written =
            if intents.is_empty() { Vec::new() } else { self.writer.write(intents).await? };
        let mut answers: Vec<Option<AnswerEntry>> = entries.iter().map(|_| None).collect();
        for (index, written) in indices.into_iter().zip(&written) {
            answers[index] = Some(done(written, representation));
        }
        for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_read(entry)) {
            answers[index] = Some(self.read_entry(caller, version, entry).await);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn action(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entry: &RequestEntry<'_>,
        key: &ResourceKey,
        bytes: Option<Bytes>,
    ) -> Result<Action, Error> {
        match bytes {
            Some(bytes) => {
                let id = (entry.method == Method::Put).then_some(&key.id);
                let body = self.prepare(caller, version, key, id, bytes)?;
                Ok(Action::Put(Box::new(body)))
            }
            None => {
                self.check_delete(caller, version, key).await?;
                Ok(Action::Delete)
            }
        }
    }

    /// Answers a GET entry: a read, a version read or a search.
    async fn read_entry(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entry: &RequestEntry<'_>,
    ) -> AnswerEntry {
        let (path, query) = entry.url.split_once('?').unwrap_or((entry.url, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let read = match parts.as_slice() {
            [resource_type, id] => self.read(caller, version, resource_type, id).await,
            [resource_type, id, "_history", number] => {
                self.read_version(caller, version, resource_type, id, number).await
            }
            [resource_type] => {
                let request = SearchRequest::parse(query);
                return match self.search(caller, version, resource_type, &request).await {
                    Ok(page) => {
                        AnswerEntry { status: 200, resource: Some(page), ..AnswerEntry::default() }
                    }
                    Err(error) => failed(&error),
                };
            }
            _ => {
                let text = "a bundle can read, read versions and search";
                Err(Error::of(Kind::NotFound, IssueCode::UnknownPath, text))
            }
        };
        match read {
            Ok(change) => AnswerEntry {
                status: 200,
                version: Some(change.version),
                last_modified: Some(change.at),
                resource: Some(change.body.to_vec()),
                ..AnswerEntry::default()
            },
            Err(error) => failed(&error),
        }
    }
}

fn is_read(entry: &RequestEntry<'_>) -> bool {
    matches!(entry.method, Method::Get | Method::Head)
}

fn order(method: Method) -> u8 {
    match method {
        Method::Delete => 0,
        Method::Post => 1,
        Method::Patch | Method::Put => 2,
        Method::Get | Method::Head => 3,
    }
}

/// The resource that an entry writes, and what must hold of it.
fn target(
    version: FhirVersion,
    entry: &RequestEntry<'_>,
) -> Result<(ResourceKey, Precondition), Error> {
    let unsupported = |text: &str| Error::of(Kind::Unprocessable, IssueCode::InvalidBundle, text);
    if entry.if_none_exist.is_some() || entry.url.contains('?') {
        return Err(unsupported("conditional create, update and delete are not supported"));
    }
    let parts: Vec<&str> = entry.url.trim_matches('/').split('/').collect();
    match (entry.method, parts.as_slice()) {
        (Method::Post, [resource_type]) => {
            let id = ResourceId::new(&Uuid::now_v7().to_string()).map_err(Error::internal)?;
            Ok((key(version, resource_type, id)?, Precondition::Fresh))
        }
        (Method::Delete | Method::Put, [resource_type, id]) => {
            Ok((key(version, resource_type, parse_id(id)?)?, precondition(entry)?))
        }
        (Method::Patch, _) => Err(unsupported("PATCH is not supported")),
        _ => Err(unsupported("the URL of the entry does not fit its method")),
    }
}

fn precondition(entry: &RequestEntry<'_>) -> Result<Precondition, Error> {
    let unreadable = || {
        let text = "ifMatch must be an ETag such as W/\"3\", ifNoneMatch must be *";
        Error::of(Kind::Malformed, IssueCode::InvalidPrecondition, text)
    };
    if let Some(etag) = entry.if_match {
        let number = etag.trim().trim_start_matches("W/").trim_matches('"').parse().ok();
        return number.and_then(VersionId::new).map(Precondition::Version).ok_or_else(unreadable);
    }
    match entry.if_none_match {
        Some("*") => Ok(Precondition::Absent),
        Some(_) => Err(unreadable()),
        None => Ok(Precondition::None),
    }
}

/// The entry's resource with references to other entries made to references to resources.
fn rewritten(version: FhirVersion, entry: &RequestEntry<'_>, targets: &Targets) -> Option<Bytes> {
    let resource = entry.resource.as_ref()?;
    let rewritten = Codec::of(version).rewrite_references(resource.bytes, entry.full_url, targets);
    Some(match rewritten {
        Some(bytes) => Bytes::from(bytes),
        None => Bytes::copy_from_slice(resource.bytes),
    })
}

/// Two entries of a transaction may not write the same resource.
fn check_distinct(keys: &[Option<(ResourceKey, Precondition)>]) -> Result<(), Error> {
    let mut seen: Vec<&ResourceKey> = keys.iter().flatten().map(|(key, _)| key).collect();
    seen.sort_unstable();
    match seen.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let text = format!("two entries of the transaction write {}", pair[0]);
            Err(Error::of(Kind::Malformed, IssueCode::InvalidBundle, text))
        }
        None => Ok(()),
    }
}

/// The same error, its issues placed in the bundle.
fn located(error: Error, index: usize) -> Error {
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
    Error::new(error.kind(), Issues(issues.collect()))
}

fn failed(error: &Error) -> AnswerEntry {
    AnswerEntry {
        status: error.kind().http_status(),
        outcome: Some(error.issues().clone()),
        ..AnswerEntry::default()
    }
}

fn done(written: &Written, representation: Representation) -> AnswerEntry {
    let status = match written.effect {
        Effect::Created => 201,
        Effect::Updated => 200,
        Effect::Deleted | Effect::Untouched => 204,
    };
    let change: Option<&Arc<Change>> = match written.effect {
        Effect::Created | Effect::Updated => written.change.as_ref(),
        Effect::Deleted | Effect::Untouched => None,
    };
    let resource = match representation {
        Representation::Full => change.map(|change| change.body.to_vec()),
        Representation::None => None,
    };
    let warnings = &written.warnings;
    AnswerEntry {
        status,
        location: change.map(|change| format!("{}/_history/{}", change.key, change.version)),
        version: change.map(|change| change.version),
        last_modified: change.map(|change| change.at),
        resource,
        outcome: (!warnings.0.is_empty()).then(|| warnings.clone()),
    }
}
