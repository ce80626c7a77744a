//! One attempt: the notification built, sent, judged and recorded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cresset_channel::{
    self as channel, FailureKind, Method, Recipient, RestHook, SmtpSubject, Verdict,
};
use cresset_engine::{Attempt, AttemptKind, Health, OUTCOME_GRACE, Outcome};
use cresset_fhir::{Codec, Format, MessageFrame};
use cresset_model::{
    ChannelType, NotificationType, PayloadContent, SubscriptionError, SubscriptionErrorCode,
    SubscriptionStatus, TraceContext,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use crate::attempts::{AttemptOutcome, AttemptRecord, without_secrets};
use crate::bases::version_of;
use crate::deliver::Start;
use crate::deliver::addressee::Addressee;
use crate::deliver::room::{Held, NoRoom, Room, Taker};
use crate::email::Quotas;
use crate::error::Error;
use crate::live::LiveSubscription;
use crate::notify::{self, CONTENT_BYTES_MAX, Dialect, Origin, Overflow, Range, Rendered};
use crate::observe::Told;
use crate::random::random;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::spans::Begun;
use crate::subscriptions::{IN_THE_CLEAR, is_in_the_clear};
use crate::writer::WriterHandle;

/// Parts of an endpoint's path from which on they may be a secret rather than a word.
const PATH_SECRET_LENGTH_MIN: usize = 16;

/// Why an attempt has failed of which nothing is known.
const LOST: &str = "the outcome of the attempt was lost";

/// The operation that takes messages.
const PROCESS_MESSAGE: &str = "/$process-message";

mod classic;
mod publish;

use publish::Outgoing;

/// What came of an attempt.
pub(crate) struct Sent {
    /// For the machine of the subscription.
    pub(super) outcome: Outcome,
    /// For the breaker of the host.
    pub(super) health: Health,
}

impl Sent {
    /// What came of an attempt of which nothing is known.
    pub(super) fn lost() -> Self {
        let outcome = retry(Some(SubscriptionErrorCode::NoResponse), LOST, None);
        Self { outcome, health: Health::Unknown }
    }

    /// The same of one that panicked, with the record that it left none of.
    pub(super) fn panicked(
        shared: &Shared,
        live: &LiveSubscription,
        attempt: Attempt,
        at: Timestamp,
    ) -> Self {
        tracing::error!(subscription.id = %live.id, attempt.id = %attempt.id, "an attempt panicked");
        let mut record = record_of(attempt, at);
        record.outcome = AttemptOutcome::NoResponse;
        record.detail = Some(LOST.to_owned());
        let channel_type = live.state().settings.channel_type.clone();
        if let Some(counters) = shared.counters.channel(&channel_type) {
            counters.attempted(record.notification_type, record.outcome);
        }
        shared.attempts.record(live.key, record);
        Self::lost()
    }
}

/// One attempt: what is to be sent, and the record of how that went.
pub(crate) struct Letter {
    pub(super) live: Arc<LiveSubscription>,
    pub(super) addressee: Arc<Addressee>,
    pub(super) attempt: Attempt,
    range: Option<Range>,
    status: SubscriptionStatus,
    pub(super) message: Message,
    pub(super) record: AttemptRecord,
    begun: Begun,
    origin: Origin,
    /// Until when the receiver has to confirm it once it is taken, if it has to.
    pub(super) confirm_by: Option<Timestamp>,
    /// Its place is one of those for hosts in trouble.
    suspect: bool,
}

/// What attempts share.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: WriterHandle,
    pub(super) quotas: Quotas,
    rest_hook: Arc<RestHook>,
    room: Arc<Room>,
}

/// Why nothing was sent.
pub(crate) enum Unsent {
    /// The receiver was asked to confirm before, and has until then.
    Asked(Timestamp),
    /// The client has changed the subscription since the attempt began.
    Changed,
    /// Something is wrong here.
    Failed(Error),
    /// It took too long, and is given up; whether it was sent is not known.
    Lost,
    /// Too many bytes are in flight.
    NoRoom,
    /// There is nothing left to send.
    Nothing,
    /// The receiver was sent enough, until then.
    Postponed(Timestamp),
    /// It may not be sent.
    Refused(String),
}

