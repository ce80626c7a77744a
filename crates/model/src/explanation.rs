//! Why a change is an event or not: what an evaluation asked, what it saw, what came of it.
//!
//! It holds values of resources, so its `Debug` shows none of them.

use std::fmt;

use crate::{Canonical, Interaction};

/// What came of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does not hold.
    Fails,
    /// It holds.
    Holds,
    /// Nobody asked: it is for other changes.
    NotAsked,
    /// It cannot be told, and so lets nothing through.
    Unknown,
}

impl Verdict {
    /// The word for it on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::Holds => "holds",
            Self::NotAsked => "not-asked",
            Self::Unknown => "unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// One criterion or filter: what it asks, and what it found.
#[derive(Clone, PartialEq, Eq)]
pub struct ExplainedTest {
    /// The element it is written in, as a path of R5's topic or subscription.
    pub element: String,
    /// As it is written there.
    pub text: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// The values it saw, cut to a bounded length.
    pub values: Vec<String>,
    /// How many further values there were.
    pub values_left_out: usize,
}

/// One trigger of the topic.
#[derive(Clone, PartialEq, Eq)]
pub struct ExplainedTrigger {
    /// The element it is written in, as a path of R5's topic.
    pub element: String,
    /// Whether it fires.
    pub verdict: Verdict,
    /// Why, where its criteria do not say it.
    pub reason: Option<String>,
    /// Its criteria.
    pub criteria: Vec<ExplainedTest>,
}

/// Why a change is an event of a topic or subscription, or is not.
#[derive(Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The topic.
    pub topic: Canonical,
    /// The type of the resource that changed.
    pub resource_type: String,
    /// What was done to it.
    pub interaction: Interaction,
    /// Whether it is an event.
    pub verdict: Verdict,
    /// The verdict in words.
    pub summary: String,
    /// All triggers of the topic, in its order.
    pub triggers: Vec<ExplainedTrigger>,
    /// All filters of the subscription, in its order.
    pub filters: Vec<ExplainedTest>,
    /// What could not be evaluated; holds nothing of the resource.
    pub problems: Vec<String>,
    /// References that would have to be looked up for an answer.
    pub missing: Vec<String>,
}

/// `Debug` with the verdict alone.
macro_rules! verdict_only {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?}, …)"), self.verdict)
            }
        }
    )+};
}
verdict_only!(ExplainedTest, ExplainedTrigger, Explanation);
