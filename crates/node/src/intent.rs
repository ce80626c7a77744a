//! What a use case asks the writer to do, prepared as far as it can be without the writer.

use bytes::Bytes;
use cresset_model::{
    Canonical, Change, ClientName, Coding, Issues, ResourceId, ResourceKey, Subscription,
    SubscriptionError, SubscriptionKey, SubscriptionStatus, Topic, TraceContext, VersionId,
};
use cresset_store::{IndexRow, Record};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

use crate::catalogs::Catalogs;
use crate::conditional::Assumption;
use crate::error::Error;
use crate::writer::Answered;

/// A change that somebody wants, read and checked as far as possible.
#[derive(Debug)]
pub(crate) struct Intent {
    /// The resource.
    pub(crate) key: ResourceKey,
    /// What to do with it.
    pub(crate) action: Action,
    /// What must hold of the current version.
    pub(crate) precondition: Precondition,
    /// Who wants it.
    pub(crate) author: ClientName,
    /// Whether the author may touch subscriptions of others.
    pub(crate) admin: bool,
    /// Whether the author may read, and so ask about resources.
    pub(crate) may_read: bool,
    /// Whether the author may write topics.
    pub(crate) may_topics: bool,
    /// Whether the author may write what is neither topic nor subscription.
    pub(crate) may_write: bool,
    /// The trace of the request.
    pub(crate) trace: Option<TraceContext>,
}

/// Changes that happen together or not at all, and what they were prepared on.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The changes, in order.
    pub(crate) intents: Vec<Intent>,
    /// What must hold before the first of them.
    pub(crate) assumptions: Vec<Assumption>,
}

impl Work {
    /// One change that was prepared on nothing.
    pub(crate) fn of(intent: Intent) -> Self {
        Self { intents: vec![intent], assumptions: Vec::new() }
    }
}

/// What to do with a resource.
#[derive(Debug)]
pub(crate) enum Action {
    /// Make it go.
    Delete,
    /// Make it this.
    Put(Box<Body>),
}

/// A resource as it came in.
#[derive(Debug)]
pub(crate) struct Body {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// The same, parsed.
    pub(crate) value: Value,
    /// What it means to the catalog.
    pub(crate) role: Role,
    /// What the search index is to hold of it, if the bytes are stored as they are here.
    pub(crate) rows: Option<Arc<[IndexRow]>>,
    /// What is to be told of its form.
    pub(crate) warnings: Issues,
}

/// What a resource means to the catalog.
#[derive(Debug)]
pub(crate) enum Role {
    /// Nothing.
    Plain,
    /// A subscription.
    Subscription(Box<Subscription>),
    /// A topic.
    Topic(Box<Topic>),
}

/// What must hold of the current version, else the change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Nothing.
    None,
    /// It has this version (`If-Match`).
    Version(VersionId),
    /// It has this version, which the change was prepared on.
    Unchanged(VersionId),
    /// There is none (`If-None-Match: *`).
    Absent,
    /// There is one (`If-Match: *`).
    Present,
    /// The server has just drawn the id; nothing can be there.
    Fresh,
}

/// What became of an intent.
#[derive(Debug, Clone)]
pub struct Written {
    /// The change, durable. For `Found` and `Untouched`: the newest change there was before, if any.
    pub change: Option<Arc<Change>>,
    /// What was done.
    pub effect: Effect,
    /// Warnings for the caller.
    pub warnings: Issues,
    /// What was parsed for it. It is freed by who asked: the writer, one thread for all, would take longer.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) spent: Option<Arc<Value>>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The resource came into being.
    Created,
    /// It was deleted.
    Deleted,
    /// There was one already, of a conditional create.
    Found,
    /// There was nothing to do: deleting what is not there.
    Untouched,
    /// It was changed.
    Updated,
}

/// An event that is no change of data, and that somebody tells of.
#[derive(Debug)]
pub(crate) struct EventIntent {
    /// What it is to be known by in the log.
    pub(crate) key: ResourceKey,
    /// The topic that it fires.
    pub(crate) topic: TopicName,
    /// What happened.
    pub(crate) event: Vec<Coding>,
    /// What it happened to.
    pub(crate) focus: ResourceKey,
    /// What goes with it.
    pub(crate) context: Vec<ResourceKey>,
    /// Who tells.
    pub(crate) author: ClientName,
    /// The trace of the request.
    pub(crate) trace: Option<TraceContext>,
}

/// How a topic is named.
#[derive(Debug)]
pub(crate) enum TopicName {
    /// By its canonical.
    Canonical(Canonical),
    /// By the id of its resource.
    StoredAt(ResourceId),
}

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Notified {
    /// How many subscriptions it is an event of.
    pub(crate) count: usize,
    /// Warnings for the one who told.
    pub(crate) warnings: Issues,
}

/// A job for the writer.
pub(crate) enum Job {
    /// Tell which catalogs are in force.
    Catalogs { reply: oneshot::Sender<Catalogs> },
    /// An event that is no change.
    Notify { intent: Box<EventIntent>, reply: oneshot::Sender<Result<Notified, Error>> },
    /// Changes that happen together or not at all.
    Write { work: Work, reply: oneshot::Sender<Result<Answered, Error>> },
    /// Bookkeeping; the reply tells that it is durable.
    Record { records: Vec<Record>, reply: Option<oneshot::Sender<Result<(), Error>>> },
    /// The server's own change of a subscription's status.
    Status(StatusChange),
    /// Do what is queued before this, then end.
    Stop,
}

/// A status that the server gives a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusChange {
    /// Which subscription.
    pub(crate) subscription: SubscriptionKey,
    /// The client's changes that the server knew of; one in between wins.
    pub(crate) revision: u32,
    /// The new status.
    pub(crate) to: SubscriptionStatus,
    /// Why, if it is not good.
    pub(crate) error: Option<SubscriptionError>,
    /// Whether it makes changes that the loops decided before it stale.
    pub(crate) supersedes: bool,
}
