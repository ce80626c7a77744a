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
use crate::resources::{check_delete, intent, key, parse_id};
use crate::search::{SearchRequest, SearchTarget};
use crate::writer::Pending;

/// Whether writes in a bundle give the resource back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// Yes.
    Full,
    /// No, only location and version.
    None,
}

/// An entry that was understood.
enum Step {
    /// A GET of this URL.
    Read(String),
    /// A change; its place among those of a transaction.
    Write { order: u8, intent: Intent },
}

/// A bundle that was understood.
struct Plan {
    kind: BundleKind,
    /// What each entry asks for. A transaction has no entry that was refused.
    steps: Vec<Result<Step, Error>>,
}

impl Node {
    /// Carries out a batch or transaction and answers with the response bundle.
    ///
    /// # Errors
    /// A transaction fails as a whole, with the issues of the entry that failed. A batch fails as
    /// a whole only when it cannot be read; what is wrong with an entry is in its answer.
    pub async fn bundle(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        bytes: Bytes,
        representation: Representation,
    ) -> Result<Vec<u8>, Error> {
        let (node, by) = (self.clone(), caller.clone());
        // Parsing a large bundle takes too long for the threads that serve everybody.
        let plan = tokio::task::spawn_blocking(move || node.plan_bundle(&by, version, &bytes));
        let Plan { kind, steps } = plan.await.map_err(Error::internal)??;
        let answers = match kind {
            BundleKind::Batch => self.batch(caller, version, steps, representation).await,
            BundleKind::Transaction => {
                let steps: Result<Vec<_>, Error> = steps.into_iter().collect();
                self.transaction(caller, version, steps?, representation).await?
            }
        };
        Ok(render_batch_response(kind, &answers))
    }

    /// Reads a bundle and prepares its changes. Takes milliseconds for a large one.
    fn plan_bundle(
        &self,
        caller: &Caller,
        version: FhirVersion,
        bytes: &Bytes,
    ) -> Result<Plan, Error> {
        let malformed = |issues| Error::new(Kind::Malformed, issues);
        let value = json::parse(bytes).map_err(malformed)?;
        let bundle = parse_bundle(&value, bytes).map_err(malformed)?;
        if bundle.entries.len() > self.shared.config.limits.bundle_entries_max {
            let max = self.shared.config.limits.bundle_entries_max;
            let text = format!("a bundle may have at most {max} entries");
            return Err(Error::of(Kind::TooLarge, IssueCode::InvalidBundle, text));
        }
        let kind = bundle.kind;
        let steps = match kind {
            BundleKind::Batch => {
                let steps = bundle.entries.into_iter().map(|entry| {
                    let entry = entry.map_err(malformed)?;
                    let target = target(version, &entry)?;
                    let bytes = entry.resource.as_ref();
                    let bytes = bytes.map(|resource| Bytes::copy_from_slice(resource.bytes));
                    self.step(caller, version, &entry, target, bytes)
                });
                steps.collect()
            }
            BundleKind::Transaction => {
                let entries: Result<Vec<_>, Issues> = bundle.entries.into_iter().collect();
                self.plan_transaction(caller, version, &entries.map_err(malformed)?)?
            }
        };
        Ok(Plan { kind, steps })
    }

    fn plan_transaction(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entries: &[RequestEntry<'_>],
    ) -> Result<Vec<Result<Step, Error>>, Error> {
        let mut targets = Targets::new();
        let mut wanted = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let target = target(version, entry).map_err(|error| located(error, index))?;
            if let (Some(full_url), Some((key, _))) = (entry.full_url, &target) {
                targets.insert(full_url, key.to_string());
            }
            wanted.push(target);
        }
        check_distinct(&wanted)?;
        let steps = entries.iter().zip(wanted).enumerate().map(|(index, (entry, target))| {
            let bytes = rewritten(version, entry, &targets);
            let step = self.step(caller, version, entry, target, bytes);
            step.map(Ok).map_err(|error| located(error, index))
        });
        steps.collect()
    }

    /// What an entry asks for. `bytes` is its resource as it is to be stored.
    fn step(
        &self,
        caller: &Caller,
        version: FhirVersion,
        entry: &RequestEntry<'_>,
        target: Option<Target>,
        bytes: Option<Bytes>,
    ) -> Result<Step, Error> {
        let Some((key, precondition)) = target else {
            return Ok(Step::Read(entry.url.to_owned()));
        };
        let action = match bytes {
            Some(bytes) => {
                let id = (entry.method == Method::Put).then_some(&key.id);
                Action::Put(Box::new(self.prepare(caller, version, &key, id, bytes)?))
            }
            None => {
                check_delete(caller, &key)?;
                Action::Delete
            }
        };
        let intent = intent(caller, key, action, precondition);
        Ok(Step::Write { order: order(entry.method), intent })
    }

