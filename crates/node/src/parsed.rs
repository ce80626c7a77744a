//! Parsed resources that evaluations look at again and again: value sets, code systems, groups and
//! lists.
//!
//! A cache and no more, of the versions last asked for; it holds at most [`PARSED_BYTES_MAX`] of
//! bodies.

use std::sync::{Arc, Mutex, PoisonError};

use cresset_fhir::json;
use cresset_model::{Change, Position, ResourceKey};
use rustc_hash::FxHashMap;
use serde_json::Value;

/// Types that are kept; others are looked at once.
const KEPT_TYPES: [&str; 5] = ["CareTeam", "CodeSystem", "Group", "List", "ValueSet"];
/// Bytes of the bodies of what is kept.
const PARSED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The resources that are kept.
#[derive(Default)]
pub(crate) struct Parsed(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// With the position of the version, which no other version has.
    values: FxHashMap<ResourceKey, (Position, Arc<Value>)>,
    bytes: usize,
}

impl Parsed {
    /// A durable version of a resource, parsed; `None` if it cannot be.
    pub(crate) fn get(&self, change: &Change) -> Option<Arc<Value>> {
        if !KEPT_TYPES.contains(&change.key.resource_type.as_str()) {
            return json::parse(&change.body).ok().map(Arc::new);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((position, value)) = kept.values.get(&change.key)
            && *position == change.position
        {
            return Some(value.clone());
        }
        let value = Arc::new(json::parse(&change.body).ok()?);
        kept.bytes += change.body.len();
        if kept.bytes > PARSED_BYTES_MAX {
            *kept = Kept { bytes: change.body.len(), ..Kept::default() };
        }
        kept.values.insert(change.key.clone(), (change.position, value.clone()));
        Some(value)
    }
}
