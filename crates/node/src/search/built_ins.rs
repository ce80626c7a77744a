//! The server's own definitions among what a search finds.

use std::sync::Arc;

use cresset_model::{Change, Interaction, Issue, IssueCode, ResourceKey, split_modifier};
use cresset_store::PAGE_MAX;

use super::answer::Page;
use super::finder::Finder;
use super::request::Asked;
use crate::built_ins::BuiltIns;
use crate::error::Error;

/// Only a search by one of these looks at them: others are about what clients stored.
const NAMES: [&str; 5] = ["_id", "base", "code", "type", "url"];

impl Finder<'_> {
    /// Those that match, but for what is hidden by a stored resource.
    pub(super) fn built_ins(&mut self, asked: &Asked) -> Result<Vec<Arc<Change>>, Error> {
        let is_named = asked.used.iter().any(|(name, _)| NAMES.contains(&split_modifier(name).0));
        let [asking] = asked.askings.as_slice() else { return Ok(Vec::new()) };
        if !is_named || !asking.compartment.is_empty() {
            return Ok(Vec::new());
        }
        let version = self.scope.parameters.definitions().version();
        let all = BuiltIns::of(version).of_type(asking.resource_type).cloned().collect();
        let mut found = self.judged(asking, all);
        let keys: Vec<ResourceKey> = found.iter().map(|one| one.key.clone()).collect();
        let mut stored = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE_MAX) {
            stored.extend(self.store.current(keys)?);
        }
        let mut is_hidden = stored
            .into_iter()
            .map(|one| one.is_some_and(|change| change.interaction != Interaction::Delete));
        found.retain(|_| !is_hidden.next().unwrap_or_default());
        Ok(found)
    }
}

impl Page {
    /// Puts them behind all that is stored, on the last page as far as there is room.
    pub(super) fn end_with(&mut self, built_ins: Vec<Arc<Change>>, count: usize) {
        self.total = self.total.map(|total| total + built_ins.len() as u64);
        if self.next.is_some() {
            return;
        }
        let room = count.saturating_sub(self.matches.len());
        if built_ins.len() > room {
            let text = "more definitions of this server's own match than the page has room for; \
                        raise `_count` or narrow the search down";
            self.issues.push(Issue::warning(IssueCode::SearchIncomplete, text));
        }
        self.matches.extend(built_ins.into_iter().take(room));
    }
}
