//! Who writes the trail: a thread that makes AuditEvents of what it is handed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use cresset_definitions::FhirVersion;
use cresset_fhir::{AuditEntry, Audited, Codec, SentNotification, json};
use cresset_model::{Change, Interaction, PayloadContent, Position, ResourceKey, VersionId};
use cresset_store as store;
use serde_json::Value;
use uuid::Uuid;

use super::trail::Trail;
use super::{Auditor, Note, SentNote};
use crate::attempts::AttemptOutcome;
use crate::bases::version_of;
use crate::occurrence::{Occurrence, is_occurrence};
use crate::shared::Shared;

/// Entries written with one flush of the disk.
const BATCH_MAX: usize = 512;
/// How long it waits before it tries again what the disk did not take; also how long it takes to
/// notice at most that the node stops.
const PAUSE: Duration = Duration::from_millis(500);
/// Tries of what the disk does not take, once the node stops.
const LAST_TRIES: u32 = 4;

/// Writes the trail until the node stops and nothing waits.
pub(crate) struct Clerk {
    shared: Arc<Shared>,
    notes: Receiver<Note>,
    trails: [Trail; FhirVersion::ALL.len()],
    /// Losses that the trail has told of.
    told: u64,
}

impl Clerk {
    /// The clerk of a node, if it keeps a trail and has none yet.
    pub(crate) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let auditor = shared.auditor.as_ref()?;
        let notes = auditor.take_notes()?;
        let trails = FhirVersion::ALL.map(|version| Trail::of(&auditor.config, version));
        Some(Self { shared: shared.clone(), notes, trails, told: 0 })
    }

    /// Works until `has_ended` says that nothing comes any more, and nothing waits.
    pub(crate) fn run(mut self, has_ended: impl Fn() -> bool) {
        loop {
            let first = match self.notes.recv_timeout(PAUSE) {
                Ok(note) => note,
                Err(RecvTimeoutError::Timeout) if !has_ended() => continue,
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return,
            };
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(note) = self.notes.try_recv()
            {
                batch.push(note);
            }
            self.write(&batch, &has_ended);
        }
    }

    /// Writes a batch, however often that takes.
    fn write(&mut self, batch: &[Note], has_ended: &impl Fn() -> bool) {
        let shared = self.shared.clone();
        let Some(auditor) = &shared.auditor else { return };
        let mut lines: [Vec<u8>; FhirVersion::ALL.len()] = Default::default();
        for note in batch {
            self.render(note, &mut lines);
        }
        self.render_loss(auditor, &mut lines);
        let mut tries_left = LAST_TRIES;
        for (trail, lines) in self.trails.iter_mut().zip(&lines) {
            let mut told = false;
            while let Err(error) = trail.append(lines, shared.clock.now()) {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "the audit trail cannot be written");
                }
                if has_ended() {
                    tries_left -= 1;
                    if tries_left == 0 {
                        return;
                    }
                }
                std::thread::park_timeout(PAUSE);
            }
        }
        auditor.written.add(batch.len() as u64);
    }

    fn render(&self, note: &Note, lines: &mut [Vec<u8>]) {
        let (base, recorded) = match note {
            Note::Change(change) => (change.key.base, change.at),
            Note::Sent(sent) => (sent.base, sent.at),
            Note::Shown(shown) => (shown.base, shown.at),
        };
        let Some(version) = version_of(base) else { return };
        let status;
        let resources;
        let what = match note {
            Note::Change(change) => {
                status = status_of(change);
                Audited::Change {
                    author: change.author.as_str(),
                    interaction: change.interaction,
                    subscription: &change.key.id,
                    version: change.version,
                    status: status.as_deref(),
                }
            }
            Note::Sent(sent) => {
                resources = self.resources(sent);
                Audited::Sent(notification(sent, &resources))
            }
            Note::Shown(shown) => Audited::Shown {
                author: shown.author.as_str(),
                subscription: &shown.id,
                events: (shown.events.first, shown.events.last),
            },
        };
        render_line(version, recorded, what, lines);
    }

    /// Says in every trail that entries are missing.
    fn render_loss(&mut self, auditor: &Auditor, lines: &mut [Vec<u8>]) {
        let Some(since) = auditor.take_loss() else { return };
        let lost = auditor.lost.value();
        let entries = lost - std::mem::replace(&mut self.told, lost);
        let now = self.shared.clock.now();
        for version in FhirVersion::ALL {
            render_line(version, now, Audited::Loss { entries, since }, lines);
        }
    }

    /// What a notification told of, where it told anything.
    fn resources(&self, sent: &SentNote) -> Vec<String> {
        let Some(events) = sent.events.filter(|_| sent.content != PayloadContent::Empty) else {
            return Vec::new();
        };
        let limit = usize::try_from(events.count()).unwrap_or(usize::MAX);
        let found = self.shared.store.events(sent.key, events.first, events.last, limit);
        let told = found.and_then(|found| {
            found.iter().map(|event| self.focus(event.position)).collect::<Result<Vec<_>, _>>()
        });
        match told {
            Ok(told) => told.into_iter().flatten().collect(),
            Err(error) => {
                tracing::warn!(%error, "an audit entry does not tell which resources were sent");
                Vec::new()
            }
        }
    }

    /// What happened at a position of the log.
    fn focus(&self, position: Position) -> Result<Option<String>, store::Error> {
        let change = match self.shared.recent.get(position) {
            Some(change) => Some(change),
            None => self.shared.store.change(position)?.map(Arc::new),
        };
        let Some(change) = change else { return Ok(None) };
        if !is_occurrence(&change) {
            return Ok(Some(reference(&change.key, change.version)));
        }
        let occurrence = Occurrence::decode(change.key.base, &change.body);
        Ok(occurrence.map(|one| reference(&one.focus.key, one.focus.version)))
    }
}

fn reference(key: &ResourceKey, version: VersionId) -> String {
    format!("{}/{}/_history/{version}", key.resource_type, key.id)
}

fn notification<'e>(sent: &'e SentNote, resources: &'e [String]) -> SentNotification<'e> {
    SentNotification {
        subscription: &sent.id,
        owner: sent.owner.as_str(),
        notification_type: sent.notification_type,
        events: sent.events.map(|events| (events.first, events.last)),
        content: sent.content,
        resources,
        channel_type: &sent.channel_type,
        destination: &sent.destination,
        outcome: sent.outcome.as_str(),
        taken: sent.outcome == AttemptOutcome::Success,
    }
}

fn render_line(
    version: FhirVersion,
    recorded: jiff::Timestamp,
    what: Audited<'_>,
    lines: &mut [Vec<u8>],
) {
    let place = FhirVersion::ALL.iter().position(|one| *one == version);
    let Some(lines) = place.and_then(|place| lines.get_mut(place)) else { return };
    let id = Uuid::now_v7().to_string();
    Codec::of(version).render_audit_event(&AuditEntry { id: &id, recorded, what }, lines);
    lines.push(b'\n');
}

/// The status that a version of a Subscription says.
fn status_of(change: &Change) -> Option<String> {
    if change.interaction == Interaction::Delete {
        return None;
    }
    let value = json::parse(&change.body).ok()?;
    value.get("status").and_then(Value::as_str).map(str::to_owned)
}
