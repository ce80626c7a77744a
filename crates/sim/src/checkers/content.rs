//! A receiver is told no more than its subscription asks for, and no less: by the terms that are in force when a
//! notification leaves, and of each event the very version of the resource that was one.

use serde_json::Value;

use super::{Checked, Violation};
use crate::facts::{Facts, Subscription, Terms};
use crate::wire::Notification;

/// Looks at a notification; at its pace only where `paced`.
pub(super) fn told(
    subscription: &Subscription,
    notification: &Notification,
    paced: bool,
    facts: &Facts,
) -> Checked {
    let Subscription { id, terms, terms_before, .. } = subscription;
    let breach = |terms: &Terms| {
        let of_pace = pace(terms, notification).filter(|_| paced);
        of_pace.or_else(|| content(terms, subscription, notification, facts))
    };
    let Some(what) = breach(terms) else { return Ok(()) };
    // The node was not told of the newest terms.
    if terms_before.iter().any(|terms| breach(terms).is_none()) {
        return Ok(());
    }
    let (kind, range) = (&notification.kind, notification.range());
    let text = format!("a {kind} {range:?} of {id}, which asks for {terms:?}, {what}");
    Err(Violation::new("content", text))
}

/// Names what is judged of events.
pub(super) fn name(terms: &Terms) -> &'static str {
    match terms.content.as_str() {
        "empty" => "empty",
        "id-only" => "id-only",
        _ => "full-resource",
    }
}

/// What speaks against a notification by these terms, were it empty.
fn pace(terms: &Terms, notification: &Notification) -> Option<&'static str> {
    if notification.kind == "heartbeat" && terms.heartbeat_period == 0 {
        return Some("is not wanted");
    }
    let count = u64::try_from(notification.events.len()).unwrap_or(u64::MAX);
    (terms.max_count != 0 && count > terms.max_count).then_some("has too many events")
}

/// What speaks against what it tells.
fn content(
    terms: &Terms,
    subscription: &Subscription,
    notification: &Notification,
    facts: &Facts,
) -> Option<&'static str> {
    let Notification { events, entries, tells_topic, .. } = notification;
    let bodies: Vec<&Value> = entries.iter().flatten().collect();
    let foci = events.iter().filter(|(_, focus)| focus.is_some()).count();
    match terms.content.as_str() {
        "empty" if foci > 0 || *tells_topic || !entries.is_empty() => {
            Some("tells of a resource or its topic")
        }
        "empty" => None,
        _ if foci < events.len() => Some("does not name what changed"),
        "id-only" if !bodies.is_empty() => Some("has a resource"),
        "full-resource" => {
            let made = events.iter().filter_map(|(number, _)| made(subscription, *number, facts));
            let made: Vec<Value> = made.collect();
            if made.iter().any(|made| !bodies.contains(&made)) {
                return Some("is without the version of a resource that was an event");
            }
            let is_other = |body: &&Value| !made.contains(body);
            bodies.iter().any(is_other).then_some("has a resource that was no event")
        }
        _ => None,
    }
}

/// The resource that an event made; none after a delete.
fn made(subscription: &Subscription, number: u64, facts: &Facts) -> Option<Value> {
    let index = usize::try_from(subscription.position(number)?.get() - 1).ok()?;
    serde_json::from_slice(&facts.log.get(index)?.change.body).ok()
}
