//! How many mails one mailbox gets, whoever subscribes for it.
//!
//! A bucket that refills evenly, for each mailbox and kind of mail, kept as one instant: when it
//! would be full again. In memory: a restart fills all buckets. Its tests are in `email/tests.rs`.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

/// Most buckets that are not full; a mailbox beyond them waits.
const BUCKETS_MAX: usize = 100_000;
/// How long a mailbox waits for which there is no bucket.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);

/// What is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MailKind {
    /// Asks for confirmation.
    Confirmation,
    /// Anything else.
    Notification,
}

/// So many in so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) count: NonZeroU32,
    pub(crate) period: Duration,
}

/// The buckets of all mailboxes.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<FxHashMap<(String, MailKind), Timestamp>>);

impl Quotas {
    /// Takes one mail out of the bucket of a mailbox, or tells when there will be one.
    pub(crate) fn take(
        &self,
        mailbox: String,
        kind: MailKind,
        quota: Quota,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let later = |at: Timestamp, by| at.checked_add(by).unwrap_or(Timestamp::MAX);
        let share = quota.period / quota.count.get();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, full_at| *full_at > now);
            if buckets.len() >= BUCKETS_MAX {
                return Err(later(now, CROWDED_PAUSE));
            }
        }
        let full_at = buckets.entry((mailbox, kind)).or_insert(now);
        let after = later((*full_at).max(now), share);
        let latest = later(now, quota.period);
        if after > latest {
            return Err(later(
                now,
                Duration::try_from(after.duration_since(latest)).unwrap_or_default(),
            ));
        }
        *full_at = after;
        Ok(())
    }

    /// Puts one back that did not reach the mailbox.
    pub(crate) fn give_back(&self, mailbox: String, kind: MailKind, quota: Quota) {
        let share = quota.period / quota.count.get();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = buckets.get_mut(&(mailbox, kind)) {
            *full_at = full_at.checked_sub(share).unwrap_or(*full_at);
        }
    }
}
