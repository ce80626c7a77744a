//! A topic's place in the catalog.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::topic::CompiledTopic;

/// A topic's place in the catalog.
///
/// It outlives its topic while there are subscriptions, so that they are found when the topic comes
/// back; without a topic nothing fires.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The topic's URL; stays when the topic goes.
    pub(super) url: SmolStr,
    pub(crate) topic: Option<Arc<CompiledTopic>>,
    /// How many subscriptions it has.
    pub(super) len: usize,
}

impl Slot {
    pub(super) fn new(url: SmolStr) -> Self {
        Self { url, topic: None, len: 0 }
    }
}