impl From<NoRoom> for Unsent {
    fn from(NoRoom: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, writer: WriterHandle, rest_hook: Arc<RestHook>) -> Self {
        let room = Room::new(shared.config.delivery.bytes_in_flight_max.get());
        Self { shared, writer, quotas: Quotas::default(), rest_hook, room }
    }

    /// Builds and sends one notification.
    ///
    /// It has ended by [`OUTCOME_GRACE`] after its timeout, whatever it waits for: the next attempt
    /// of its subscription begins only then (I4), and its place is free again (I6).
    pub(super) async fn send(&self, start: Start) -> Sent {
        let mut letter = Letter::new(&self.shared, start);
        let time_max = letter.attempt.timeout.saturating_add(OUTCOME_GRACE);
        let ended = timeout(time_max, self.attempt(&mut letter)).await;
        letter.ended(&self.shared, ended.unwrap_or(Err(Unsent::Lost)))
    }

    async fn attempt(&self, letter: &mut Letter) -> Result<channel::Outcome, Unsent> {
        match letter.addressee.settings.channel_type {
            ChannelType::Email => self.mail(letter).await,
            ChannelType::Custom(_)
            | ChannelType::Kafka
            | ChannelType::Message
            | ChannelType::Nats
            | ChannelType::RestHook
            | ChannelType::Websocket => self.post(letter).await,
        }
    }

    /// Sends it by HTTP or to a broker.
    async fn post(&self, letter: &mut Letter) -> Result<channel::Outcome, Unsent> {
        let mut room = self.room(letter).await?;
        let outgoing = letter.outgoing(&self.shared).await?;
        room.fit(outgoing.body_bytes()).await?;
        Ok(outgoing.attempt(&self.rest_hook).await)
    }

    /// Room to build the notification in.
    pub(super) async fn room(&self, letter: &Letter) -> Result<Held, NoRoom> {
        let bytes_max = match letter.addressee.settings.content {
            PayloadContent::FullResource => CONTENT_BYTES_MAX,
            PayloadContent::Empty | PayloadContent::IdOnly => 0,
        };
        let taker = Taker { host: letter.addressee.host.clone(), suspect: letter.suspect };
        self.room.take(taker, bytes_max).await
    }
}

impl Letter {
    /// Takes on an attempt that begins now.
    pub(crate) fn new(shared: &Shared, start: Start) -> Self {
        let Start { live, addressee, attempt, status, nonce, suspect, run: _ } = start;
        let record = record_of(attempt, shared.clock.now());
        let range = record.events.map(|(first, last)| Range { first, last });
        let message = Message::new(&shared.config.base_url, &live, attempt, nonce);
        let (begun, origin, confirm_by) = (Begun::now(), Origin::default(), None);
        Self {
            live,
            addressee,
            attempt,
            range,
            status,
            message,
            record,
            begun,
            origin,
            confirm_by,
            suspect,
        }
    }

    /// Builds what is to be sent by HTTP.
    #[cfg(feature = "stepped")]
    pub(crate) async fn request(
        &mut self,
        shared: &Arc<Shared>,
    ) -> Result<channel::Request, Unsent> {
        if self.addressee.settings.is_classic() {
            return self.classic(shared).await;
        }
        let body = self.body(shared).await?;
        self.addressed(shared, body)
    }

    /// Builds what is to be sent, for the channel that it is sent over.
    async fn outgoing(&mut self, shared: &Arc<Shared>) -> Result<Outgoing, Unsent> {
        if self.addressee.settings.is_classic() {
            return Ok(Outgoing::Http(Box::new(self.classic(shared).await?)));
        }
        let body = self.body(shared).await?;
        Ok(match self.addressee.settings.channel_type {
            ChannelType::Kafka | ChannelType::Nats => self.published(shared, body)?,
            ChannelType::Custom(_)
            | ChannelType::Email
            | ChannelType::Message
            | ChannelType::RestHook
            | ChannelType::Websocket => Outgoing::Http(Box::new(self.addressed(shared, body)?)),
        })
    }

