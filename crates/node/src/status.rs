//! Log lines for changes of a subscription's status, in one place.

use cresset_model::SubscriptionStatus;

use crate::intent::StatusChange;
use crate::live::LiveSubscription;

/// Tells the log that the server changed a subscription's status.
pub(crate) fn tell(live: &LiveSubscription, change: &StatusChange) {
    let reason = change.error.as_ref().map_or("", |error| error.text.as_str());
    let from = live.state().status.code();
    match change.to {
        SubscriptionStatus::Active | SubscriptionStatus::Requested => tracing::info!(
            subscription.id = %live.id,
            from,
            to = change.to.code(),
            "subscription status"
        ),
        SubscriptionStatus::EnteredInError
        | SubscriptionStatus::Error
        | SubscriptionStatus::Off => tracing::warn!(
            subscription.id = %live.id,
            from,
            to = change.to.code(),
            reason,
            "subscription status"
        ),
    }
}
