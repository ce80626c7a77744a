//! The indexer: folds the change log into the search index, in batches.
//!
//! It runs beside the writer and never in its way. A search that needs what was just written
//! waits for it (`search.rs`). A lost wake-up costs at most [`PATIENCE`] (I8).

use std::sync::Arc;
use std::time::Duration;

use cresset_fhir::json;
use cresset_model::{Change, Interaction, Position, ResourceKey};
use cresset_search::{Parameter, Parameters, ResourceValues, Scope};
use cresset_store::{self as store, IndexBatch, IndexDocument};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::bases::version_of;
use crate::config::SearchIndex;
use crate::rows;
use crate::shared::Shared;

/// Changes folded in one step.
const BATCH_MAX: usize = 1_000;
/// How long the indexer sleeps at most before it looks at the log on its own account.
const PATIENCE: Duration = Duration::from_secs(1);
/// Parameters that the index keeps beside its rows.
const BUILT_IN: [&str; 2] = ["_id", "_lastUpdated"];

/// Works until told to stop.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let worker = shared.clone();
        match tokio::task::spawn_blocking(move || step(&worker)).await {
            Ok(Ok(true)) => continue,
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "indexing failed");
            }
            Err(_) => tracing::error!("the indexer panicked"),
        }
        tokio::select! {
            () = shared.index_wake.notified() => {}
            () = tokio::time::sleep(PATIENCE) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Folds one batch; tells whether there may be more.
fn step(shared: &Shared) -> Result<bool, store::Error> {
    let position = shared.store.index_position()?;
    let changes = shared.store.changes(position, BATCH_MAX)?;
    let Some(upto) = changes.last().map(|change| change.position) else {
        tell(shared, position);
        return Ok(false);
    };
    let batch = fold(shared, changes, upto);
    shared.store.index(&batch)?;
    tell(shared, Some(upto));
    Ok(true)
}

fn tell(shared: &Shared, position: Option<Position>) {
    shared.indexed.send_replace(position.map_or(0, Position::get));
}

/// The newest version of each resource among these changes, as the index keeps it.
fn fold(shared: &Shared, changes: Vec<Change>, upto: Position) -> IndexBatch {
    let mut newest: FxHashMap<ResourceKey, Change> = FxHashMap::default();
    for change in changes {
        newest.insert(change.key.clone(), change);
    }
    let mut documents: Vec<_> =
        newest.into_values().map(|change| document(shared, change)).collect();
    documents.sort_unstable_by_key(|document| document.position);
    IndexBatch { upto, documents }
}

fn document(shared: &Shared, change: Change) -> IndexDocument {
    let deleted = change.interaction == Interaction::Delete;
    let mut document = IndexDocument {
        position: change.position,
        version: change.version,
        last_updated: change.at,
        deleted,
        rows: Vec::new(),
        key: change.key,
    };
    let Some(version) = version_of(document.key.base) else { return document };
    if deleted {
        return document;
    }
    let parameters = Parameters::of(version);
    let resource_type = document.key.resource_type.as_str();
    let indexed: Vec<&'static Parameter> = parameters
        .of_type(resource_type)
        .filter(|parameter| is_indexed(&shared.config.search.index, parameter.code()))
        .collect();
    if indexed.is_empty() {
        return document;
    }
    let Ok(value) = json::parse(&change.body) else { return document };
    let base_url = shared.base_url(version);
    let scope = Scope { parameters, base_url: &base_url };
    let values = ResourceValues::new(scope, resource_type, &value);
    for parameter in indexed {
        // A value that cannot be extracted cannot be searched for either.
        for value in values.of(parameter).unwrap_or_default() {
            rows::rows(parameter.code(), value, &mut document.rows);
        }
    }
    document.rows.truncate(cresset_store::INDEX_ROWS_MAX);
    document
}

/// Whether the configured index holds a parameter.
pub(crate) fn is_indexed(index: &SearchIndex, code: &str) -> bool {
    if BUILT_IN.contains(&code) {
        return false;
    }
    match index {
        SearchIndex::All => true,
        SearchIndex::Listed(codes) => codes.iter().any(|one| one == code),
        SearchIndex::None => false,
    }
}

/// Whether a parameter can be searched.
pub(crate) fn is_searchable(index: &SearchIndex, code: &str) -> bool {
    BUILT_IN.contains(&code) || is_indexed(index, code)
}