    async fn batch(
        &self,
        caller: &Caller,
        version: FhirVersion,
        steps: Vec<Result<Step, Error>>,
        representation: Representation,
    ) -> Vec<AnswerEntry> {
        let mut answers: Vec<Option<AnswerEntry>> = Vec::with_capacity(steps.len());
        let mut pending: Vec<(usize, Pending)> = Vec::new();
        let mut reads = Vec::new();
        for (index, step) in steps.into_iter().enumerate() {
            let answer = match step {
                Err(error) => Some(failed(&error)),
                Ok(Step::Read(url)) => {
                    reads.push((index, url));
                    None
                }
                Ok(Step::Write { intent, .. }) => match self.writer.submit(vec![intent]).await {
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
        for (index, url) in reads {
            answers[index] = Some(self.read_entry(caller, version, &url).await);
        }
        answers.into_iter().flatten().collect()
    }

    async fn transaction(
        &self,
        caller: &Caller,
        version: FhirVersion,
        steps: Vec<Step>,
        representation: Representation,
    ) -> Result<Vec<AnswerEntry>, Error> {
        let mut answers: Vec<Option<AnswerEntry>> = steps.iter().map(|_| None).collect();
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        for (index, step) in steps.into_iter().enumerate() {
            match step {
                Step::Read(url) => reads.push((index, url)),
                Step::Write { order, intent } => writes.push((order, index, intent)),
            }
        }
        // FHIR's order: deletes, creates, updates; within these as they stand.
        writes.sort_by_key(|(order, index, _)| (*order, *index));
        let (indices, intents): (Vec<usize>, Vec<Intent>) =
            writes.into_iter().map(|(_, index, intent)| (index, intent)).unzip();
        let written = match intents.is_empty() {
            true => Vec::new(),
            false => self.writer.write(intents).await.map_err(|error| {
                match error.intent().and_then(|intent| indices.get(intent)) {
                    Some(index) => located(error, *index),
                    None => error,
                }
            })?,
        };
        for (index, written) in indices.into_iter().zip(&written) {
            answers[index] = Some(done(written, representation));
        }
        for (index, url) in reads {
            answers[index] = Some(self.read_entry(caller, version, &url).await);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Answers a GET entry: a read, a version read or a search.
    async fn read_entry(&self, caller: &Caller, version: FhirVersion, url: &str) -> AnswerEntry {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let read = match parts.as_slice() {
            [resource_type, id] => self.read(caller, version, resource_type, id).await,
            [resource_type, id, "_history", number] => {
                self.read_version(caller, version, resource_type, id, number).await
            }
            [resource_type] => {
                let request = SearchRequest::parse(query);
                let target = match *resource_type {
                    "" => SearchTarget::System,
                    resource_type => SearchTarget::Type(resource_type),
                };
                return match self.search(caller, version, target, &request).await {
                    Ok(found) => AnswerEntry {
                        status: 200,
                        resource: Some(found.body),
                        ..AnswerEntry::default()
                    },
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

fn order(method: Method) -> u8 {
    match method {
        Method::Delete => 0,
        Method::Post => 1,
        Method::Patch | Method::Put => 2,
        Method::Get | Method::Head => 3,
    }
}

/// The resource that an entry writes, and what must hold of it.
type Target = (ResourceKey, Precondition);

/// What an entry writes; none if it reads.
fn target(version: FhirVersion, entry: &RequestEntry<'_>) -> Result<Option<Target>, Error> {
    if matches!(entry.method, Method::Get | Method::Head) {
        return Ok(None);
    }
    let unsupported = |text: &str| Error::of(Kind::Unprocessable, IssueCode::InvalidBundle, text);
    if entry.if_none_exist.is_some() || entry.url.contains('?') {
        return Err(unsupported("conditional create, update and delete are not supported"));
    }
    let parts: Vec<&str> = entry.url.trim_matches('/').split('/').collect();
    match (entry.method, parts.as_slice()) {
        (Method::Post, [resource_type]) => {
            let id = ResourceId::new(&Uuid::now_v7().to_string()).map_err(Error::internal)?;
            Ok(Some((key(version, resource_type, id)?, Precondition::Fresh)))
        }
        (Method::Delete | Method::Put, [resource_type, id]) => {
            Ok(Some((key(version, resource_type, parse_id(id)?)?, precondition(entry)?)))
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
fn check_distinct(wanted: &[Option<Target>]) -> Result<(), Error> {
    let mut seen: Vec<&ResourceKey> = wanted.iter().flatten().map(|(key, _)| key).collect();
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
