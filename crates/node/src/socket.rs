//! One websocket of a subscriber: binding by token, frames out of the log (RQ section 5.3).
//!
//! A socket is a set of cursors; what is not yet sent stays in the log, so a slow reader costs no
//! memory. The `Bindings` machine decides, this carries out. Whoever owns the connection calls
//! [`Socket::next`] for what to write, [`Socket::written`] when it was written, and
//! [`Socket::receive`] for each text frame of the client.
//!
//! `socket/command.rs` is what clients say; `socket/classic.rs` what R4's base specification has
//! instead of tokens and notifications.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_engine::{BindingSettings, Bindings, Bound, FrameIntent, FrameKind, TokenId};
use cresset_model::{ChannelType, IssueCode, NotificationType, SubscriptionKey};
use cresset_store::crash_point;
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::attempts::AttemptOutcome;
use crate::caller::{Caller, TokenHash};
use crate::clock::Watch;
use crate::error::{Error, Kind};
use crate::hint::Hints;
use crate::live::LiveSubscription;
use crate::notify::{self, Dialect, Origin, Overflow, Range};
use crate::observe::Told;
use crate::shared::Shared;
use crate::spans::Begun;
use crate::timer::Timer;
use crate::tokens;

mod classic;
mod command;

use command::Command;

/// What answers Medplum's ping.
const PONG: &[u8] = br#"{"type":"pong"}"#;

/// How often every binding is looked at, whatever the hints say.
const SWEEP_PERIOD: Duration = Duration::from_secs(5 * 60);

/// What to do with the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketOutput {
    /// Close it with this code and text.
    Close {
        /// Websocket close code.
        code: u16,
        /// Reason for the client.
        reason: String,
    },
    /// Write this as one text frame, then call [`Socket::written`].
    Frame(Bytes),
}

/// One websocket.
pub struct Socket {
    shared: Arc<Shared>,
    bindings: Bindings,
    live: FxHashMap<SubscriptionKey, Arc<LiveSubscription>>,
    hints: Arc<Hints>,
    timer: Timer,
    /// Something to close the connection for, found while receiving.
    refusal: Option<SocketOutput>,
    bound: bool,
    /// What is being sent, until it is written.
    intent: Option<FrameIntent>,
    /// What the frame says that is being written.
    told: Option<Frame>,
    /// When every binding is looked at, hint or no hint.
    sweep_at: Timestamp,
    watch: Watch,
    /// The base that it was opened at, where subscriptions are bound by id.
    version: Option<FhirVersion>,
    /// Who opened it, where the request told.
    caller: Option<Caller>,
    dialect: Dialect,
    /// Those bound by id, which are told by pings.
    pinged: FxHashSet<SubscriptionKey>,
    pong: Pong,
}

/// A frame that is being written.
struct Frame {
    notification_type: NotificationType,
    events: Option<Range>,
    origin: Origin,
    begun: Option<Begun>,
}

/// Where the answer to a ping stands; pings that come before it is out have one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pong {
    /// It is the frame that is being written.
    BeingWritten,
    /// It is to be written.
    Due,
    /// Nobody asked.
    None,
}

impl Socket {
    /// Takes a place among the sockets of the server.
    ///
    /// # Errors
    /// `Throttled` when there are too many, or too many without a binding.
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self, Error> {
        let config = &shared.config.websocket;
        let full = |text: &str| Error::of(Kind::Throttled, IssueCode::Throttled, text);
        if shared.sockets.fetch_add(1, Ordering::AcqRel) >= config.sockets_max {
            shared.sockets.fetch_sub(1, Ordering::AcqRel);
            return Err(full("too many websockets are open"));
        }
        if shared.sockets_unbound.fetch_add(1, Ordering::AcqRel) >= config.sockets_unbound_max {
            shared.sockets_unbound.fetch_sub(1, Ordering::AcqRel);
            shared.sockets.fetch_sub(1, Ordering::AcqRel);
            return Err(full("too many websockets are open that are not bound"));
        }
        let settings = BindingSettings {
            bind_deadline: config.bind_deadline,
            expiry_grace: config.expiry_grace,
            max_count_default: config.max_count_default,
        };
        let now = shared.clock.now();
        let watch = Watch::new(&shared.clock);
        let bindings = Bindings::new(settings, now);
        let hints = shared.hub.open();
        Ok(Self {
            shared,
            bindings,
            live: FxHashMap::default(),
            hints,
            timer: Timer::default(),
            refusal: None,
            bound: false,
            intent: None,
            told: None,
            sweep_at: now,
            watch,
            version: None,
            caller: None,
            dialect: Dialect::Fhir,
            pinged: FxHashSet::default(),
            pong: Pong::None,
        })
    }

