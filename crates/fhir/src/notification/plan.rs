//! Which entries follow the status, and in which order.

use std::collections::BTreeMap;

use cresset_model::{Notification, NotificationResource, PayloadContent, VersionId};

use super::resource_url;

/// One entry behind the status.
pub(super) struct PlannedEntry<'n> {
    /// Absolute, without a version.
    pub(super) full_url: String,
    /// What it is about.
    pub(super) resource: &'n NotificationResource,
    /// The stored bytes, where the content level has them.
    pub(super) body: Option<&'n [u8]>,
}

/// The entries (RQ-NB-20 to 33): per event in ascending number its focus, then what goes with it
/// and is not listed yet. Entries without a resource go last (TR-29).
///
/// A full URL stands once, or once per version where resources are sent (bdl-7 of R5, RQ-NB-32).
/// The same rule for all versions, so that they decode alike.
pub(super) fn plan_entries(notification: &Notification) -> Vec<PlannedEntry<'_>> {
    let with_bodies = match notification.content {
        PayloadContent::Empty => return Vec::new(),
        PayloadContent::FullResource => true,
        PayloadContent::IdOnly => false,
    };
    let mut entries: Vec<PlannedEntry<'_>> = Vec::new();
    let mut listed: BTreeMap<(String, Option<VersionId>), usize> = BTreeMap::new();
    for event in &notification.events {
        let focus = std::iter::once(&event.focus);
        for resource in focus.chain(&event.additional_context) {
            let body = resource.body.as_deref().filter(|_| with_bodies);
            let full_url = resource_url(notification, &resource.resource_type, &resource.id);
            let key = (full_url.clone(), body.map(|_| resource.version));
            match listed.get(&key) {
                None => {
                    listed.insert(key, entries.len());
                    entries.push(PlannedEntry { full_url, resource, body });
                }
                // What happened tells more than that it went along with another.
                Some(index) if entries[*index].resource.interaction.is_none() => {
                    entries[*index].resource = resource;
                }
                Some(_) => {}
            }
        }
    }
    entries.sort_by_key(|entry| entry.body.is_none());
    entries
}
