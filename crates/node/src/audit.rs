//! The audit trail: changes of subscriptions and notifications that were sent, as AuditEvents in files
//! (RQ-SS-11).
//!
//! Whoever has something to be kept hands it over and goes on; a thread of its own makes AuditEvents
//! of it and writes them. Where the disk does not take them, it tries until it does. What finds no
//! room in the queue meanwhile is counted, and the trail itself says from when on how many are
//! missing: nothing is lost in silence, and nothing waits for the trail.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{Change, ClientName, NotificationType, PayloadContent, ResourceId};
use jiff::Timestamp;

use crate::attempts::AttemptOutcome;
use crate::caller::{Caller, Right};
use crate::counters::Counter;
use crate::error::{Error, Kind};
use crate::node::Node;
use crate::notify::Range;

mod clerk;
mod trail;

pub(crate) use clerk::Clerk;
use trail::Trail;

/// Entries that wait to be written.
const QUEUE_MAX: usize = 16_384;
/// Most entries of one answer.
pub const AUDIT_ENTRIES_MAX: usize = 1_000;

/// What the audit trail is told.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// Whether notifications are told, too.
    pub notifications: bool,
    /// The directory of its files; it is made.
    pub directory: PathBuf,
    /// Size after which a file is put aside and the next one begun.
    pub file_bytes_max: u64,
    /// Files put aside, of each version; the oldest go first.
    pub files_max: NonZeroUsize,
}

/// How much the trail has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditFigures {
    /// Entries written.
    pub written: u64,
    /// Entries for which there was no room.
    pub lost: u64,
}

/// What is asked of the trail.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Entries about this subscription only.
    pub subscription: Option<ResourceId>,
    /// Entries from then on only.
    pub since: Option<Timestamp>,
    /// How many at most; never more than [`AUDIT_ENTRIES_MAX`].
    pub count: Option<usize>,
}

/// Something to be kept.
pub(crate) enum Note {
    /// A Subscription was changed.
    Change(Arc<Change>),
    /// A notification was sent.
    Sent(Box<SentNote>),
    /// Somebody was shown what events tell.
    Shown(Box<ShownNote>),
}

/// Events that somebody who operates the server was shown.
pub(crate) struct ShownNote {
    pub(crate) at: Timestamp,
    pub(crate) base: cresset_model::Base,
    pub(crate) id: ResourceId,
    pub(crate) author: ClientName,
    pub(crate) events: Range,
}

/// A notification that was sent.
pub(crate) struct SentNote {
    pub(crate) at: Timestamp,
    pub(crate) key: cresset_model::SubscriptionKey,
    pub(crate) base: cresset_model::Base,
    pub(crate) id: ResourceId,
    pub(crate) owner: Arc<ClientName>,
    pub(crate) notification_type: NotificationType,
    pub(crate) events: Option<Range>,
    pub(crate) content: PayloadContent,
    pub(crate) channel_type: String,
    pub(crate) destination: Arc<str>,
    pub(crate) outcome: AttemptOutcome,
}

/// Where entries are handed over.
pub(crate) struct Auditor {
    config: AuditConfig,
    queue: SyncSender<Note>,
    /// For the clerk to take.
    notes: Mutex<Option<Receiver<Note>>>,
    written: Counter,
    lost: Counter,
    /// Since when entries are lost that the trail does not tell of yet, in milliseconds.
    lost_since: AtomicI64,
}

/// No loss.
const NEVER: i64 = i64::MIN;

impl Auditor {
    pub(crate) fn new(config: AuditConfig) -> Self {
        let (queue, notes) = sync_channel(QUEUE_MAX);
        let (written, lost) = Default::default();
        let lost_since = AtomicI64::new(NEVER);
        let notes = Mutex::new(Some(notes));
        Self { config, queue, notes, written, lost, lost_since }
    }

    /// Whether notifications are kept.
    pub(crate) fn keeps_notifications(&self) -> bool {
        self.config.notifications
    }

    /// Keeps an entry. Never waits.
    pub(crate) fn keep(&self, note: Note, now: Timestamp) {
        if self.queue.try_send(note).is_err() {
            self.lost.add(1);
            let first = (NEVER, now.as_millisecond());
            let told = self.lost_since.compare_exchange(
                first.0,
                first.1,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            // Once for each time that it begins.
            if told.is_ok() {
                tracing::error!(
                    "audit entries are lost: the audit trail is not written fast enough"
                );
            }
        }
    }

    /// How much was taken.
    pub(crate) fn figures(&self) -> AuditFigures {
        AuditFigures { written: self.written.value(), lost: self.lost.value() }
    }

    fn take_notes(&self) -> Option<Receiver<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Since when entries are lost that the trail does not tell of yet; from now on it does.
    fn take_loss(&self) -> Option<Timestamp> {
        match self.lost_since.swap(NEVER, Ordering::AcqRel) {
            NEVER => None,
            millis => Some(Timestamp::from_millisecond(millis).unwrap_or_default()),
        }
    }
}

impl Node {
    /// Entries of the audit trail of a version, the newest first, as AuditEvents.
    ///
    /// What was told within the last moment may still be on its way into it.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an admin; `NotFound` where no trail is kept; `Internal` if its
    /// files cannot be read.
    pub async fn audit_trail(
        &self,
        caller: &Caller,
        version: FhirVersion,
        query: AuditQuery,
    ) -> Result<Vec<Bytes>, Error> {
        caller.require(Right::Admin)?;
        let Some(auditor) = &self.shared.auditor else {
            let text = "no audit trail is kept here; see audit.level in the configuration";
            return Err(Error::of(Kind::NotFound, cresset_model::IssueCode::UnknownPath, text));
        };
        let trail = Trail::of(&auditor.config, version);
        let read = move || trail.read(&query).map_err(Error::internal);
        self.shared.work(read).await
    }

    /// Whether an audit trail is kept.
    pub fn keeps_audit_trail(&self) -> bool {
        self.shared.auditor.is_some()
    }

    /// How much the audit trail has taken, where one is kept.
    pub(crate) fn audit_figures(&self) -> Option<AuditFigures> {
        self.shared.auditor.as_ref().map(Auditor::figures)
    }
}

#[cfg(test)]
mod tests;
