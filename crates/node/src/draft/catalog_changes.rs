//! Topics that come and go within a group, and what that means for their subscriptions.

use std::sync::Arc;

use cresset_engine::{Catalog, CompiledTopic};
use cresset_fhir::json;
use cresset_model::{
    Base, Issue, IssueCode, Issues, ResourceId, ResourceKey, SubscriptionError, SubscriptionKey,
    SubscriptionStatus, Topic,
};
use cresset_search::Set;
use smol_str::SmolStr;

use super::lookup::{NOTHING, check_indexed};
use super::{Author, Draft, LiveEffect, codec_of, is_alive, subscription_key};
use crate::bases::version_of;
use crate::caller::may_not_ask;
use crate::catalogs::compile_topic;
use crate::config::SearchIndex;
use crate::error::{Error, Kind};
use crate::includes::is_indexed;
use crate::intent::StatusChange;
use crate::live::LiveSubscription;
use crate::load::topic_type;

impl Draft<'_> {
    /// Compiles a topic into the catalog; gives the warnings for its author.
    pub(super) fn insert_topic(
        &mut self,
        key: &ResourceKey,
        author: Author<'_>,
        topic: &Topic,
    ) -> Result<Issues, Error> {
        let index = self.index;
        let catalog = self.catalog_mut(key.base)?;
        let (compiled, mut warnings) = compile_topic(catalog, &key.id, topic)
            .map_err(|issues| Error::new(Kind::Unprocessable, issues))?;
        if compiled.asks_others() && !author.may_read {
            let issue = may_not_ask("a trigger").at("SubscriptionTopic.resourceTrigger");
            return Err(Error::new(Kind::Forbidden, issue));
        }
        check_indexed(index, compiled.searches()).map_err(|issue| {
            Error::new(Kind::Unprocessable, issue.at("SubscriptionTopic.resourceTrigger"))
        })?;
        let broken = catalog.check_derivation(&compiled);
        if broken.has_errors() {
            return Err(Error::new(Kind::Unprocessable, broken));
        }
        warnings.0.extend(not_indexed(index, &compiled));
        warnings.0.extend(self.absent_sets(key.base, &compiled));
        let catalog = self.catalog_mut(key.base)?;
        let before = stored_topic_url(catalog, &key.id);
        catalog.insert_topic(key.id.clone(), Arc::new(compiled));
        self.effects.push(LiveEffect::Topics(key.base));
        if let Some(before) = before.filter(|before| *before != topic.url) {
            self.rebind(key.base, &before)?;
        }
        Ok(warnings)
    }

    /// Warns of criteria about sets that are not here: what they ask has no answer.
    fn absent_sets(&mut self, base: Base, topic: &CompiledTopic) -> Option<Issue> {
        let is_here = |set: &Set| {
            let found = self.look_up(base, &set.need(), &NOTHING);
            found.is_ok_and(|found| found.iter().any(|one| set.is(one)))
        };
        let all_here = topic.sets().all(is_here);
        (!all_here).then(|| {
            let text = "a trigger asks about a ValueSet, CodeSystem, Group, List or CareTeam that \
                        is not on this server; it does not fire until that is here";
            let path = "SubscriptionTopic.resourceTrigger";
            Issue::warning(IssueCode::SurprisingTopic, text).at(path)
        })
    }

    /// Takes the topic that this resource was, if it was one, out of the catalog.
    pub(super) fn remove_topic(&mut self, key: &ResourceKey) -> Result<(), Error> {
        let resource_type = version_of(key.base).map(topic_type);
        if resource_type != Some(key.resource_type.as_str()) {
            return Ok(());
        }
        let catalog = self.catalog_mut(key.base)?;
        let Some(url) = stored_topic_url(catalog, &key.id) else { return Ok(()) };
        catalog.remove_topic(&key.id);
        self.effects.push(LiveEffect::Topics(key.base));
        self.rebind(key.base, &url)
    }

    /// Binds every subscription on a topic URL anew, as a restart would (I7). Those that cannot
    /// be evaluated any more leave `active` with the reason (I5, I9).
    pub(super) fn rebind(&mut self, base: Base, topic_url: &str) -> Result<(), Error> {
        for key in self.catalogs.concerned(base, topic_url) {
            let begun = self.begun.values().find(|one| one.key == key).cloned();
            if let Some(subscription) = begun.or_else(|| self.live.get(key)) {
                self.rebind_one(&subscription, topic_url)?;
            }
        }
        Ok(())
    }

    fn rebind_one(&mut self, live: &Arc<LiveSubscription>, topic_url: &str) -> Result<(), Error> {
        let key = subscription_key(live)?;
        let Some(current) = self.overlay.current(self.store, &key)? else { return Ok(()) };
        if !is_alive(Some(&current)) {
            return Ok(());
        }
        let codec = codec_of(live.base)?;
        let rights = &self.shared.rights;
        let catalog = self.catalog_mut(live.base)?;
        let parsed = json::parse(&current.body).and_then(|value| codec.parse_subscription(&value));
        let compiled = match parsed {
            // One without a topic of its own may wait for another one.
            Ok((parsed, _)) if parsed.topic.url != topic_url => return Ok(()),
            Ok((parsed, _)) => catalog.recompile_subscription(&parsed).and_then(|compiled| {
                rights.check(&live.owner, &compiled, parsed.content)?;
                Ok(compiled)
            }),
            Err(issues) => Err(issues),
        };
        catalog.remove_subscription(live.key);
        match compiled {
            Ok(compiled) => {
                catalog.insert_subscription(live.key, compiled);
                self.catalogs.forget_unbound(live.base, live.key);
                self.effects.push(LiveEffect::Bound(live.key));
            }
            Err(issues) => {
                self.catalogs.note_unbound(live.base, live.key);
                let error = SubscriptionError { code: None, text: format!("topic: {issues}") };
                let revision = live.state().revision;
                self.change_status(StatusChange {
                    subscription: live.key,
                    revision,
                    to: SubscriptionStatus::Error,
                    error: Some(error),
                    supersedes: true,
                })?;
            }
        }
        Ok(())
    }

    /// Whether this key is a topic at this point of the group.
    pub(super) fn is_topic(&self, key: &ResourceKey) -> Result<bool, Error> {
        let resource_type = version_of(key.base).map(topic_type);
        let catalog = self.catalog(key.base)?;
        Ok(resource_type == Some(key.resource_type.as_str())
            && catalog.topics().any(|(id, _)| *id == key.id))
    }

    /// Takes a deleted subscription out.
    pub(super) fn end_subscription(&mut self, base: Base, key: SubscriptionKey) {
        self.uncount(base, key);
        self.effects.push(LiveEffect::End(key));
    }

    /// No change is an event for this subscription any more.
    pub(super) fn uncount(&mut self, base: Base, key: SubscriptionKey) {
        if let Some(catalog) = self.catalogs.of_mut(base) {
            catalog.remove_subscription(key);
        }
        self.catalogs.forget_unbound(base, key);
    }

    pub(super) fn catalog(&self, base: Base) -> Result<&Catalog, Error> {
        self.catalogs.of(base).ok_or_else(|| Error::internal("a base without a catalog"))
    }

    pub(super) fn catalog_mut(&mut self, base: Base) -> Result<&mut Catalog, Error> {
        self.catalogs.of_mut(base).ok_or_else(|| Error::internal("a base without a catalog"))
    }
}

