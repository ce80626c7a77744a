//! What subscriptions ask for, the part that many have in common kept once.
//!
//! Subscriptions of an app tend to differ in their filters, which live in the catalog, and in their
//! endpoints. All else is the same for thousands of them: a million idle subscriptions must not hold
//! a million copies.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cresset_fhir::Format;
use cresset_model::{
    Canonical, ChannelType, Header, MimeType, PayloadContent, Subscription, is_criteria_topic,
};
use jiff::Timestamp;

/// Settings looked at for an equal; the newest first.
const SETTINGS_KEPT_MAX: usize = 16;

/// What a subscriber asked for; the status is kept beside it, the filters live in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where to, as the client wrote it.
    pub(crate) endpoint: Option<Box<str>>,
    common: Arc<Common>,
}

/// What many subscriptions have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Common {
    /// The topic.
    pub(crate) topic: Canonical,
    /// When to switch it off (RQ-SB-12).
    pub(crate) end: Option<Timestamp>,
    /// How notifications travel.
    pub(crate) channel_type: ChannelType,
    /// Sent with each notification, in this order.
    pub(crate) headers: Vec<Header>,
    /// Longest silence (RQ-SB-05).
    pub(crate) heartbeat_period: Option<Duration>,
    /// Upper bound of one attempt (RQ-SB-06).
    pub(crate) timeout: Option<Duration>,
    /// How long a failed notification is tried again.
    pub(crate) retry_period: Option<Duration>,
    /// Most events in one notification (RQ-SB-07).
    pub(crate) max_count: Option<NonZeroU32>,
    /// MIME type of notifications as the client wrote it (RQ-SB-04).
    pub(crate) mime_type: Option<MimeType>,
    /// How much they carry.
    pub(crate) content: PayloadContent,
}

impl Settings {
    /// Whether it asks with a search as its criteria, and is told as the base specification says
    /// (RQ-SB-02).
    pub(crate) fn is_classic(&self) -> bool {
        is_criteria_topic(&self.topic.url)
    }

    /// What it has in common with others, to tell it from what others have.
    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.common
    }
}

impl Common {
    /// The form that notifications are sent in.
    pub(crate) fn format(&self) -> Format {
        Format::of(self.mime_type.as_ref())
    }
}

impl Deref for Settings {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

/// The settings that came last.
#[derive(Default)]
pub(crate) struct SettingsCache(Mutex<Vec<Arc<Common>>>);

impl SettingsCache {
    /// The settings of a subscription, shared with others as far as they have equal ones.
    pub(crate) fn share(&self, subscription: Subscription) -> Settings {
        let Subscription {
            status: _,
            topic,
            end,
            filters: _,
            channel_type,
            endpoint,
            headers,
            heartbeat_period,
            timeout,
            retry_period,
            max_count,
            mime_type,
            content,
        } = subscription;
        let common = Common {
            topic,
            end,
            channel_type,
            headers,
            heartbeat_period,
            timeout,
            retry_period,
            max_count,
            mime_type,
            content,
        };
        Settings { endpoint: endpoint.map(String::into_boxed_str), common: self.common(common) }
    }

    fn common(&self, common: Common) -> Arc<Common> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = kept.iter().position(|one| **one == common) {
            // The newest first, without moving what is there already.
            kept[..=index].rotate_right(1);
            return kept[0].clone();
        }
        let common = Arc::new(common);
        kept.insert(0, common.clone());
        kept.truncate(SETTINGS_KEPT_MAX);
        common
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::SubscriptionStatus;

    use super::*;

    fn subscription(endpoint: &str, max_count: u32) -> Subscription {
        Subscription {
            status: SubscriptionStatus::Active,
            topic: Canonical::new("http://example.org/topic"),
            end: None,
            filters: Vec::new(),
            channel_type: ChannelType::RestHook,
            endpoint: Some(endpoint.to_owned()),
            headers: Vec::new(),
            heartbeat_period: None,
            timeout: None,
            retry_period: None,
            max_count: NonZeroU32::new(max_count),
            mime_type: None,
            content: PayloadContent::Empty,
        }
    }

    #[test]
    fn subscriptions_that_differ_in_their_endpoint_share_the_rest() {
        let cache = SettingsCache::default();
        let one = cache.share(subscription("https://a.example", 1));
        for other in 2..10 {
            drop(cache.share(subscription("https://a.example", other)));
        }
        let two = cache.share(subscription("https://b.example", 1));
        assert!(Arc::ptr_eq(&one.common, &two.common));
        assert_ne!(one, two);
        assert_eq!(two.endpoint.as_deref(), Some("https://b.example"));
    }
}
