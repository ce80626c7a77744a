//! Subscriptions as clients manage them: what is accepted, `$status`, `$events`, binding tokens.

use cresset_channel::{
    BrokerPolicy, EndpointPolicy, endpoint_refusal, is_local_endpoint, published_header_refusal,
};
use cresset_definitions::FhirVersion;
use cresset_fhir::{
    BindingTokenAnswer, Codec, MAIL_MIME_TYPE_DEFAULT, MIME_TYPE_DEFAULT, SubscriptionValues,
    render_token,
};
use cresset_model::{
    ChannelType, ClientName, EventNumber, Issue, IssueCode, Issues, Notification, NotificationType,
    PayloadContent, ResourceId, Subscription, SubscriptionStatus, is_criteria_topic,
};
use serde_json::Value;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

use crate::bases::base_of;
use crate::caller::{Caller, Right, least};
use crate::email;
use crate::error::{Error, Kind};
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::notify::{self, Overflow, Range, Read};
use crate::settings::{Common, Settings};
use crate::shared::{Shared, is_sent_to};
use crate::tokens;

/// Events that one `$events` answers at most; a client asks again from the next number.
pub const EVENTS_PER_ANSWER_MAX: u64 = 250;
/// Most subscriptions in one answer of `$status`.
pub const STATUSES_PER_ANSWER_MAX: usize = 10_000;

/// What `$events` was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventsQuery {
    /// `eventsSinceNumber`, inclusive.
    pub since: Option<EventNumber>,
    /// `eventsUntilNumber`, inclusive.
    pub until: Option<EventNumber>,
    /// `content`: a wish.
    pub content: Option<PayloadContent>,
}

/// Reads a Subscription and checks all that needs no catalog; the catalog is the writer's.
///
/// Gives the subscription as it will be honoured, and the values that the server chose otherwise
/// than asked (RQ-SB-14, RQ-SB-15, RQ-SB-27).
pub(crate) fn prepare(
    shared: &Shared,
    caller: &Caller,
    version: FhirVersion,
    value: &Value,
) -> Result<(Subscription, Option<SubscriptionValues<'static>>), Error> {
    let codec = Codec::of(version);
    let (mut subscription, mut issues) = match codec.parse_subscription(value) {
        Ok((subscription, issues)) => (subscription, issues),
        Err(issues) => return Err(Error::new(kind_of(&issues), issues)),
    };
    // Whoever changes it, it stays its owner's.
    let id = value.get("id").and_then(Value::as_str).and_then(|id| ResourceId::new(id).ok());
    let existing = id.and_then(|id| shared.live.find(base_of(version), &id));
    let existing = existing.filter(|existing| caller.sees(&existing.owner));
    let owner = existing.as_ref().map_or(caller.client(), |existing| &existing.owner);
    check_channel(shared, owner, &subscription, &mut issues);
    let issues = issues_in_wire_terms(codec, value, issues);
    if issues.has_errors() {
        return Err(Error::new(Kind::Unprocessable, issues));
    }
    let topic = &subscription.topic.url;
    let allowed = shared.rights.check_bounds(owner, topic, subscription.content);
    allowed.map_err(|issue| {
        Error::new(Kind::Forbidden, issues_in_wire_terms(codec, value, issue.into()))
    })?;
    let asked = (
        subscription.heartbeat_period,
        subscription.timeout,
        subscription.max_count,
        subscription.mime_type.clone(),
    );
    shared.bound(&mut subscription);
    let seconds = |period: Option<Duration>| period.and_then(|one| one.as_secs().try_into().ok());
    let mut chosen = SubscriptionValues::default();
    if subscription.heartbeat_period != asked.0 {
        chosen.heartbeat_period = seconds(subscription.heartbeat_period);
    }
    if subscription.timeout != asked.1 {
        chosen.timeout = seconds(subscription.timeout);
    }
    if subscription.max_count != asked.2 {
        chosen.max_count = subscription.max_count.map(NonZeroU32::get);
    }
    if version == FhirVersion::R5 {
        if value.get("contentType").is_none() {
            chosen.mime_type = Some(match subscription.channel_type {
                ChannelType::Email => MAIL_MIME_TYPE_DEFAULT,
                ChannelType::Custom(_)
                | ChannelType::Kafka
                | ChannelType::Message
                | ChannelType::Nats
                | ChannelType::RestHook
                | ChannelType::Websocket => MIME_TYPE_DEFAULT,
            });
        }
        if value.get("content").is_none() {
            chosen.content = Some(subscription.content);
        }
    }
    let changed = chosen != SubscriptionValues::default();
    Ok((subscription, changed.then_some(chosen)))
}

