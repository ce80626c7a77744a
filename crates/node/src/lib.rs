//! The use cases of the server and the loops behind them.
//!
//! A [`Node`] ties the pure core (`engine`, `search`, `fhir`) to a store and the channels. Every
//! use case takes a [`Caller`] and speaks in models and bytes; HTTP is the API's business, SQL the
//! store's.
//!
//! * The writer (one thread) orders changes, decides what they are events of, and commits them
//!   in groups. Nothing is visible before it is durable.
//! * The delivery loop, the sockets and the indexer follow the log. What wakes them are hints;
//!   what they do comes from the log and the live table.
//!
//! Invariants kept here: I3, I4 (with `engine`), I7, I8, I9, I10, I11; each names its test in
//! ARCHITECTURE.md. This crate must not know axum or SQL.

mod attempts;
mod audit;
mod bases;
mod built_ins;
mod bundles;
mod caller;
mod capability;
mod catalogs;
mod catch_up;
mod clock;
mod conditional;
mod config;
mod counters;
mod cursors;
mod deliver;
mod delivery_figures;
mod draft;
mod email;
mod error;
mod explain;
mod figures;
mod followed;
mod frames;
mod hint;
mod histogram;
mod history;
mod includes;
mod indexer;
mod intent;
mod interactions;
mod live;
mod load;
mod node;
mod notify;
mod notify_event;
mod observe;
mod occurrence;
mod origin;
mod overlay;
mod parsed;
mod patch;
mod random;
mod recent;
mod recovery;
mod reference;
mod resend;
mod resources;
mod roster;
mod rows;
mod search;
mod settings;
mod shared;
#[cfg(any(test, feature = "small-config"))]
mod small_config;
mod socket;
mod spans;
mod status;
#[cfg(feature = "stepped")]
mod stepped;
mod subscriptions;
mod timer;
mod tokens;
mod topic_check;
mod topic_list;
mod topics;
mod trigger_problems;
mod troubles;
mod upkeep;
mod validate;
mod versions;
mod writer;

#[cfg(test)]
mod tests;

pub use attempts::{AttemptOutcome, AttemptRecord};
pub use audit::{AUDIT_ENTRIES_MAX, AuditConfig, AuditFigures, AuditQuery};
pub use bundles::Representation;
pub use caller::{Authentication, Caller, Right, Rights, SubscriptionBounds, TokenHash};
pub use clock::Clock;
pub use config::{
    Config, DeliveryConfig, Limits, MessageEvent, RecoveryConfig, RetentionConfig, SearchConfig,
    SearchIndex, SubscriptionConfig, TopicConfig, ValidationLevel, WebsocketConfig,
};
pub use delivery_figures::{DeliveryFigures, StatusFigures, SubscriptionAttempts};
pub use email::{EmailConfig, LinkKey, MailLink, MailLinkState};
pub use error::{Error, Kind};
pub use explain::Explained;
pub use figures::{
    AttemptFigures, ChangeFigures, ChannelFigures, Figures, StateFigures, SubscriptionFigures,
};
pub use followed::{Followed, FollowedSubscription, Matched};
pub use histogram::{Distribution, RequestHistogram};
pub use history::{HISTORY_PAGE_MAX, HistoryOf, HistoryPage, HistoryQuery};
pub use intent::{Effect, Written};
pub use interactions::Target;
pub use node::{Node, Stopper};
pub use origin::{is_own_host, is_own_origin};
pub use patch::Patch;
pub use recovery::{RECOVERED_SUBSCRIPTIONS_MAX, Recovery, RecoverySubject};
pub use resend::{RESEND_EVENTS_MAX, ResendQuery};
pub use resources::Condition;
pub use roster::{
    EventLine, ROSTER_PAGE_MAX, RosterLine, RosterPage, RosterQuery, SubscriptionDetail,
};
pub use search::{SearchAnswer, SearchRequest, SearchTarget};
pub use shared::Brokers;
pub use socket::{Socket, SocketOutput};
pub use spans::{OpenSpan, Span, SpanFigures, SpanKind, SpanValue, Tracer};
#[cfg(feature = "stepped")]
pub use stepped::{Sending, SteppedNode};
pub use subscriptions::{EVENTS_PER_ANSWER_MAX, EventsQuery, STATUSES_PER_ANSWER_MAX};
pub use topic_check::{TopicCheck, Versions, check_topic};
pub use topic_list::TopicLine;
pub use topics::{CONFIGURATION, TopicFile, TopicProblem};
pub use troubles::{EndpointTrouble, Troubles};
pub use validate::{ValidationInput, ValidationMode};
