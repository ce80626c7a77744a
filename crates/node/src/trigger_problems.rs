//! What last kept the triggers of a topic from being evaluated, for `$status` of its subscriptions
//! (I9).
//!
//! Kept by topic with its version, so that a trigger that fails with every write costs the same with one
//! subscription and with a million. At most one text per topic in force: those of a base go when
//! its topics change. Not kept over a restart. Tested in `crates/conformance`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cresset_model::{Base, Canonical};
use rustc_hash::FxHashMap;

type Texts = FxHashMap<(Base, Canonical), Arc<str>>;

/// One text per topic.
#[derive(Default)]
pub(crate) struct TriggerProblems {
    texts: Mutex<Texts>,
    /// Whether there are any: hardly ever, and every notification asks.
    any: AtomicBool,
}

impl TriggerProblems {
    /// Notes what is wrong with a topic; replaces what was noted before.
    pub(crate) fn note(&self, base: Base, topic: Canonical, text: &str) {
        let mut texts = self.texts();
        texts.insert((base, topic), text.into());
        self.any.store(true, Ordering::Release);
    }

    /// Whether anything is known to be wrong with any topic.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// What is wrong with a topic, if anything is known.
    pub(crate) fn of(&self, base: Base, topic: &Canonical) -> Option<Arc<str>> {
        self.texts().get(&(base, topic.clone())).cloned()
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
