//! How many mails one mailbox gets, whoever subscribes for it.
//!
//! A bucket that refills evenly, for each mailbox and kind of mail, kept as one instant: when it
//! would be full again. In memory: a restart fills all buckets. Its tests are in `email/tests.rs`.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

/// Most buckets of a kind that are not full; a mailbox beyond them waits.
pub(super) const BUCKETS_MAX: usize = 100_000;
/// How long a mailbox waits for which there is no bucket.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);

/// What is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The buckets of all mailboxes. Each kind of mail has room of its own: however many people are asked
/// to confirm, notifications go on.
///
/// A mail's client is not known here, so one that subscribes for very many mailboxes can take all room
/// for confirmations. Those to mailboxes that had none lately wait then, whoever subscribes for them.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    confirmations: Mutex<Buckets>,
    notifications: Mutex<Buckets>,
}

impl Quotas {
    /// Takes one mail out of the bucket of a mailbox, or tells when there will be one.
    pub(crate) fn take(
        &self,
        mailbox: String,
        kind: MailKind,
        quota: Quota,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let share = quota.period / quota.count.get();
        let mut buckets = self.buckets(kind);
        let full_at = buckets.of(mailbox, now).ok_or_else(|| later(now, CROWDED_PAUSE))?;
        let latest = later(now, quota.period);
        // No bucket is emptier than empty, also where the clock was set back.
        let after = later((*full_at).clamp(now, latest), share);
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
    pub(crate) fn give_back(&self, mailbox: &str, kind: MailKind, quota: Quota) {
        let share = quota.period / quota.count.get();
        if let Some(full_at) = self.buckets(kind).0.get_mut(mailbox) {
            *full_at = full_at.checked_sub(share).unwrap_or(*full_at);
        }
    }

    fn buckets(&self, kind: MailKind) -> MutexGuard<'_, Buckets> {
        let buckets = match kind {
            MailKind::Confirmation => &self.confirmations,
            MailKind::Notification => &self.notifications,
        };
        buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the bucket of each mailbox would be full again, for one kind of mail.
#[derive(Debug, Default)]
struct Buckets(FxHashMap<String, Timestamp>);

impl Buckets {
    /// The bucket of a mailbox; none if it has none yet and there is no room for one.
    fn of(&mut self, mailbox: String, now: Timestamp) -> Option<&mut Timestamp> {
        if !self.0.contains_key(&mailbox) && self.0.len() >= BUCKETS_MAX {
            self.0.retain(|_, full_at| *full_at > now);
            if self.0.len() >= BUCKETS_MAX {
                return None;
            }
        }
        Some(self.0.entry(mailbox).or_insert(now))
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
