//! The catalogs in force, one per base: the fold of the log up to now (I7).
//!
//! Only the writer holds them, so a subscription or topic takes effect with exactly the change
//! that made it. Cloning is cheap, which is how a group that fails is taken back.

use std::collections::BTreeSet;
use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_engine::{Catalog, CompiledTopic};
use cresset_model::{
    Base, Issue, IssueCode, Issues, ResourceId, SubscriptionKey, Topic, is_criteria_topic,
};
use cresset_search::Parameters;

use crate::bases::base_of;
use crate::config::Config;

/// Rounds of looking up what an evaluation is missing; what is missing then counts as unavailable.
///
/// A chain takes a round for each reference, a value set one for each level of imports.
pub(crate) const LOOKUP_ROUNDS_MAX: usize = 10;

/// Types whose changes are never events, and that never go with one: telling of a Subscription would show its headers to
/// others, and the status types cannot be a focus (TR-31).
pub(crate) const NEVER_A_FOCUS: [&str; 3] = ["Parameters", "Subscription", "SubscriptionStatus"];

/// One catalog per base.
#[derive(Clone)]
pub(crate) struct Catalogs(Vec<BaseCatalog>);

#[derive(Clone)]
struct BaseCatalog {
    base: Base,
    catalog: Catalog,
    /// Subscriptions that count events but do not compile against the topics there are: no change
    /// is an event for them until a topic changes.
    unbound: Arc<BTreeSet<SubscriptionKey>>,
}

impl Catalogs {
    /// Empty catalogs for every base of a server with this URL.
    pub(crate) fn new(config: &Config) -> Self {
        let catalog = |version: FhirVersion| {
            let url = format!("{}/{}", config.base_url, version.path());
            let catalog = Catalog::new(Parameters::of(version), &url)
                .with_draft_topics(config.topics.accept_draft);
            let catalog = match version {
                FhirVersion::R4 | FhirVersion::R4B => catalog.with_criteria_topics(&NEVER_A_FOCUS),
                // Its subscriptions have a topic.
                FhirVersion::R5 => catalog,
            };
            BaseCatalog { base: base_of(version), catalog, unbound: Arc::default() }
        };
        Self(FhirVersion::ALL.into_iter().map(catalog).collect())
    }

    /// The catalog of a base.
    pub(crate) fn of(&self, base: Base) -> Option<&Catalog> {
        self.0.iter().find(|one| one.base == base).map(|one| &one.catalog)
    }

    /// The catalog of a base, to change it.
    pub(crate) fn of_mut(&mut self, base: Base) -> Option<&mut Catalog> {
        self.base_mut(base).map(|one| &mut one.catalog)
    }

    /// How many places of subscriptions no index finds.
    pub(crate) fn residual_len(&self) -> usize {
        self.0.iter().map(|one| one.catalog.residual_len()).sum()
    }

    /// Notes that a subscription does not compile, until [`Self::forget_unbound`].
    pub(crate) fn note_unbound(&mut self, base: Base, key: SubscriptionKey) {
        if let Some(one) = self.base_mut(base) {
            Arc::make_mut(&mut one.unbound).insert(key);
        }
    }

    /// Forgets that a subscription did not compile.
    pub(crate) fn forget_unbound(&mut self, base: Base, key: SubscriptionKey) {
        if let Some(one) = self.base_mut(base).filter(|one| one.unbound.contains(&key)) {
            Arc::make_mut(&mut one.unbound).remove(&key);
        }
    }

    /// The subscriptions that a change of this topic may concern, in the order of their creation:
    /// those bound to it, and all that are bound to none.
    pub(crate) fn concerned(&self, base: Base, topic_url: &str) -> BTreeSet<SubscriptionKey> {
        let Some(one) = self.0.iter().find(|one| one.base == base) else { return BTreeSet::new() };
        let bound = one.catalog.subscriptions_of(topic_url);
        bound.chain(one.unbound.iter().copied()).collect()
    }

    fn base_mut(&mut self, base: Base) -> Option<&mut BaseCatalog> {
        self.0.iter_mut().find(|one| one.base == base)
    }
}

/// Compiles a topic, and refuses one about resources that are never told of.
pub(crate) fn compile_topic(
    catalog: &Catalog,
    id: &ResourceId,
    topic: &Topic,
) -> Result<(CompiledTopic, Issues), Issues> {
    if is_criteria_topic(&topic.url) {
        let text = "topics with this URL are the server's own";
        let issue = Issue::error(IssueCode::DuplicateTopic, text);
        return Err(issue.at("SubscriptionTopic.url").into());
    }
    let (compiled, warnings) = catalog.compile_topic(id, topic)?;
    let only_hidden = compiled.focus_types().iter().all(|one| NEVER_A_FOCUS.contains(one));
    if only_hidden {
        let text = "changes of this type of resource are never told of";
        let issue = Issue::error(IssueCode::InvalidTrigger, text);
        return Err(issue.at("SubscriptionTopic.resourceTrigger").into());
    }
    Ok((compiled, warnings))
}
