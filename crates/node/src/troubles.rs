//! Endpoints that need a look: for the operator's first page.
//!
//! Looks at each subscription once, on a thread that may block; who shows it to many asks once for
//! all of them. Tests: `tests/operators.rs`.

use cresset_model::SubscriptionStatus;
use rustc_hash::FxHashMap;

use crate::caller::{Caller, Right};
use crate::error::Error;
use crate::figures::lag_of;
use crate::live::LiveSubscription;
use crate::node::Node;

/// Most endpoints that are told of.
const ENDPOINTS_MAX: usize = 20;

/// Endpoints that fail or are behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubles {
    /// Those that fail, worst first, and then those that are behind.
    pub endpoints: Vec<EndpointTrouble>,
    /// How many further ones there are.
    pub left_out: usize,
}

/// An endpoint that fails or is behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointTrouble {
    /// Scheme, host and port; of a mailbox, its domain.
    pub endpoint: String,
    /// Its subscriptions that fail or are behind.
    pub subscriptions: u64,
    /// Those of them that the server took out of `active`.
    pub failing: u64,
    /// Undelivered events of all of them.
    pub lag: u64,
    /// Why one of those failed.
    pub reason: Option<String>,
}

impl Node {
    /// Endpoints that fail or are behind. Sockets come and go, and what they miss waits for them: they
    /// are none.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin.
    pub async fn troubles(&self, caller: &Caller) -> Result<Troubles, Error> {
        caller.require(Right::Admin)?;
        let shared = self.shared.clone();
        let look = move || {
            let mut by_origin = FxHashMap::default();
            shared.live.each().iter().for_each(|live| add(live, &mut by_origin));
            let mut endpoints: Vec<EndpointTrouble> = by_origin.into_values().collect();
            endpoints.sort_unstable_by(|one, other| {
                let worse = (other.failing, other.lag).cmp(&(one.failing, one.lag));
                worse.then_with(|| one.endpoint.cmp(&other.endpoint))
            });
            let left_out = endpoints.len().saturating_sub(ENDPOINTS_MAX);
            endpoints.truncate(ENDPOINTS_MAX);
            Ok(Troubles { endpoints, left_out })
        };
        self.shared.work(look).await
    }
}

fn add(live: &LiveSubscription, by_origin: &mut FxHashMap<String, EndpointTrouble>) {
    if live.is_websocket() {
        return;
    }
    let state = live.state();
    let lag = lag_of(state.last, state.cursor);
    let reason = state.error().map(|error| error.text.clone());
    if reason.is_none() && (lag == 0 || state.status != SubscriptionStatus::Active) {
        return;
    }
    let endpoint = state.settings.endpoint.as_deref();
    let endpoint = endpoint.map_or_else(|| state.settings.channel_type.code().to_owned(), origin);
    let trouble = by_origin.entry(endpoint).or_insert_with_key(|endpoint| EndpointTrouble {
        endpoint: endpoint.clone(),
        ..EndpointTrouble::default()
    });
    trouble.subscriptions += 1;
    trouble.failing += u64::from(reason.is_some());
    trouble.lag += lag;
    trouble.reason = trouble.reason.take().or(reason);
}

/// What the subscriptions of one receiver have in common: an endpoint up to its path, or the domain of
/// a mailbox.
fn origin(endpoint: &str) -> String {
    if let Some(mailbox) = endpoint.strip_prefix("mailto:") {
        let domain = mailbox.split('?').next().and_then(|one| one.rsplit('@').next());
        return format!("mailto:…@{}", domain.unwrap_or_default());
    }
    let Some(authority) = endpoint.find("://").map(|scheme| scheme + 3) else {
        return endpoint.to_owned();
    };
    let end = endpoint[authority..].find(['/', '?', '#']);
    let end = end.map_or(endpoint.len(), |at| authority + at);
    // What stands before the host may be a secret.
    let host = endpoint[authority..end].rsplit('@').next().unwrap_or_default();
    format!("{}{host}", &endpoint[..authority])
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn endpoints_of_one_receiver_have_one_origin() {
        for (endpoint, expect) in [
            ("https://a.example/hook?token=1", "https://a.example"),
            ("https://a.example:8443?x", "https://a.example:8443"),
            ("https://user:secret@a.example/", "https://a.example"),
            ("mailto:ward@b.example?subject=x", "mailto:…@b.example"),
            ("kafka:orders", "kafka:orders"),
        ] {
            assert_eq!(origin(endpoint), expect);
        }
    }
}
