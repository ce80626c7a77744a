//! Batch and transaction bundles.
//!
//! A transaction is one job of the writer: all its changes happen together or not at all, one
//! event per entry. The entries of a batch are jobs of their own that share disk flushes. Bundles
//! are read on threads that may block, since a large one takes too long for those that serve
//! everybody.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{AnswerEntry, BundleKind, Method, json, parse_bundle, render_batch_response};
use cresset_model::{IssueCode, Issues};
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::intent::{Action, Intent, Precondition, Work, Written};
use crate::interactions::{Target, drawn_id};
use crate::node::Node;
use crate::resources::{check_delete, intent, key, precondition};
use crate::writer::Pending;

mod entry;
mod room;
mod transaction;

use entry::{Asked, Of, WriteEntry, failed};
use room::Room;

/// Entries of a batch with conditions or patches that are under way at once: each is prepared on
/// what it finds, and shares disk flushes with the others.
const CONDITIONAL_CONCURRENCY: usize = 16;

/// What writes in a bundle give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// The resource.
    Full,
    /// Location and version only.
    None,
    /// An OperationOutcome.
    Outcome,
}

/// An entry of a batch that was understood, and its resource.
type BatchEntry = Result<(Asked, Option<Bytes>), Error>;

fn malformed(issues: Issues) -> Error {
    Error::new(Kind::Malformed, issues)
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
        let (node, read) = (self.clone(), bytes.clone());
        let (kind, entries) = self.shared.work(move || node.read_bundle(version, &read)).await?;
        let answers = match kind {
            BundleKind::Batch => self.batch(caller, version, entries, representation).await?,
            BundleKind::Transaction => {
                self.transaction(caller, version, bytes, representation).await?
            }
        };
        Ok(render_batch_response(kind, &answers))
    }

    /// Reads a bundle; of a transaction only that it is one within the bounds.
    fn read_bundle(
        &self,
        version: FhirVersion,
        bytes: &Bytes,
    ) -> Result<(BundleKind, Vec<BatchEntry>), Error> {
        let value = json::parse(bytes).map_err(malformed)?;
        let max = self.shared.config.limits.bundle_entries_max;
        if value["entry"].as_array().is_some_and(|entries| entries.len() > max) {
            let text = format!("a bundle may have at most {max} entries");
            return Err(Error::of(Kind::TooLarge, IssueCode::InvalidBundle, text));
        }
        let bundle = parse_bundle(&value, bytes).map_err(malformed)?;
        if bundle.kind == BundleKind::Transaction {
            return Ok((bundle.kind, Vec::new()));
        }
        let entries = bundle.entries.into_iter().map(|entry| -> BatchEntry {
            let entry = entry.map_err(malformed)?;
            let resource = entry.resource.as_ref();
            let resource = resource.map(|resource| Bytes::copy_from_slice(resource.bytes));
            Ok((Asked::parse(version, &entry)?, resource))
        });
        Ok((bundle.kind, entries.collect()))
    }

    async fn batch(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        entries: Vec<BatchEntry>,
        representation: Representation,
    ) -> Result<Vec<AnswerEntry>, Error> {
        let mut answers: Vec<Option<AnswerEntry>> = entries.iter().map(|_| None).collect();
        let mut pending: Vec<(usize, Pending)> = Vec::new();
        let mut others = JoinSet::new();
        let mut reads = Vec::new();
        let mut places = FxHashMap::default();
        let slots = Arc::new(Semaphore::new(CONDITIONAL_CONCURRENCY));
        let room = Arc::new(Room::default());
        for (index, entry) in entries.into_iter().enumerate() {
            let (write, bytes) = match entry {
                Err(error) => {
                    answers[index] = Some(failed(&error));
                    continue;
                }
                Ok((Asked::Read(entry), _)) => {
                    reads.push((index, entry));
                    continue;
                }
                Ok((Asked::Write(write), bytes)) => (write, bytes),
            };
            let is_plain = !matches!(write.of, Of::Found(_)) && write.method != Method::Patch;
            if is_plain {
                match self.submit_entry(caller, version, write, bytes).await {
                    Ok(job) => pending.push((index, job)),
                    Err(error) => answers[index] = Some(failed(&error)),
                }
                continue;
            }
            let (node, by) = (self.clone(), caller.clone());
            let (slots, room) = (slots.clone(), room.clone());
            let task = others.spawn(async move {
                let _slot = slots.acquire_owned().await;
                // What was written is held by the answer alone, and only if that has room for it.
                match node.conditional_entry(&by, version, write, bytes).await {
                    Ok(written) => room.done(&written, representation),
                    Err(error) => failed(&error),
                }
            });
            places.insert(task.id(), index);
        }
        for (index, job) in pending {
            let written = job.wait().await.map(|mut written| written.pop());
            answers[index] = Some(match written {
                Ok(Some(written)) => room.done(&written, representation),
                Ok(None) => failed(&Error::internal("a write without an answer")),
                Err(error) => failed(&error),
            });
        }
        while let Some(ended) = others.join_next_with_id().await {
            // One that panics is answered for itself: the others may have been written.
            let (task, answer) = match ended {
                Ok(ended) => ended,
                Err(error) => (error.id(), failed(&Error::internal(error))),
            };
            if let Some(index) = places.get(&task) {
                answers[*index] = Some(answer);
            }
        }
        for (index, entry) in reads {
            answers[index] = Some(self.read_entry(caller, version, &entry, &room).await);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Hands a write without conditions on others to the writer.
    async fn submit_entry(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        write: WriteEntry,
        bytes: Option<Bytes>,
    ) -> Result<Pending, Error> {
        let (node, by) = (self.clone(), caller.clone());
        let intent = move || node.plain_intent(&by, version, write, bytes);
        self.writer.submit(Work::of(self.shared.work(intent).await?)).await
    }

    /// What an entry that is neither conditional nor a patch has the writer do.
    fn plain_intent(
        &self,
        caller: &Caller,
        version: FhirVersion,
        write: WriteEntry,
        bytes: Option<Bytes>,
    ) -> Result<Intent, Error> {
        let (id, asked) = match write.of {
            Of::Id(id) => (Some(id), precondition(write.condition)),
            Of::Found(_) | Of::New => (None, Precondition::Fresh),
        };
        let named = match &id {
            Some(id) => id.clone(),
            None => drawn_id()?,
        };
        let key = key(version, write.resource_type.as_str(), named)?;
        let Some(bytes) = bytes else {
            check_delete(caller, &key)?;
            return Ok(intent(caller, key, Action::Delete, asked));
        };
        let body = self.prepare(caller, version, &key, id.as_ref(), bytes)?;
        Ok(intent(caller, key, Action::Put(Box::new(body)), asked))
    }

    /// Carries out an entry that is conditional, or a patch.
    async fn conditional_entry(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        write: WriteEntry,
        bytes: Option<Bytes>,
    ) -> Result<Written, Error> {
        let WriteEntry { method, resource_type, of, condition } = write;
        let bytes = bytes.unwrap_or_default();
        let name = resource_type.as_str();
        let target = match of {
            Of::Found(query) => Target::Query(query),
            Of::Id(id) => Target::Id(id.to_string()),
            Of::New => return Err(Error::internal("a create without a condition")),
        };
        match (method, &target) {
            (Method::Patch, _) => {
                let patch = entry::patch(&json::parse(&bytes).map_err(malformed)?)?;
                self.patch(caller, version, (name, target), condition, patch).await
            }
            (Method::Post, Target::Query(query)) => {
                self.create_unless_found(caller, version, (name, query), bytes).await
            }
            (Method::Put, Target::Query(query)) => {
                self.update_found(caller, version, (name, query), condition, bytes).await
            }
            (_, Target::Query(query)) => {
                self.delete_found(caller, version, (name, query), condition).await
            }
            (_, Target::Id(_)) => Err(Error::internal("an entry without a condition")),
        }
    }
}
