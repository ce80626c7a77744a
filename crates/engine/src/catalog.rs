//! The catalog: the topics and subscriptions in force on one base.
//!
//! It is a value: cloning is cheap, a clone does not change when the original does, and adding or
//! removing one of a million subscriptions touches a few nodes. The catalog in force for a change
//! is the fold of the log up to that change (I7); keeping to that is the caller's part.
//!
//! It does not know statuses of subscriptions: whoever gets no events (`off`) is not in it.
//! Tests: `catalog/tests.rs`.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use cresset_model::{
    Canonical, Interaction, Issue, IssueCode, Issues, ResourceId, Subscription, SubscriptionKey,
    Topic, TopicStatus,
};
use cresset_search::{Lookup, Parameters, Scope, compare_versions};
use imbl::OrdMap;
use smol_str::SmolStr;

use crate::subscription::{self, CompiledSubscription, Entry, Group};
use crate::topic::{self, CompiledTopic, criteria_topic};

mod index;
mod intervals;
mod pages;
mod slot;
#[cfg(test)]
mod tests;

pub(crate) use index::Candidates;
use index::Index;
use pages::Pages;
use slot::Slot;

/// Most versions of a topic that an issue lists.
const VERSIONS_LISTED_MAX: usize = 20;

/// Which states of a resource the catalog looks at, for one type and interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// Nobody is told of such changes: there is no need to evaluate.
    None,
    /// The state after the change.
    Current,
    /// The state before the change.
    Previous,
    /// Both.
    CurrentAndPrevious,
}

/// The topics and subscriptions in force on one base.
#[derive(Debug, Clone)]
pub struct Catalog {
    parameters: &'static Parameters,
    base_url: Arc<str>,
    draft_topics: bool,
    slots: OrdMap<u32, Slot>,
    slot_of: OrdMap<ResourceId, u32>,
    /// The slots of the topics of each URL.
    by_url: OrdMap<SmolStr, Arc<[u32]>>,
    /// Who is told of changes of each type.
    listeners: OrdMap<&'static str, Listeners>,
    /// By their position.
    subscriptions: Pages<Entry>,
    index: Arc<Index>,
    next_slot: u32,
}

/// How many topics with subscriptions look at which states of a type, for each interaction.
#[derive(Debug, Clone, Copy, Default)]
struct Listeners {
    create: [usize; INTERESTS.len()],
    delete: [usize; INTERESTS.len()],
    update: [usize; INTERESTS.len()],
}

/// All there is to be interested in, least first.
const INTERESTS: [Interest; 4] =
    [Interest::None, Interest::Current, Interest::Previous, Interest::CurrentAndPrevious];

impl Listeners {
    fn of(&mut self, interaction: Interaction) -> &mut [usize; INTERESTS.len()] {
        match interaction {
            Interaction::Create => &mut self.create,
            Interaction::Delete => &mut self.delete,
            Interaction::Update => &mut self.update,
        }
    }

    /// The most that any of them looks at.
    fn interest(&self, interaction: Interaction) -> Interest {
        let counts = match interaction {
            Interaction::Create => &self.create,
            Interaction::Delete => &self.delete,
            Interaction::Update => &self.update,
        };
        let listening = INTERESTS.iter().zip(counts).rev().find(|(_, count)| **count > 0);
        listening.map_or(Interest::None, |(interest, _)| *interest)
    }
}

impl Catalog {
    /// An empty catalog of the base with this URL.
    ///
    /// Absolute references under it equal relative ones (RQ-FL-12).
    pub fn new(parameters: &'static Parameters, base_url: &str) -> Self {
        Self {
            parameters,
            base_url: base_url.into(),
            draft_topics: false,
            slots: OrdMap::new(),
            slot_of: OrdMap::new(),
            by_url: OrdMap::new(),
            listeners: OrdMap::new(),
            subscriptions: Pages::default(),
            index: Arc::default(),
            next_slot: 0,
        }
    }

