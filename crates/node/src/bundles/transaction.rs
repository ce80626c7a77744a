//! Transactions: all changes of a bundle in one job of the writer.
//!
//! What conditions and conditional references find is looked up before, on the state before the
//! transaction, and the writer refuses the whole where that is so no more; then it is planned anew.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{AnswerEntry, Codec, Method, RequestEntry, Targets, json, parse_bundle};
use cresset_model::{IssueCode, ResourceKey};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use super::entry::{Asked, Of, ReadEntry, WriteEntry, located, patch};
use super::room::{ANSWER_BYTES_MAX, Room};
use super::{Representation, malformed};
use crate::caller::Caller;
use crate::conditional::{Assumption, Selectors, Tail, UNKEYED_MAX, several};
use crate::error::{Error, Kind};
use crate::intent::{Action, Intent, Work, Written};
use crate::interactions::{Aim, Plan, aim_delete, single};
use crate::node::Node;
use crate::patch::nothing_found;
use crate::resources::{check_delete, intent, precondition, require_write};

/// Different conditions in one bundle.
const CONDITIONS_MAX: usize = 1_000;

/// What each entry of a transaction comes to.
pub(super) struct Outcomes {
    entries: Vec<Outcome>,
    /// Which entries the changes of the writer's job are, in order.
    indices: Vec<usize>,
}

enum Outcome {
    /// There is nothing to write.
    Known(Written),
    Read(ReadEntry),
    /// The writer will tell.
    Write,
}

/// An entry on its way to become a change.
struct Step<'e> {
    index: usize,
    entry: &'e RequestEntry<'e>,
    write: WriteEntry,
    aim: Aim,
}

impl Step<'_> {
    /// The resource that the entry is about.
    fn key(&self) -> Option<&ResourceKey> {
        match &self.aim {
            Aim::At(key, _) => Some(key),
            Aim::Nothing(written) => written.change.as_ref().map(|change| &change.key),
        }
    }

    /// The resource that the entry writes, if it brings all of it: with the id that it is given.
    fn put(&self) -> Option<(&ResourceKey, Cow<'_, Value>)> {
        let (Aim::At(key, _), Method::Post | Method::Put) = (&self.aim, self.write.method) else {
            return None;
        };
        let value = self.entry.resource.as_ref()?.value;
        let other = value.get("id").filter(|id| id.as_str() != Some(key.id.as_str()));
        if other.is_none() {
            return Some((key, Cow::Borrowed(value)));
        }
        let mut value = value.clone();
        value["id"] = Value::from(key.id.as_str());
        Some((key, Cow::Owned(value)))
    }

    /// The criteria that found nothing, for which the entry makes a resource.
    fn unmet<'c>(&self, conditions: &'c Conditions) -> Option<&'c Assumption> {
        let (Of::Found(query), Method::Post | Method::Put) = (&self.write.of, self.write.method)
        else {
            return None;
        };
        let text = (self.write.resource_type.as_str().to_owned(), query.clone());
        let assumption = conditions.all.get(*conditions.places.get(&text)?)?;
        assumption.selection.found.is_empty().then_some(assumption)
    }
}

/// The conditions of a bundle, each looked up once.
#[derive(Default)]
struct Conditions {
    places: FxHashMap<(String, String), usize>,
    all: Vec<Assumption>,
    /// What is behind the index, once there is a condition.
    tail: Option<Tail>,
}

impl Conditions {
    fn look_up(
        &mut self,
        node: &Node,
        (caller, version): (&Caller, FhirVersion),
        resource_type: &str,
        query: &str,
    ) -> Result<usize, Error> {
        let text = (resource_type.to_owned(), query.to_owned());
        if let Some(place) = self.places.get(&text) {
            return Ok(*place);
        }
        if self.all.len() >= CONDITIONS_MAX {
            let text = format!("a bundle may have at most {CONDITIONS_MAX} different conditions");
            return Err(Error::of(Kind::TooCostly, IssueCode::InvalidBundle, text));
        }
        let selector = node.selector(version, resource_type, query)?;
        let unkeyed = self.all.iter().filter(|one| one.selector.is_unkeyed()).count();
        if selector.is_unkeyed() && unkeyed >= UNKEYED_MAX {
            let text = format!(
                "at most {UNKEYED_MAX} conditions of a bundle may do without an equality, such as \
                 an identifier"
            );
            return Err(Error::of(Kind::TooCostly, IssueCode::UnsupportedSearch, text));
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => self.tail.insert(Tail::take(&node.shared)?),
        };
        let selection = node.selected_with(caller, &selector, tail)?;
        self.all.push(Assumption { selector, selection });
        self.places.insert(text, self.all.len() - 1);
        Ok(self.all.len() - 1)
    }
}

