//! The channel `email`: who may be written to, and what people do with the links in their mails.
//!
//! A mail goes to somebody who may never have asked for it, so nothing is sent for a subscription
//! until the owner of the mailbox has confirmed it (RQ-CH-65), and every mail has a link that ends it
//! (RFC 8058). Reading a link changes nothing, since programs that check mails follow links; only a
//! POST does.
//!
//! `email/links.rs` makes the links and their tokens, `email/quota.rs` bounds what one mailbox gets,
//! `email/text.rs` is what people read. What is sent when is the delivery loop's: `deliver/mail.rs`.

use cresset_channel::{Email, MAIL_SUBJECT_LENGTH_MAX, Recipient};
use cresset_definitions::FhirVersion;
use cresset_model::{
    ChannelType, Issue, IssueCode, Issues, PayloadContent, ResourceId, Subscription,
    SubscriptionError, SubscriptionStatus,
};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::bases::base_of;
use crate::error::Error;
use crate::intent::{Job, StatusChange};
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::settings::Settings;

mod links;
mod quota;
pub(crate) mod text;

pub use links::LinkKey;
pub(crate) use links::{asked_hash, confirmation_hash, new_token, recipient_hash};
pub(crate) use quota::{MailKind, Quota, Quotas};

/// The header (R4, R4B) or parameter (R5) that sets the subject line (RQ-CH-66).
const SUBJECT: &str = "subject";
/// What a subscription says whose receiver does not want it.
const UNSUBSCRIBED: &str = "the receiver of the mails has ended the subscription";

/// Mails.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// The relay.
    pub relay: Email,
    /// Where the links in mails lead, without a slash at the end.
    pub link_base_url: String,
    /// What links are signed with.
    pub link_key: LinkKey,
    /// Whether the owner of a mailbox must confirm before anything is sent.
    pub confirm: bool,
    /// How long the link to do so can be used.
    pub confirmation_lifetime: Duration,
    /// Most bytes of one mail.
    pub message_bytes_max: usize,
    /// Whether resources may go by mail (RQ-SS-05).
    pub allow_full_resource: bool,
    /// Domains that may be written to, with those below them; all if there are none.
    pub allow_domains: Vec<String>,
    /// Domains that may not, with those below them.
    pub deny_domains: Vec<String>,
    /// Most mails to one mailbox in an hour.
    pub mails_per_hour_max: NonZeroU32,
    /// Most of them in a day that ask for confirmation.
    pub confirmations_per_day_max: NonZeroU32,
    /// Shortest heartbeat period.
    pub heartbeat_min: Duration,
}

impl EmailConfig {
    /// Why a mailbox may not be written to.
    pub(crate) fn domain_refusal(&self, recipient: &Recipient) -> Option<&'static str> {
        let domain = recipient.domain();
        let is_in = |parents: &[String]| {
            parents.iter().any(|parent| {
                domain
                    .strip_suffix(parent.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        };
        let refused = is_in(&self.deny_domains)
            || !(self.allow_domains.is_empty() || is_in(&self.allow_domains));
        refused.then_some("mails to this domain are not allowed here")
    }
}

/// Finds what speaks against a subscription by mail (RQ-CH-64).
pub(crate) fn check(config: &EmailConfig, subscription: &Subscription, issues: &mut Issues) {
    let refused = |code, text: String, at: &str| Issue::error(code, text).at(at.to_owned());
    let endpoint = subscription.endpoint.as_deref().unwrap_or_default();
    let why_not = match Recipient::parse(endpoint) {
        Ok(recipient) => config.domain_refusal(&recipient).map(str::to_owned),
        Err(refusal) => Some(refusal.to_string()),
    };
    if let Some(text) = why_not {
        issues.push(refused(IssueCode::EndpointRefused, text, "Subscription.endpoint"));
    }
    if subscription.content == PayloadContent::FullResource && !config.allow_full_resource {
        let text = "full-resource is not sent by mail here; use id-only or empty".to_owned();
        issues.push(refused(IssueCode::EndpointRefused, text, "Subscription.content"));
    }
    let mut subjects = 0;
    for (index, header) in subscription.headers.iter().enumerate() {
        let is_subject = header.name.eq_ignore_ascii_case(SUBJECT);
        subjects += usize::from(is_subject);
        let text = if !is_subject {
            "of a mail, only the Subject can be set".to_owned()
        } else if subjects > 1 {
            "a mail has one Subject".to_owned()
        } else if header.value.chars().count() > MAIL_SUBJECT_LENGTH_MAX {
            format!("a Subject has at most {MAIL_SUBJECT_LENGTH_MAX} characters")
        } else {
            continue;
        };
        let at = format!("Subscription.parameter[{index}]");
        issues.push(refused(IssueCode::HeaderRefused, text, &at));
    }
}

/// The subject line that the subscriber asked for.
pub(crate) fn subject_of(settings: &Settings) -> Option<&str> {
    let mut headers = settings.headers.iter();
    let header = headers.find(|header| header.name.eq_ignore_ascii_case(SUBJECT))?;
    Some(header.value.as_str()).filter(|subject| !subject.is_empty())
}

/// What a link in a mail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailLink {
    /// The owner of the mailbox wants the notifications.
    Confirm,
    /// The owner wants them no more.
    Unsubscribe,
}

/// What can be done with a link, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailLinkState {
    /// It was followed already, or needs not be any more.
    Done,
    /// It is no link of this server, or has expired, or the subscription has changed since.
    Invalid,
    /// It can be followed.
    Open,
}