    /// The same, with new subscriptions also accepted on topics in `draft` or `unknown`
    /// (RQ-TP-09).
    #[must_use]
    pub fn with_draft_topics(self, accepted: bool) -> Self {
        Self { draft_topics: accepted, ..self }
    }

    /// The same, with the topics that subscriptions with a search as their criteria are about, of all
    /// types but those that nobody is told of (RQ-SB-02).
    ///
    /// They are stored nowhere and not among [`Self::topics`].
    #[must_use]
    pub fn with_criteria_topics(mut self, hidden: &[&str]) -> Self {
        for resource_type in self.parameters.definitions().resource_types() {
            if hidden.contains(&resource_type) {
                continue;
            }
            let compiled = topic::compile(&self.scope(), &criteria_topic(resource_type));
            // Not for the types that are no focus of anything.
            let Ok((compiled, _)) = compiled else { continue };
            self.next_slot += 1;
            let mut slot = Slot::new(compiled.canonical().url.clone());
            slot.topic = Some(Arc::new(compiled));
            self.slots.insert(self.next_slot, slot);
            self.list(self.next_slot, None);
        }
        self
    }

    /// Compiles the topic that is stored, or is to be stored, under this id.
    ///
    /// The second value holds warnings.
    ///
    /// # Errors
    ///
    /// Everything found, if any of it means that the topic cannot be evaluated, or if another
    /// topic has its URL and version.
    pub fn compile_topic(
        &self,
        key: &ResourceId,
        topic: &Topic,
    ) -> Result<(CompiledTopic, Issues), Issues> {
        let duplicate = self.duplicate(key, topic);
        let (compiled, mut issues) = match topic::compile(&self.scope(), topic) {
            Ok((compiled, warnings)) => (Some(compiled), warnings),
            Err(issues) => (None, issues),
        };
        issues.0.extend(duplicate);
        match compiled {
            Some(compiled) => issues.into_result(compiled),
            None => Err(issues),
        }
    }

    /// What a topic breaks of what it derives from, as far as that is here (RQ-TP-07): it has to
    /// offer every filter of it, and be about the same types.
    ///
    /// For a topic that is written, not for one that is read from the store: the order in which
    /// they came decided then.
    pub fn check_derivation(&self, topic: &CompiledTopic) -> Issues {
        let mut issues = Issues::default();
        for (index, url) in topic.topic().derived_from.iter().enumerate() {
            let Some(parent) = self.topic(&Canonical::new(url)) else { continue };
            let mut refuse = |text: String| {
                let path = format!("SubscriptionTopic.derivedFrom[{index}]");
                issues.push(Issue::error(IssueCode::Conflict, text).at(path));
            };
            for filter in parent.offers() {
                if !topic.offers().iter().any(|own| own.is_named(&filter.name)) {
                    refuse(format!(
                        "the filter `{}` of the topic that it derives from is missing",
                        filter.name
                    ));
                }
            }
            if topic.types() != parent.types() {
                refuse("its triggers are about other types than those of the topic that it derives from".to_owned());
            }
        }
        issues
    }

    /// The issue that another topic has the URL and version of this one.
    fn duplicate(&self, key: &ResourceId, topic: &Topic) -> Option<Issue> {
        let own = self.slot_of.get(key);
        let slots = self.by_url.get(&topic.url)?;
        let taken = slots.iter().filter(|slot| Some(*slot) != own).any(|slot| {
            self.topic_at(*slot).is_some_and(|other| other.canonical().version == topic.version)
        });
        taken.then(|| {
            let text = "another topic has this URL and version";
            Issue::error(IssueCode::DuplicateTopic, text).at("SubscriptionTopic.url")
        })
    }