    /// Builds the notification.
    pub(super) async fn render(
        &self,
        shared: &Arc<Shared>,
        overflow: Overflow,
    ) -> Result<Rendered, Unsent> {
        let (live, kind) = (&self.live, self.record.notification_type);
        let events = self.range.map(|range| (range, overflow));
        let wanted = (kind, Dialect::Fhir);
        let built = notify::render(shared, live, wanted, events, Some(self.status)).await?;
        // What is built reads what the client asks for now, and goes where it asked for then.
        let state = live.state();
        if state.gone || !self.addressee.is_of(&state) {
            return Err(Unsent::Changed);
        }
        drop(state);
        built.ok_or(Unsent::Nothing)
    }

    /// Notes where what it tells of comes from, with whose trace it goes on.
    pub(super) fn tells_of(&mut self, origin: Origin) {
        self.message.trace = origin.trace.or(self.message.trace);
        self.origin = origin;
    }

    /// The notification, with whose trace it goes on.
    async fn body(&mut self, shared: &Arc<Shared>) -> Result<Bytes, Unsent> {
        let rendered = self.render(shared, Overflow::Bare).await?;
        self.tells_of(rendered.origin);
        Ok(rendered.bytes)
    }

    /// Writes down what came of it, and tells what it means.
    pub(crate) fn ended(
        mut self,
        shared: &Shared,
        ended: Result<channel::Outcome, Unsent>,
    ) -> Sent {
        let sent = match ended {
            Ok(outcome) => {
                note(&mut self.record, &outcome, &self.addressee.settings);
                let sent = judge(&outcome);
                match (&sent.outcome, self.confirm_by) {
                    (Outcome::Success, Some(until)) => {
                        Sent { outcome: Outcome::AwaitsConfirmation { until }, ..sent }
                    }
                    _ => sent,
                }
            }
            Err(Unsent::Asked(until)) => {
                let outcome = Outcome::AwaitsConfirmation { until };
                return Sent { outcome, health: Health::Unknown };
            }
            Err(Unsent::Changed) => {
                self.record.detail = Some("the subscription was changed meanwhile".to_owned());
                Sent { outcome: Outcome::Unsent, health: Health::Unknown }
            }
            Err(Unsent::Nothing) => {
                return Sent { outcome: Outcome::Forgotten, health: Health::Unknown };
            }
            Err(Unsent::Postponed(until)) => {
                let text = "the receiver has been sent enough for now";
                self.record.detail = Some(text.to_owned());
                Sent { outcome: Outcome::Postponed { until }, health: Health::Unknown }
            }
            Err(Unsent::Refused(text)) => {
                self.record.outcome = AttemptOutcome::Refused;
                let outcome = Outcome::Refused { reason: reason(None, &text) };
                self.record.detail = Some(text);
                Sent { outcome, health: Health::Unknown }
            }
            Err(Unsent::NoRoom) => {
                self.record.detail = Some("too many bytes are under way".to_owned());
                Sent { outcome: Outcome::Unsent, health: Health::Unknown }
            }
            Err(Unsent::Lost) => {
                self.record.detail = Some(LOST.to_owned());
                self.record.duration = self.begun.elapsed();
                self.record.outcome = AttemptOutcome::NoResponse;
                Sent::lost()
            }
            Err(Unsent::Failed(error)) => {
                let id = &self.live.id;
                tracing::error!(subscription.id = %id, %error, "a notification was not built");
                self.record.detail = Some("the notification could not be built".to_owned());
                let outcome = retry(None, "the notification could not be built", None);
                Sent { outcome, health: Health::Unknown }
            }
        };
        tracing::debug!(
            subscription.id = %self.live.id,
            attempt.id = %self.attempt.id,
            notification.r#type = self.record.notification_type.code(),
            duration = ?self.record.duration,
            outcome = self.record.outcome.as_str(),
            message.id = self.message.id,
            trace.id = self.message.trace.as_ref().map(TraceContext::trace_id),
            "attempt"
        );
        self.observe(shared);
        shared.attempts.record(self.live.key, self.record);
        sent
    }

    fn observe(&self, shared: &Shared) {
        let AttemptRecord { notification_type, outcome, http_status, duration, .. } = self.record;
        shared.observe(&Told {
            live: &self.live,
            channel_type: &self.addressee.settings.channel_type,
            notification_type,
            events: self.range,
            origin: self.origin,
            outcome,
            http_status,
            begun: Some(self.begun),
            ended: shared.clock.now(),
            destination: Some(&self.addressee.host),
            duration: (outcome != AttemptOutcome::Unsent).then_some(duration),
            context: self.message.context(),
        });
    }