/// What a link was found to be, and what it was judged by.
struct Resolved {
    live: Arc<LiveSubscription>,
    settings: Settings,
    /// That of the settings: the only one that the link may decide about.
    revision: u32,
    state: MailLinkState,
}

impl Node {
    /// What a link can be used for now. Changes nothing.
    ///
    /// Whoever has the link was sent the mail, so there is no caller.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn mail_link(
        &self,
        link: MailLink,
        version: FhirVersion,
        id: &str,
        token: &str,
    ) -> Result<MailLinkState, Error> {
        let found = self.resolved(link, version, id, token).await?;
        Ok(found.map_or(MailLinkState::Invalid, |found| found.state))
    }

    /// Does what a link is for: makes a subscription `active`, or `off`; durable when this returns.
    ///
    /// The state is that after it: `Done` if it worked or had worked before, `Invalid` also if the
    /// client changed the subscription meanwhile, perhaps to another address, whose owner was not
    /// asked (RQ-CH-65).
    ///
    /// # Errors
    /// What the store answers.
    pub async fn follow_mail_link(
        &self,
        link: MailLink,
        version: FhirVersion,
        id: &str,
        token: &str,
    ) -> Result<MailLinkState, Error> {
        let found = self.resolved(link, version, id, token).await?;
        let Some(Resolved { live, settings, revision, state }) = found else {
            return Ok(MailLinkState::Invalid);
        };
        if state != MailLinkState::Open {
            return Ok(state);
        }
        let (to, error) = match link {
            MailLink::Confirm => (SubscriptionStatus::Active, None),
            MailLink::Unsubscribe => {
                let text = UNSUBSCRIBED.to_owned();
                (SubscriptionStatus::Off, Some(SubscriptionError { code: None, text }))
            }
        };
        // What the delivery loop decided before it hears of this is out of date.
        let supersedes = true;
        let change = StatusChange { subscription: live.key, revision, to, error, supersedes };
        self.writer.send(Job::Status(change)).await?;
        // Behind the change in the writer's queue: when this is done, so is that.
        self.writer.record(Vec::new()).await?;
        if let Some(config) = &self.shared.config.email {
            let endpoint = settings.endpoint.as_deref().unwrap_or_default();
            tracing::info!(
                subscription.id = %live.id,
                recipient.hash = recipient_hash(&config.link_key, endpoint),
                to = to.code(),
                "a receiver of mails has decided"
            );
        }
        Ok(match live.state().status == to {
            true => MailLinkState::Done,
            // The client changed the subscription in the same moment.
            false => MailLinkState::Invalid,
        })
    }

    /// What a link is, or none where it is for no subscription by mail.
    async fn resolved(
        &self,
        link: MailLink,
        version: FhirVersion,
        id: &str,
        token: &str,
    ) -> Result<Option<Resolved>, Error> {
        let Some(config) = &self.shared.config.email else { return Ok(None) };
        let Ok(id) = ResourceId::new(id) else { return Ok(None) };
        let Some(live) = self.shared.live.find(base_of(version), &id) else { return Ok(None) };
        let (settings, status, accepted, revision) = {
            let state = live.state();
            (state.settings.clone(), state.status, state.accepted(), state.revision)
        };
        if settings.channel_type != ChannelType::Email || token.len() != links::TOKEN_LENGTH {
            return Ok(None);
        }
        let endpoint = settings.endpoint.as_deref().unwrap_or_default();
        let state = match link {
            MailLink::Confirm => {
                let hash = confirmation_hash(live.key, accepted, endpoint, token);
                let record = self.shared.read(move |store| store.token(&hash)).await?;
                let record = record.filter(|record| record.expires > self.shared.clock.now());
                match (record, status) {
                    (None, _) => MailLinkState::Invalid,
                    (Some(_), SubscriptionStatus::Requested) => MailLinkState::Open,
                    (Some(_), SubscriptionStatus::Active) => MailLinkState::Done,
                    (
                        Some(_),
                        SubscriptionStatus::EnteredInError
                        | SubscriptionStatus::Error
                        | SubscriptionStatus::Off,
                    ) => MailLinkState::Invalid,
                }
            }
            MailLink::Unsubscribe => {
                match (config.link_key.is_unsubscription(&live, endpoint, token), status) {
                    (false, _) => MailLinkState::Invalid,
                    (true, SubscriptionStatus::EnteredInError | SubscriptionStatus::Off) => {
                        MailLinkState::Done
                    }
                    (
                        true,
                        SubscriptionStatus::Active
                        | SubscriptionStatus::Error
                        | SubscriptionStatus::Requested,
                    ) => MailLinkState::Open,
                }
            }
        };
        Ok(Some(Resolved { live, settings, revision, state }))
    }
}

#[cfg(test)]
pub(crate) mod tests;