/// What cannot be read as a Subscription at all is malformed; what breaks a rule is not
/// processable.
fn kind_of(issues: &Issues) -> Kind {
    let malformed =
        |issue: &Issue| matches!(issue.code, IssueCode::NotJson | IssueCode::WrongResourceType);
    if issues.0.iter().any(malformed) { Kind::Malformed } else { Kind::Unprocessable }
}

fn check_channel(
    shared: &Shared,
    owner: &ClientName,
    subscription: &Subscription,
    issues: &mut Issues,
) {
    if matches!(subscription.channel_type, ChannelType::Kafka | ChannelType::Nats) {
        match shared.brokers.policy(&subscription.channel_type) {
            Some(policy) => check_publishing(policy, owner, subscription, issues),
            None => {
                let code = subscription.channel_type.code();
                let text = format!("the operator has configured no broker for the channel {code}");
                let issue = Issue::error(IssueCode::ChannelNotConfigured, text);
                issues.push(issue.at("Subscription.channelType"));
            }
        }
        return;
    }
    let served = shared.channels();
    let is_custom = matches!(subscription.channel_type, ChannelType::Custom(_));
    if is_custom || !served.contains(&subscription.channel_type.code()) {
        let text = format!(
            "the channel '{}' is not switched on here; these are: {}",
            subscription.channel_type.code(),
            served.join(", ")
        );
        let issue = Issue::error(IssueCode::UnknownChannelType, text);
        issues.push(issue.at("Subscription.channelType"));
    }
    if !is_sent_to(&subscription.channel_type) {
        return;
    }
    let policy = &shared.config.subscriptions.endpoints;
    let Some(endpoint) = &subscription.endpoint else {
        let text = "a subscription of this channel needs an endpoint";
        let issue = Issue::error(IssueCode::MissingElement, text);
        issues.push(issue.at("Subscription.endpoint"));
        return;
    };
    if subscription.channel_type == ChannelType::Email {
        if let Some(config) = &shared.config.email {
            email::check(config, subscription, issues);
        }
        return;
    }
    let Ok(url) = Url::parse(endpoint) else { return };
    if let Some(refusal) = endpoint_refusal(&url, policy) {
        let issue = Issue::error(IssueCode::EndpointRefused, refusal.to_string());
        issues.push(issue.at("Subscription.endpoint"));
    } else if is_in_the_clear(policy, subscription.content, &url) {
        let issue = Issue::error(IssueCode::EndpointRefused, IN_THE_CLEAR);
        issues.push(issue.at("Subscription.content"));
    }
}

/// Why [`is_in_the_clear`] refuses.
pub(crate) const IN_THE_CLEAR: &str = "full-resource is sent over https only";

/// Whether whole resources would go to an endpoint without TLS, other than one on this machine or in a
/// private network where the operator allows those: that is for trying things out with receivers of
/// one's own. Asked again before each attempt: the policy may have changed.
pub(crate) fn is_in_the_clear(policy: &EndpointPolicy, content: PayloadContent, url: &Url) -> bool {
    let is_ones_own = policy.addresses.allow_local && is_local_endpoint(url);
    content == PayloadContent::FullResource && url.scheme() == "http" && !is_ones_own
}

