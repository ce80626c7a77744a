//! `Bindings`: the machine of one websocket.
//!
//! A socket is a set of cursors into the event numbers of the subscriptions bound to it. The
//! machine decides which frame is next and when the socket is closed; it owns the cursors and the
//! expiry of what was bound. It knows neither frames nor tokens nor the store, and has no clock.
//!
//! There is at most one frame under way. The caller asks for the next one when the socket can
//! write, so a slow reader delays frames and grows nothing: what is not yet sent stays in the
//! log. A frame written counts as delivered (RQ-CH-47).
//!
//! Per subscription: a handshake after each bind (RQ-CH-44, TR-35), then events in number order
//! without gap or repeat (I4), heartbeats when nothing else was sent for the period. Between
//! subscriptions: each in turn. Tests: `bindings/tests.rs`.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use cresset_model::{EventNumber, SubscriptionKey};
use jiff::Timestamp;

use crate::retry::{EVENTS_PER_NOTIFICATION_DEFAULT, batch_limit};
use crate::time::{after, before};

#[cfg(test)]
mod tests;

/// Most subscriptions bound to one socket.
pub const BINDINGS_PER_SOCKET_MAX: usize = 1_000;

/// The operator's part of a socket's timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingSettings {
    /// How long a socket may stay without any binding (RQ-CH-50).
    pub bind_deadline: Duration,
    /// How long after its token's expiry a subscription is still served, so that the client can
    /// bind again without a gap (RQ-CH-49).
    pub expiry_grace: Duration,
    /// Most events in one frame where the subscription has no `maxCount`.
    pub max_count_default: NonZeroU32,
}

impl Default for BindingSettings {
    fn default() -> Self {
        Self {
            bind_deadline: Duration::from_secs(30),
            expiry_grace: Duration::from_secs(5),
            max_count_default: EVENTS_PER_NOTIFICATION_DEFAULT,
        }
    }
}

/// Names a token for one socket; the caller chooses the numbers, such as part of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u64);

/// A subscription that a valid token ties to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Which.
    pub subscription: SubscriptionKey,
    /// The token that covers it.
    pub token: TokenId,
    /// When that token expires.
    pub expires: Timestamp,
    /// Longest silence; none or zero means no heartbeats.
    pub heartbeat_period: Option<Duration>,
    /// Most events in one frame.
    pub max_count: Option<NonZeroU32>,
    /// The last event that was sent to any socket of the subscription.
    pub cursor: Option<EventNumber>,
    /// The last event number given; 0 if there was none.
    pub last: u64,
}

/// The socket has [`BINDINGS_PER_SOCKET_MAX`] bindings: refuse the bind, keep the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyBindings;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// These events, both ends included.
    Events {
        /// The first.
        first: EventNumber,
        /// The last.
        last: EventNumber,
    },
    /// Nothing happened.
    Heartbeat,
    /// The subscription is bound.
    Handshake,
}

/// One frame to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameIntent {
    /// Whose.
    pub subscription: SubscriptionKey,
    /// What it holds.
    pub kind: FrameKind,
}

/// Events of a subscription up to this one were sent: to be recorded, if it is the furthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedCursor {
    /// Whose.
    pub subscription: SubscriptionKey,
    /// The last event sent.
    pub cursor: EventNumber,
}

/// Why a socket is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Every token has expired and was not renewed.
    Expired,
    /// No token was bound in time.
    NotBound,
    /// The last token was revoked.
    Revoked,
    /// The last subscription was deleted or switched off.
    SubscriptionEnded,
}

impl CloseReason {
    /// The websocket close code: 1008 (policy) where the client's right ended, else 1000.
    pub const fn code(self) -> u16 {
        match self {
            Self::Expired | Self::NotBound | Self::Revoked => 1008,
            Self::SubscriptionEnded => 1000,
        }
    }

    /// The text that goes with the code.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Expired => "token expired",
            Self::NotBound => "no token bound in time",
            Self::Revoked => "token revoked",
            Self::SubscriptionEnded => "subscription ended",
        }
    }
}

/// One subscription on the socket.
#[derive(Debug, Clone, Copy)]
struct Binding {
    subscription: SubscriptionKey,
    token: TokenId,
    /// When its token has expired, the grace included.
    ends: Timestamp,
    heartbeat_period: Option<Duration>,
    max_count: NonZeroU32,
    cursor: u64,
    last: u64,
    handshake: bool,
    heartbeat: bool,
    /// Whether it waits for its turn.
    queued: bool,
    silent_since: Timestamp,
}