    /// The same, for whoever opened it at a base: with that, subscriptions whose criteria are a search
    /// can be bound by id (RQ-SB-02).
    #[must_use]
    pub fn opened_by(mut self, version: FhirVersion, caller: Option<Caller>) -> Self {
        self.version = Some(version);
        self.caller = caller;
        self
    }

    /// The same, speaking with Medplum's client (docs/clients.md).
    #[must_use]
    pub fn for_medplum(mut self) -> Self {
        self.dialect = Dialect::Medplum;
        self
    }

    /// Takes a text frame of the client. Whatever is wrong with it closes the connection.
    pub async fn receive(&mut self, text: &str) {
        let outcome = match (Command::parse(text), self.dialect) {
            (Some(Command::Bind(token)), _) => Box::pin(self.bind(&token)).await,
            (Some(Command::BindById(id)), _) => self.bind_by_id(&id),
            (Some(Command::Ping), Dialect::Medplum) => {
                if self.pong == Pong::None {
                    self.pong = Pong::Due;
                }
                Ok(())
            }
            (Some(Command::Unbind(token)), Dialect::Medplum) => {
                self.unbind(&token);
                Ok(())
            }
            (Some(Command::Ping | Command::Unbind(_)), Dialect::Fhir) | (None, _) => {
                Err("send 'bind-with-token <token>'".to_owned())
            }
        };
        if let Err(reason) = outcome {
            self.refusal = Some(SocketOutput::Close { code: 1008, reason });
        }
    }

    /// Waits for something to write or a reason to close.
    ///
    /// After a frame, it gives one of the same events again until [`Self::written`] is called.
    /// Cancel safe.
    pub async fn next(&mut self) -> SocketOutput {
        loop {
            if let Some(output) = self.look().await {
                return output;
            }
            let (deadline, now) = (self.bindings.next_deadline(), self.shared.clock.now());
            tokio::select! {
                () = self.hints.wait() => {}
                () = self.timer.until(deadline, now) => {}
            }
        }
    }

    /// What there is to write or to close for now, as [`Self::next`] gives it.
    pub(crate) async fn look(&mut self) -> Option<SocketOutput> {
        if let Some(refusal) = self.refusal.take() {
            return Some(refusal);
        }
        if let Some(close) = self.close_to_stop() {
            return Some(close);
        }
        if self.pong != Pong::None {
            self.pong = Pong::BeingWritten;
            return Some(SocketOutput::Frame(Bytes::from_static(PONG)));
        }
        if let Some(by) = self.watch.look(&self.shared.clock) {
            self.bindings.set_back(by);
        }
        let now = self.shared.clock.now();
        self.sweep(now);
        self.take_hints();
        if let Some(reason) = self.bindings.close(now) {
            let reason_text = reason.text().to_owned();
            return Some(SocketOutput::Close { code: reason.code(), reason: reason_text });
        }
        self.leave_unbound();
        match self.build(now).await {
            Ok(Some(frame)) => Some(SocketOutput::Frame(frame)),
            // Also where the call to stop was taken with the hints.
            Ok(None) => self.close_to_stop(),
            Err(error) => {
                tracing::error!(%error, "a frame was not built");
                let reason = "the server cannot read its log".to_owned();
                Some(SocketOutput::Close { code: 1011, reason })
            }
        }
    }

    /// The close of a socket when the node stops.
    fn close_to_stop(&self) -> Option<SocketOutput> {
        let reason = || "the server is stopping".to_owned();
        self.shared.is_stopping().then(|| SocketOutput::Close { code: 1001, reason: reason() })
    }

