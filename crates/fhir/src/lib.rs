//! FHIR on the wire: codecs for R4, R4B and R5 around one canonical model.
//!
//! *In*: bytes become a checked JSON value ([`Codec::parse_resource`]), and that becomes a topic,
//! a subscription, a bundle of requests or the input of an operation; all that is wrong with it is
//! reported at once. *Out*: notifications, bundles, outcomes and capability statements are
//! written as bytes, with stored resources spliced in as they came. A resource is never parsed
//! and written again.
//!
//! The version is an input ([`Codec::of`]), never guessed from content. R4 and R4B share
//! `backport`; what only one version has stands in `r4`, `r5` or behind a `match` without wildcard.
//!
//! Knows no store, no engine, no HTTP; does no I/O and has no clock: ids and instants come in.
//! Tests: beside each module, and `tests/golden` for exact bytes.

mod audit;
mod backport;
mod bundle;
mod capability;
mod channel;
mod codec;
mod compartment;
mod element;
mod explain;
mod filter;
mod format;
mod instant;
pub mod json;
mod message;
mod mime;
mod notification;
mod notify_event;
mod openapi;
mod outcome;
mod own_definitions;
mod parameters;
mod r4;
mod r5;
mod references;
mod resource;
mod response;
mod search_parameter;
mod status;
mod subscription;
mod subset;
mod topic;
mod urls;
mod validation;
mod values;
mod xml;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod test_data;

pub use audit::{AuditEntry, Audited, SentNotification};
pub use bundle::{ENTRIES_MAX, Method, RequestBundle, RequestEntry, RequestResource, parse_bundle};
pub use capability::{
    CapabilityFacts, ResourceFacts, SearchParameterFacts, SubscriptionOperation, TypeInteraction,
};
pub use channel::{BOUND_MAX, ENDPOINT_BYTES_MAX, HEADERS_MAX};
pub use codec::Codec;
pub use cresset_definitions::FhirVersion;
pub use explain::{
    EXPLAINED_CHANGES_MAX, ExplainInput, ExplainedChange, ExplainedChanges, parse_explain,
    render_explained_changes, render_explanation,
};
pub use filter::{FILTER_BYTES_MAX, FILTERS_MAX};
pub use format::Format;
pub use instant::parse_instant;
pub use json::Stamp;
pub use message::MessageFrame;
pub use mime::{MAIL_MIME_TYPE_DEFAULT, MIME_TYPE_DEFAULT, MailForm};
pub use notification::{
    Blanks, NotificationTemplate, ReceivedEntry, ReceivedEvent, ReceivedNotification,
    render_for_medplum,
};
pub use notify_event::{CONTEXTS_MAX, NotifyEvent, parse_notify_event, render_notified};
pub use outcome::render_outcome;
pub use own_definitions::OwnDefinition;
pub use parameters::{BindingTokenAnswer, parse_parameters, render_token};
pub use references::Targets;
pub use resource::ParsedResource;
pub use response::{
    AnswerEntry, BundleKind, HistoryEntry, HistoryPage, SearchEntry, SearchMode, SearchPage, etag,
    render_batch_response, render_history, render_searchset,
};
pub use search_parameter::SearchParameterSupport;
pub use subset::{Part, subset};
pub use topic::{TopicForm, parse_topic_any, topic_form};
pub use urls::ISSUE_CODE_SYSTEM;
pub use validation::ISSUES_MAX as VALIDATION_ISSUES_MAX;
pub use values::SubscriptionValues;