/// Warns of reverse includes that can find nothing, and of filters that are refused, since the search
/// index does not hold what they ask for.
fn not_indexed(index: &SearchIndex, topic: &CompiledTopic) -> Vec<Issue> {
    let includes = topic.shapes().flat_map(|shape| &shape.rev_includes);
    let unknown = includes.filter(|include| !is_indexed(index, include));
    let mut names: Vec<_> = unknown
        .map(|include| format!("{}.{}", include.resource_type, include.parameter.code()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let includes = names.into_iter().map(|name| {
        let text = format!(
            "nothing is included by {name}, which is not among the search parameters that this \
             server indexes (`search.index` of its configuration)"
        );
        let path = "SubscriptionTopic.notificationShape.revInclude";
        Issue::warning(IssueCode::UnsupportedSearch, text).at(path)
    });
    let filters = topic.offered_searches().filter_map(|(number, searches)| {
        let issue = check_indexed(index, searches.iter().copied()).err()?;
        let text = format!("subscriptions that use this filter are refused: {}", issue.text);
        let path = format!("SubscriptionTopic.canFilterBy[{number}].filterParameter");
        Some(Issue::warning(IssueCode::UnsupportedSearch, text).at(path))
    });
    includes.chain(filters).collect()
}

/// The URL of the topic that is stored under this id.
fn stored_topic_url(catalog: &Catalog, id: &ResourceId) -> Option<SmolStr> {
    let mut topics = catalog.topics();
    topics.find(|(one, _)| *one == id).map(|(_, topic)| topic.canonical().url.clone())
}
