//! `$explain`: why a change is an event of a subscription or topic, or is not.
//!
//! It asks the catalog in force now. What it shows is content of resources: it goes to the caller,
//! who has the right to read, and to no log.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use cresset_definitions::{Definitions, FhirVersion};
use cresset_engine::{
    Catalog, CompiledSubscription, CompiledTopic, Lookup, Need, ResourceChange, Subject,
};
use cresset_fhir::{
    Codec, ExplainInput, ExplainedChange, ExplainedChanges, json, render_explained_changes,
    render_explanation,
};
use cresset_model::{
    Base, Change, ClientName, Explanation, Interaction, IssueCode, Position, ResourceId,
    ResourceKey, Subscription, SubscriptionKey, Verdict, VersionId,
};
use cresset_store::Store;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::catalogs::{LOOKUP_ROUNDS_MAX, NEVER_A_FOCUS};
use crate::draft::{Found, is_alive, look_up_stored, subscription_key};
use crate::error::{Error, Kind};
use crate::load::topic_type;
use crate::node::Node;
use crate::shared::Shared;

/// Most changes that an explanation of the newest changes shows; further events are counted.
const SHOWN_MAX: usize = 100;

/// What an explanation says.
pub enum Explained {
    /// Of one change.
    Change(Box<Explanation>),
    /// Of the newest changes.
    Changes {
        /// Which of them are events.
        found: ExplainedChanges,
        /// When the oldest that was looked at happened; none if there was none.
        since: Option<Timestamp>,
    },
}

impl Node {
    /// Explains a change, or the newest changes, for a subscription or topic: as `$explain` answers.
    ///
    /// # Errors
    /// As [`Self::explained`].
    pub async fn explain(
        &self,
        caller: &Caller,
        version: FhirVersion,
        on: (&str, &str),
        input: ExplainInput,
    ) -> Result<Bytes, Error> {
        let render = |explained| {
            let bytes = match explained {
                Explained::Change(explanation) => render_explanation(&explanation),
                Explained::Changes { found, since: _ } => render_explained_changes(&found),
            };
            bytes.into()
        };
        self.explain_as(caller, version, on, input, render).await
    }

    /// Explains a change, or the newest changes, for a subscription or topic.
    ///
    /// Look-ups see resources as they are now, and so do the criteria of today the changes of the
    /// past: it answers what *would* be sent.
    ///
    /// # Errors
    /// `Forbidden` without the right to read; `NotFound` if there is no such subscription that the
    /// caller may know of, no such topic or no such change; `Unprocessable` if the subscription
    /// cannot be evaluated, or changes of the type are never told of.
    pub async fn explained(
        &self,
        caller: &Caller,
        version: FhirVersion,
        on: (&str, &str),
        input: ExplainInput,
    ) -> Result<Explained, Error> {
        self.explain_as(caller, version, on, input, |explained| explained).await
    }

    /// Explains, and has what comes of it told on a thread that may take its time.
    async fn explain_as<T: Send + 'static>(
        &self,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, id): (&str, &str),
        input: ExplainInput,
        tell: impl FnOnce(Explained) -> T + Send + 'static,
    ) -> Result<T, Error> {
        caller.require(Right::Read)?;
        let unknown = |_| Error::not_found(format!("{resource_type}/{id}"));
        let id = ResourceId::new(id).map_err(unknown)?;
        let about = if resource_type == "Subscription" {
            let live = self.subscription(caller, version, &id)?;
            About::Subscription(subscription_key(&live)?, ClientName::clone(&live.owner))
        } else if resource_type == topic_type(version) {
            About::Topic(id)
        } else {
            let text = format!("{resource_type} has no operation $explain");
            return Err(Error::of(Kind::NotFound, IssueCode::UnknownPath, text));
        };
        self.with_explainer(version, move |explainer| explainer.answer(&about, input).map(tell))
            .await
    }

    /// Has something found out with the catalog in force now, on a thread that may block.
    pub(crate) async fn with_explainer<T: Send + 'static>(
        &self,
        version: FhirVersion,
        ask: impl FnOnce(&Explainer<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let catalogs = self.writer.catalogs().await?;
        let now = self.shared.clock.now();
        let shared = self.shared.clone();
        let asked = self.shared.read(move |store| {
            let base = base_of(version);
            let Some(catalog) = catalogs.of(base) else {
                return Ok(Err(Error::internal("a base without a catalog")));
            };
            Ok(ask(&Explainer { shared: &shared, store, version, base, catalog, now }))
        });
        asked.await?
    }
}

/// What is to be explained.
enum About {
    /// The resource of a subscription, and whose it is.
    Subscription(ResourceKey, ClientName),
    /// The id of a topic.
    Topic(ResourceId),
}

/// The same, compiled.
enum Compiled {
    Subscription(Box<(CompiledSubscription, Subscription, Value)>),
    Topic(Arc<CompiledTopic>),
}

impl Compiled {
    fn subject(&self) -> Subject<'_> {
        match self {
            Self::Subscription(all) => Subject::Subscription(&all.0, &all.1),
            Self::Topic(topic) => Subject::Topic(topic),
        }
    }

    fn topic(&self) -> &CompiledTopic {
        match self {
            Self::Subscription(all) => all.0.topic(),
            Self::Topic(topic) => topic,
        }
    }
}

