//! R5: the native Subscription, and what only R5's notifications have.

mod subscription;

#[cfg(test)]
mod tests;

pub(crate) use subscription::{parse_subscription, set_status, set_values};
