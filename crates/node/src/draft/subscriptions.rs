//! Subscriptions that clients write: what is compiled, what is refused, what begins.

use std::sync::Arc;

use bytes::Bytes;
use cresset_engine::CompiledSubscription;
use cresset_model::{
    Base, Change, ClientName, EventNumber, Interaction, IssueCode, Issues, ResourceKey,
    Subscription, SubscriptionKey, SubscriptionStatus, VersionId,
};
use cresset_store::{Record, SubscriptionLife};
use serde_json::Value;

use super::{Author, Draft, LiveEffect, codec_of, is_counted};
use crate::caller::check_may_ask;
use crate::error::{Error, Kind};
use crate::live::LiveSubscription;
use crate::settings::Settings;
use crate::shared::is_sent_to;
use crate::subscriptions::{effective_status, issues_in_wire_terms};

impl Draft<'_> {
    /// Decides a subscription that a client writes.
    pub(super) fn put_subscription(
        &mut self,
        key: &ResourceKey,
        author: Author<'_>,
        (version, interaction): (VersionId, Interaction),
        (bytes, value): (&Bytes, &Value),
        mut asked: Subscription,
    ) -> Result<(Arc<Change>, Issues), Error> {
        let codec = codec_of(key.base)?;
        let existing = self.subscription_at(key);
        let compiled =
            self.compile_subscription(key.base, author, existing.as_deref(), (value, &asked))?;
        let before = existing.as_deref().map(|existing| self.status_at(existing));
        asked.status = effective_status(&asked, existing.as_deref(), before);
        let bytes = codec.with_subscription_status(bytes, asked.status, None);
        let mut ignored = Value::Null;
        let bytes = self.stamp(key, version, &Bytes::from(bytes), &mut ignored)?;
        let position = self.next_position();
        let life =
            existing.is_none().then(|| SubscriptionLife::Begins { owner: author.name.clone() });
        let subscription =
            existing.as_ref().map_or(SubscriptionKey::created_at(position), |one| one.key);
        self.uncount(key.base, subscription);
        // The same text as the topic's own, so that all subscriptions share it.
        asked.topic.url = compiled.topic().canonical().url.clone();
        if is_counted(asked.status) {
            self.catalog_mut(key.base)?.insert_subscription(subscription, compiled);
        }
        let status = asked.status;
        let settings = self.settings.share(asked);
        match existing {
            Some(existing) => {
                let record = Record::Error { subscription: existing.key, error: None };
                self.group.records.push(record);
                self.leave_missed(&existing, before, &settings, status);
                self.effects.push(LiveEffect::Settings(existing.key, settings, status, self.now));
            }
            None => {
                self.check_room(author.name)?;
                let live = Arc::new(LiveSubscription::new(
                    subscription,
                    (key.base, key.id.clone()),
                    self.live.owner(author.name),
                    (settings, status),
                    self.now,
                ));
                self.begun.insert((key.base, key.id.clone()), live.clone());
                self.effects.push(LiveEffect::Begin(live));
            }
        }
        let change = self.change(key, version, interaction, author.name, bytes);
        Ok((self.push(change, Vec::new(), life), Issues::default()))
    }

    /// Records that what was not sent of a subscription stays missed, where its client takes it up again
    /// (RQ-ER-10): with the change itself, so that no crash has it sent after all. What a websocket has
    /// not had, it gets when its client binds again.
    fn leave_missed(
        &mut self,
        existing: &LiveSubscription,
        before: Option<SubscriptionStatus>,
        settings: &Settings,
        status: SubscriptionStatus,
    ) {
        let policy = &self.shared.config.delivery.retry;
        let leaves = before.is_some_and(|before| policy.leaves_missed(before, status));
        if !leaves || !is_sent_to(&settings.channel_type) {
            return;
        }
        let entries = self.group.entries.iter();
        let here = entries.filter(|entry| entry.events.contains(&existing.key)).count();
        let last = existing.state().last + u64::try_from(here).unwrap_or(u64::MAX);
        if let Some(number) = EventNumber::new(last) {
            self.group.records.push(Record::Cursor { subscription: existing.key, number });
            self.effects.push(LiveEffect::Missed(existing.key, number));
        }
    }

    /// The status of a subscription at this point of the group.
    fn status_at(&self, live: &LiveSubscription) -> SubscriptionStatus {
        let changed = self.effects.iter().rev().find_map(|effect| match effect {
            LiveEffect::Settings(key, _, status, _) if *key == live.key => Some(*status),
            LiveEffect::Status(change) if change.subscription == live.key => Some(change.to),
            LiveEffect::Begin(_)
            | LiveEffect::Bound(_)
            | LiveEffect::End(_)
            | LiveEffect::Missed(..)
            | LiveEffect::Problem(..)
            | LiveEffect::Settings(..)
            | LiveEffect::Status(_)
            | LiveEffect::Topics(_)
            | LiveEffect::TriggerProblem(..) => None,
        });
        changed.unwrap_or_else(|| live.state().status)
    }

    /// Compiles a subscription, and refuses what its owner may not ask, or what nobody could answer.
    fn compile_subscription(
        &mut self,
        base: Base,
        author: Author<'_>,
        existing: Option<&LiveSubscription>,
        (value, asked): (&Value, &Subscription),
    ) -> Result<CompiledSubscription, Error> {
        let codec = codec_of(base)?;
        let refused = |kind, issues| Error::new(kind, issues_in_wire_terms(codec, value, issues));
        let catalog = self.catalog(base)?;
        let compiled = match existing {
            // A topic that is retired keeps the subscriptions it has (RQ-TP-09).
            Some(existing) if existing.state().settings.topic == asked.topic => {
                catalog.recompile_subscription(asked)
            }
            Some(_) | None => catalog.compile_subscription(asked),
        };
        let compiled = compiled.map_err(|issues| refused(Kind::Unprocessable, issues))?;
        // Before anything is looked up, since already a refusal would tell of it. An admin that
        // changes what is somebody else's asks in the name of its owner.
        let rights = &self.shared.rights;
        let owner = existing.map_or(author.name, |existing| existing.owner.as_ref());
        check_may_ask(author.may_read, &compiled)
            .and_then(|()| rights.check(owner, &compiled, asked.content))
            .map_err(|issue| refused(Kind::Forbidden, issue.into()))?;
        self.check_answerable(base, &compiled)
            .map_err(|issue| refused(Kind::Unprocessable, issue.into()))?;
        Ok(compiled)
    }

    /// Refuses a subscription beyond those one client may have (RQ-SS-14).
    fn check_room(&self, owner: &ClientName) -> Result<(), Error> {
        let begun = self.begun.values().filter(|one| *one.owner == *owner).count();
        let max = self.limits.subscriptions_per_client_max;
        if self.live.count_of(owner) + begun < max {
            return Ok(());
        }
        let text = format!("a client may have at most {max} subscriptions");
        Err(Error::of(Kind::Throttled, IssueCode::Throttled, text))
    }
}