    /// The frame handed out was written: its events count as delivered (RQ-CH-47).
    pub fn written(&mut self) {
        if self.pong == Pong::BeingWritten {
            self.pong = Pong::None;
            return;
        }
        let (told, intent, now) = (self.told.take(), self.intent.take(), self.shared.clock.now());
        if let (Some(frame), Some(intent)) = (told, intent)
            && let Some(live) = self.live.get(&intent.subscription)
        {
            frame.observe(&self.shared, live, now);
        }
        let moved = self.bindings.frame_sent(now);
        if let Some(moved) = moved
            && !self.bindings.is_resending(moved.subscription)
        {
            self.hints.resend_ended(moved.subscription);
        }
        if let Some(moved) = moved
            && let Some(live) = self.live.get(&moved.subscription)
        {
            crash_point("socket.written");
            live.state().move_cursor(moved.cursor);
            self.shared.cursors.note(moved.subscription, moved.cursor);
        }
    }
}

impl Socket {
    /// Binds what a token covers; the text of an error is for the client.
    async fn bind(&mut self, token: &str) -> Result<(), String> {
        let refused = || "the token is unknown, expired or revoked".to_owned();
        let hash = TokenHash::of(token);
        let grant = tokens::grant(&self.shared, hash).await.map_err(|error| {
            if error.kind() == Kind::Forbidden { refused() } else { "try again later".to_owned() }
        })?;
        let mut any = false;
        for live in grant.subscriptions {
            let is_bindable = {
                let state = live.state();
                state.is_active() && state.settings.channel_type == ChannelType::Websocket
            };
            if is_bindable {
                self.pinged.remove(&live.key);
                self.bind_one(&live, hash.id(), grant.expires)?;
                any = true;
            }
        }
        if !any {
            return Err("no subscription of this token is active".to_owned());
        }
        self.is_bound();
        Ok(())
    }

    fn bind_one(
        &mut self,
        live: &Arc<LiveSubscription>,
        token: TokenId,
        expires: Timestamp,
    ) -> Result<(), String> {
        let bound = {
            let state = live.state();
            Bound {
                subscription: live.key,
                token,
                expires,
                heartbeat_period: state.settings.heartbeat_period,
                max_count: state.settings.max_count,
                cursor: state.cursor,
                last: state.last,
            }
        };
        // Joined before it is bound: an event in between is seen by one of the two.
        self.shared.hub.join(live.key, &self.hints);
        // So is a change of the subscription.
        self.hints.give(live.key);
        self.live.insert(live.key, live.clone());
        let bound = Bound { last: live.state().last, ..bound };
        let bound = self.bindings.bind(bound, self.shared.clock.now());
        bound.map_err(|_| "too many subscriptions on one websocket".to_owned())
    }

