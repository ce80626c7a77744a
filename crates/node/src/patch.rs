//! PATCH: JSON Patch and FHIRPath Patch.
//!
//! A patch is applied to the version that is read, outside of the writer, and what comes out is
//! checked like any update. The writer takes it only if that version is still the newest; else it is
//! applied anew, as often as a condition is looked up anew ([`crate::conditional`]).

use std::hash::BuildHasher as _;
use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, Targets, json};
use cresset_model::{IssueCode, ResourceKey};
use rustc_hash::FxBuildHasher;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::caller::Caller;
use crate::conditional::Assumption;
use crate::draft::is_alive;
use crate::error::{Error, Kind};
use crate::intent::{Action, Intent, Precondition, Work, Written};
use crate::interactions::{Plan, Target, single};
use crate::node::Node;
use crate::resources::{
    Condition, check_delete, intent, key, parse_id, precondition, require_read,
};

mod fhirpath;

/// Patches that can be under way at once without any two waiting for one another.
const TURNS: usize = 256;

/// Has the patches of one resource wait for one another: each is prepared on what the one before
/// made, so none is prepared in vain.
pub(crate) struct Turns {
    by_hash: [Mutex<()>; TURNS],
    hasher: FxBuildHasher,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { by_hash: std::array::from_fn(|_| Mutex::new(())), hasher: FxBuildHasher }
    }

    /// The turn of a patch of this resource, until it is dropped. Few resources share theirs.
    async fn take(&self, key: &ResourceKey) -> MutexGuard<'_, ()> {
        let index = self.hasher.hash_one(key) % TURNS as u64;
        self.by_hash[usize::try_from(index).unwrap_or(0)].lock().await
    }
}

/// A patch that was read.
#[derive(Debug, Clone)]
pub enum Patch {
    /// Parameters of FHIRPath Patch.
    FhirPath(Value),
    /// The operations of a JSON Patch (RFC 6902).
    Json(Value),
}

impl Patch {
    /// Reads a patch.
    ///
    /// # Errors
    /// `Malformed` if it is no JSON.
    pub fn parse(bytes: &[u8], is_json_patch: bool) -> Result<Self, Error> {
        let value = json::parse(bytes).map_err(|issues| Error::new(Kind::Malformed, issues))?;
        Ok(if is_json_patch { Self::Json(value) } else { Self::FhirPath(value) })
    }

    /// Applies it.
    fn apply(&self, version: FhirVersion, resource: &mut Value) -> Result<(), Error> {
        let applied = match self {
            Self::FhirPath(parameters) => fhirpath::apply(version, resource, parameters),
            Self::Json(operations) => json::apply_patch(resource, operations),
        };
        applied.map_err(|issues| {
            let is_invalid = issues.0.iter().any(|one| one.code == IssueCode::InvalidPatch);
            let kind = if is_invalid { Kind::Malformed } else { Kind::Unprocessable };
            Error::new(kind, issues)
        })
    }
}

impl Node {
    /// Patches the resource with this id, or the one that the criteria find.
    ///
    /// # Errors
    /// As [`Self::update`]; `Malformed` for what is no patch; `Unprocessable` for one that cannot be
    /// applied, or whose result is no good resource; `NotFound` and `Gone` where there is nothing to
    /// patch; `VersionMismatch` if the criteria find several.
    pub async fn patch(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, target): (&str, Target),
        condition: Condition,
        patch: Patch,
    ) -> Result<Written, Error> {
        let asked = precondition(condition);
        let by = caller.clone();
        match target {
            Target::Id(id) => {
                let key = key(version, resource_type, parse_id(&id)?)?;
                let _turn = self.shared.turns.take(&key).await;
                self.settle_one(move |node| {
                    let intent = node.patched(&by, (version, None), &key, asked, &patch)?;
                    Ok(Plan { work: Work::of(intent), rest: None })
                })
                .await
            }
            Target::Query(query) => {
                let selector = self.selector(version, resource_type, &query)?;
                self.settle_one(move |node| {
                    let selection = node.selected(&by, &selector)?;
                    let found = single(&selection)?.ok_or_else(nothing_found)?;
                    let intents = vec![node.patched(&by, (version, None), found, asked, &patch)?];
                    let assumptions = vec![Assumption { selector: selector.clone(), selection }];
                    Ok(Plan { work: Work { intents, assumptions }, rest: None })
                })
                .await
            }
        }
    }

    /// The update that a patch comes to, on the version there is now. Blocks. Within a transaction,
    /// with what the full URLs of its entries become.
    pub(crate) fn patched(
        &self,
        caller: &Caller,
        (version, targets): (FhirVersion, Option<&Targets>),
        key: &ResourceKey,
        asked: Precondition,
        patch: &Patch,
    ) -> Result<Intent, Error> {
        check_delete(caller, key)?;
        // Whether a patch can be applied tells what the resource holds.
        require_read(caller, key.resource_type.as_str())?;
        let current = self.shared.store.current(std::slice::from_ref(key))?.pop().flatten();
        let current = current.ok_or_else(|| Error::not_found(key))?;
        if !self.is_visible(caller, key)? {
            return Err(Error::not_found(key));
        }
        if !is_alive(Some(&current)) {
            return Err(Error::gone(key));
        }
        match asked {
            Precondition::Version(asked) if asked != current.version => {
                let text = format!("{key} has version {}, not {asked}", current.version);
                return Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text));
            }
            Precondition::Absent => {
                let text = format!("{key} exists already");
                return Err(Error::of(Kind::VersionMismatch, IssueCode::VersionMismatch, text));
            }
            Precondition::Fresh
            | Precondition::None
            | Precondition::Present
            | Precondition::Unchanged(_)
            | Precondition::Version(_) => {}
        }
        let mut value = json::parse(&current.body).map_err(Error::internal)?;
        let codec = Codec::of(version);
        let before = targets.map(|_| codec.conditional_references(&value)).unwrap_or_default();
        patch.apply(version, &mut value)?;
        let mut bytes = json::render_like(&current.body, &value);
        if let Some(targets) = targets {
            if let Some(rewritten) = codec.rewrite_references(&bytes, None, targets) {
                bytes = rewritten;
                value = json::parse(&bytes).map_err(Error::internal)?;
            }
            // Only what entries bring whole has its conditional references looked up.
            if !codec.conditional_references(&value).is_subset(&before) {
                let text = "a patch in a transaction cannot bring a conditional reference";
                return Err(Error::of(Kind::Unprocessable, IssueCode::PatchNotApplicable, text));
            }
        }
        let bytes = Bytes::from(bytes);
        let max = self.shared.config.limits.body_bytes_max;
        if bytes.len() > max {
            let text = format!("the patched resource would be larger than {max} bytes");
            return Err(Error::of(Kind::TooLarge, IssueCode::BodyTooLarge, text));
        }
        let body = self.prepare(caller, version, key, Some(&key.id), bytes);
        let body = body.map_err(|error| {
            if error.kind() == Kind::Malformed {
                return Error::new(Kind::Unprocessable, error.issues().clone());
            }
            error
        })?;
        let action = Action::Put(Box::new(body));
        Ok(intent(caller, key.clone(), action, Precondition::Unchanged(current.version)))
    }
}

/// A condition found nothing where something must be.
pub(crate) fn nothing_found() -> Error {
    Error::of(Kind::NotFound, IssueCode::ResourceNotFound, "the criteria find no resource")
}
