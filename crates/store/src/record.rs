//! What a store keeps beside the log: subscriptions and binding tokens.

use std::fmt;

use cresset_model::{
    Base, ClientName, EventNumber, ResourceKey, Retries, SubscriptionError, SubscriptionKey,
};
use jiff::Timestamp;

/// Most subscriptions that one token may cover.
pub const TOKEN_SUBSCRIPTIONS_MAX: usize = 100_000;

/// A subscription that is alive, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// This life of the subscription.
    pub key: SubscriptionKey,
    /// Its resource.
    pub resource: ResourceKey,
    /// The client it belongs to.
    pub owner: ClientName,
    /// When it was created.
    pub created: Timestamp,
    /// The last number given; 0 if there was no event yet
    /// (`eventsSinceSubscriptionStart`, RQ-NB-40).
    pub events: u64,
    /// The lowest number still kept, if any is. A cursor below `oldest - 1` has lost events.
    pub oldest: Option<EventNumber>,
    /// The last number confirmed.
    pub cursor: Option<EventNumber>,
    /// Why it left `active`, as last recorded.
    pub error: Option<SubscriptionError>,
    /// Where its retries stand, as last recorded.
    pub retries: Option<Retries>,
}

/// A binding token for websockets, by its hash; the token itself is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The base it was issued on.
    pub base: Base,
    /// The client it was issued to.
    pub owner: ClientName,
    /// When it stops being valid.
    pub expires: Timestamp,
    /// What it covers. Which of these still live is for the caller to see.
    pub subscriptions: Vec<SubscriptionKey>,
}

impl fmt::Debug for TokenRecord {
    /// Everything but the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord")
            .field("base", &self.base)
            .field("owner", &self.owner)
            .field("expires", &self.expires)
            .field("subscriptions", &self.subscriptions.len())
            .finish_non_exhaustive()
    }
}
