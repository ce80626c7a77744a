//! The delivery loop: carries out what the `Delivery` machines of rest-hook subscriptions decide.
//!
//! One task owns all machines and one heap of deadlines. A subscription that waits, for its next
//! heartbeat or a retry, is an entry in the heap, not a task (I6). Attempts run as tasks, at most
//! `concurrency_max` at a time; those beyond wait their turn in the order they fell due.
//!
//! Hints tell which subscription to look at; what is new is read from the live table (I8).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cresset_channel::{self as channel, FailureKind, RestHook, Verdict};
use cresset_engine::{
    Attempt, AttemptId, AttemptKind, Delivery, DeliverySettings, DeliveryState, Effect, Input,
    JITTER_MIDDLE, Outcome, RetryPolicy,
};
use cresset_fhir::MIME_TYPE_DEFAULT;
use cresset_model::{
    ChannelType, NotificationType, SubscriptionError, SubscriptionErrorCode, SubscriptionKey,
    SubscriptionStatus,
};
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use url::Url;

use crate::draft::is_counted;
use crate::error::Error;
use crate::intent::{Job, StatusChange};
use crate::live::{LiveSubscription, State};
use crate::notify::{self, Overflow, Range};
use crate::shared::Shared;
use crate::writer::WriterHandle;

/// How far in the future the loop looks at most before it looks at its heap again.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The machine of one subscription, and what it was last told.
struct Slot {
    live: Arc<LiveSubscription>,
    machine: Delivery,
    /// The client's changes that the machine knows of.
    revision: u64,
    /// The deadline that stands in the heap for it; others are out of date.
    deadline: Option<Timestamp>,
    /// The attempt that follows a change of status, until that change is durable: what is sent
    /// after a handshake says `active` (RQ-ER-12), and a restart would not find it `requested`.
    held: Option<Attempt>,
    /// The status that the machine asked for last and that is not durable yet.
    asked: Option<SubscriptionStatus>,
}

/// How an attempt ended.
struct Ended {
    key: SubscriptionKey,
    id: AttemptId,
    outcome: Outcome,
}

/// The loop and all that it owns.
pub(crate) struct DeliveryLoop {
    shared: Arc<Shared>,
    writer: WriterHandle,
    rest_hook: Arc<RestHook>,
    retry: Arc<RetryPolicy>,
    slots: FxHashMap<SubscriptionKey, Slot>,
    heap: BinaryHeap<Reverse<(Timestamp, SubscriptionKey)>>,
    /// Ends of subscriptions of other channels that stand in the heap.
    ends: FxHashMap<SubscriptionKey, Timestamp>,
    /// Subscriptions to look at, each once, in the order they fell due.
    due: VecDeque<SubscriptionKey>,
    is_due: FxHashSet<SubscriptionKey>,
    /// Attempts that follow one that ended.
    ready: VecDeque<(SubscriptionKey, Attempt)>,
    running: JoinSet<Ended>,
    statuses: VecDeque<StatusChange>,
}

impl DeliveryLoop {
    pub(crate) fn new(shared: Arc<Shared>, writer: WriterHandle, rest_hook: Arc<RestHook>) -> Self {
        let retry = Arc::new(shared.config.delivery.retry.clone());
        Self {
            shared,
            writer,
            rest_hook,
            retry,
            slots: FxHashMap::default(),
            heap: BinaryHeap::new(),
            ends: FxHashMap::default(),
            due: VecDeque::new(),
            is_due: FxHashSet::default(),
            ready: VecDeque::new(),
            running: JoinSet::new(),
            statuses: VecDeque::new(),
        }
    }

