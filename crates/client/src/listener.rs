//! A subscription's events over a websocket, each once and in order, across broken connections.
//!
//! What is decided here is only when to connect, bind, renew and wait; which event is next is
//! [`Sequence`]'s decision. Its tests, against servers that break and lie, are in `listener/tests.rs`.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::backoff::{Backoff, chance};
use crate::binding::BindingToken;
use crate::client::Client;
use crate::error::Error;
use crate::notification::{Notification, NotificationType, SubscriptionStatus};
use crate::sequence::{Arrival, Limits, Sequence, Start, Step};
use crate::socket::{Frame, Socket};
use crate::subscription::PayloadContent;

/// How to listen.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bounds on what the server may tell.
    pub limits: Limits,
    /// The first and the longest delay before another try.
    pub retry_delay: RangeInclusive<Duration>,
    /// Most tries one after the other; none for as long as it takes.
    pub tries_max: Option<u32>,
    /// Without any frame for so long, the server is asked whether it is there; after twice as long the
    /// connection counts as broken.
    pub silence_max: Duration,
    /// Content level to ask `$events` for; the subscription's without it.
    pub content: Option<PayloadContent>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retry_delay: Duration::from_millis(500)..=Duration::from_secs(60),
            tries_max: None,
            silence_max: Duration::from_secs(30),
            content: None,
        }
    }
}

/// What there is to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Update {
    /// A websocket is bound; the server's first notification over it.
    Connected(Arc<Notification>),
    /// The connection broke or could not be made; the next try is after this delay.
    Disconnected(Error, Duration),
    /// The next event.
    Event(Box<Arrival>),
    /// A heartbeat, or a further handshake.
    Heartbeat(Arc<Notification>),
    /// Events that the server did not give, also when asked.
    Lost(RangeInclusive<u64>),
    /// Events were missed, and are asked for.
    Recovering(RangeInclusive<u64>),
    /// The token was renewed.
    Renewed,
    /// The subscription's status is another one than before.
    Status(SubscriptionStatus),
}

/// Listens to one subscription.
pub struct Listener {
    client: Client,
    subscription: String,
    options: Options,
    sequence: Sequence,
    backoff: Backoff,
    retry_at: Option<Instant>,
    connection: Option<Connection>,
    updates: VecDeque<Update>,
    status: Option<SubscriptionStatus>,
    /// The range last told as [`Update::Recovering`].
    recovering: Option<RangeInclusive<u64>>,
}

struct Connection {
    socket: Socket,
    url: String,
    renew_at: Instant,
    heard_at: Instant,
    pinged: bool,
    bound: bool,
}

impl Listener {
    /// Listens to a subscription of a server's, which must be one over a websocket. Nothing is sent yet.
    pub fn new(client: Client, subscription: &str, start: Start, options: Options) -> Self {
        let backoff = Backoff::new(*options.retry_delay.start(), *options.retry_delay.end());
        Self {
            client,
            subscription: subscription.to_owned(),
            sequence: Sequence::new(start, options.limits),
            options,
            backoff,
            retry_at: None,
            connection: None,
            updates: VecDeque::new(),
            status: None,
            recovering: None,
        }
    }

    /// Number of the last event given out or told lost; where to begin after a restart of the client.
    pub const fn cursor(&self) -> Option<u64> {
        self.sequence.cursor()
    }

