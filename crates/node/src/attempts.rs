//! What became of the last attempts, for those who operate the server.
//!
//! Kept in memory, since it tells of what is going on, not of what is owed: the log has that. The
//! bounds hold for all subscriptions together, so a million of them cost no more than a few; the
//! counts since the start are kept for all attempts (I10). Its tests are in `attempts/tests.rs`.

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

/// The attempts that are kept, and how many there were.
pub(crate) struct Attempts {
    per_subscription_max: usize,
    all_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    of: FxHashMap<SubscriptionKey, VecDeque<(u64, AttemptRecord)>>,
    /// All of `of` in the order they came, and some that are gone from it.
    order: VecDeque<(SubscriptionKey, u64)>,
    next: u64,
    counts: [u64; AttemptOutcome::ALL.len()],
}

impl Attempts {
    pub(crate) fn new(per_subscription_max: NonZeroUsize, all_max: NonZeroUsize) -> Self {
        Self {
            per_subscription_max: per_subscription_max.get(),
            all_max: all_max.get(),
            kept: Mutex::default(),
        }
    }

    /// Keeps a record, and lets the oldest go that are too many.
    pub(crate) fn record(&self, key: SubscriptionKey, record: AttemptRecord) {
        let mut kept = self.kept();
        kept.counts[record.outcome as usize] += 1;
        kept.next += 1;
        let number = kept.next;
        let own = kept.of.entry(key).or_default();
        if own.len() == self.per_subscription_max {
            own.pop_front();
        }
        own.push_back((number, record));
        kept.order.push_back((key, number));
        while kept.order.len() > self.all_max {
            kept.forget_oldest();
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
        self.kept().of.remove(&key);
    }

    /// How many attempts ended how, since the start.
    pub(crate) fn counts(&self) -> [(AttemptOutcome, u64); AttemptOutcome::ALL.len()] {
        let counts = self.kept().counts;
        AttemptOutcome::ALL.map(|outcome| (outcome, counts[outcome as usize]))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        let Some((key, number)) = self.order.pop_front() else { return };
        let Some(own) = self.of.get_mut(&key) else { return };
        if own.front().is_some_and(|(first, _)| *first == number) {
            own.pop_front();
        }
        if own.is_empty() {
            self.of.remove(&key);
        }
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
