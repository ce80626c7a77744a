//! The catalogs in force, one per base: the fold of the log up to now (I7).
//!
//! Only the writer holds them, so a subscription or topic takes effect with exactly the change
//! that made it. Cloning is cheap, which is how a group that fails is taken back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cresset_definitions::FhirVersion;
use cresset_engine::{Catalog, CompiledTopic, Evaluation, Lookup, ResourceChange, evaluate};
use cresset_model::{Base, Issue, IssueCode, Issues, ResourceId, Topic};
use cresset_search::Parameters;

use crate::bases::base_of;
use crate::config::Config;

/// Rounds of fetching what an evaluation is missing, before it counts as failed.
pub(crate) const LOOKUP_ROUNDS_MAX: usize = 3;

/// Types whose changes are never events: telling of a Subscription would show its headers to
/// others, and the status types cannot be a focus (TR-31).
pub(crate) const NEVER_A_FOCUS: [&str; 3] = ["Parameters", "Subscription", "SubscriptionStatus"];

/// One catalog per base.
#[derive(Clone)]
pub(crate) struct Catalogs(Vec<(Base, Catalog)>);

impl Catalogs {
    /// Empty catalogs for every base of a server with this URL.
    pub(crate) fn new(config: &Config) -> Self {
        let catalog = |version: FhirVersion| {
            let url = format!("{}/{}", config.base_url, version.path());
            let catalog = Catalog::new(Parameters::of(version), &url);
            (base_of(version), catalog.with_draft_topics(config.topics.accept_draft))
        };
        Self(FhirVersion::ALL.into_iter().map(catalog).collect())
    }

    /// The catalog of a base.
    pub(crate) fn of(&self, base: Base) -> Option<&Catalog> {
        self.0.iter().find(|(one, _)| *one == base).map(|(_, catalog)| catalog)
    }

    /// The catalog of a base, to change it.
    pub(crate) fn of_mut(&mut self, base: Base) -> Option<&mut Catalog> {
        self.0.iter_mut().find(|(one, _)| *one == base).map(|(_, catalog)| catalog)
    }
}

/// Evaluates, and turns a panic into none: a bug there must not fail the write (I11).
pub(crate) fn evaluate_contained(
    change: &ResourceChange<'_>,
    catalog: &Catalog,
    lookup: &Lookup<'_>,
) -> Option<Evaluation> {
    catch_unwind(AssertUnwindSafe(|| evaluate(change, catalog, lookup))).ok()
}

/// Compiles a topic, and refuses one about resources that are never told of.
pub(crate) fn compile_topic(
    catalog: &Catalog,
    id: &ResourceId,
    topic: &Topic,
) -> Result<(CompiledTopic, Issues), Issues> {
    let (compiled, warnings) = catalog.compile_topic(id, topic)?;
    let only_hidden = compiled.focus_types().iter().all(|one| NEVER_A_FOCUS.contains(one));
    if only_hidden {
        let text = "changes of this type of resource are never told of";
        let issue = Issue::error(IssueCode::InvalidTrigger, text);
        return Err(issue.at("SubscriptionTopic.resourceTrigger").into());
    }
    Ok((compiled, warnings))
}
