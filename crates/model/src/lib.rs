//! The nouns of Cresset: topics, subscriptions, filters, events, notifications, ids, statuses.
//!
//! Everything here is R5-shaped and neutral: it knows no JSON, no FHIR version, no I/O, no clock.
//! The codecs in `cresset-fhir` parse wire forms into these types and render them out again; the
//! pure core in `cresset-engine` decides over them; the stores keep them.
//!
//! Constructors of newtypes check what FHIR demands of them (`ResourceId`: 64 characters of
//! `[A-Za-z0-9.-]`), so a value that exists is a value that is right.

mod change;
mod criteria;
mod event;
mod explanation;
mod ids;
mod issue;
mod notification;
mod retries;
mod subscription;
mod topic;
mod trace;

pub use change::{Change, Interaction, Position};
pub use criteria::{criteria_topic_url, is_criteria_topic};
pub use event::{Event, EventNumber};
pub use explanation::{ExplainedTest, ExplainedTrigger, Explanation, Verdict};
pub use ids::{
    Base, Canonical, ClientName, InvalidId, ResourceId, ResourceKey, ResourceType, SubscriptionKey,
    VersionId,
};
pub use issue::{Issue, IssueCode, IssueKind, Issues, Severity};
pub use notification::{
    Notification, NotificationEvent, NotificationResource, NotificationType, SubscriptionError,
    SubscriptionErrorCode,
};
pub use retries::Retries;
pub use subscription::{
    ChannelType, Coding, Comparator, Filter, HEADER_BYTES_MAX, HEADERS_RESERVED, Header, MimeType,
    Modifier, PayloadContent, Subscription, SubscriptionStatus, split_modifier,
};
pub use topic::{
    CriteriaResult, EventTrigger, FhirPathCriteria, FilterDefinition, NotificationShape, Opaque,
    Period, QueryCriteria, RelatedQuery, ResourceTrigger, Topic, TopicStatus,
};
pub use trace::TraceContext;
