//! Equal settings of subscriptions, kept once.
//!
//! Subscriptions of an app tend to differ in their filters alone, and those live in the catalog.

use std::sync::{Arc, Mutex, PoisonError};

use cresset_model::Subscription;

/// Settings looked at for an equal; the newest first.
const SETTINGS_KEPT_MAX: usize = 16;

/// The settings that came last.
#[derive(Default)]
pub(crate) struct SettingsCache(Mutex<Vec<Arc<Subscription>>>);

impl SettingsCache {
    /// The same settings, shared with another subscription if it has equal ones.
    pub(crate) fn share(&self, settings: Subscription) -> Arc<Subscription> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = kept.iter().position(|one| **one == settings) {
            let found = kept.remove(index);
            kept.insert(0, found.clone());
            return found;
        }
        let settings = Arc::new(settings);
        kept.insert(0, settings.clone());
        kept.truncate(SETTINGS_KEPT_MAX);
        settings
    }
}