impl Node {
    /// Carries out a transaction; the answers are in the order of its entries.
    pub(super) async fn transaction(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        bytes: Bytes,
        representation: Representation,
    ) -> Result<Vec<AnswerEntry>, Error> {
        let by = caller.clone();
        let plan = move |node: &Self| node.plan_transaction(&by, version, &bytes);
        let locate = |outcomes: &Outcomes, error: Error| {
            let index = error.intent().and_then(|place| outcomes.indices.get(place).copied());
            match index {
                Some(index) => located(&error, index),
                None => error,
            }
        };
        let (written, outcomes) = self.settle(plan, locate).await?;
        let by_entry: FxHashMap<usize, &Written> =
            outcomes.indices.iter().copied().zip(&written).collect();
        let mut answers = Vec::with_capacity(outcomes.entries.len());
        let room = Room::default();
        for (index, outcome) in outcomes.entries.iter().enumerate() {
            answers.push(match outcome {
                Outcome::Known(written) => room.done(written, representation),
                Outcome::Read(entry) => self.read_entry(caller, version, entry, &room).await,
                Outcome::Write => match by_entry.get(&index) {
                    Some(written) => room.done(written, representation),
                    None => return Err(Error::internal("a write without an answer")),
                },
            });
        }
        Ok(answers)
    }

    /// Reads a transaction and prepares its changes. Blocks; takes milliseconds for a large one.
    fn plan_transaction(
        &self,
        caller: &Caller,
        version: FhirVersion,
        bytes: &Bytes,
    ) -> Result<Plan<Outcomes>, Error> {
        let value = json::parse(bytes).map_err(malformed)?;
        let bundle = parse_bundle(&value, bytes).map_err(malformed)?;
        let entries: Result<Vec<_>, _> = bundle.entries.into_iter().collect();
        let entries = entries.map_err(malformed)?;
        let mut conditions = Conditions::default();
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut steps: Vec<Step<'_>> = Vec::new();
        let mut known_bytes = 0;
        for (index, entry) in entries.iter().enumerate() {
            let asked = Asked::parse(version, entry).map_err(|error| located(&error, index))?;
            let write = match asked {
                Asked::Read(read) => {
                    outcomes.push(Outcome::Read(read));
                    continue;
                }
                Asked::Write(write) => write,
            };
            let aim = self.aim((caller, version), entry, &write, &mut conditions);
            let aim = aim.map_err(|error| located(&error, index))?;
            outcomes.push(match &aim {
                Aim::At(..) => Outcome::Write,
                Aim::Nothing(written) => {
                    known_bytes += written.change.as_ref().map_or(0, |one| one.body.len());
                    Outcome::Known(written.clone())
                }
            });
            check_bytes(known_bytes).map_err(|error| located(&error, index))?;
            steps.push(Step { index, entry, write, aim });
        }
        check_distinct(&steps)?;
        check_unmet(&steps, &conditions)?;
        let mut targets = targets_of(&steps)?;
        self.resolve((caller, version), &steps, &mut conditions, &mut targets)?;
        let mut intents = Vec::with_capacity(steps.len());
        for step in &steps {
            let index = step.index;
            let prepared = self.intent_of((caller, version), step, &targets);
            if let Some(intent) = prepared.map_err(|error| located(&error, index))? {
                if let (Action::Put(body), Method::Patch) = (&intent.action, step.write.method) {
                    known_bytes += body.bytes.len();
                    check_bytes(known_bytes).map_err(|error| located(&error, index))?;
                }
                intents.push((order(step.write.method), index, intent));
            }
        }
        // FHIR's order: deletes, creates, updates; within these as they stand.
        intents.sort_by_key(|(order, index, _)| (*order, *index));
        let (indices, intents) =
            intents.into_iter().map(|(_, index, intent)| (index, intent)).unzip();
        let work = Work { intents, assumptions: conditions.all };
        Ok(Plan { work, rest: Outcomes { entries: outcomes, indices } })
    }

