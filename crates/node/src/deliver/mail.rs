//! One attempt by mail: what is asked before it, and the mail itself.
//!
//! The handshake of a subscription by mail asks the owner of the mailbox to confirm it. The token of
//! its link is durable before the mail goes out, and that the relay has taken the mail is durable
//! before it counts, so a restart asks nobody twice and no link leads nowhere.

use std::time::Duration;

use bytes::Bytes;
use cresset_channel::{
    self as channel, Attachment, BodyKind, FailureKind, Mail, NoResponse, Recipient, Verdict,
};
use cresset_engine::AttemptKind;
use cresset_fhir::MailForm;
use cresset_model::{ClientName, PayloadContent};
use cresset_store::{Record, TokenRecord};
use jiff::Timestamp;
use url::Url;

use super::send::{Letter, Sender, Unsent};
use crate::bases::version_of;
use crate::email::{
    self, EmailConfig, asked_hash, confirmation_hash, new_token, recipient_hash, text,
};
use crate::email::{MailKind, Quota};
use crate::error::Error;
use crate::notify::{Origin, Overflow};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of a mail that are kept free of resources: headers, body, and what frames the resources.
const FRAME_BYTES: usize = 128 * 1024;

/// Everything that a mail of this attempt needs to know.
struct Mailing<'a> {
    config: &'a EmailConfig,
    letter: &'a Letter,
    recipient: Recipient,
    unsubscribe: Url,
    form: MailForm,
}

impl Sender {
    /// Sends it by mail.
    pub(super) async fn mail(&self, letter: &mut Letter) -> Result<channel::Outcome, Unsent> {
        let Some(config) = &self.shared.config.email else {
            return Err(Unsent::Refused("the channel email is not switched on here".to_owned()));
        };
        let addressee = letter.addressee.clone();
        let settings = &addressee.settings;
        let endpoint = settings.endpoint.as_deref().unwrap_or_default();
        let recipient =
            Recipient::parse(endpoint).map_err(|refusal| Unsent::Refused(refusal.to_string()))?;
        // The configuration may be another than when the subscription was accepted.
        if let Some(refusal) = config.domain_refusal(&recipient) {
            return Err(Unsent::Refused(refusal.to_owned()));
        }
        if settings.content == PayloadContent::FullResource && !config.allow_full_resource {
            return Err(Unsent::Refused("full-resource is not sent by mail here".to_owned()));
        }
        let unsubscribe = config.unsubscription_link(&letter.live, endpoint)?;
        let form = MailForm::of(settings.mime_type.as_ref());
        let mailing = Mailing { config, letter, recipient, unsubscribe, form };
        if config.confirm && letter.attempt.kind == AttemptKind::Handshake {
            let (outcome, until) = self.ask(&mailing, endpoint).await?;
            letter.confirm_by = Some(until);
            return Ok(outcome);
        }
        let (outcome, origin) = self.tell(&mailing).await?;
        letter.tells_of(origin);
        Ok(outcome)
    }

    /// Sends the notification; tells where what it tells of comes from, too.
    async fn tell(&self, mailing: &Mailing<'_>) -> Result<(channel::Outcome, Origin), Unsent> {
        let Mailing { config, letter, form, unsubscribe, .. } = mailing;
        // Base64 takes four bytes for three, and a line end for every 76.
        let within = (config.message_bytes_max.saturating_sub(FRAME_BYTES)) / 7 * 5;
        let mut room = self.room(letter).await?;
        let rendered = letter.render(&self.shared, Overflow::BareWithin(within)).await?;
        room.fit(rendered.bytes.len()).await?;
        let subject = email::subject_of(&letter.addressee.settings);
        let subject = subject.unwrap_or_else(|| text::subject(letter.record.notification_type));
        let is_attached = form.attachment.is_some();
        let told = rendered.told.as_ref();
        let told = told.ok_or_else(|| Error::internal("a mail from a template"))?;
        let body = text::notification(told, is_attached, unsubscribe, mailing.body());
        let attachment = mailing.attachment(rendered.bytes)?;
        let quota = Quota { count: config.mails_per_hour_max, period: HOUR };
        let mail = mailing.mail(self, subject.to_owned(), body, attachment);
        let outcome = self.within(MailKind::Notification, quota, mailing, &mail).await?;
        Ok((outcome, rendered.origin))
    }

