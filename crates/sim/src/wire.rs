//! Notifications as a receiver reads them.

use serde_json::Value;

use crate::forms::read_status;

/// What a notification tells.
#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) kind: String,
    /// The id of the subscription.
    pub(crate) subscription: String,
    pub(crate) status: String,
    /// `eventsSinceSubscriptionStart`.
    pub(crate) count: u64,
    /// Whether it tells of something that went wrong.
    pub(crate) has_error: bool,
    /// Number and focus of each event, in their order.
    pub(crate) events: Vec<(u64, Option<String>)>,
    /// The entries behind the status: the resource of each, where it is sent.
    pub(crate) entries: Vec<Option<Value>>,
    pub(crate) tells_topic: bool,
}

impl Notification {
    /// Reads the bundle; none if it is none of ours.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bundle: Value = serde_json::from_slice(bytes).ok()?;
        let status = &read_status(&bundle["entry"][0]["resource"]);
        let number = |value: &Value| value.as_str()?.parse().ok();
        let events = status["notificationEvent"].as_array().map(Vec::as_slice).unwrap_or_default();
        let events = events.iter().map(|event| {
            let focus = event["focus"]["reference"].as_str();
            Some((number(&event["eventNumber"])?, focus.map(last_part)))
        });
        let entries = bundle["entry"].as_array().into_iter().flatten().skip(1);
        Some(Self {
            kind: status["type"].as_str()?.to_owned(),
            subscription: last_part(status["subscription"]["reference"].as_str()?),
            status: status["status"].as_str()?.to_owned(),
            count: number(&status["eventsSinceSubscriptionStart"])?,
            has_error: status["error"].as_array().is_some_and(|errors| !errors.is_empty()),
            events: events.collect::<Option<_>>()?,
            entries: entries.map(|entry| entry.get("resource").cloned()).collect(),
            tells_topic: !status["topic"].is_null(),
        })
    }

    /// The first and the last event, of those that have some.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        Some((self.events.first()?.0, self.events.last()?.0))
    }
}

fn last_part(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}
