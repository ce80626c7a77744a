//! I1: event numbers are 1, 2, 3 … without gap, and nothing but events takes one.

use cresset_model::{EventNumber, SubscriptionKey};
use cresset_store::{EVENTS_PAGE_MAX, Store};

use super::{Checked, Violation};
use crate::facts::{Committed, Facts, Subscription};
use crate::wire::Notification;

fn violation(text: String) -> Violation {
    Violation::new("gapless", text)
}

/// Before the change is folded.
pub(super) fn committed(committed: &Committed, facts: &Facts) -> Checked {
    let own = SubscriptionKey::created_at(committed.change.position);
    for event in &committed.events {
        let last = facts.subscriptions.get(&event.subscription).map(Subscription::last);
        let Some(last) = last.or((event.subscription == own).then_some(0)) else {
            return Err(violation(format!(
                "an event for {}, which is not there",
                event.subscription
            )));
        };
        if event.number.get() != last + 1 {
            let text = format!("{} of {} follows {last}", event.number, event.subscription);
            return Err(violation(text));
        }
    }
    let position = committed.change.position.get();
    let next = u64::try_from(facts.log.len()).expect("a length") + 1;
    if position != next {
        return Err(violation(format!("position {position} where {next} is next")));
    }
    Ok(())
}

pub(super) fn told(subscription: &Subscription, notification: &Notification) -> Checked {
    let Notification { kind, count, events, .. } = notification;
    let id = &subscription.id;
    if kind != "event-notification" {
        if !events.is_empty() || *count > subscription.last() {
            return Err(violation(format!("a {kind} of {id} counts {count}, with {events:?}")));
        }
        return Ok(());
    }
    let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    if numbers.is_empty() || numbers.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        return Err(violation(format!("a notification of {id} has events {numbers:?}")));
    }
    if numbers.last() != Some(count) {
        return Err(violation(format!("events {numbers:?} of {id} are counted as {count}")));
    }
    Ok(())
}

/// The store tells the same as it acknowledged.
pub(super) fn stored(facts: &Facts, store: &dyn Store) -> Checked {
    let failed = |error| violation(format!("the store cannot be read: {error}"));
    let head = store.head().map_err(failed)?.map_or(0, |head| head.get());
    let length = u64::try_from(facts.log.len()).expect("a length");
    if head != length {
        return Err(violation(format!("the store has {head} changes, {length} were acknowledged")));
    }
    for subscription in facts.subscriptions.values() {
        let (key, last) = (subscription.key, subscription.last());
        if subscription.is_alive {
            let record = store.subscription(key).map_err(failed)?;
            let counted = record.map(|record| record.events);
            if counted != Some(last) {
                return Err(violation(format!(
                    "{key} has {last} events, the store says {counted:?}"
                )));
            }
        }
        let mut from = EventNumber::FIRST;
        if let Some(forgotten) = EventNumber::new(subscription.forgotten) {
            // Forgetting may be lost with the power, or not.
            from = forgotten.next();
        }
        while let Some(to) = EventNumber::new(last).filter(|to| from <= *to) {
            let page = store.events(key, from, to, EVENTS_PAGE_MAX).map_err(failed)?;
            for event in &page {
                if event.number != from || subscription.position(from.get()) != Some(event.position)
                {
                    let text = format!("{key} has {} at {}", event.number, event.position.get());
                    return Err(violation(text));
                }
                from = from.next();
            }
            if page.is_empty() {
                return Err(violation(format!("events of {key} from {from} on are not stored")));
            }
        }
    }
    Ok(())
}

/// The store keeps the newest events, and all that it has to, right after it was told to forget.
pub(super) fn kept(facts: &Facts, store: &dyn Store) -> Checked {
    let failed = |error| violation(format!("the store cannot be read: {error}"));
    for one in facts.subscriptions.values().filter(|one| one.is_alive) {
        let record = store.subscription(one.key).map_err(failed)?;
        let oldest = record.and_then(|record| record.oldest).map_or(0, EventNumber::get);
        let expected = if one.forgotten < one.last() { one.forgotten + 1 } else { 0 };
        if oldest != expected {
            let text = format!("the oldest event of {} is {oldest}, not {expected}", one.id);
            return Err(violation(text));
        }
    }
    Ok(())
}
