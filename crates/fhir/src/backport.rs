//! What R4 and R4B share: Subscriptions with the extensions of the Backport guide (RQ section 3), and
//! those of the base specification, whose criteria are a search.
//!
//! The modules `r4` and `r4b` hold only what differs: the status resource and the topic's form.

mod classic;
mod subscription;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use subscription::{is_topic_based, parse_subscription, subscription_path};
pub(crate) use values::{set_status, set_values};
