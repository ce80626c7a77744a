//! Resources that an evaluation asked for and the caller fetched.

use cresset_fhirpath::{Resolution, Resolver};
use rustc_hash::FxHashMap;
use serde_json::Value;

/// The answers to what an earlier evaluation reported as `missing`.
///
/// The caller fetches, evaluates again, and does so a bounded number of times.
#[derive(Debug, Clone, Default)]
pub struct Lookup<'a> {
    found: FxHashMap<String, Option<&'a Value>>,
}

impl<'a> Lookup<'a> {
    /// Nothing fetched yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the resource that a reference names, as the evaluation wrote it; `None` if there is
    /// no such resource, or none that may be used.
    pub fn insert(&mut self, reference: String, resource: Option<&'a Value>) {
        self.found.insert(reference, resource);
    }
}

impl<'a> Resolver<'a> for Lookup<'a> {
    fn resolve(&self, reference: &str) -> Resolution<'a> {
        match self.found.get(reference) {
            Some(Some(resource)) => Resolution::Found(resource),
            Some(None) => Resolution::NotFound,
            None => Resolution::Missing,
        }
    }
}