/// Whether a subscription may have its notifications published where and as it asks.
fn check_publishing(
    policy: &BrokerPolicy,
    owner: &ClientName,
    subscription: &Subscription,
    issues: &mut Issues,
) {
    let endpoint = subscription.endpoint.as_deref();
    if let Err(refusal) = policy.destination(owner.as_str(), endpoint) {
        let issue = Issue::error(IssueCode::EndpointRefused, refusal.to_string());
        issues.push(issue.at("Subscription.endpoint"));
    }
    if subscription.content == PayloadContent::FullResource && !policy.confidential {
        let text =
            "full-resource is published over TLS only, and this broker is configured without";
        let issue = Issue::error(IssueCode::EndpointRefused, text);
        issues.push(issue.at("Subscription.content"));
    }
    for (index, header) in subscription.headers.iter().enumerate() {
        let twice = subscription.headers[..index]
            .iter()
            .any(|other| other.name.eq_ignore_ascii_case(&header.name));
        let text = if twice {
            "a header of a message can have one value only".to_owned()
        } else if let Some(refusal) = published_header_refusal(&header.name, &header.value) {
            refusal.to_string()
        } else {
            continue;
        };
        let issue = Issue::error(IssueCode::HeaderRefused, text);
        issues.push(issue.at(format!("Subscription.parameter[{index}]")));
    }
}

/// The status a subscription has once its client's wish is accepted (RQ section 3.3).
///
/// Only the server makes a subscription active. A websocket needs no handshake for that; an
/// active rest-hook subscription stays so when nothing that a handshake proves was changed.
///
/// `before` is the status of the one that exists, if there is one.
pub(crate) fn effective_status(
    asked: &Subscription,
    existing: Option<&LiveSubscription>,
    before: Option<SubscriptionStatus>,
) -> SubscriptionStatus {
    match asked.status {
        SubscriptionStatus::EnteredInError | SubscriptionStatus::Off => return asked.status,
        SubscriptionStatus::Active | SubscriptionStatus::Error | SubscriptionStatus::Requested => {}
    }
    // The base specification knows no handshake; a mailbox is asked nevertheless.
    let is_trusted =
        is_criteria_topic(&asked.topic.url) && asked.channel_type == ChannelType::RestHook;
    if asked.channel_type == ChannelType::Websocket || is_trusted {
        return SubscriptionStatus::Active;
    }
    let stays = asked.status == SubscriptionStatus::Active
        && before == Some(SubscriptionStatus::Active)
        && existing.is_some_and(|existing| proven(&existing.state().settings, asked));
    if stays { SubscriptionStatus::Active } else { SubscriptionStatus::Requested }
}

/// Whether the handshake that made `before` active proves `after` too (RQ-SB-25).
fn proven(before: &Settings, after: &Subscription) -> bool {
    before.channel_type == after.channel_type
        && before.endpoint.as_deref() == after.endpoint.as_deref()
        && before.headers == after.headers
        && before.mime_type == after.mime_type
        && before.content == after.content
        && before.topic == after.topic
}

/// The engine's issues speak of R5 elements; the client's Subscription has those of its version.
pub(crate) fn issues_in_wire_terms(codec: &Codec, value: &Value, issues: Issues) -> Issues {
    let translated = issues.0.into_iter().map(|issue| Issue {
        expression: issue.expression.map(|path| codec.subscription_path(value, &path)),
        ..issue
    });
    Issues(translated.collect())
}

impl Node {
    /// The subscription with this id, if the caller may know of it.
    pub(crate) fn subscription(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
    ) -> Result<Arc<LiveSubscription>, Error> {
        caller.require(Right::Subscribe)?;
        let live = self.shared.live.find(base_of(version), id);
        live.filter(|live| caller.sees(&live.owner))
            .ok_or_else(|| Error::not_found(format!("Subscription/{id}")))
    }

