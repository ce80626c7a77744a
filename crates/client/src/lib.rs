#![doc = include_str!("../README.md")]

mod backoff;
mod binding;
mod capability;
mod client;
mod error;
mod filter;
mod json;
mod listener;
mod notification;
mod receiver;
mod sequence;
#[cfg(test)]
mod shared_data;
mod signature;
mod socket;
mod subscription;
mod tls;
mod version;

pub use backoff::Backoff;
pub use binding::BindingToken;
pub use capability::Capabilities;
pub use client::Client;
pub use error::Error;
pub use filter::{Filter, InvalidFilter};
pub use listener::{Listener, Options, Update};
pub use notification::{
    Entry, Error as NotificationError, Event, NOTIFICATION_BYTES_MAX, Notification,
    NotificationType, Reference, SubscriptionStatus,
};
pub use receiver::{Delivery, Receiver};
pub use sequence::{Arrival, Fault, Limits, Sequence, Start, Step};
pub use signature::{InvalidKey, SIGNATURES_MAX, TIMESTAMP_TOLERANCE, Untrusted, Verifier};
pub use subscription::{ChannelType, InvalidSubscription, PayloadContent, Subscription};
pub use version::FhirVersion;