    /// Works until told to stop, then waits for the attempts in flight and records how they ended.
    ///
    /// What is not sent by then is sent after the next start: the log has it.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        for live in self.shared.live.all() {
            self.enqueue(live.key);
        }
        let (shared, writer) = (self.shared.clone(), self.writer.clone());
        while !*stop.borrow() {
            self.start();
            let wait = self.until_next_deadline();
            tokio::select! {
                () = shared.delivery.wait() => {
                    for key in shared.delivery.take() {
                        self.enqueue(key);
                    }
                }
                Some(ended) = self.running.join_next() => self.attempt_ended(ended),
                permit = writer.reserve(), if !self.statuses.is_empty() => {
                    if let (Ok(permit), Some(change)) = (permit, self.statuses.pop_front()) {
                        permit.send(Job::Status(change));
                    }
                }
                () = tokio::time::sleep(wait) => self.enqueue_deadlines(),
                _ = stop.changed() => {}
            }
        }
        while let Some(ended) = self.running.join_next().await {
            self.attempt_ended(ended);
        }
        for change in self.statuses {
            if writer.send(Job::Status(change)).await.is_err() {
                break;
            }
        }
    }

    fn enqueue(&mut self, key: SubscriptionKey) {
        if self.is_due.insert(key) {
            self.due.push_back(key);
        }
    }

    fn until_next_deadline(&self) -> Duration {
        let Some(Reverse((at, _))) = self.heap.peek() else { return SLEEP_MAX };
        let wait = at.duration_since(self.shared.clock.now());
        Duration::try_from(wait).unwrap_or(Duration::ZERO).min(SLEEP_MAX)
    }

    fn enqueue_deadlines(&mut self) {
        let now = self.shared.clock.now();
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if at > now {
                break;
            }
            self.heap.pop();
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.deadline = slot.deadline.filter(|deadline| *deadline != at);
            }
            self.enqueue(key);
        }
    }

    /// Starts what is due while there is room: what waits in the queue and what follows an ended
    /// attempt in turn, so that a busy subscription does not keep the others out.
    fn start(&mut self) {
        while self.running.len() < self.shared.config.delivery.concurrency_max.get() {
            let looked = match self.due.pop_front() {
                Some(key) => {
                    self.is_due.remove(&key);
                    self.look_at(key);
                    true
                }
                None => false,
            };
            match self.ready.pop_front() {
                Some((key, attempt)) => self.spawn(key, attempt),
                None if looked => {}
                None => break,
            }
        }
    }

    /// Tells a machine what is new about its subscription, and carries out what it decides.
    fn look_at(&mut self, key: SubscriptionKey) {
        let now = self.shared.clock.now();
        let Some(live) = self.shared.live.get(key) else {
            self.slots.remove(&key);
            self.ends.remove(&key);
            return;
        };
        let (channel, settings, revision, found) = {
            let state = live.state();
            let channel = state.settings.channel_type.clone();
            let State { status, cursor, last, since, .. } = *state;
            let found = DeliveryState { status, cursor, last, since };
            (channel, self.delivery_settings(&state), state.revision, found)
        };
        let DeliveryState { status, last, .. } = found;
        if channel != ChannelType::RestHook {
            self.slots.remove(&key);
            self.observe_end(&live, &settings, now);
            return;
        }
        let mut effects = Vec::new();
        let slot = self.slots.entry(key).or_insert_with(|| Slot {
            machine: Delivery::new(settings.clone(), found, now),
            live,
            revision,
            deadline: None,
            held: None,
            asked: None,
        });
        if slot.asked == Some(status) {
            slot.asked = None;
        }
        // The client changed it, or the writer did: the topic may be gone.
        let by_others = slot.asked.is_none() && status != slot.machine.status();
        if slot.revision != revision || by_others {
            slot.revision = revision;
            slot.asked = None;
            slot.machine.handle(Input::Updated { settings, status }, now, &mut effects);
            if let Some(attempt) = slot.held.take() {
                let outcome = retry(None, "the subscription was changed before", None);
                let input = Input::AttemptEnded { id: attempt.id, outcome, jitter: JITTER_MIDDLE };
                slot.machine.handle(input, now, &mut effects);
            }
        }
        if status == slot.machine.status() {
            self.ready.extend(slot.held.take().map(|attempt| (key, attempt)));
        }
        slot.machine.handle(Input::Appended { last }, now, &mut effects);
        self.carry_out(key, effects);
    }

    /// Switches a subscription of another channel off when its `end` has come (RQ-SB-12).
    fn observe_end(
        &mut self,
        live: &LiveSubscription,
        settings: &DeliverySettings,
        now: Timestamp,
    ) {
        let Some(end) = settings.end else { return };
        let (status, revision) = {
            let state = live.state();
            (state.status, state.revision)
        };
        if !is_counted(status) {
            return;
        }
        if end > now {
            if self.ends.insert(live.key, end) != Some(end) {
                self.heap.push(Reverse((end, live.key)));
            }
            return;
        }
        self.ends.remove(&live.key);
        self.statuses.push_back(StatusChange {
            subscription: live.key,
            revision,
            to: SubscriptionStatus::Off,
            error: None,
            supersedes: false,
        });
    }

    fn delivery_settings(&self, state: &State) -> DeliverySettings {
        DeliverySettings {
            heartbeat_period: state.settings.heartbeat_period,
            timeout: state.settings.timeout,
            max_count: state.settings.max_count,
            end: DeliverySettings::end_in_force(state.settings.end, state.accepted),
            policy: self.retry.clone(),
        }
    }

    fn attempt_ended(&mut self, ended: Result<Ended, JoinError>) {
        let Ok(Ended { key, id, outcome }) = ended else {
            // The machine counts the attempt as lost when its deadline has passed.
            tracing::error!("an attempt panicked");
            return;
        };
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let jitter = jitter();
        let mut effects = Vec::new();
        let input = Input::AttemptEnded { id, outcome, jitter };
        slot.machine.handle(input, self.shared.clock.now(), &mut effects);
        self.carry_out(key, effects);
    }

    fn carry_out(&mut self, key: SubscriptionKey, effects: Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        for effect in effects {
            match effect {
                Effect::Attempt(attempt) => {
                    if slot.live.state().status == slot.machine.status() {
                        self.ready.push_back((key, attempt));
                    } else {
                        slot.held = Some(attempt);
                    }
                }
                Effect::MoveCursor(number) => {
                    slot.live.state().move_cursor(number);
                    self.shared.cursors.note(key, number);
                }
                Effect::SetStatus { status, error } => {
                    slot.asked = Some(status);
                    self.statuses.push_back(StatusChange {
                        subscription: key,
                        revision: slot.revision,
                        to: status,
                        error,
                        supersedes: false,
                    });
                }
            }
        }
        let deadline = slot.machine.next_deadline();
        if let Some(at) = deadline
            && slot.deadline.is_none_or(|known| at < known)
        {
            slot.deadline = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    fn spawn(&mut self, key: SubscriptionKey, attempt: Attempt) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if !slot.machine.is_awaited(attempt.id) {
            return;
        }
        let started = Input::AttemptStarted { id: attempt.id };
        let mut effects = Vec::new();
        slot.machine.handle(started, self.shared.clock.now(), &mut effects);
        let (shared, rest_hook) = (self.shared.clone(), self.rest_hook.clone());
        let (live, status) = (slot.live.clone(), slot.machine.status());
        self.running.spawn(async move {
            let outcome = send(&shared, &rest_hook, &live, attempt, status).await;
            Ended { key, id: attempt.id, outcome }
        });
        self.carry_out(key, effects);
    }
}

