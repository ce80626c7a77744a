//! A receiver is told no more than its subscription asks for, and no less: the content level that is in force when a
//! notification leaves, and of each event the very version of the resource that was one.

use super::{Checked, Violation};
use crate::facts::{Facts, Subscription};
use crate::wire::Notification;

pub(super) fn told(
    subscription: &Subscription,
    notification: &Notification,
    facts: &Facts,
) -> Checked {
    let violation = |what: &str| {
        let Subscription { id, content, .. } = subscription;
        let (kind, range) = (&notification.kind, notification.range());
        let text = format!("a {kind} {range:?} of {id}, whose content is {content}, {what}");
        Err(Violation::new("content", text))
    };
    let bodies = notification.entries.iter().flatten();
    match subscription.content.as_str() {
        "empty" => {
            let tells_focus = notification.events.iter().any(|(_, focus)| focus.is_some());
            if tells_focus || notification.tells_topic || !notification.entries.is_empty() {
                return violation("tells of a resource or its topic");
            }
        }
        "id-only" if bodies.clone().next().is_some() => return violation("has a resource"),
        "full-resource" => {
            let owed: Vec<_> = notification
                .events
                .iter()
                .map(|(number, _)| body(subscription, *number, facts))
                .collect();
            if owed.iter().flatten().any(|owed| !bodies.clone().any(|body| body == owed)) {
                return violation("is without the version of a resource that was an event");
            }
            if bodies.clone().any(|body| !owed.iter().flatten().any(|owed| owed == body)) {
                return violation("has a resource that was no event");
            }
        }
        _ => {}
    }
    let names_all = notification.events.iter().all(|(_, focus)| focus.is_some());
    if subscription.content != "empty" && !names_all {
        return violation("does not name what changed");
    }
    Ok(())
}

/// The resource that an event made; none after a delete.
fn body(subscription: &Subscription, number: u64, facts: &Facts) -> Option<serde_json::Value> {
    let index = usize::try_from(subscription.position(number)?.get() - 1).ok()?;
    serde_json::from_slice(&facts.log.get(index)?.change.body).ok()
}
