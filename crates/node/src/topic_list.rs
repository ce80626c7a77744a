//! The topics of a version, for operators.
//!
//! Tests: `tests/operators.rs`.

use cresset_definitions::FhirVersion;
use cresset_model::{ResourceId, Topic};

use crate::bases::base_of;
use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::node::Node;

/// A topic, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicLine {
    /// The id of its resource.
    pub id: ResourceId,
    /// What it says.
    pub topic: Topic,
    /// How many subscriptions count its events.
    pub subscriptions: usize,
    /// Whether it takes new ones: it is active, or a draft where those are accepted.
    pub takes_subscriptions: bool,
}

impl Node {
    /// The topics of a version, by URL; all that there are, which are few.
    ///
    /// Those in `draft` and `retired` are among them. One that is stored but cannot be used, of which a
    /// start warns, is not.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin.
    pub async fn topic_lines(
        &self,
        caller: &Caller,
        version: FhirVersion,
    ) -> Result<Vec<TopicLine>, Error> {
        caller.require(Right::Admin)?;
        let catalogs = self.writer.catalogs().await?;
        let list = move || {
            let Some(catalog) = catalogs.of(base_of(version)) else { return Ok(Vec::new()) };
            let lines = catalog.topics().map(|(id, compiled)| TopicLine {
                id: id.clone(),
                topic: compiled.topic().clone(),
                subscriptions: catalog.subscriptions_of(&compiled.topic().url).count(),
                takes_subscriptions: catalog.takes_subscriptions(compiled.topic().status),
            });
            let mut lines: Vec<TopicLine> = lines.collect();
            lines.sort_unstable_by(|one, other| {
                (&one.topic.url, &one.topic.version).cmp(&(&other.topic.url, &other.topic.version))
            });
            Ok(lines)
        };
        self.shared.work(list).await
    }
}
