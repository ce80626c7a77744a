//! Relative references as keys.

use cresset_model::{Base, ResourceId, ResourceKey, ResourceType};

/// The resource that `Type/id` or `Type/id/_history/n` names in a base.
pub(crate) fn key_of(base: Base, reference: &str) -> Option<ResourceKey> {
    let mut parts = reference.split('/');
    let resource_type = ResourceType::new(parts.next()?).ok()?;
    let id = ResourceId::new(parts.next()?).ok()?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) | (Some("_history"), Some(_), None) => {
            Some(ResourceKey { base, resource_type, id })
        }
        _ => None,
    }
}
