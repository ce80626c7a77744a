//! Which events are new, which are missing, and what is to be asked for: pure decisions on numbers.
//!
//! A server numbers the events of a subscription 1, 2, 3 … and tells in each notification how many there
//! have been (RQ-NB-40, RQ-NB-41). So a client sees from the numbers alone what it has had already and what
//! it has missed. [`Sequence`] takes notifications as they come, late, doubled and out of order, and gives
//! the events out once each, in the order of their numbers. Where some are missing it names the range to
//! ask `$events` for; what the server does not give then is told as lost, and never passed over silently.
//!
//! A server that lies cannot make it loop or grow: each answer of `$events` either brings a missing event or
//! gives its range up, and a number too far ahead is a [`Fault`]. Its tests are in `sequence/tests.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::notification::{Event, Notification, NotificationType};

/// Bounds of a [`Sequence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most events that may be missing at once; a notification that tells of more is a [`Fault`].
    pub missing_max: u64,
    /// Most events kept that came before others with lower numbers. Beyond it they are asked for again.
    pub early_max: usize,
    /// Most events asked for in one request; doubled after each answer without any, so that what a server
    /// has forgotten long ago is not asked for in thousands of requests.
    pub page: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { missing_max: 1_000_000, early_max: 1000, page: 100 }
    }
}

/// Where a sequence begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind the event with this number; 0 for the first event there ever was.
    After(u64),
    /// Behind the newest event that the first notification tells of, or with the events it holds.
    ///
    /// Not for the endpoint of a rest-hook subscription: its first notification is a handshake, which counts events that
    /// are still to come.
    Now,
}

/// An event that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The event.
    pub event: Event,
    /// What told of it, with the resources that came along.
    pub notification: Arc<Notification>,
}

/// What a sequence decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The next event, in the order of the numbers.
    Event(Box<Arrival>),
    /// The server does not have these any more, or does not give them.
    Lost(RangeInclusive<u64>),
}

/// A number that cannot be, if those before are true. The sequence is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// So many events cannot have been missed.
    #[error("the server tells of event {told} after event {cursor}, more than {max} ahead")]
    TooFar {
        /// The last number that was given out.
        cursor: u64,
        /// The number told.
        told: u64,
        /// The bound.
        max: u64,
    },
    /// The server counts fewer events than it has had: it began to count anew.
    #[error("the server tells of {told} events after it had told of event {cursor}")]
    Reset {
        /// The last number that was given out.
        cursor: u64,
        /// The count told.
        told: u64,
    },
}

/// The numbers of one subscription, seen from the client.
#[derive(Debug)]
pub struct Sequence {
    limits: Limits,
    /// Number of the last event given out or told lost; none before the first notification if it begins now.
    cursor: Option<u64>,
    /// The highest number that the server has told of.
    known: u64,
    early: BTreeMap<u64, Arrival>,
    steps: VecDeque<Step>,
    asked: Option<RangeInclusive<u64>>,
    page: u64,
}

impl Sequence {
    /// A sequence that begins there.
    pub fn new(start: Start, limits: Limits) -> Self {
        let cursor = match start {
            Start::After(number) => Some(number),
            Start::Now => None,
        };
        Self {
            limits,
            cursor,
            known: cursor.unwrap_or(0),
            early: BTreeMap::new(),
            steps: VecDeque::new(),
            asked: None,
            page: limits.page.max(1),
        }
    }

    /// Number of the last event given out or told lost: where to begin after a restart. None as long as
    /// that is not known.
    pub const fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// How many events are known to be missing.
    pub fn missing(&self) -> u64 {
        let behind = self.known - self.cursor.unwrap_or(self.known);
        behind - self.early.len() as u64
    }