    fn addressed(&self, shared: &Shared, body: Bytes) -> Result<channel::Request, Unsent> {
        let settings = &self.addressee.settings;
        let endpoint = self.addressee.endpoint.clone();
        let endpoint = endpoint.ok_or_else(|| Error::internal("an endpoint that is no URL"))?;
        let (endpoint, body) = match settings.channel_type {
            ChannelType::Message => {
                let written = settings.endpoint.as_deref().unwrap_or_default();
                (message_endpoint(endpoint), self.framed(shared, written, &body)?)
            }
            ChannelType::Custom(_)
            | ChannelType::Email
            | ChannelType::Kafka
            | ChannelType::Nats
            | ChannelType::RestHook
            | ChannelType::Websocket => (endpoint, body),
        };
        self.request_to(shared, endpoint, body)
    }

    /// The request, if the endpoint may be sent this.
    fn request_to(
        &self,
        shared: &Shared,
        endpoint: Url,
        body: Bytes,
    ) -> Result<channel::Request, Unsent> {
        let settings = &self.addressee.settings;
        let policy = &shared.config.subscriptions.endpoints;
        if is_in_the_clear(policy, settings.content, &endpoint) {
            return Err(Unsent::Refused(IN_THE_CLEAR.to_owned()));
        }
        let headers = settings.headers.iter();
        Ok(channel::Request {
            method: Method::Post,
            endpoint,
            content_type: Some(self.content_type()),
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
            body,
            deadline: self.attempt.timeout,
            now: shared.clock.now(),
            message_id: self.message.id.clone(),
            traceparent: match shared.config.delivery.traceparent {
                true => self.message.traceparent(),
                false => None,
            },
        })
    }

    /// The notification as the content of a FHIR message (RQ-CH-81).
    fn framed(&self, shared: &Shared, endpoint: &str, notification: &[u8]) -> Result<Bytes, Error> {
        let version = version_of(self.live.base)
            .ok_or_else(|| Error::internal("a base without a version"))?;
        let event = &shared.config.delivery.message_event;
        let mut bytes = Vec::with_capacity(notification.len() + 1024);
        let frame = MessageFrame {
            id: &self.message.uuid.to_string(),
            timestamp: shared.clock.now(),
            event: (&event.system, &event.code),
            source: &shared.base_url(version),
            destination: endpoint,
        };
        let codec = Codec::of(version);
        codec.render_message(&frame, notification, &mut bytes);
        Ok(Bytes::from(match self.addressee.settings.format() {
            Format::Json => bytes,
            Format::Xml => codec.xml_of_json(&bytes).map_err(Error::internal)?,
        }))
    }
}

/// What tells one message from others.
pub(super) struct Message {
    pub(super) id: String,
    uuid: Uuid,
    /// That of the write that made the first event, where it named one; else the message's own.
    trace: Option<TraceContext>,
    /// That of this attempt in it.
    span: [u8; 8],
}

/// The record of an attempt that begins.
fn record_of(attempt: Attempt, at: Timestamp) -> AttemptRecord {
    let (notification_type, events) = match attempt.kind {
        AttemptKind::Events { first, last } => {
            (NotificationType::EventNotification, Some((first, last)))
        }
        AttemptKind::Handshake => (NotificationType::Handshake, None),
        AttemptKind::Heartbeat => (NotificationType::Heartbeat, None),
    };
    AttemptRecord {
        at,
        duration: Duration::ZERO,
        notification_type,
        events,
        outcome: AttemptOutcome::Unsent,
        http_status: None,
        smtp_code: None,
        detail: None,
        response: None,
    }
}