impl Binding {
    fn has_work(&self) -> bool {
        self.handshake || self.heartbeat || self.cursor < self.last
    }

    /// When a heartbeat is due; none while one is already waiting for its turn.
    fn heartbeat_at(&self) -> Option<Timestamp> {
        let period = self.heartbeat_period.filter(|_| !self.heartbeat)?;
        Some(after(self.silent_since, period))
    }

    /// When time alone changes something about it.
    fn wake(&self) -> Timestamp {
        self.heartbeat_at().map_or(self.ends, |at| at.min(self.ends))
    }

    /// What to send next for it: the handshake before all, events rather than a heartbeat.
    fn next(&self) -> Option<FrameKind> {
        if self.handshake {
            return Some(FrameKind::Handshake);
        }
        if self.cursor < self.last {
            let end = self.cursor.saturating_add(u64::from(self.max_count.get()));
            let first = EventNumber::new(self.cursor + 1)?;
            let last = EventNumber::new(end.min(self.last))?;
            return Some(FrameKind::Events { first, last });
        }
        self.heartbeat.then_some(FrameKind::Heartbeat)
    }
}

/// Events that were sent before and are sent again.
#[derive(Debug, Clone, Copy)]
struct Resend {
    subscription: SubscriptionKey,
    next: EventNumber,
    last: EventNumber,
    /// Events that are due let it pass.
    has_turn: bool,
}

/// The machine of one websocket.
#[derive(Debug, Clone)]
pub struct Bindings {
    settings: BindingSettings,
    /// By key, so that looking one up is a binary search.
    bindings: Vec<Binding>,
    /// Those that have something to send, in the order of their turns.
    turns: VecDeque<SubscriptionKey>,
    /// What is sent again; at most one of each binding.
    resends: Vec<Resend>,
    under_way: Option<FrameIntent>,
    /// Since when the socket has been waiting for a first binding.
    opened: Timestamp,
    /// Why the last binding went.
    ended: Option<CloseReason>,
    /// Nothing expires and no heartbeat is due before; what is may be later.
    wake: Timestamp,
}

impl Bindings {
    /// The machine of a socket that was just opened, with nothing bound.
    pub fn new(settings: BindingSettings, opened: Timestamp) -> Self {
        Self {
            settings,
            bindings: Vec::new(),
            turns: VecDeque::new(),
            resends: Vec::new(),
            under_way: None,
            opened,
            ended: None,
            wake: Timestamp::MAX,
        }
    }

    /// Ties a subscription to the socket, or renews the tie.
    ///
    /// A handshake follows in both cases. A renewal takes over token, expiry and settings and
    /// keeps the cursor, so that nothing is sent twice.
    ///
    /// # Errors
    ///
    /// [`TooManyBindings`] if one more would be too many.
    pub fn bind(&mut self, bound: Bound, now: Timestamp) -> Result<(), TooManyBindings> {
        let index = match self.position(bound.subscription) {
            Ok(index) => index,
            Err(_) if self.bindings.len() >= BINDINGS_PER_SOCKET_MAX => {
                return Err(TooManyBindings);
            }
            Err(index) => {
                self.bindings.insert(index, self.binding(&bound, now));
                index
            }
        };
        let binding = &mut self.bindings[index];
        binding.token = bound.token;
        binding.ends = after(bound.expires, self.settings.expiry_grace);
        binding.last = binding.last.max(bound.last);
        binding.handshake = true;
        self.ended = None;
        self.updated(bound.subscription, bound.heartbeat_period, bound.max_count);
        self.queue(index);
        Ok(())
    }

    /// Takes new settings of a subscription whose client changed it; unknown ones are ignored.
    pub fn updated(
        &mut self,
        subscription: SubscriptionKey,
        heartbeat_period: Option<Duration>,
        max_count: Option<NonZeroU32>,
    ) {
        if let Ok(index) = self.position(subscription) {
            let binding = &mut self.bindings[index];
            binding.heartbeat_period = heartbeat_period.filter(|period| !period.is_zero());
            binding.heartbeat &= binding.heartbeat_period.is_some();
            binding.max_count = batch_limit(max_count, self.settings.max_count_default);
            self.wake = self.wake.min(binding.wake());
        }
    }