    /// The resource that an entry writes.
    fn aim(
        &self,
        by: (&Caller, FhirVersion),
        entry: &RequestEntry<'_>,
        write: &WriteEntry,
        conditions: &mut Conditions,
    ) -> Result<Aim, Error> {
        let (_, version) = by;
        let asked = precondition(write.condition);
        let query = match &write.of {
            Of::New => return self.aim_create(version, &write.resource_type, None),
            Of::Id(id) => {
                let resource_type = write.resource_type.clone();
                let base = crate::bases::base_of(version);
                return Ok(Aim::At(ResourceKey { base, resource_type, id: id.clone() }, asked));
            }
            Of::Found(query) => query,
        };
        // Also where nothing comes to be written.
        require_write(by.0, write.resource_type.as_str())?;
        let place = conditions.look_up(self, by, write.resource_type.as_str(), query)?;
        let Assumption { selector, selection } = &conditions.all[place];
        match write.method {
            Method::Post => {
                self.aim_create(version, &write.resource_type, Some((&**selector, selection)))
            }
            Method::Put => {
                let value = entry.resource.as_ref().map_or(&Value::Null, |one| one.value);
                self.aim_update(&write.resource_type, selection, value, asked)
            }
            Method::Patch => {
                let found = single(selection)?.ok_or_else(nothing_found)?;
                Ok(Aim::At(found.clone(), asked))
            }
            Method::Delete | Method::Get | Method::Head => aim_delete(selection, asked),
        }
    }

