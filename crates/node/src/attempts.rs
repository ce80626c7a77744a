//! What became of the last attempts, for those who operate the server.
//!
//! Kept in memory, since it tells of what is going on, not of what is owed: the log has that. The
//! bounds hold for all subscriptions together, so a million of them cost no more than a few (I10). Its
//! tests are in `attempts/tests.rs`.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cresset_model::{EventNumber, NotificationType, SubscriptionKey};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

/// Shortest part of a secret that is blotted out of a response.
const SECRET_LENGTH_MIN: usize = 4;
/// What stands in its place.
const BLOT: &str = "[…]";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptOutcome {
    /// The host's name could not be resolved.
    DnsResolution,
    /// The endpoint answered with another status than 2xx, or the relay with another code.
    ErrorResponse,
    /// No answer came.
    NoResponse,
    /// The endpoint may not be spoken to.
    Refused,
    /// The endpoint took it.
    Success,
    /// Nothing was sent: the notification could not be built, or there was no room.
    Unsent,
}

impl AttemptOutcome {
    /// All of them, in the order of their variants.
    pub const ALL: [Self; 6] = [
        Self::DnsResolution,
        Self::ErrorResponse,
        Self::NoResponse,
        Self::Refused,
        Self::Success,
        Self::Unsent,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsResolution => "dns-resolution-error",
            Self::ErrorResponse => "error-response",
            Self::NoResponse => "no-response",
            Self::Refused => "refused",
            Self::Success => "success",
            Self::Unsent => "unsent",
        }
    }
}

/// One attempt that has ended. Holds no header, no endpoint and nothing of the notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When it began.
    pub at: Timestamp,
    /// Until the head of the answer, or the failure.
    pub duration: Duration,
    /// What was sent.
    pub notification_type: NotificationType,
    /// The events in it, both ends included.
    pub events: Option<(EventNumber, EventNumber)>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The HTTP status of the answer, if there was one.
    pub http_status: Option<u16>,
    /// The SMTP code of the relay's last answer, if there was one.
    pub smtp_code: Option<u16>,
    /// What went wrong, for people.
    pub detail: Option<String>,
    /// The beginning of the answer, without the secrets that it repeats.
    pub response: Option<String>,
}

/// The attempts that are kept.
pub(crate) struct Attempts {
    per_subscription_max: usize,
    all_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    of: FxHashMap<SubscriptionKey, VecDeque<(u64, AttemptRecord)>>,
    /// How many there are in `of`.
    len: usize,
    /// All of `of` in the order they came, and some that are gone from it.
    order: VecDeque<(SubscriptionKey, u64)>,
    next: u64,
}

impl Attempts {
    pub(crate) fn new(per_subscription_max: NonZeroUsize, all_max: NonZeroUsize) -> Self {
        Self {
            per_subscription_max: per_subscription_max.get(),
            all_max: all_max.get(),
            kept: Mutex::default(),
        }
    }

    /// Keeps a record, in place of another one where there is no room for more: the oldest of all, or
    /// its own subscription's oldest where that has more of them. So one that is sent much pushes out
    /// nothing of those that are sent little.
    pub(crate) fn record(&self, key: SubscriptionKey, record: AttemptRecord) {
        let mut kept = self.kept();
        let own = kept.len_of(key);
        if own >= self.per_subscription_max {
            kept.forget_first_of(key);
        } else if kept.len >= self.all_max
            && let Some(oldest) = kept.owner_of_oldest()
        {
            let gives_way = if own > kept.len_of(oldest) { key } else { oldest };
            kept.forget_first_of(gives_way);
        }
        kept.push(key, record);
        if kept.order.len() > 2 * self.all_max {
            kept.tidy_order();
        }
    }

    /// The last attempts of a subscription, oldest first.
    pub(crate) fn of(&self, key: SubscriptionKey) -> Vec<AttemptRecord> {
        let kept = self.kept();
        let own = kept.of.get(&key).into_iter().flatten();
        own.map(|(_, record)| record.clone()).collect()
    }

    /// Forgets those of a subscription that is gone.
    pub(crate) fn forget(&self, key: SubscriptionKey) {
        let mut kept = self.kept();
        let gone = kept.of.remove(&key).map_or(0, |own| own.len());
        kept.len -= gone;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, key: SubscriptionKey, record: AttemptRecord) {
        self.next += 1;
        self.of.entry(key).or_default().push_back((self.next, record));
        self.order.push_back((key, self.next));
        self.len += 1;
    }

    fn forget_first_of(&mut self, key: SubscriptionKey) {
        let Some(own) = self.of.get_mut(&key) else { return };
        self.len -= usize::from(own.pop_front().is_some());
        if own.is_empty() {
            self.of.remove(&key);
        }
    }

    fn len_of(&self, key: SubscriptionKey) -> usize {
        self.of.get(&key).map_or(0, VecDeque::len)
    }

    /// Whose the oldest record is.
    fn owner_of_oldest(&mut self) -> Option<SubscriptionKey> {
        while let Some((key, number)) = self.order.front().copied() {
            if self.holds(key, number) {
                return Some(key);
            }
            self.order.pop_front();
        }
        None
    }

    /// Takes out of `order` what is gone: rarely enough to cost each record next to nothing.
    fn tidy_order(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.retain(|(key, number)| self.holds(*key, *number));
        self.order = order;
    }

    /// Whether the record with this number is kept; those of a subscription go in their order.
    fn holds(&self, key: SubscriptionKey, number: u64) -> bool {
        let first = self.of.get(&key).and_then(VecDeque::front);
        first.is_some_and(|(first, _)| *first <= number)
    }
}

/// A response without what the endpoint repeats of the secrets that it was sent.
///
/// Whole values, and a beginning of one where the response was cut.
pub(crate) fn without_secrets<'s>(text: &str, secrets: impl Iterator<Item = &'s str>) -> String {
    let mut text = text.to_owned();
    // The scheme of an Authorization header is no secret, what follows it is one by itself.
    let parts = secrets
        .flat_map(|secret| std::iter::once(secret).chain(secret.split([' ', '=', '&', ';', ','])));
    let mut parts: Vec<&str> =
        parts.map(str::trim).filter(|part| part.len() >= SECRET_LENGTH_MIN).collect();
    parts.sort_unstable_by_key(|part| std::cmp::Reverse(part.len()));
    for part in parts {
        text = text.replace(part, BLOT);
        let cut = (SECRET_LENGTH_MIN..part.len())
            .rev()
            .filter_map(|length| part.get(..length))
            .find(|beginning| text.ends_with(beginning));
        if let Some(beginning) = cut {
            text.truncate(text.len() - beginning.len());
            text.push_str(BLOT);
        }
    }
    text
}

#[cfg(test)]
mod tests;