/// What finds out, with all it needs for that.
pub(crate) struct Explainer<'s> {
    shared: &'s Shared,
    store: &'s dyn Store,
    version: FhirVersion,
    base: Base,
    catalog: &'s Catalog,
    /// When a change that never happened is taken to happen.
    now: Timestamp,
}

impl Explainer<'_> {
    fn answer(&self, about: &About, input: ExplainInput) -> Result<Explained, Error> {
        let compiled = self.compiled(about)?;
        Ok(match input {
            ExplainInput::Changes(count) => self.newest(&compiled, count)?,
            ExplainInput::Focus(reference) => {
                let change = self.change_of(&reference)?;
                Explained::Change(Box::new(self.stored(&compiled, &change)?))
            }
            ExplainInput::States { previous, current } => {
                let states = (previous.as_ref(), current.as_ref());
                let (resource_type, interaction) = self.type_of(states)?;
                let (previous, current) = states;
                let id = current.or(previous).and_then(|one| one["id"].as_str());
                let id = id.unwrap_or_default();
                let at = self.now;
                let change =
                    ResourceChange { resource_type, id, interaction, at, previous, current };
                Explained::Change(Box::new(self.explain(&compiled, &change)))
            }
        })
    }

    fn compiled(&self, about: &About) -> Result<Compiled, Error> {
        let codec = Codec::of(self.version);
        match about {
            About::Subscription(key, owner) => {
                let change = self.current(key)?.ok_or_else(|| Error::not_found(key))?;
                let value = json::parse(&change.body).map_err(Error::internal)?;
                let (read, _) = codec.parse_subscription(&value).map_err(Error::internal)?;
                // What keeps its owner from asking keeps it from being told, whoever asks why.
                let compiled = self
                    .catalog
                    .recompile_subscription(&read)
                    .and_then(|compiled| {
                        self.shared.rights.check(owner, &compiled, read.content)?;
                        Ok(compiled)
                    })
                    .map_err(|issues| Error::new(Kind::Unprocessable, issues))?;
                Ok(Compiled::Subscription(Box::new((compiled, read, value))))
            }
            About::Topic(id) => {
                let mut topics = self.catalog.topics();
                let found = topics.find(|(one, _)| *one == id);
                let unknown = || Error::not_found(format!("{}/{id}", topic_type(self.version)));
                found.map(|(_, topic)| Compiled::Topic(topic.clone())).ok_or_else(unknown)
            }
        }
    }

    /// Goes over the newest changes of the log, oldest first.
    fn newest(&self, compiled: &Compiled, count: usize) -> Result<Explained, Error> {
        let head = self.store.head()?.map_or(0, Position::get);
        let mut after = Position::new(head.saturating_sub(count as u64));
        let mut found =
            ExplainedChanges { looked_at: 0, concerned: 0, events: 0, changes: VecDeque::new() };
        let mut since = None;
        while after.map_or(0, Position::get) < head {
            let page = self.store.changes(after, count - found.looked_at)?;
            if page.is_empty() {
                break;
            }
            for change in page {
                after = Some(change.position);
                since = since.or(Some(change.at));
                found.looked_at += 1;
                let is_about =
                    compiled.topic().focus_types().contains(&change.key.resource_type.as_str());
                if change.key.base != self.base || !is_about {
                    continue;
                }
                found.concerned += 1;
                let explanation = self.stored(compiled, &change)?;
                let shown = match explanation.verdict {
                    Verdict::Fails | Verdict::NotAsked => false,
                    Verdict::Holds => {
                        found.events += 1;
                        true
                    }
                    Verdict::Unknown => true,
                };
                if shown {
                    found.changes.push_back(ExplainedChange {
                        reference: format!("{}/{}", change.key.resource_type, change.key.id),
                        version: change.version,
                        at: change.at,
                        explanation,
                    });
                }
                if found.changes.len() > SHOWN_MAX {
                    found.changes.pop_front();
                }
            }
            if found.looked_at >= count {
                break;
            }
        }
        Ok(Explained::Changes { found, since })
    }

    /// The change that made the version a reference names, or the newest one.
    pub(crate) fn change_of(&self, reference: &str) -> Result<Change, Error> {
        let unknown = || {
            let text = "`focus` names no resource that is stored here; write Type/id or \
                        Type/id/_history/version";
            Error::of(Kind::NotFound, IssueCode::ResourceNotFound, text)
        };
        let key = crate::reference::key_of(self.base, reference).ok_or_else(unknown)?;
        self.check_type(key.resource_type.as_str())?;
        let found = match reference.split_once("/_history/") {
            None => self.store.current(std::slice::from_ref(&key))?.pop().flatten(),
            Some((_, version)) => {
                let version = version.parse().ok().and_then(VersionId::new).ok_or_else(unknown)?;
                self.store.version(&key, version)?
            }
        };
        found.ok_or_else(unknown)
    }

    /// Explains a change of the log.
    fn stored(&self, compiled: &Compiled, change: &Change) -> Result<Explanation, Error> {
        self.with_states(change, |change| self.explain(compiled, change))
    }

    /// The subscriptions that a change of the log is an event of by what is in force now.
    pub(crate) fn matches(&self, change: &Change) -> Result<Vec<SubscriptionKey>, Error> {
        let evaluate = |change: &ResourceChange<'_>| {
            self.looking_up(|lookup| {
                let evaluation = cresset_engine::evaluate(change, self.catalog, lookup);
                (evaluation.matches, evaluation.missing)
            })
        };
        let matches = self.with_states(change, evaluate)?;
        Ok(matches.into_iter().map(|one| one.subscription).collect())
    }

    /// Asks about a change of the log with the states before and after it.
    fn with_states<T>(
        &self,
        change: &Change,
        ask: impl FnOnce(&ResourceChange<'_>) -> T,
    ) -> Result<T, Error> {
        let before = change.version.get().checked_sub(1).and_then(VersionId::new);
        let before = match before {
            Some(before) if change.interaction != Interaction::Create => {
                self.store.version(&change.key, before)?
            }
            Some(_) | None => None,
        };
        let parse = |one: &Change| json::parse(&one.body).map_err(Error::internal);
        let previous = before.filter(|one| is_alive(Some(one))).as_ref().map(parse).transpose()?;
        let current = is_alive(Some(change)).then(|| parse(change)).transpose()?;
        Ok(ask(&ResourceChange {
            resource_type: change.key.resource_type.as_str(),
            id: change.key.id.as_str(),
            interaction: change.interaction,
            at: change.at,
            previous: previous.as_ref(),
            current: current.as_ref(),
        }))
    }

    /// Asks until nothing is missing any more, fetching it a bounded number of times as the writer
    /// does.
    fn looking_up<T>(&self, mut ask: impl FnMut(&Lookup<'_>) -> (T, BTreeSet<Need>)) -> T {
        let mut looked_up: Vec<(Need, Found)> = Vec::new();
        let mut rounds = 0;
        loop {
            let mut lookup = self.catalog.lookup();
            for (need, found) in &looked_up {
                match found {
                    Ok(found) => lookup.insert(need.clone(), found.iter().map(AsRef::as_ref)),
                    Err(reason) => lookup.insert_unavailable(need.clone(), reason),
                }
            }
            let (answer, missing) = ask(&lookup);
            drop(lookup);
            rounds += 1;
            if missing.is_empty() || rounds == LOOKUP_ROUNDS_MAX {
                return answer;
            }
            for need in missing {
                let found = look_up_stored(self.shared, self.base, &need);
                looked_up.push((need, found));
            }
        }
    }

    /// Explains a change from one state to another.
    fn explain(&self, compiled: &Compiled, change: &ResourceChange<'_>) -> Explanation {
        let mut explanation = self.looking_up(|lookup| {
            cresset_engine::explain(change, self.catalog, compiled.subject(), lookup)
        });
        if let Compiled::Subscription(all) = compiled {
            let codec = Codec::of(self.version);
            for filter in &mut explanation.filters {
                filter.element = codec.subscription_path(&all.2, &filter.element);
            }
        }
        explanation
    }

    /// The newest version of a resource, unless it was deleted.
    fn current(&self, key: &ResourceKey) -> Result<Option<Change>, Error> {
        let found = self.store.current(std::slice::from_ref(key))?.pop().flatten();
        Ok(found.filter(|one| is_alive(Some(one))))
    }

    /// The type of the states, and what was done between them.
    fn type_of<'v>(
        &self,
        states: (Option<&'v Value>, Option<&'v Value>),
    ) -> Result<(&'v str, Interaction), Error> {
        let bad = |text: &str| Error::of(Kind::Malformed, IssueCode::WrongResourceType, text);
        let type_of = |state: &'v Value| state.get("resourceType").and_then(Value::as_str);
        let (resource_type, interaction) = match states {
            (None, Some(current)) => (type_of(current), Interaction::Create),
            (Some(previous), None) => (type_of(previous), Interaction::Delete),
            (Some(previous), Some(current)) if type_of(previous) == type_of(current) => {
                (type_of(current), Interaction::Update)
            }
            (Some(_), Some(_)) => return Err(bad("`previous` and `current` differ in their type")),
            (None, None) => return Err(bad("there is neither `previous` nor `current`")),
        };
        let resource_type = resource_type.ok_or_else(|| bad("a state is no resource"))?;
        self.check_type(resource_type)?;
        Ok((resource_type, interaction))
    }

    /// Refuses types that there are not, and those whose changes are never told of.
    fn check_type(&self, resource_type: &str) -> Result<(), Error> {
        if NEVER_A_FOCUS.contains(&resource_type) {
            let text = format!("changes of {resource_type} are never told of");
            return Err(Error::of(Kind::Unprocessable, IssueCode::InvalidTrigger, text));
        }
        if Definitions::of(self.version).is_resource(resource_type) {
            return Ok(());
        }
        let text = format!("FHIR {} defines no such resource type", self.version.full());
        Err(Error::of(Kind::Malformed, IssueCode::WrongResourceType, text))
    }
}
