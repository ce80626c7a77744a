//! The audit that decides whether a run has a number at all.
//!
//! Every acknowledged create must arrive on the socket of its subscription, numbered 1, 2, 3 … without gap or
//! repeat, in the order of the creates (I1, I4, I5; RQ-NB-40, RQ-NB-41), and the server's own count
//! (`events-since-subscription-start` of `$status`) must agree. The ledger checks as it goes, so that it needs
//! memory only for what is under way. It knows neither clocks nor sockets.

use std::collections::VecDeque;

/// What broke the promise; ends the run without a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server says it made another number of events than the creates it acknowledged.
    #[error("$status counts {counted} events, but {acknowledged} creates were acknowledged")]
    Count {
        /// What `$status` said.
        counted: u64,
        /// Creates answered with 201.
        acknowledged: u64,
    },
    /// Another resource was announced than the one created next.
    #[error("event {number} announces {announced}, but the create in its place made {created}")]
    Focus {
        /// Number of the event.
        number: u64,
        /// Id in the event's focus.
        announced: String,
        /// Id in the answer to the create.
        created: String,
    },
    /// Creates were acknowledged whose events never came.
    #[error("{missing} acknowledged creates were never delivered, from event {from} on")]
    Missing {
        /// How many.
        missing: u64,
        /// First number not seen.
        from: u64,
    },
    /// A number was skipped, repeated or came out of order.
    #[error("event number {found} came where {expected} was due")]
    Number {
        /// The number due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// Events came for which no create was acknowledged.
    #[error("{surplus} events came for which no create was acknowledged")]
    Surplus {
        /// How many.
        surplus: u64,
    },
}

/// The account of one subscription: creates acknowledged against events delivered.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: u64,
    delivered: u64,
    created_waiting: VecDeque<String>,
    announced_waiting: VecDeque<String>,
}

impl Ledger {
    /// Notes a create that was answered with 201.
    ///
    /// # Errors
    /// [`Fault::Focus`] if its event came before and announced another resource.
    pub fn acknowledge(&mut self, id: &str) -> Result<(), Fault> {
        self.acknowledged += 1;
        self.created_waiting.push_back(id.to_owned());
        self.settle()
    }

    /// Notes an event read from the socket.
    ///
    /// # Errors
    /// [`Fault::Number`] if it is not the next one, [`Fault::Focus`] if it announces another resource than the
    /// create in its place.
    pub fn deliver(&mut self, number: u64, focus: &str) -> Result<(), Fault> {
        let expected = self.delivered + 1;
        if number != expected {
            return Err(Fault::Number { expected, found: number });
        }
        self.delivered = expected;
        self.announced_waiting.push_back(focus.to_owned());
        self.settle()
    }

    /// Creates acknowledged so far.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Events delivered so far.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Closes the account against the server's own count.
    ///
    /// # Errors
    /// Any [`Fault`]: something is missing, surplus, or counted differently.
    pub fn close(&self, counted: u64) -> Result<(), Fault> {
        if self.delivered < self.acknowledged {
            let missing = self.acknowledged - self.delivered;
            return Err(Fault::Missing { missing, from: self.delivered + 1 });
        }
        if self.delivered > self.acknowledged {
            return Err(Fault::Surplus { surplus: self.delivered - self.acknowledged });
        }
        if counted != self.acknowledged {
            return Err(Fault::Count { counted, acknowledged: self.acknowledged });
        }
        Ok(())
    }

    /// Compares what both sides have said so far. An event may come before the answer to its create: both
    /// follow from the same commit.
    fn settle(&mut self) -> Result<(), Fault> {
        while !self.created_waiting.is_empty() && !self.announced_waiting.is_empty() {
            let pair = self.created_waiting.pop_front().zip(self.announced_waiting.pop_front());
            if let Some((created, announced)) = pair
                && created != announced
            {
                let number = self.delivered - self.announced_waiting.len() as u64;
                return Err(Fault::Focus { number, announced, created });
            }
        }
        Ok(())
    }
}

/// What all audits of a run add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Passed {
    /// Subscriptions whose account was closed.
    pub subscriptions: u64,
    /// Creates acknowledged, each delivered exactly once and in order.
    pub events: u64,
}

impl Passed {
    /// Adds another audit.
    pub const fn add(&mut self, other: Self) {
        self.subscriptions += other.subscriptions;
        self.events += other.events;
    }
}

#[cfg(test)]
mod tests;