    /// `$status` of one subscription: a searchset (RQ-OP-04, RQ-OP-05).
    ///
    /// # Errors
    /// `NotFound` if there is none that the caller may know of.
    pub fn subscription_status(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
        self_url: &str,
    ) -> Result<Vec<u8>, Error> {
        let live = self.subscription(caller, version, id)?;
        let status = self.status_of(version, &live);
        Ok(Codec::of(version).render_status_searchset(&[status], self_url))
    }

    /// `$status` of those of the caller's subscriptions that are named, or have one of these
    /// statuses (RQ section 7.1); unknown ids are left out (RQ-OP-07).
    ///
    /// # Errors
    /// `TooCostly` for more than [`STATUSES_PER_ANSWER_MAX`].
    pub fn subscription_statuses(
        &self,
        caller: &Caller,
        version: FhirVersion,
        ids: &[ResourceId],
        statuses: &[SubscriptionStatus],
        self_url: &str,
    ) -> Result<Vec<u8>, Error> {
        caller.require(Right::Subscribe)?;
        let base = base_of(version);
        let candidates = if ids.is_empty() {
            self.shared.live.of_base(base)
        } else {
            let mut named: Vec<_> =
                ids.iter().filter_map(|id| self.shared.live.find(base, id)).collect();
            named.sort_unstable_by_key(|live| live.key);
            named.dedup_by_key(|live| live.key);
            named
        };
        let wanted: Vec<_> = candidates
            .iter()
            .filter(|live| caller.sees(&live.owner))
            .filter(|live| statuses.is_empty() || statuses.contains(&live.state().status))
            .take(STATUSES_PER_ANSWER_MAX + 1)
            .collect();
        if wanted.len() > STATUSES_PER_ANSWER_MAX {
            let text = format!(
                "there are more than {STATUSES_PER_ANSWER_MAX} subscriptions to tell of: name their ids, or a status"
            );
            return Err(Error::of(Kind::TooCostly, IssueCode::InvalidParameter, text));
        }
        let found: Vec<Notification> =
            wanted.into_iter().map(|live| self.status_of(version, live)).collect();
        Ok(Codec::of(version).render_status_searchset(&found, self_url))
    }

    fn status_of(&self, version: FhirVersion, live: &LiveSubscription) -> Notification {
        let kind = NotificationType::QueryStatus;
        let settings = live.state().settings.common().clone();
        notify::notification(&self.shared, live, &settings, version, kind, Read::default())
    }

    /// `$events`: events of a subscription again, as a notification bundle (RQ section 7.2).
    ///
    /// Gives at most [`EVENTS_PER_ANSWER_MAX`], oldest first; what retention has forgotten is
    /// left out. Without any event in the range the answer is of type `query-status` (RQ-OP-25).
    /// Takes no event number and changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such subscription; `Forbidden` if its owner may not have it any more
    /// (RQ-SS-03); `Unprocessable` if the bounds are the wrong way round.
    pub async fn subscription_events(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
        query: EventsQuery,
    ) -> Result<Vec<u8>, Error> {
        let live = self.subscription(caller, version, id)?;
        let (newest, settings) = {
            let state = live.state();
            (EventNumber::new(state.last), state.settings.common().clone())
        };
        let granted = settings.content;
        if !caller.is_admin() {
            let topic = &settings.topic.url;
            let allowed = self.shared.rights.check_bounds(&live.owner, topic, granted);
            allowed.map_err(|issue| Error::new(Kind::Forbidden, Issues::from(issue)))?;
        }
        if let (Some(since), Some(until)) = (query.since, query.until)
            && since > until
        {
            let text = "eventsSinceNumber is above eventsUntilNumber";
            return Err(Error::of(Kind::Unprocessable, IssueCode::InvalidParameter, text));
        }
        let content = capped(query.content, granted);
        let range = match newest {
            Some(newest) => self.range_in(&live, query, newest).await?,
            None => None,
        };
        // Until all of it is written down.
        let (turn, read) = match range {
            Some(range) => {
                let turn = self.shared.catch_up.turn(range).await;
                let how = (Overflow::Bare, true);
                let read = notify::read_events(&self.shared, &live, range, content, how);
                (turn, read.await?)
            }
            None => (None, Read::default()),
        };
        // Here, since it takes the subscription's lock, which a thread that others go before must not have.
        let answer = query_event(&self.shared, &live, &settings, version, read);
        let answer = Notification { content, ..answer };
        let render = move || {
            let mut bytes = Vec::new();
            Codec::of(version).render_notification(&answer, &mut bytes);
            Ok(bytes)
        };
        match turn {
            // A long page would keep a thread of the runtime from everybody else's requests.
            Some(_turn) => self.shared.work_apart(render).await,
            None => render(),
        }
    }