    /// Waits for the next update. It may be dropped while it waits, without losing one.
    ///
    /// # Errors
    ///
    /// What trying again does not help against: the subscription is gone, the server's numbers cannot be true, or
    /// there were as many tries as there may be.
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Ok(update);
            }
            match self.sequence.next_step() {
                Some(Step::Event(arrival)) => return Ok(Update::Event(arrival)),
                Some(Step::Lost(range)) => return Ok(Update::Lost(range)),
                None => {}
            }
            if let Some(at) = self.retry_at {
                tokio::time::sleep_until(at).await;
                self.retry_at = None;
            }
            if let Some(range) = self.sequence.wanted() {
                self.recover(range).await?;
            } else if let Some(connection) = &mut self.connection {
                let heard = connection.hear(self.options.silence_max).await;
                self.heard(heard).await?;
            } else if let Err(error) = self.connect().await {
                self.failed(error)?;
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let token = self.client.binding_token(&self.subscription).await?;
        let mut socket = Socket::open(&token.websocket_url, self.client.tls()).await?;
        socket.bind(&token.token).await?;
        self.connection = Some(Connection {
            socket,
            renew_at: renewal(&token),
            url: token.websocket_url,
            heard_at: Instant::now(),
            pinged: false,
            bound: false,
        });
        Ok(())
    }

    /// Gets another token before the old one ends, and binds with it: on the same connection if it may.
    async fn renew(&mut self) -> Result<(), Error> {
        let token = self.client.binding_token(&self.subscription).await?;
        match &mut self.connection {
            Some(connection) if connection.url == token.websocket_url => {
                connection.renew_at = renewal(&token);
                connection.socket.bind(&token.token).await?;
            }
            Some(_) | None => self.connection = None,
        }
        self.updates.push_back(Update::Renewed);
        Ok(())
    }

    async fn heard(&mut self, heard: Result<Heard, Error>) -> Result<(), Error> {
        match heard {
            Ok(Heard::Nothing) => Ok(()),
            Ok(Heard::Notification(text)) => self.take(&text),
            Ok(Heard::RenewalIsDue) => match self.renew().await {
                Ok(()) => Ok(()),
                Err(error) => self.failed(error),
            },
            Err(error) => self.failed(error),
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), Error> {
        let notification = Notification::parse(text)?;
        // One socket may be bound to several subscriptions.
        if notification.subscription_id() != self.subscription {
            return Ok(());
        }
        let notification = Arc::new(notification);
        self.sequence.take(notification.clone())?;
        self.backoff.reset();
        let first =
            self.connection.as_mut().is_some_and(|one| !std::mem::replace(&mut one.bound, true));
        if first {
            self.updates.push_back(Update::Connected(notification.clone()));
        } else if notification.kind != NotificationType::EventNotification {
            self.updates.push_back(Update::Heartbeat(notification.clone()));
        }
        if let Some(status) = notification.status
            && self.status.replace(status) != Some(status)
        {
            self.updates.push_back(Update::Status(status));
        }
        Ok(())
    }

    async fn recover(&mut self, range: RangeInclusive<u64>) -> Result<(), Error> {
        if self.recovering.as_ref() != Some(&range) {
            self.recovering = Some(range.clone());
            self.updates.push_back(Update::Recovering(range));
            return Ok(());
        }
        match self.client.events(&self.subscription, &range, self.options.content).await {
            Ok(notification) => {
                self.backoff.reset();
                self.sequence.answered(Arc::new(notification))?;
            }
            Err(error) if error.is_transient() => return self.failed(error),
            // `$events` is optional (RQ-OP-20), and a range without events may be refused (RQ-OP-25).
            Err(Error::Refused { status: 404 | 422, .. }) if self.has_more_than(&range) => {
                self.sequence.answered_with_nothing();
            }
            // With another token they may be had: they are not lost.
            Err(error @ Error::Refused { status: 401 | 403, .. }) => return Err(error),
            Err(Error::Refused { .. } | Error::Notification(_) | Error::Answer(_)) => {
                self.sequence.refused();
            }
            Err(error) => return Err(error),
        }
        self.recovering = None;
        Ok(())
    }

    /// Whether something of what is missing lies beyond a range that was asked for.
    fn has_more_than(&self, range: &RangeInclusive<u64>) -> bool {
        self.sequence.missing() > range.end() - range.start() + 1
    }

    /// Waits before the next try, if there may be one.
    fn failed(&mut self, error: Error) -> Result<(), Error> {
        self.connection = None;
        let is_last = self.options.tries_max.is_some_and(|max| self.backoff.tries() >= max);
        if !error.is_transient() || is_last {
            return Err(error);
        }
        let delay = self.backoff.next_delay(chance());
        self.retry_at = Some(Instant::now() + delay);
        self.updates.push_back(Update::Disconnected(error, delay));
        Ok(())
    }
}

/// What a connection had to tell.
enum Heard {
    Notification(Vec<u8>),
    Nothing,
    RenewalIsDue,
}

impl Connection {
    async fn hear(&mut self, silence_max: Duration) -> Result<Heard, Error> {
        let silence = if self.pinged { silence_max * 2 } else { silence_max };
        let deadline = self.renew_at.min(self.heard_at + silence);
        let Ok(frame) = tokio::time::timeout_at(deadline, self.socket.next()).await else {
            return self.overdue(silence).await;
        };
        self.heard_at = Instant::now();
        self.pinged = false;
        match frame? {
            Frame::Alive => Ok(Heard::Nothing),
            Frame::Text(text) => Ok(Heard::Notification(text)),
        }
    }

    async fn overdue(&mut self, silence: Duration) -> Result<Heard, Error> {
        let now = Instant::now();
        if now < self.heard_at + silence {
            return Ok(Heard::RenewalIsDue);
        }
        if self.pinged || !self.bound {
            return Err(Error::Websocket("the server is silent".to_owned()));
        }
        self.pinged = true;
        self.socket.ping().await?;
        Ok(Heard::Nothing)
    }
}

fn renewal(token: &BindingToken) -> Instant {
    Instant::now() + token.renewal_delay(Timestamp::now())
}

#[cfg(test)]
mod tests;