    /// Finds what conditional references (`Patient?identifier=…`) refer to, also among what the
    /// transaction itself writes, and adds it to the targets.
    fn resolve(
        &self,
        by: (&Caller, FhirVersion),
        steps: &[Step<'_>],
        conditions: &mut Conditions,
        targets: &mut Targets,
    ) -> Result<(), Error> {
        let mut wanted: FxHashMap<String, (usize, usize)> = FxHashMap::default();
        for step in steps {
            let Some((_, value)) = step.put() else { continue };
            for reference in Codec::of(by.1).conditional_references(&value) {
                if wanted.contains_key(&reference) {
                    continue;
                }
                let (name, query) = reference.split_once('?').unwrap_or((reference.as_str(), ""));
                let place = conditions.look_up(self, by, name, query);
                let place = place.map_err(|error| located(&error, step.index))?;
                wanted.insert(reference, (place, step.index));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut found: Vec<BTreeSet<ResourceKey>> =
            conditions.all.iter().map(|one| one.selection.found.clone()).collect();
        let mut selectors = Selectors::default();
        conditions.all.iter().for_each(|one| selectors.push(one.selector.clone()));
        for step in steps {
            let Aim::At(key, _) = &step.aim else { continue };
            if step.write.method != Method::Patch {
                for one in &mut found {
                    one.remove(key);
                }
            }
            if let Some((key, value)) = step.put() {
                for place in selectors.matching(key, &value) {
                    found[place].insert(key.clone());
                }
            }
        }
        for (reference, (place, index)) in wanted {
            let target = match (found[place].len(), found[place].first()) {
                (1, Some(target)) => target.to_string(),
                (0, _) | (_, None) => {
                    let text = "a conditional reference finds no resource";
                    let error = Error::of(Kind::VersionMismatch, IssueCode::ResourceNotFound, text);
                    return Err(located(&error, index));
                }
                _ => return Err(located(&several(), index)),
            };
            targets.insert(&reference, target);
        }
        Ok(())
    }

    /// The change of an entry; none if there is nothing to write.
    fn intent_of(
        &self,
        (caller, version): (&Caller, FhirVersion),
        step: &Step<'_>,
        targets: &Targets,
    ) -> Result<Option<Intent>, Error> {
        let Aim::At(key, asked) = &step.aim else { return Ok(None) };
        let Some(resource) = &step.entry.resource else {
            check_delete(caller, key)?;
            return Ok(Some(intent(caller, key.clone(), Action::Delete, *asked)));
        };
        let codec = Codec::of(version);
        let rewritten =
            codec.rewrite_references(resource.bytes, step.entry.full_url, targets).map(Bytes::from);
        if step.write.method == Method::Patch {
            let patch = match &rewritten {
                Some(bytes) => patch(&json::parse(bytes).map_err(malformed)?)?,
                None => patch(resource.value)?,
            };
            let version = (version, Some(targets));
            return self.patched(caller, version, key, *asked, &patch).map(Some);
        }
        let bytes = rewritten.unwrap_or_else(|| Bytes::copy_from_slice(resource.bytes));
        let is_named = step.write.method == Method::Put && matches!(step.write.of, Of::Id(_));
        let id = is_named.then_some(&key.id);
        let body = self.prepare(caller, version, key, id, bytes)?;
        Ok(Some(intent(caller, key.clone(), Action::Put(Box::new(body)), *asked)))
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

/// Two entries of a transaction may not write the same resource, nor create one on the same
/// condition, nor may one delete what the other finds in place of creating it.
fn check_distinct(steps: &[Step<'_>]) -> Result<(), Error> {
    let mut keys: FxHashSet<&ResourceKey> = FxHashSet::default();
    let mut conditions: FxHashSet<(&str, &str)> = FxHashSet::default();
    let mut deleted: FxHashSet<&ResourceKey> = FxHashSet::default();
    for step in steps {
        let Aim::At(key, _) = &step.aim else { continue };
        if step.write.method == Method::Delete {
            deleted.insert(key);
        }
        let is_new_condition = match (&step.write.of, step.write.method) {
            (Of::Found(query), Method::Post | Method::Put) => {
                conditions.insert((step.write.resource_type.as_str(), query.as_str()))
            }
            _ => true,
        };
        if !keys.insert(key) || !is_new_condition {
            return Err(overlapping(step));
        }
    }
    let is_deleted = |step: &&Step<'_>| {
        let is_found = matches!(step.aim, Aim::Nothing(_));
        is_found && step.key().is_some_and(|key| deleted.contains(key))
    };
    steps.iter().find(is_deleted).map_or(Ok(()), |step| Err(overlapping(step)))
}

/// No entry may write what another one's criteria found nothing of: there would be two of what the
/// criteria single out, however they are written.
fn check_unmet(steps: &[Step<'_>], conditions: &Conditions) -> Result<(), Error> {
    let mut selectors = Selectors::default();
    let mut owners = Vec::new();
    for step in steps {
        if let Some(assumption) = step.unmet(conditions) {
            selectors.push(assumption.selector.clone());
            owners.push(step.index);
        }
    }
    if owners.is_empty() {
        return Ok(());
    }
    for step in steps {
        let Some((key, value)) = step.put() else { continue };
        let is_of_others = |place: &usize| owners[*place] != step.index;
        if selectors.matching(key, &value).iter().any(is_of_others) {
            return Err(overlapping(step));
        }
    }
    Ok(())
}

/// Bounds what a transaction holds beside its own bytes.
fn check_bytes(known: usize) -> Result<(), Error> {
    if known <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    let text = "the conditional creates and patches are about resources of too many bytes";
    Err(Error::of(Kind::TooCostly, IssueCode::BundleTooCostly, text))
}

fn overlapping(step: &Step<'_>) -> Error {
    let text =
        format!("two entries of the transaction are about the same {}", step.write.resource_type);
    located(&Error::of(Kind::Malformed, IssueCode::InvalidBundle, text), step.index)
}

/// What the full URLs of the entries become.
fn targets_of(steps: &[Step<'_>]) -> Result<Targets, Error> {
    let mut targets = Targets::new();
    let mut seen: FxHashMap<&str, &ResourceKey> = FxHashMap::default();
    for step in steps {
        let (Some(full_url), Some(key)) = (step.entry.full_url, step.key()) else { continue };
        if seen.insert(full_url, key).is_some_and(|other| other != key) {
            let text = "two entries of the transaction have the same fullUrl";
            let error = Error::of(Kind::Malformed, IssueCode::InvalidBundle, text);
            return Err(located(&error, step.index));
        }
        targets.insert(full_url, key.to_string());
    }
    Ok(targets)
}
