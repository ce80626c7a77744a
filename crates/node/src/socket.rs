//! One websocket of a subscriber: binding by token, frames out of the log (RQ section 5.3).
//!
//! A socket is a set of cursors; what is not yet sent stays in the log, so a slow reader costs no
//! memory. The `Bindings` machine decides, this carries out. Whoever owns the connection calls
//! [`Socket::next`] for what to write, [`Socket::written`] when it was written, and
//! [`Socket::receive`] for each text frame of the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use cresset_engine::{BindingSettings, Bindings, Bound, FrameIntent, FrameKind, TokenId};
use cresset_model::{ChannelType, IssueCode, NotificationType, SubscriptionKey};
use cresset_store::crash_point;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::caller::TokenHash;
use crate::error::{Error, Kind};
use crate::hint::Hints;
use crate::live::LiveSubscription;
use crate::notify::{self, Overflow, Range};
use crate::shared::Shared;
use crate::timer::Timer;
use crate::tokens;

/// Characters of a bind command at most; a token has 43.
const COMMAND_BYTES_MAX: usize = 4096;

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
    /// When every binding is looked at, hint or no hint.
    sweep_at: Timestamp,
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
            sweep_at: now,
        })
    }

    /// Takes a text frame of the client. Whatever is wrong with it closes the connection.
    pub async fn receive(&mut self, text: &str) {
        let outcome = match parse_command(text) {
            Some(token) => Box::pin(self.bind(&token)).await,
            None => Err("send 'bind-with-token <token>'".to_owned()),
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
        let now = self.shared.clock.now();
        self.sweep(now);
        self.take_hints();
        if let Some(reason) = self.bindings.close(now) {
            let reason_text = reason.text().to_owned();
            return Some(SocketOutput::Close { code: reason.code(), reason: reason_text });
        }
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
        self.intent = None;
        let moved = self.bindings.frame_sent(self.shared.clock.now());
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
        let now = self.shared.clock.now();
        let mut any = false;
        for live in grant.subscriptions {
            let bound = {
                let state = live.state();
                if !state.is_active() || state.settings.channel_type != ChannelType::Websocket {
                    continue;
                }
                Bound {
                    subscription: live.key,
                    token: hash.id(),
                    expires: grant.expires,
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
            if self.bindings.bind(bound, now).is_err() {
                return Err("too many subscriptions on one websocket".to_owned());
            }
            any = true;
        }
        if !any {
            return Err("no subscription of this token is active".to_owned());
        }
        if !self.bound {
            self.bound = true;
            self.shared.sockets_unbound.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(())
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
            let (active, heartbeat_period, max_count, last) = {
                let state = live.state();
                let settings = &state.settings;
                (state.is_active(), settings.heartbeat_period, settings.max_count, state.last)
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
                self.shared.hub.leave(key, &self.hints);
            }
        }
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
            let rendered = notify::render(&self.shared, live, notification_type, range, None);
            match Box::pin(rendered).await? {
                Some(frame) => {
                    if let Some(last) = frame.last {
                        self.bindings.shorten(last);
                    }
                    return Ok(Some(frame.bytes));
                }
                None => self.written(),
            }
        }
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

/// The token of a bind command, in one of the forms of RQ-CH-42 and RQ-CH-43.
fn parse_command(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > COMMAND_BYTES_MAX {
        return None;
    }
    let token = if text.starts_with('{') {
        let command: Value = serde_json::from_str(text).ok()?;
        (command.get("type")?.as_str()? == "bind-with-token").then_some(())?;
        command.get("payload")?.get("token")?.as_str()?.trim().to_owned()
    } else {
        let rest = text.strip_prefix("bind-with-token")?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        rest.starts_with(char::is_whitespace).then(|| rest.trim().to_owned())?
    };
    let valid = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    valid.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_bind_command_gives_the_token() {
        for text in [
            "bind-with-token abc",
            " bind-with-token   abc \n",
            "bind-with-token: abc",
            r#"{"type":"bind-with-token","payload":{"token":"abc"}}"#,
        ] {
            assert_eq!(parse_command(text).as_deref(), Some("abc"), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_command() {
        let long = format!("bind-with-token {}", "a".repeat(COMMAND_BYTES_MAX));
        for text in [
            "",
            "bind-with-token",
            "bind-with-tokenabc",
            "bind abc",
            "bind-with-token a b",
            r#"{"type":"bind","payload":{"token":"abc"}}"#,
            r#"{"type":"bind-with-token"}"#,
            "{",
            long.as_str(),
        ] {
            assert_eq!(parse_command(text), None, "{text:.40}");
        }
    }
}