    /// Events of a subscription up to this number are durable now.
    pub fn appended(&mut self, subscription: SubscriptionKey, last: u64) {
        if let Ok(index) = self.position(subscription) {
            let binding = &mut self.bindings[index];
            binding.last = binding.last.max(last);
            self.queue(index);
        }
    }

    /// These events are to be sent again, with their numbers; those above the cursor are left to
    /// the ordinary way. Whether there is anything to send: not if it is not bound, or another one
    /// is under way.
    pub fn resend(
        &mut self,
        subscription: SubscriptionKey,
        first: EventNumber,
        last: EventNumber,
    ) -> bool {
        let Ok(index) = self.position(subscription) else { return false };
        let Some(last) = EventNumber::new(last.get().min(self.bindings[index].cursor)) else {
            return false;
        };
        if first > last || self.is_resending(subscription) {
            return false;
        }
        self.resends.push(Resend { subscription, next: first, last, has_turn: true });
        self.queue(index);
        true
    }

    /// Whether a re-send of this subscription is under way.
    pub fn is_resending(&self, subscription: SubscriptionKey) -> bool {
        self.resends.iter().any(|resend| resend.subscription == subscription)
    }

    /// A subscription was deleted or left `active`: it gets no more frames (RQ-ER-13).
    pub fn removed(&mut self, subscription: SubscriptionKey) {
        self.unbind(CloseReason::SubscriptionEnded, |binding| binding.subscription == subscription);
    }

    /// A token was revoked: what it was the latest token of gets no more frames.
    pub fn token_revoked(&mut self, token: TokenId) {
        self.unbind(CloseReason::Revoked, |binding| binding.token == token);
    }

    /// The client gives up what it has bound by a token last: that gets no more frames. The socket
    /// stays; where nothing is left it waits for a binding as when it was opened.
    pub fn let_go(&mut self, token: TokenId, now: Timestamp) {
        self.unbind(CloseReason::Revoked, |binding| binding.token == token);
        if self.bindings.is_empty() {
            self.ended = None;
            self.opened = now;
        }
    }

    /// The next frame, when the socket can write; none while one is under way or none is due.
    pub fn next_frame(&mut self, now: Timestamp) -> Option<FrameIntent> {
        if self.under_way.is_some() {
            return None;
        }
        self.keep_time(now);
        while let Some(subscription) = self.turns.pop_front() {
            let Ok(index) = self.position(subscription) else {
                continue;
            };
            let kind = self.next_kind(index);
            let binding = &mut self.bindings[index];
            binding.queued = false;
            if let Some(kind) = kind {
                // Cleared here, not when the frame is out: a bind that comes in between asks for
                // a handshake of its own.
                binding.handshake &= kind != FrameKind::Handshake;
                let intent = FrameIntent { subscription, kind };
                self.under_way = Some(intent);
                return Some(intent);
            }
        }
        None
    }

    /// The frame under way holds its events up to this one only, since more would make it too
    /// large; the others are in the next one. Without effect for a number that is not among them.
    pub fn shorten(&mut self, to: EventNumber) {
        if let Some(FrameIntent { kind: FrameKind::Events { first, last }, .. }) =
            &mut self.under_way
            && (*first..*last).contains(&to)
        {
            *last = to;
        }
    }

    /// The frame under way has been written; the cursor it moved is to be recorded.
    ///
    /// A frame that was not written is not reported: the socket is gone then, and the machine
    /// with it.
    pub fn frame_sent(&mut self, now: Timestamp) -> Option<MovedCursor> {
        let intent = self.under_way.take()?;
        let moved = match intent.kind {
            FrameKind::Events { last, .. } => {
                self.take_turn(intent.subscription, last);
                Some(MovedCursor { subscription: intent.subscription, cursor: last })
            }
            FrameKind::Handshake | FrameKind::Heartbeat => None,
        };
        if let Ok(index) = self.position(intent.subscription) {
            let binding = &mut self.bindings[index];
            if let Some(moved) = &moved {
                binding.cursor = binding.cursor.max(moved.cursor.get());
            }
            binding.heartbeat = false;
            binding.silent_since = now;
            self.wake = self.wake.min(binding.wake());
            self.queue(index);
        }
        moved
    }

    /// Takes in that the caller's clock was set back by so much: heartbeats and the time to bind in are due as much
    /// earlier by it. When a token expires the clock alone says.
    pub fn set_back(&mut self, by: Duration) {
        self.opened = before(self.opened, by);
        for binding in &mut self.bindings {
            binding.silent_since = before(binding.silent_since, by);
            self.wake = self.wake.min(binding.wake());
        }
    }