    /// It counts no more among those that are not bound.
    fn is_bound(&mut self) {
        if !self.bound {
            self.bound = true;
            self.shared.sockets_unbound.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Lets go of what a token covers; the socket stays open.
    fn unbind(&mut self, token: &str) {
        self.bindings.let_go(TokenHash::of(token).id(), self.shared.clock.now());
        let bound: FxHashSet<_> = self.bindings.subscriptions().collect();
        let gone: Vec<_> = self.live.keys().filter(|key| !bound.contains(key)).copied().collect();
        for key in gone {
            self.live.remove(&key);
            self.hints.resend_ended(key);
            self.shared.hub.leave(key, &self.hints);
        }
    }

    /// Has every binding looked at now and then, so that a lost hint costs at most
    /// [`SWEEP_PERIOD`] (I8).
    fn sweep(&mut self, now: Timestamp) {
        let next = now.checked_add(SWEEP_PERIOD).unwrap_or(Timestamp::MAX);
        // Also where the clock went back by more than the period.
        if self.sweep_at <= now || self.sweep_at > next {
            self.sweep_at = next;
            self.live.keys().for_each(|key| self.hints.give(*key));
        }
    }

    /// Looks at what the hints name; what is new is read from the live table.
    fn take_hints(&mut self) {
        for key in self.hints.take() {
            let Some(live) = self.live.get(&key) else { continue };
            // Nothing but a search as criteria is bound without a token.
            let may_be_bound = |is_classic: bool| is_classic || !self.pinged.contains(&key);
            let (active, heartbeat_period, max_count, last) = {
                let state = live.state();
                let settings = &state.settings;
                let active = state.is_active() && may_be_bound(settings.is_classic());
                (active, settings.heartbeat_period, settings.max_count, state.last)
            };
            if active && live.is_websocket() {
                self.bindings.updated(key, heartbeat_period, max_count);
                self.bindings.appended(key, last);
                if let Some(Range { first, last }) = self.hints.take_resend(key)
                    && !self.bindings.resend(key, first, last)
                {
                    self.hints.resend_ended(key);
                }
            } else {
                self.bindings.removed(key);
                self.hints.resend_ended(key);
                self.live.remove(&key);
                self.pinged.remove(&key);
                self.shared.hub.leave(key, &self.hints);
            }
        }
    }

    /// Hears no more of what no token covers any more, and of which nothing is sent again here.
    fn leave_unbound(&mut self) {
        if self.live.len() == self.bindings.subscriptions().len() {
            return;
        }
        let bound: FxHashSet<_> = self.bindings.subscriptions().collect();
        let (hints, hub) = (&self.hints, &self.shared.hub);
        self.live.retain(|key, _| {
            let is_bound = bound.contains(key);
            if !is_bound {
                hints.resend_ended(*key);
                hub.leave(*key, hints);
            }
            is_bound
        });
    }

    /// What wakes it.
    #[cfg(feature = "stepped")]
    pub(crate) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The bytes of the next frame, if one is due.
    ///
    /// Cancel safe: the intent is kept until its frame is written.
    async fn build(&mut self, now: Timestamp) -> Result<Option<Bytes>, Error> {
        loop {
            if self.intent.is_none() {
                self.intent = self.bindings.next_frame(now);
            }
            let Some(intent) = self.intent else { return Ok(None) };
            let Some(live) = self.live.get(&intent.subscription) else {
                self.written();
                continue;
            };
            let begun = self.shared.config.tracer.is_some().then(Begun::now);
            if self.pinged.contains(&intent.subscription) {
                self.told = Some(Frame::ping(intent.kind, begun));
                return Ok(Some(Self::ping(live, intent.kind)));
            }
            let (notification_type, range) = match intent.kind {
                FrameKind::Events { first, last } => {
                    let events = (Range { first, last }, Overflow::Later);
                    (NotificationType::EventNotification, Some(events))
                }
                FrameKind::Handshake => (NotificationType::Handshake, None),
                FrameKind::Heartbeat => (NotificationType::Heartbeat, None),
            };
            let _turn = match range {
                Some((range, _)) => self.shared.catch_up.turn(range).await,
                None => None,
            };
            if self.shared.is_stopping() {
                return Ok(None);
            }
            // Boxed, so that a socket that waits does not keep room for building frames.
            let wanted = (notification_type, self.dialect);
            let rendered = notify::render(&self.shared, live, wanted, range, None);
            match Box::pin(rendered).await? {
                Some(frame) => {
                    if let Some(last) = frame.last {
                        self.bindings.shorten(last);
                    }
                    let events = range.map(|(range, _)| range);
                    let events = events.map(|range| range.until(frame.last));
                    let origin = frame.origin;
                    self.told = Some(Frame { notification_type, events, origin, begun });
                    return Ok(Some(frame.bytes));
                }
                None => self.written(),
            }
        }
    }
}

impl Frame {
    /// The frame of a subscription that was bound by its id.
    fn ping(kind: FrameKind, begun: Option<Begun>) -> Self {
        let (notification_type, events) = match kind {
            FrameKind::Events { first, last } => {
                (NotificationType::EventNotification, Some(Range { first, last }))
            }
            FrameKind::Handshake => (NotificationType::Handshake, None),
            FrameKind::Heartbeat => (NotificationType::Heartbeat, None),
        };
        Self { notification_type, events, origin: Origin::default(), begun }
    }

    /// It was written by now.
    fn observe(&self, shared: &Shared, live: &LiveSubscription, now: Timestamp) {
        shared.observe(&Told {
            live,
            channel_type: &ChannelType::Websocket,
            notification_type: self.notification_type,
            events: self.events,
            origin: self.origin,
            outcome: AttemptOutcome::Success,
            http_status: None,
            begun: self.begun,
            ended: now,
            destination: None,
            duration: None,
            context: None,
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for key in self.live.keys() {
            self.shared.hub.leave(*key, &self.hints);
        }
        self.shared.hub.close(&self.hints);
        if !self.bound {
            self.shared.sockets_unbound.fetch_sub(1, Ordering::AcqRel);
        }
        self.shared.sockets.fetch_sub(1, Ordering::AcqRel);
    }
}

impl TokenHash {
    /// What names the token among those of one socket.
    fn id(self) -> TokenId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        TokenId(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}
