//! What of a Subscription the server may decide otherwise than the client asked (RQ section 3.3,
//! "server may modify").

use cresset_model::PayloadContent;

/// Values to be written into a stored Subscription; what is none stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriptionValues<'v> {
    /// Heartbeat period in seconds.
    pub heartbeat_period: Option<u32>,
    /// Timeout in seconds.
    pub timeout: Option<u32>,
    /// Events in one notification.
    pub max_count: Option<u32>,
    /// MIME type.
    pub mime_type: Option<&'v str>,
    /// Content level.
    pub content: Option<PayloadContent>,
}
