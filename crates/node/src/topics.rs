//! Topics from the configuration: files of SubscriptionTopic, brought into the log at start.
//!
//! A topic of a file is a resource like any other, so it can be read and searched, and the catalog
//! stays the fold of the log (I7). What the author [`CONFIGURATION`] wrote and no file holds any
//! more is deleted.

use std::collections::BTreeMap;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, json, parse_topic_any};
use cresset_model::{
    ClientName, Interaction, Issue, IssueCode, Issues, ResourceId, ResourceKey, ResourceType,
};
use cresset_store::PAGE_MAX;

use crate::bases::base_of;
use crate::draft::is_alive;
use crate::error::{Error, Kind};
use crate::intent::{Action, Body, Intent, Precondition, Role};
use crate::load::topic_type;
use crate::node::Node;

/// The author of topics that come from files.
pub const CONFIGURATION: &str = "configuration";

/// A topic file.
#[derive(Debug, Clone)]
pub struct TopicFile {
    /// Where it was found, for messages.
    pub name: String,
    /// What it holds.
    pub bytes: Bytes,
    /// The one base it is for; all bases if none.
    pub version: Option<FhirVersion>,
}

/// What is wrong with a topic file.
#[derive(Debug)]
pub struct TopicProblem {
    /// The file.
    pub name: String,
    /// What is wrong, or only worth telling.
    pub issues: Issues,
}

impl Node {
    /// Brings the topics of these files into every base they are for, and takes out those that
    /// came from files before and are gone.
    ///
    /// A file that cannot be used is reported and left out; the others are live when this
    /// returns. For a base whose form differs from the file's, the topic is rendered anew.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn load_topics(&self, files: &[TopicFile]) -> Result<Vec<TopicProblem>, Error> {
        let author = ClientName::new(CONFIGURATION).map_err(Error::internal)?;
        let mut problems = Vec::new();
        for version in FhirVersion::ALL {
            let mut wanted: BTreeMap<ResourceId, (&TopicFile, Body)> = BTreeMap::new();
            for file in files.iter().filter(|file| file.version.is_none_or(|one| one == version)) {
                match read_file(version, file) {
                    Ok((id, body)) => {
                        if let Some((other, _)) = wanted.insert(id.clone(), (file, body)) {
                            let text =
                                format!("{} holds a topic with the same id {id}", other.name);
                            let issue = Issue::warning(IssueCode::DuplicateTopic, text);
                            let name = file.name.clone();
                            problems.push(TopicProblem { name, issues: issue.into() });
                        }
                    }
                    Err(issues) => problems.push(TopicProblem { name: file.name.clone(), issues }),
                }
            }
            self.load_topics_of(version, wanted, &author, &mut problems).await?;
        }
        Ok(problems)
    }

    async fn load_topics_of(
        &self,
        version: FhirVersion,
        wanted: BTreeMap<ResourceId, (&TopicFile, Body)>,
        author: &ClientName,
        problems: &mut Vec<TopicProblem>,
    ) -> Result<(), Error> {
        let resource_type = ResourceType::new(topic_type(version)).map_err(Error::internal)?;
        let key = |id: ResourceId| ResourceKey {
            base: base_of(version),
            resource_type: resource_type.clone(),
            id,
        };
        for id in self.configured_topics(version, &resource_type, author).await? {
            if !wanted.contains_key(&id) {
                let intent = Intent {
                    key: key(id),
                    action: Action::Delete,
                    precondition: Precondition::None,
                    author: author.clone(),
                    admin: true,
                    may_read: true,
                    may_topics: true,
                    may_write: true,
                    trace: None,
                };
                self.writer.write(vec![intent]).await?;
            }
        }
        for (id, (file, body)) in wanted {
            let key = key(id);
            if self.is_stored(&key, &body).await? {
                continue;
            }
            let intent = Intent {
                key,
                action: Action::Put(Box::new(body)),
                precondition: Precondition::None,
                author: author.clone(),
                admin: true,
                may_read: true,
                may_topics: true,
                may_write: true,
                trace: None,
            };
            let issues = match self.writer.write(vec![intent]).await {
                Ok(written) => written.into_iter().flat_map(|one| one.warnings.0).collect(),
                Err(error) if error.kind() == Kind::Unprocessable => error.issues().0.clone(),
                Err(error) => return Err(error),
            };
            if !issues.is_empty() {
                let name = format!("{} (for {})", file.name, version.path());
                problems.push(TopicProblem { name, issues: Issues(issues) });
            }
        }
        Ok(())
    }

    /// Ids of the topics that files brought in and that still exist.
    async fn configured_topics(
        &self,
        version: FhirVersion,
        resource_type: &ResourceType,
        author: &ClientName,
    ) -> Result<Vec<ResourceId>, Error> {
        let (base, resource_type, author) =
            (base_of(version), resource_type.clone(), author.clone());
        let found = self.shared.read(move |store| {
            let mut ids = Vec::new();
            let mut after: Option<ResourceId> = None;
            loop {
                let page = store.resources(base, &resource_type, after.as_ref(), PAGE_MAX)?;
                let Some(last) = page.last() else { return Ok(ids) };
                after = Some(last.key.id.clone());
                let own = page.into_iter().filter(|change| change.author == author);
                ids.extend(own.map(|change| change.key.id));
            }
        });
        found.await
    }

    /// Whether the store holds just this, so that a restart writes nothing.
    async fn is_stored(&self, key: &ResourceKey, body: &Body) -> Result<bool, Error> {
        let wanted = key.clone();
        let mut found =
            self.shared.read(move |store| store.current(std::slice::from_ref(&wanted))).await?;
        let Some(change) = found.pop().flatten() else { return Ok(false) };
        if !is_alive(Some(&change)) || change.interaction == Interaction::Delete {
            return Ok(false);
        }
        let stamp =
            json::Stamp { id: key.id.as_str(), version: change.version, last_updated: change.at };
        Ok(json::stamp(&body.bytes, &stamp).is_ok_and(|bytes| bytes == change.body))
    }
}

/// Reads a topic file for a version.
fn read_file(version: FhirVersion, file: &TopicFile) -> Result<(ResourceId, Body), Issues> {
    let codec = Codec::of(version);
    let value = json::parse(&file.bytes)?;
    let topic = parse_topic_any(&value)?;
    let id = match value.get("id").and_then(serde_json::Value::as_str) {
        Some(id) => ResourceId::new(id)
            .map_err(|error| Issue::error(IssueCode::InvalidId, error.to_string()).at("id"))?,
        None => id_of_url(&topic.url)?,
    };
    let own_form =
        codec.is_topic(&value) && codec.parse_topic(&value).is_ok_and(|own| own == topic);
    let (bytes, value) = if own_form {
        (file.bytes.clone(), value)
    } else {
        let bytes = Bytes::from(codec.render_topic(&topic, &id));
        let value = json::parse(&bytes)?;
        (bytes, value)
    };
    Ok((
        id,
        Body {
            bytes,
            value,
            role: Role::Topic(Box::new(topic)),
            rows: None,
            warnings: Issues::default(),
        },
    ))
}

/// An id for a topic that has none: the last part of its URL.
fn id_of_url(url: &str) -> Result<ResourceId, Issues> {
    let last = url.rsplit('/').next().unwrap_or_default();
    ResourceId::new(last).map_err(|_| {
        let text = "the topic has neither an id nor a URL that ends in one";
        Issue::error(IssueCode::MissingElement, text).at("id").into()
    })
}
