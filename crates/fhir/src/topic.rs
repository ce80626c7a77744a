//! Topics: SubscriptionTopic of R4B and R5, and `Basic` with cross-version extensions in R4.
//!
//! One reader takes all forms ([`source::Source`] hides whether an element is a member or an
//! extension), and comparators are understood where R4B puts them (among the modifiers) and where
//! R5 does (TR-23), so a topic file may be in any form on any base.
//!
//! Says what a topic *is*; whether it can be evaluated is for the engine. Tests: `topic/tests.rs`.

mod form;
mod metadata;
mod parse;
mod render;
mod source;
mod unknown;

#[cfg(test)]
mod tests;

pub use form::{TopicForm, topic_form};
pub use parse::parse_topic_any;
pub(crate) use parse::{is_basic_topic, parse_basic, parse_resource, read_coding};
pub(crate) use render::{coding, related_queries, render_basic, render_resource};