    /// Puts a topic in force, in place of the one stored under this id before.
    ///
    /// The subscriptions of its URL, and of the URL before if that was another, have to be
    /// compiled and inserted again ([`Catalog::subscriptions_of`]): until then they keep the
    /// filters they have, and get no events about types they were not compiled for.
    pub fn insert_topic(&mut self, key: ResourceId, topic: Arc<CompiledTopic>) {
        let before = self.slot_of.get(&key).copied();
        // Subscriptions to the URL before stay where that URL is; they are not this topic's.
        let kept = before.filter(|slot| {
            self.slots.get(slot).is_some_and(|slot| slot.url == topic.canonical().url)
        });
        if before.is_some() && kept.is_none() {
            self.remove_topic(&key);
        }
        let number = kept.unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot
        });
        let url = topic.canonical().url.clone();
        let slot = self.slots.entry(number).or_insert_with(|| Slot::new(url));
        let replaced = slot.topic.replace(Arc::clone(&topic));
        if slot.len > 0 {
            replaced.iter().for_each(|replaced| self.listen(replaced, false));
            self.listen(&topic, true);
        }
        self.slot_of.insert(key, number);
        self.list(number, replaced.as_deref());
    }

    /// Takes a topic out of force. Its subscriptions stay, and get no events.
    pub fn remove_topic(&mut self, key: &ResourceId) {
        let Some(number) = self.slot_of.remove(key) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&number) else {
            return;
        };
        let removed = slot.topic.take();
        if slot.len > 0 {
            removed.iter().for_each(|removed| self.listen(removed, false));
        } else {
            self.slots.remove(&number);
        }
        self.list(number, removed.as_deref());
    }

    /// Brings the list by URL in line with the topic that is in a slot now.
    fn list(&mut self, number: u32, before: Option<&CompiledTopic>) {
        let now = self.topic_at(number).cloned();
        for topic in before.into_iter().chain(now.as_deref()) {
            let url = topic.canonical().url.clone();
            let listed = now.as_ref().is_some_and(|now| now.canonical().url == url);
            relist(&mut self.by_url, url, number, listed);
        }
    }

    /// Counts a topic among the listeners of its types, or takes it out.
    fn listen(&mut self, topic: &CompiledTopic, listens: bool) {
        for one in topic.focus_types() {
            let listeners = self.listeners.entry(one).or_default();
            for interaction in [Interaction::Create, Interaction::Delete, Interaction::Update] {
                let interest = topic.interest(one, interaction);
                let counts = INTERESTS.iter().zip(listeners.of(interaction));
                for (_, count) in counts.filter(|(one, _)| **one == interest) {
                    *count = if listens { *count + 1 } else { *count - 1 };
                }
            }
        }
    }

    /// The topic that a canonical means: the version it names, or without one the latest (RQ-TP-05).
    ///
    /// An active topic counts as later than one that is not; versions compare piece by piece,
    /// numbers as numbers.
    pub fn topic(&self, canonical: &Canonical) -> Option<&Arc<CompiledTopic>> {
        self.resolve(canonical).map(|(_, topic)| topic)
    }

    fn resolve(&self, canonical: &Canonical) -> Option<(u32, &Arc<CompiledTopic>)> {
        let slots = self.by_url.get(&canonical.url)?.iter();
        let topics = slots.filter_map(|slot| Some((*slot, self.topic_at(*slot)?)));
        match &canonical.version {
            Some(version) => {
                let mut topics = topics;
                topics.find(|(_, topic)| topic.canonical().version.as_ref() == Some(version))
            }
            None => topics.max_by(|(_, a), (_, b)| later(a, b)),
        }
    }

    /// The topic that is stored under this id.
    pub fn topic_stored_at(&self, key: &ResourceId) -> Option<&Arc<CompiledTopic>> {
        self.topic_at(*self.slot_of.get(key)?)
    }

    /// The place of a topic that is one of its own.
    pub(crate) fn slot_with(&self, topic: &Arc<CompiledTopic>) -> Option<u32> {
        let mut slots = self.by_url.get(&topic.canonical().url)?.iter().copied();
        slots.find(|slot| self.topic_at(*slot).is_some_and(|own| Arc::ptr_eq(own, topic)))
    }

    /// All topics, by the id they are stored under.
    pub fn topics(&self) -> impl Iterator<Item = (&ResourceId, &Arc<CompiledTopic>)> {
        self.slot_of.iter().filter_map(|(key, slot)| Some((key, self.topic_at(*slot)?)))
    }

    /// Whether a topic with this status takes new subscriptions (RQ-TP-09).
    pub fn takes_subscriptions(&self, status: TopicStatus) -> bool {
        match status {
            TopicStatus::Active => true,
            TopicStatus::Draft | TopicStatus::Unknown => self.draft_topics,
            TopicStatus::Retired => false,
        }
    }

    /// Compiles a subscription that a client asks for.
    ///
    /// # Errors
    ///
    /// All that is wrong with its topic and filters; expressions are paths of R5's Subscription.
    pub fn compile_subscription(
        &self,
        subscription: &Subscription,
    ) -> Result<CompiledSubscription, Issues> {
        let (slot, topic) = self.known_topic(&subscription.topic)?;
        let status = topic.topic().status;
        if !self.takes_subscriptions(status) {
            let text = format!("the topic is not in use: its status is {}", status.code());
            let issue = Issue::error(IssueCode::UnknownTopic, text).at("Subscription.topic");
            return Err(issue.into());
        }
        subscription::compile(&self.scope(), subscription, Arc::clone(topic), slot)
    }

    /// Compiles a subscription that was accepted before, at start or after its topic changed.
    ///
    /// As [`Catalog::compile_subscription`], but whatever the topic's status is: a topic that is
    /// retired keeps the subscriptions it has (RQ-TP-09).
    ///
    /// # Errors
    ///
    /// Its topic is gone, or does not offer its filters any more: the subscription cannot be
    /// served, which is to be reported on it.
    pub fn recompile_subscription(
        &self,
        subscription: &Subscription,
    ) -> Result<CompiledSubscription, Issues> {
        let (slot, topic) = self.known_topic(&subscription.topic)?;
        subscription::compile(&self.scope(), subscription, Arc::clone(topic), slot)
    }

    fn known_topic(&self, canonical: &Canonical) -> Result<(u32, &Arc<CompiledTopic>), Issues> {
        self.resolve(canonical).ok_or_else(|| {
            let slots = self.by_url.get(&canonical.url).into_iter().flat_map(|slots| slots.iter());
            let versions: Vec<_> = slots
                .filter_map(|slot| self.topic_at(*slot)?.canonical().version.as_deref())
                .take(VERSIONS_LISTED_MAX)
                .collect();
            let text = if versions.is_empty() {
                "the topic is not known here".to_owned()
            } else {
                format!(
                    "this version of the topic is not known here; known: {}",
                    versions.join(", ")
                )
            };
            Issue::error(IssueCode::UnknownTopic, text).at("Subscription.topic").into()
        })
    }

    /// Puts a subscription in force, in place of what was there under its key.
    ///
    /// It has to be compiled by this catalog, or by one that this one was cloned from.
    pub fn insert_subscription(
        &mut self,
        key: SubscriptionKey,
        subscription: CompiledSubscription,
    ) {
        self.remove_subscription(key);
        let CompiledSubscription { topic, slot: number, groups } = subscription;
        let placed = |group: Group| {
            let placement = self.index.placement(&group.criteria);
            (group, placement)
        };
        let groups = groups.into_iter().map(placed).collect();
        let entry = Entry::new(self.parameters.definitions(), key, number, groups);
        Arc::make_mut(&mut self.index).insert(&entry);
        self.subscriptions.insert(key.position().get(), entry);
        let url = || topic.canonical().url.clone();
        let slot = self.slots.entry(number).or_insert_with(|| Slot::new(url()));
        slot.len += 1;
        if slot.len == 1
            && let Some(topic) = slot.topic.clone()
        {
            self.listen(&topic, true);
        }
    }

    /// Takes a subscription out of force; unknown ones are ignored.
    pub fn remove_subscription(&mut self, key: SubscriptionKey) {
        let is = |entry: &Entry| entry.key() == key;
        let Some(entry) = self.subscriptions.remove(key.position().get(), is) else {
            return;
        };
        Arc::make_mut(&mut self.index).remove(&entry);
        let Some(slot) = self.slots.get_mut(&entry.slot()) else {
            return;
        };
        slot.len -= 1;
        match (slot.len, slot.topic.clone()) {
            (0, Some(topic)) => self.listen(&topic, false),
            (0, None) => {
                self.slots.remove(&entry.slot());
            }
            _ => {}
        }
    }

    /// How many subscriptions are in force.
    pub fn subscriptions_len(&self) -> usize {
        self.subscriptions.len()
    }

    /// How many places of subscriptions no index finds; each is tried on every change of its type.
    pub fn residual_len(&self) -> usize {
        self.index.residual_len()
    }

    /// The subscriptions to any version of the topic with this URL, also after it is gone, sorted.
    ///
    /// They have to be compiled again when one of its topics comes, changes or goes. Looks at all
    /// subscriptions, unless these have none.
    pub fn subscriptions_of(&self, url: &str) -> impl Iterator<Item = SubscriptionKey> + use<> {
        let slots = self.slots.iter().filter(|(_, slot)| slot.url == url && slot.len > 0);
        let slots: BTreeSet<_> = slots.map(|(number, _)| *number).collect();
        let mut keys = Vec::new();
        if !slots.is_empty() {
            self.subscriptions.for_each(|entry| {
                if slots.contains(&entry.slot()) {
                    keys.push(entry.key());
                }
            });
        }
        keys.sort_unstable();
        keys.into_iter()
    }

    /// Which states an evaluation of such a change will look at.
    pub fn interest(&self, resource_type: &str, interaction: Interaction) -> Interest {
        let listeners = self.listeners.get(resource_type);
        listeners.map_or(Interest::None, |listeners| listeners.interest(interaction))
    }

    /// Nothing looked up yet, to be filled with what an evaluation is missing.
    pub fn lookup(&self) -> Lookup<'_> {
        Lookup::new(self.scope())
    }

    /// What search needs to know.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope { parameters: self.parameters, base_url: &self.base_url }
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The topics that have subscriptions.
    pub(crate) fn listening(&self) -> impl Iterator<Item = &Arc<CompiledTopic>> {
        self.slots.values().filter(|slot| slot.len > 0).filter_map(|slot| slot.topic.as_ref())
    }

    pub(crate) fn topic_at(&self, slot: u32) -> Option<&Arc<CompiledTopic>> {
        self.slots.get(&slot)?.topic.as_ref()
    }
}

/// Which of two topics with one URL is the later one.
fn later(a: &CompiledTopic, b: &CompiledTopic) -> Ordering {
    let is_active = |topic: &CompiledTopic| topic.topic().status == TopicStatus::Active;
    let versions = [a, b].map(|topic| topic.canonical().version.as_deref());
    is_active(a).cmp(&is_active(b)).then_with(|| compare_versions(versions[0], versions[1]))
}

/// Puts a slot into the list under a key, or takes it out; lists are sorted and never empty.
fn relist<K: Ord + Clone>(lists: &mut OrdMap<K, Arc<[u32]>>, key: K, slot: u32, listed: bool) {
    let mut slots: BTreeSet<u32> =
        lists.get(&key).into_iter().flat_map(|slots| slots.iter().copied()).collect();
    if listed {
        slots.insert(slot);
    } else {
        slots.remove(&slot);
    }
    if slots.is_empty() {
        lists.remove(&key);
    } else {
        lists.insert(key, slots.into_iter().collect());
    }
}