impl Message {
    /// What tells this message from others, whichever attempt brings it: a receiver that got it
    /// twice can know (RQ-ER-15).
    fn new(base_url: &str, live: &LiveSubscription, attempt: Attempt, nonce: Uuid) -> Self {
        // Hashed, since positions tell how busy the server is.
        let hash: [u8; 32] = match attempt.kind {
            AttemptKind::Events { first, last } if attempt.resends => {
                hash(format_args!("{base_url} {} {first}-{last} {nonce}", live.key))
            }
            AttemptKind::Events { first, last } => {
                hash(format_args!("{base_url} {} {first}-{last}", live.key))
            }
            AttemptKind::Handshake | AttemptKind::Heartbeat => {
                hash(format_args!("{base_url} {} {nonce}", live.key))
            }
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        let uuid = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        let mut trace = [0; 16];
        trace.copy_from_slice(&hash[16..]);
        // Nothing is sampled here; whoever made the write may have decided otherwise.
        let trace = TraceContext::new(trace, [1; 8], 0);
        // Without randomness all attempts are one span.
        let span = random().unwrap_or([1; 8]);
        Self { id: format!("msg_{}", uuid.simple()), trace, uuid, span }
    }

    /// W3C trace context: one trace for all attempts, one span for each.
    fn context(&self) -> Option<TraceContext> {
        Some(self.trace?.with_span(self.span))
    }

    /// The same, as a header.
    fn traceparent(&self) -> Option<String> {
        self.context().map(|context| context.to_string())
    }
}

/// The hash of a text, without writing it down first.
fn hash(text: fmt::Arguments<'_>) -> [u8; 32] {
    struct Hasher(Sha256);

    impl fmt::Write for Hasher {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0.update(part);
            Ok(())
        }
    }

    let mut hasher = Hasher(Sha256::new());
    // Neither the hasher fails nor what is written.
    let _written = fmt::Write::write_fmt(&mut hasher, text);
    hasher.0.finalize().into()
}

/// Where messages for this endpoint are posted: the operation on the base, or the endpoint itself
/// where it names the operation already (RQ-CH-80).
fn message_endpoint(mut endpoint: Url) -> Url {
    let path = endpoint.path().trim_end_matches('/');
    if !path.ends_with(PROCESS_MESSAGE) {
        let path = format!("{path}{PROCESS_MESSAGE}");
        endpoint.set_path(&path);
    }
    endpoint
}

/// Writes down how an attempt went.
///
/// The answer of an endpoint that was sent whole resources is left out: it may repeat them.
fn note(record: &mut AttemptRecord, outcome: &channel::Outcome, settings: &Settings) {
    record.duration = outcome.duration;
    let is_mail = settings.channel_type == ChannelType::Email;
    match &outcome.verdict {
        Verdict::Published => record.outcome = AttemptOutcome::Success,
        Verdict::Success { status } => {
            record.outcome = AttemptOutcome::Success;
            let answered = if is_mail { &mut record.smtp_code } else { &mut record.http_status };
            *answered = Some(*status);
        }
        Verdict::Failure(failure) => {
            record.detail = Some(failure.detail.clone());
            record.outcome = match failure.kind {
                FailureKind::Broker { .. } => AttemptOutcome::ErrorResponse,
                FailureKind::DnsResolution => AttemptOutcome::DnsResolution,
                FailureKind::NoResponse(_) => AttemptOutcome::NoResponse,
                FailureKind::NoRoom => AttemptOutcome::Unsent,
                FailureKind::Refused | FailureKind::RefusedAddress => AttemptOutcome::Refused,
                FailureKind::Response { status, .. } => {
                    record.http_status = Some(status);
                    AttemptOutcome::ErrorResponse
                }
                FailureKind::Smtp { code, .. } => {
                    record.smtp_code = Some(code);
                    AttemptOutcome::ErrorResponse
                }
            };
        }
    }
    if settings.content != PayloadContent::FullResource {
        let endpoint = settings.endpoint.as_deref().unwrap_or_default();
        let mailbox = is_mail.then(|| Recipient::parse(endpoint).ok()).flatten();
        let headers = settings.headers.iter().map(|header| header.value.as_str());
        let mailbox = mailbox.as_ref().map(Recipient::as_str);
        let secrets = headers.chain(secrets_in(endpoint)).chain(mailbox);
        let text = outcome.text.as_ref();
        record.response = text.map(|text| without_secrets(text.as_str(), secrets));
    }
}

