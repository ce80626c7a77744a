//! Other resources that a caller looked up for a question.

use cresset_fhirpath::{Resolution, Resolver};
use rustc_hash::FxHashMap;
use serde_json::Value;
use smol_str::SmolStr;

use crate::set::Hierarchies;
use crate::{Need, ResourceValues, Scope};

/// The answers to what an earlier question needed, see [`Need`].
///
/// Values that searches find in these resources are extracted once, whoever asks, and the hierarchy
/// of a CodeSystem among them is read once.
pub struct Lookup<'a> {
    scope: Scope<'a>,
    answers: FxHashMap<Need, Result<Vec<ResourceValues<'a>>, &'static str>>,
    closed: Option<&'static str>,
    hierarchies: Hierarchies<'a>,
}

/// What is known of a need.
pub(crate) enum Answer<'l, 'a> {
    /// These resources; none where there are none.
    Found(&'l [ResourceValues<'a>]),
    /// Nobody has looked yet.
    Missing,
    /// It cannot be told, for this reason.
    Unavailable(&'static str),
}

impl<'a> Lookup<'a> {
    /// Nothing looked up yet; resources are read in this scope.
    pub fn new(scope: Scope<'a>) -> Self {
        let (answers, hierarchies) = (FxHashMap::default(), Hierarchies::default());
        Self { scope, answers, closed: None, hierarchies }
    }

    /// Adds what was found, which is nothing where there is no such resource, or none that may be
    /// used.
    pub fn insert(&mut self, need: Need, found: impl IntoIterator<Item = &'a Value>) {
        let values = |resource: &'a Value| {
            let resource_type = resource.get("resourceType").and_then(Value::as_str);
            ResourceValues::new(self.scope, resource_type.unwrap_or_default(), resource)
        };
        let found = found.into_iter().map(values).collect();
        self.answers.insert(need, Ok(found));
    }

    /// Adds that it cannot be told what there is, and why: whatever depends on it has no answer
    /// (I9). The reason is for people and holds nothing of a resource.
    pub fn insert_unavailable(&mut self, need: Need, reason: &'static str) {
        self.answers.insert(need, Err(reason));
    }

    /// Says that nobody will look any more, and why: what is missing now is unavailable.
    pub fn close(&mut self, reason: &'static str) {
        self.closed = Some(reason);
    }

    /// Why it cannot be told what this reference names, if that is so.
    pub fn unavailable(&self, reference: &str) -> Option<&'static str> {
        match self.answer(&Need::Resource(SmolStr::new(reference))) {
            Answer::Found(_) | Answer::Missing => None,
            Answer::Unavailable(reason) => Some(reason),
        }
    }

    /// What is above what in the code systems that were found.
    pub(crate) fn hierarchies(&self) -> &Hierarchies<'a> {
        &self.hierarchies
    }

    pub(crate) fn answer(&self, need: &Need) -> Answer<'_, 'a> {
        match self.answers.get(need) {
            Some(Ok(found)) => Answer::Found(found),
            Some(Err(reason)) => Answer::Unavailable(reason),
            None => self.closed.map_or(Answer::Missing, Answer::Unavailable),
        }
    }
}

impl<'r, 'a: 'r> Resolver<'r> for Lookup<'a> {
    /// What is unavailable counts as missing: an expression must not take it for nothing.
    fn resolve(&self, reference: &str) -> Resolution<'r> {
        match self.answer(&Need::Resource(SmolStr::new(reference))) {
            Answer::Found([found, ..]) => Resolution::Found(found.resource()),
            Answer::Found([]) => Resolution::NotFound,
            Answer::Missing | Answer::Unavailable(_) => Resolution::Missing,
        }
    }
}
