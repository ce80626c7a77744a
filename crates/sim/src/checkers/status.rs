//! I5: a subscription leaves `active` only with a reason.

use cresset_model::Position;
use cresset_store::Store;

use super::{Checked, Violation};
use crate::facts::Facts;

/// Looks at subscriptions whose newest version is the server's own, at `first` or later.
pub(super) fn committed(first: Position, facts: &Facts, store: &dyn Store) -> Checked {
    let violation = |text: String| Violation::new("status", text);
    let alive = facts.subscriptions.values().filter(|one| one.is_alive);
    for one in alive.filter(|one| one.version >= first && one.version != one.asked) {
        let id = &one.id;
        let record = store.subscription(one.key);
        let record = record.map_err(|error| violation(format!("{id} cannot be read: {error}")))?;
        let reason = record.and_then(|record| record.error).map(|error| error.text);
        match (one.status.as_str(), &reason) {
            ("active", None) => {}
            ("error" | "off", Some(text)) if !text.is_empty() => {}
            (status, reason) => {
                let text = format!("the server made {id} {status} with the reason {reason:?}");
                return Err(violation(text));
            }
        }
    }
    Ok(())
}