    /// Asks the owner of the mailbox to confirm, unless that was done already; tells until when.
    async fn ask(
        &self,
        mailing: &Mailing<'_>,
        endpoint: &str,
    ) -> Result<(channel::Outcome, Timestamp), Unsent> {
        let Mailing { config, letter, .. } = mailing;
        let live = &letter.live;
        let (key, accepted) = (live.key, live.state().accepted());
        let asked = asked_hash(key, accepted, endpoint);
        let now = self.shared.clock.now();
        let found = self.shared.read(move |store| store.token(&asked)).await?;
        if let Some(found) = found.filter(|found| found.expires > now) {
            return Err(Unsent::Asked(found.expires));
        }
        let expires = now.checked_add(config.confirmation_lifetime).map_err(Error::internal)?;
        let record = |hash| {
            Record::Token(TokenRecord {
                hash,
                base: live.base,
                owner: ClientName::clone(&live.owner),
                expires,
                subscriptions: vec![key],
            })
        };
        let token = new_token()?;
        let link = config.confirmation_link(live, &token)?;
        let hash = confirmation_hash(key, accepted, endpoint, &token);
        self.writer.record(vec![record(hash)]).await?;
        let body = text::confirmation(&link, &mailing.unsubscribe, mailing.body());
        let mail = mailing.mail(self, text::CONFIRMATION_SUBJECT.to_owned(), body, None);
        let quota = Quota { count: config.confirmations_per_day_max, period: DAY };
        let outcome = self.within(MailKind::Confirmation, quota, mailing, &mail).await?;
        if outcome.is_success() {
            self.writer.record(vec![record(asked)]).await?;
        }
        Ok((outcome, expires))
    }

    /// Hands a mail to the relay if its mailbox has not had enough of them.
    async fn within(
        &self,
        kind: MailKind,
        quota: Quota,
        mailing: &Mailing<'_>,
        mail: &Mail,
    ) -> Result<channel::Outcome, Unsent> {
        let mailbox = recipient_hash(&mailing.config.link_key, mailing.recipient.as_str());
        let now = self.shared.clock.now();
        let taken = self.quotas.take(mailbox.clone(), kind, quota, now);
        taken.map_err(Unsent::Postponed)?;
        let outcome = mailing.config.relay.attempt(mail).await;
        if was_not_delivered(&outcome) {
            self.quotas.give_back(&mailbox, kind, quota);
        }
        Ok(outcome)
    }
}

impl Mailing<'_> {
    fn body(&self) -> BodyKind {
        if self.form.html { BodyKind::Html } else { BodyKind::Plain }
    }

    fn attachment(&self, bytes: Bytes) -> Result<Option<Attachment>, Error> {
        let version = version_of(self.letter.live.base)
            .ok_or_else(|| Error::internal("a base without a version"))?;
        Ok(self.form.attachment.as_ref().map(|mime_type| Attachment {
            file_name: format!(
                "notification.{}",
                self.letter.addressee.settings.format().file_ending()
            ),
            content_type: format!("{mime_type}; fhirVersion={}", version.mime()),
            bytes,
        }))
    }

    fn mail(
        &self,
        sender: &Sender,
        subject: String,
        body: String,
        attachment: Option<Attachment>,
    ) -> Mail {
        Mail {
            id: self.letter.message.id.clone(),
            to: self.recipient.clone(),
            subject,
            body_kind: self.body(),
            body,
            attachment,
            unsubscribe: Some(self.unsubscribe.clone()),
            date: sender.shared.clock.now(),
            bytes_max: self.config.message_bytes_max,
            deadline: self.letter.attempt.timeout,
        }
    }
}

/// Whether it is certain that a mail has not reached its mailbox.
fn was_not_delivered(outcome: &channel::Outcome) -> bool {
    match &outcome.verdict {
        Verdict::Published | Verdict::Success { .. } => false,
        Verdict::Failure(failure) => match failure.kind {
            FailureKind::NoResponse(NoResponse::Interrupted | NoResponse::Timeout) => false,
            FailureKind::Broker { .. }
            | FailureKind::DnsResolution
            | FailureKind::NoResponse(NoResponse::Connect | NoResponse::Tls)
            | FailureKind::NoRoom
            | FailureKind::Refused
            | FailureKind::RefusedAddress
            | FailureKind::Response { .. }
            | FailureKind::Smtp { .. } => true,
        },
    }
}