    /// Whether the socket is to be closed, and why.
    pub fn close(&mut self, now: Timestamp) -> Option<CloseReason> {
        self.keep_time(now);
        if !self.bindings.is_empty() {
            return None;
        }
        let overdue = after(self.opened, self.settings.bind_deadline) <= now;
        self.ended.or_else(|| overdue.then_some(CloseReason::NotBound))
    }

    /// When [`Bindings::close`] and [`Bindings::next_frame`] may have a new answer of themselves.
    ///
    /// Both may be asked earlier, and have to be asked after each call that takes `&mut self`.
    pub fn next_deadline(&self) -> Timestamp {
        match (self.bindings.is_empty(), self.ended) {
            (true, Some(_)) => self.opened,
            (true, None) => after(self.opened, self.settings.bind_deadline),
            (false, _) => self.wake,
        }
    }

    /// The subscriptions bound now, in the order of their keys.
    pub fn subscriptions(&self) -> impl ExactSizeIterator<Item = SubscriptionKey> + '_ {
        self.bindings.iter().map(|binding| binding.subscription)
    }

    fn position(&self, subscription: SubscriptionKey) -> Result<usize, usize> {
        self.bindings.binary_search_by_key(&subscription, |binding| binding.subscription)
    }

    fn binding(&self, bound: &Bound, now: Timestamp) -> Binding {
        Binding {
            subscription: bound.subscription,
            token: bound.token,
            ends: bound.expires,
            heartbeat_period: None,
            max_count: self.settings.max_count_default,
            cursor: bound.cursor.map_or(0, EventNumber::get).min(bound.last),
            last: bound.last,
            handshake: true,
            heartbeat: false,
            queued: false,
            silent_since: now,
        }
    }

    /// What to send next for a binding, its re-send included.
    fn next_kind(&self, index: usize) -> Option<FrameKind> {
        let binding = &self.bindings[index];
        let resend = self.resends.iter().find(|one| one.subscription == binding.subscription);
        let Some(resend) = resend else { return binding.next() };
        if binding.handshake || (!resend.has_turn && binding.cursor < binding.last) {
            return binding.next();
        }
        let end = resend.next.get().saturating_add(u64::from(binding.max_count.get()) - 1);
        let last = EventNumber::new(end)?.min(resend.last);
        Some(FrameKind::Events { first: resend.next, last })
    }

    /// Events up to this number were sent: of the re-send, if they are not above its end.
    fn take_turn(&mut self, subscription: SubscriptionKey, sent: EventNumber) {
        self.resends.retain_mut(|resend| {
            if resend.subscription != subscription {
                return true;
            }
            resend.has_turn = sent > resend.last;
            if !resend.has_turn {
                resend.next = sent.next();
            }
            resend.next <= resend.last
        });
    }

    /// Puts a binding at the end of the turns, if it has something to send and is not in them.
    fn queue(&mut self, index: usize) {
        let resending = self.is_resending(self.bindings[index].subscription);
        let binding = &mut self.bindings[index];
        let under_way = self.under_way.is_some_and(|it| it.subscription == binding.subscription);
        if (binding.has_work() || resending) && !binding.queued && !under_way {
            binding.queued = true;
            self.turns.push_back(binding.subscription);
        }
    }

    /// Queues the heartbeats that are due and ends what no token covers any more.
    fn keep_time(&mut self, now: Timestamp) {
        if now < self.wake {
            return;
        }
        self.unbind(CloseReason::Expired, |binding| binding.ends <= now);
        self.wake = Timestamp::MAX;
        for index in 0..self.bindings.len() {
            let binding = &mut self.bindings[index];
            binding.heartbeat |= binding.heartbeat_at().is_some_and(|at| at <= now);
            self.wake = self.wake.min(binding.wake());
            self.queue(index);
        }
    }

    fn unbind(&mut self, reason: CloseReason, gone: impl Fn(&Binding) -> bool) {
        let before = self.bindings.len();
        self.bindings.retain(|binding| !gone(binding));
        if self.bindings.len() < before {
            let bindings = &self.bindings;
            let is_bound = |key: &SubscriptionKey| {
                bindings.binary_search_by_key(key, |binding| binding.subscription).is_ok()
            };
            self.turns.retain(is_bound);
            self.resends.retain(|resend| is_bound(&resend.subscription));
            if bindings.is_empty() {
                self.ended = Some(reason);
            }
        }
    }
}
