//! What last kept the triggers of a topic from being evaluated, for `$status` of its subscriptions
//! (I9).
//!
//! Kept by topic, so that a trigger that fails with every write costs the same with one
//! subscription and with a million. At most one text per topic in force: those of a base go when
//! its topics change. Not kept over a restart. Tested in `crates/conformance`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cresset_model::Base;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

type Texts = FxHashMap<(Base, SmolStr), Arc<str>>;

/// One text per topic URL.
#[derive(Default)]
pub(crate) struct TriggerProblems {
    texts: Mutex<Texts>,
    /// Whether there are any: hardly ever, and every notification asks.
    any: AtomicBool,
}

impl TriggerProblems {
    /// Notes what is wrong with a topic; replaces what was noted before.
    pub(crate) fn note(&self, base: Base, topic_url: SmolStr, text: &str) {
        let mut texts = self.texts();
        texts.insert((base, topic_url), text.into());
        self.any.store(true, Ordering::Release);
    }

    /// What is wrong with a topic, if anything is known.
    pub(crate) fn of(&self, base: Base, topic_url: &SmolStr) -> Option<Arc<str>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.texts().get(&(base, topic_url.clone())).cloned()
    }

    /// Forgets those of a base.
    pub(crate) fn clear(&self, base: Base) {
        let mut texts = self.texts();
        texts.retain(|(of, _), _| *of != base);
        self.any.store(!texts.is_empty(), Ordering::Release);
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