/// Builds and sends one notification.
async fn send(
    shared: &Arc<Shared>,
    rest_hook: &RestHook,
    live: &LiveSubscription,
    attempt: Attempt,
    status: SubscriptionStatus,
) -> Outcome {
    let (notification_type, range) = match attempt.kind {
        AttemptKind::Events { first, last } => {
            let events = (Range { first, last }, Overflow::Bare);
            (NotificationType::EventNotification, Some(events))
        }
        AttemptKind::Handshake => (NotificationType::Handshake, None),
        AttemptKind::Heartbeat => (NotificationType::Heartbeat, None),
    };
    let body = notify::render(shared, live, notification_type, range, Some(status)).await;
    let request = body
        .and_then(|body| body.map(|body| request(shared, live, body.bytes, attempt)).transpose());
    let request = match request {
        Ok(Some(request)) => request,
        // There is nothing left to send.
        Ok(None) => return Outcome::Success,
        Err(error) => {
            tracing::error!(subscription.id = %live.id, %error, "a notification was not built");
            return retry(None, "the notification could not be built", None);
        }
    };
    let outcome = rest_hook.attempt(request).await;
    tracing::debug!(
        subscription.id = %live.id,
        attempt.id = %attempt.id,
        notification.r#type = notification_type.code(),
        duration = ?outcome.duration,
        success = outcome.is_success(),
        "attempt"
    );
    judge(&outcome)
}

fn request(
    shared: &Shared,
    live: &LiveSubscription,
    body: Bytes,
    attempt: Attempt,
) -> Result<channel::Request, Error> {
    let settings = live.state().settings.clone();
    let endpoint = settings.endpoint.as_deref().unwrap_or_default();
    Ok(channel::Request {
        endpoint: Url::parse(endpoint).map_err(Error::internal)?,
        content_type: settings
            .mime_type
            .as_ref()
            .map_or(MIME_TYPE_DEFAULT, |mime_type| mime_type.as_str())
            .to_owned(),
        headers: settings
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        body,
        deadline: attempt.timeout,
        now: shared.clock.now(),
    })
}

/// What an attempt's outcome means for the subscription (RQ-CH-26, RQ-ER-05).
fn judge(outcome: &channel::Outcome) -> Outcome {
    let failure = match &outcome.verdict {
        Verdict::Success { .. } => return Outcome::Success,
        Verdict::Failure(failure) => failure,
    };
    match failure.kind {
        FailureKind::DnsResolution => {
            retry(Some(SubscriptionErrorCode::DnsResolutionError), &failure.detail, None)
        }
        FailureKind::NoResponse(_) => {
            retry(Some(SubscriptionErrorCode::NoResponse), &failure.detail, None)
        }
        FailureKind::Refused => Outcome::Refused { reason: reason(None, &failure.detail) },
        FailureKind::Response { status: 410, .. } => {
            let code = Some(SubscriptionErrorCode::ErrorResponse);
            Outcome::Gone { reason: reason(code, "HTTP status 410") }
        }
        FailureKind::Response { status, .. } if is_rejection(status) => {
            let code = Some(SubscriptionErrorCode::ErrorResponse);
            Outcome::Rejected { reason: reason(code, &format!("HTTP status {status}")) }
        }
        FailureKind::Response { status, retry_after } => retry(
            Some(SubscriptionErrorCode::ErrorResponse),
            &format!("HTTP status {status}"),
            retry_after,
        ),
    }
}

/// Whether a status says that the request is wrong, rather than that its time is (too early, too
/// slow, too many).
fn is_rejection(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 425 | 429)
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

/// A draw for the machine; without randomness all retries simply come when the schedule says.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(JITTER_MIDDLE)
}