/// What of an endpoint may be a secret: its query, and the parts of its path that are no words.
fn secrets_in(endpoint: &str) -> impl Iterator<Item = &str> {
    let (path, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    // Scheme and host are before the third slash.
    let parts = path.split('/').skip(3);
    parts.filter(|part| part.len() >= PATH_SECRET_LENGTH_MIN).chain([query])
}

/// What an attempt's outcome means for the subscription (RQ-CH-26, RQ-ER-05) and for its host.
fn judge(outcome: &channel::Outcome) -> Sent {
    let failure = match &outcome.verdict {
        Verdict::Published | Verdict::Success { .. } => {
            return Sent { outcome: Outcome::Success, health: Health::Good };
        }
        Verdict::Failure(failure) => failure,
    };
    let error = Some(SubscriptionErrorCode::ErrorResponse);
    let (outcome, health) = match failure.kind {
        FailureKind::Broker { lasting: true } => {
            (Outcome::Rejected { reason: reason(error, &failure.detail) }, Health::Good)
        }
        FailureKind::Broker { lasting: false } => {
            (retry(error, &failure.detail, None), Health::Good)
        }
        FailureKind::DnsResolution => {
            let code = Some(SubscriptionErrorCode::DnsResolutionError);
            (retry(code, &failure.detail, None), Health::Bad)
        }
        FailureKind::NoResponse(_) => {
            (retry(Some(SubscriptionErrorCode::NoResponse), &failure.detail, None), Health::Bad)
        }
        FailureKind::NoRoom => (Outcome::Unsent, Health::Unknown),
        // Names are moved and their servers err: the next answer may be another.
        FailureKind::RefusedAddress => (retry(None, &failure.detail, None), Health::Unknown),
        FailureKind::Refused => {
            (Outcome::Refused { reason: reason(None, &failure.detail) }, Health::Unknown)
        }
        FailureKind::Smtp { code, subject } => judge_smtp(code, subject, &failure.detail),
        FailureKind::Response { status: 410, .. } => {
            (Outcome::Gone { reason: reason(error, "HTTP status 410") }, Health::Good)
        }
        FailureKind::Response { status, retry_after } => {
            let text = format!("HTTP status {status}");
            if is_rejection(status) {
                (Outcome::Rejected { reason: reason(error, &text) }, Health::Good)
            } else {
                let health = if is_overload(status) { Health::Bad } else { Health::Good };
                (retry(error, &text, retry_after), health)
            }
        }
    };
    Sent { outcome, health }
}

/// What a relay's answer means: what it says of the mailbox or the mail is the subscription's affair;
/// what it says of this server is its operator's, whatever the code.
fn judge_smtp(code: u16, subject: SmtpSubject, detail: &str) -> (Outcome, Health) {
    let error = Some(SubscriptionErrorCode::ErrorResponse);
    let for_good = (500..600).contains(&code);
    match subject {
        SmtpSubject::Session => (retry(error, detail, None), Health::Bad),
        SmtpSubject::Mailbox if for_good => {
            (Outcome::Gone { reason: reason(error, detail) }, Health::Good)
        }
        SmtpSubject::Message | SmtpSubject::Recipient if for_good => {
            (Outcome::Rejected { reason: reason(error, detail) }, Health::Good)
        }
        SmtpSubject::Mailbox | SmtpSubject::Message | SmtpSubject::Recipient => {
            (retry(error, detail, None), Health::Good)
        }
    }
}

/// Whether a status says that the request is wrong, rather than that its time is (too early, too
/// slow, too many), or is that of a proxy which does not let this server through.
fn is_rejection(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 407 | 408 | 425 | 429)
}

/// Whether a status says that the host cannot keep up, or was not reached behind its gateway or the
/// proxy.
fn is_overload(status: u16) -> bool {
    matches!(status, 407 | 429 | 502 | 503 | 504)
}

fn retry(
    code: Option<SubscriptionErrorCode>,
    text: &str,
    retry_after: Option<Duration>,
) -> Outcome {
    Outcome::Retry { reason: reason(code, text), retry_after }
}

fn reason(code: Option<SubscriptionErrorCode>, text: &str) -> SubscriptionError {
    SubscriptionError { code, text: text.to_owned() }
}

#[cfg(test)]
mod tests;