    /// Takes a notification of the subscription; that it is of this subscription is the caller's to see.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if its numbers cannot be true; nothing of it is taken then.
    pub fn take(&mut self, notification: Arc<Notification>) -> Result<(), Fault> {
        let count = notification.events_since_subscription_start;
        let highest = notification.events.iter().map(|event| event.number.get()).max();
        let lowest = notification.events.iter().map(|event| event.number.get()).min();
        let Some(told) = count.max(highest) else { return Ok(()) };
        let cursor = self.cursor.unwrap_or_else(|| match notification.kind {
            NotificationType::EventNotification => lowest.map_or(told, |lowest| lowest - 1),
            NotificationType::Handshake
            | NotificationType::Heartbeat
            | NotificationType::QueryEvent
            | NotificationType::QueryStatus => told,
        });
        if told.saturating_sub(cursor) > self.limits.missing_max {
            return Err(Fault::TooFar { cursor, told, max: self.limits.missing_max });
        }
        // A late notification counts fewer events, as it was made earlier; a handshake is made for now.
        if notification.kind == NotificationType::Handshake && told < cursor {
            return Err(Fault::Reset { cursor, told });
        }
        self.cursor = Some(cursor);
        self.known = self.known.max(told).max(cursor);
        self.keep(&notification);
        self.advance();
        Ok(())
    }

    /// What to ask `$events` for, if events are missing. Until the answer is given to
    /// [`Self::answered`] or [`Self::refused`], it is the same.
    pub fn wanted(&mut self) -> Option<RangeInclusive<u64>> {
        if self.asked.is_none() {
            let from = self.cursor?.checked_add(1)?;
            let until = self.early.keys().next().map_or(self.known, |first| first - 1);
            if from <= until {
                let page = from.saturating_add(self.page - 1);
                self.asked = Some(from..=until.min(page));
            }
        }
        self.asked.clone()
    }

    /// Takes the answer to what was [wanted](Self::wanted). What it leaves out at the beginning is asked for
    /// once more by itself; what it does not have at all is lost.
    ///
    /// # Errors
    ///
    /// As [`Self::take`]; the range is given up then, too, so that nobody asks the same for ever.
    pub fn answered(&mut self, notification: Arc<Notification>) -> Result<(), Fault> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let cursor = self.cursor.unwrap_or_default();
        let missing = |number: u64| asked.contains(&number) && number > cursor;
        let brings = notification.events.iter().any(|event| missing(event.number.get()));
        let taken = self.take(notification);
        if brings && taken.is_ok() {
            self.page = self.limits.page.max(1);
        } else {
            self.page = self.page.saturating_mul(2);
            self.give_up(*asked.end());
        }
        taken
    }

    /// The answer to what was [wanted](Self::wanted) is that there are no such events.
    pub fn answered_with_nothing(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.page = self.page.saturating_mul(2);
            self.give_up(*asked.end());
        }
    }

    /// Gives up all that is missing before the first event that is there: the server answers no `$events`.
    pub fn refused(&mut self) {
        if self.asked.take().is_some() {
            self.give_up(self.known);
        }
    }

    /// The next decision.
    pub fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Keeps the events that were not given out, the lowest if there are too many.
    fn keep(&mut self, notification: &Arc<Notification>) {
        for event in &notification.events {
            let number = event.number.get();
            if Some(number) > self.cursor {
                self.early.entry(number).or_insert_with(|| Arrival {
                    event: event.clone(),
                    notification: notification.clone(),
                });
                // Those that are next in turn must not be dropped for their number.
                self.advance();
            }
            while self.early.len() > self.limits.early_max.max(1) {
                self.early.pop_last();
            }
        }
    }

    /// Gives out what is next in turn.
    fn advance(&mut self) {
        while let Some(next) = self.cursor.and_then(|cursor| cursor.checked_add(1))
            && let Some(arrival) = self.early.remove(&next)
        {
            self.cursor = Some(next);
            self.steps.push_back(Step::Event(Box::new(arrival)));
        }
        // What was asked for may have come by itself.
        if self.asked.as_ref().is_some_and(|asked| Some(*asked.end()) <= self.cursor) {
            self.asked = None;
        }
    }

    /// Tells as lost what is missing up to a number, and before the first event that is there.
    fn give_up(&mut self, end: u64) {
        let from = self.cursor.unwrap_or_default().saturating_add(1);
        let first = self.early.keys().next().map_or(u64::MAX, |first| first - 1);
        let until = end.min(first);
        if from <= until {
            self.steps.push_back(Step::Lost(from..=until));
            self.cursor = Some(until);
            self.advance();
        }
    }
}

#[cfg(test)]
mod tests;
