//! The indexer: folds the change log into the search index, in batches.
//!
//! It runs on a thread of its own, beside the writer and never in its way: what it allocates it also
//! frees there, which lets the allocator use it again. A search that needs what was just written
//! waits for it (`search.rs`). A lost wake-up costs at most [`PATIENCE`] (I8).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::json;
use cresset_model::{Interaction, Position, ResourceKey};
use cresset_search::{Parameters, ResourceValues, Scope};
use cresset_store::{self as store, IndexBatch, IndexDocument, IndexRow, crash_point};
use rustc_hash::FxHashMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::bases::version_of;
use crate::config::SearchIndex;
use crate::occurrence::is_occurrence;
use crate::recent::Kept;
use crate::rows;
use crate::shared::Shared;

/// Changes folded in one step.
const BATCH_MAX: usize = 1_000;
/// How long the indexer sleeps at most before it looks at the log on its own account.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long changes gather before they are folded, unless a search waits: large batches cost less,
/// and the disk is the writer's first.
const GATHER: Duration = Duration::from_millis(100);
/// How long it is quiet before the index writes what it holds in memory.
const IDLE: Duration = Duration::from_millis(300);
/// Raised whenever the rows of a resource come out otherwise than before, so that an index built
/// before that is built anew.
const EXTRACTION: u32 = 3;
/// Parameters that the index keeps beside its rows.
const BUILT_IN: [&str; 2] = ["_id", "_lastUpdated"];

/// Parameters about other resources than the one indexed.
const MEMBERSHIPS: [&str; 2] = ["_in", "_list"];

/// Works until told to stop. Blocks the thread that polls it.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut flushed = false;
    while !*stop.borrow() {
        if let Some(true) = contained(|| step(&shared)) {
            flushed = false;
            continue;
        }
        tokio::select! {
            () = shared.index_wake.notified() => {}
            () = shared.index_wanted.notified() => continue,
            () = tokio::time::sleep(IDLE), if !flushed => {
                flushed = contained(|| shared.store.flush_index()).is_some();
                continue;
            }
            () = tokio::time::sleep(PATIENCE) => {}
            _ = stop.changed() => {}
        }
        tokio::select! {
            () = shared.index_wanted.notified() => {}
            () = tokio::time::sleep(GATHER) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Does a piece of work; none if it failed, to be tried again later.
pub(crate) fn contained<T>(piece: impl FnOnce() -> Result<T, store::Error>) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(piece)) {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "indexing failed");
        }
        Err(_) => tracing::error!("the indexer panicked"),
    }
    None
}

/// Names what goes into the index and how: one that was built otherwise is built anew.
pub(crate) fn scheme(shared: &Shared) -> u64 {
    let mut hash = Sha256::new();
    hash.update(EXTRACTION.to_be_bytes());
    for version in FhirVersion::ALL {
        hash.update(shared.base_url(version));
        for resource_type in Definitions::of(version).resource_types() {
            for parameter in shared.indexed_parameters(version, resource_type) {
                hash.update(format!("\n{resource_type}.{}", parameter.code()));
            }
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    let (head, _) = digest.split_first_chunk().expect("32 bytes hold 8");
    u64::from_be_bytes(*head)
}

/// Folds one batch; tells whether there may be more. The writer calls it too where a look-up needs
/// the index: a batch that another one was faster with has no effect.
pub(crate) fn step(shared: &Shared) -> Result<bool, store::Error> {
    let position = shared.store.index_position()?;
    let kept = match shared.recent.after(position, BATCH_MAX) {
        Some(kept) => kept,
        None => {
            let changes = shared.store.changes(position, BATCH_MAX)?;
            changes.into_iter().map(|one| Kept { change: Arc::new(one), rows: None }).collect()
        }
    };
    let Some(upto) = kept.last().map(|kept| kept.change.position) else {
        tell(shared, position);
        return Ok(false);
    };
    let batch = fold(shared, kept, upto);
    shared.store.index(&batch)?;
    crash_point("index.step");
    tell(shared, Some(upto));
    Ok(true)
}

fn tell(shared: &Shared, position: Option<Position>) {
    shared.indexed.send_replace(position.map_or(0, Position::get));
}

/// The newest version of each resource among these changes, as the index keeps it.
fn fold(shared: &Shared, kept: Vec<Kept>, upto: Position) -> IndexBatch {
    let mut newest: FxHashMap<ResourceKey, Kept> = FxHashMap::default();
    // An occurrence is nothing that can be found.
    for kept in kept.into_iter().filter(|kept| !is_occurrence(&kept.change)) {
        newest.insert(kept.change.key.clone(), kept);
    }
    let mut documents: Vec<_> = newest.into_values().map(|kept| document(shared, &kept)).collect();
    documents.sort_unstable_by_key(|document| document.position);
    IndexBatch { upto, documents }
}

fn document(shared: &Shared, kept: &Kept) -> IndexDocument {
    let Kept { change, rows } = kept;
    let deleted = change.interaction == Interaction::Delete;
    let rows = match rows {
        _ if deleted => Vec::new(),
        Some(rows) => rows.to_vec(),
        None => match (version_of(change.key.base), json::parse(&change.body)) {
            (Some(version), Ok(value)) => rows_of(shared, version, &value),
            (None, _) | (_, Err(_)) => Vec::new(),
        },
    };
    IndexDocument {
        key: change.key.clone(),
        position: change.position,
        version: change.version,
        last_updated: change.at,
        deleted,
        rows,
    }
}

/// What the index is to hold of a resource.
pub(crate) fn rows_of(shared: &Shared, version: FhirVersion, value: &Value) -> Vec<IndexRow> {
    let mut found = Vec::new();
    let resource_type = value.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let indexed = shared.indexed_parameters(version, resource_type);
    if indexed.is_empty() {
        return found;
    }
    let base_url = shared.base_url(version);
    let scope = Scope { parameters: Parameters::of(version), base_url: &base_url };
    let values = ResourceValues::new(scope, resource_type, value);
    for parameter in indexed {
        // A value that cannot be extracted cannot be searched for either.
        for value in values.of(parameter).unwrap_or_default() {
            rows::rows(parameter.code(), value, &mut found);
        }
    }
    found.truncate(cresset_store::INDEX_ROWS_MAX);
    found
}

/// Whether the configured index holds a parameter of a type.
///
/// A listed code counts for all types that define it, `Type.code` for that type only.
pub(crate) fn is_indexed(index: &SearchIndex, resource_type: &str, code: &str) -> bool {
    if BUILT_IN.contains(&code) || MEMBERSHIPS.contains(&code) {
        return false;
    }
    match index {
        SearchIndex::All => true,
        SearchIndex::Listed(codes) => codes.iter().any(|one| match one.split_once('.') {
            Some((type_name, one)) => type_name == resource_type && one == code,
            None => one == code,
        }),
        SearchIndex::None => false,
    }
}

/// Whether a parameter of a type can be searched.
pub(crate) fn is_searchable(index: &SearchIndex, resource_type: &str, code: &str) -> bool {
    BUILT_IN.contains(&code) || is_indexed(index, resource_type, code)
}