    /// The events that are asked for, as far as they fit one answer.
    async fn range_in(
        &self,
        live: &LiveSubscription,
        query: EventsQuery,
        newest: EventNumber,
    ) -> Result<Option<Range>, Error> {
        let oldest = self.oldest_event(live).await?.unwrap_or(newest);
        let first = query.since.map_or(oldest, |since| since.max(oldest));
        let bound = first.get().saturating_add(EVENTS_PER_ANSWER_MAX - 1);
        let bound = EventNumber::new(bound).unwrap_or(newest);
        let last = query.until.unwrap_or(newest).min(newest).min(bound);
        Ok((first <= last).then_some(Range { first, last }))
    }

    async fn oldest_event(&self, live: &LiveSubscription) -> Result<Option<EventNumber>, Error> {
        let key = live.key;
        let record = self.shared.read(move |store| store.subscription(key)).await?;
        Ok(record.and_then(|record| record.oldest))
    }

    /// `$get-ws-binding-token` (RQ section 7.3): for these subscriptions, or for all websocket
    /// subscriptions of the caller if none is named.
    ///
    /// # Errors
    /// `NotFound` for a subscription the caller may not know of, `Unprocessable` for one of
    /// another channel. One bad id fails all (RQ-OP-43).
    pub async fn binding_token(
        &self,
        caller: &Caller,
        version: FhirVersion,
        ids: &[ResourceId],
    ) -> Result<Vec<u8>, Error> {
        caller.require(Right::Subscribe)?;
        let base = base_of(version);
        let issued = tokens::issue(&self.shared, &self.writer, caller, base, ids).await?;
        Ok(render_token(&BindingTokenAnswer {
            token: &issued.token,
            expiration: issued.expires,
            subscriptions: &issued.subscriptions,
            websocket_url: &self.websocket_url(version),
        }))
    }

    /// Where the sockets of a version are opened.
    pub(crate) fn websocket_url(&self, version: FhirVersion) -> String {
        let base = &self.shared.config.base_url;
        let base = match base.strip_prefix("http") {
            Some(rest) => format!("ws{rest}"),
            None => base.clone(),
        };
        format!("{base}/{}/ws", version.path())
    }
}

/// The answer of `$events`.
fn query_event(
    shared: &Shared,
    live: &LiveSubscription,
    settings: &Common,
    version: FhirVersion,
    read: Read,
) -> Notification {
    // A query-event must have events (sst-1 of R5); without any it is a query-status.
    let kind = match read.events.is_empty() {
        true => NotificationType::QueryStatus,
        false => NotificationType::QueryEvent,
    };
    notify::notification(shared, live, settings, version, kind, read)
}

/// The content level asked for, but never above what the subscription was granted (RQ-OP-24).
fn capped(asked: Option<PayloadContent>, granted: PayloadContent) -> PayloadContent {
    asked.map_or(granted, |asked| least(asked, granted))
}

#[cfg(test)]
mod tests;
