//! R4 notification bundles and operation answers, read and (for the baselines) rendered.
//!
//! Reading is typed and lenient: what the audit needs and nothing else, so that the generator stays cheap and a
//! black box may order and decorate its bundles as it likes. Rendering follows the minimal template of RQ 6.7, so
//! that a baseline's frame has the size of a real one.

use anyhow::Context as _;
use serde::Deserialize;

use crate::http::id_in;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Events.
    Event,
    /// The answer to a bind.
    Handshake,
    /// Heartbeats and whatever else carries no new event.
    Other,
}

/// One occurrence in a notification.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub number: u64,
    /// Id of the Observation in focus.
    pub focus: String,
}

/// What one frame says.
#[derive(Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it is.
    pub kind: Kind,
    /// Id of the subscription.
    pub subscription: String,
    /// Its events.
    pub events: Vec<Event>,
    /// `events-since-subscription-start`.
    pub total: Option<u64>,
}

/// What `$get-ws-binding-token` gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub token: String,
    /// Where to connect.
    pub websocket_url: String,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    resource: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    parameter: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameter {
    name: String,
    value_code: Option<String>,
    value_reference: Option<Reference>,
    value_string: Option<String>,
    value_url: Option<String>,
    #[serde(default)]
    part: Vec<Self>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
}

impl Notification {
    /// Reads a notification bundle, or the searchset of `$status` for one subscription.
    ///
    /// # Errors
    /// When it is no bundle whose first entry is a status.
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let bundle: Bundle = serde_json::from_slice(json).context("reading a bundle")?;
        let status = bundle.entry.into_iter().next().and_then(|entry| entry.resource);
        let status = status.context("a bundle without a status")?;
        let mut notification = Self {
            kind: Kind::Other,
            subscription: String::new(),
            events: Vec::new(),
            total: None,
        };
        for parameter in status.parameter {
            notification.take(parameter)?;
        }
        Ok(notification)
    }

    fn take(&mut self, parameter: Parameter) -> anyhow::Result<()> {
        match parameter.name.as_str() {
            "type" => self.kind = kind_of(parameter.value_code.as_deref()),
            "subscription" => {
                let reference = reference_of(&parameter)?;
                let id = id_in(reference, "Subscription").context("no subscription id")?;
                id.clone_into(&mut self.subscription);
            }
            "events-since-subscription-start" => self.total = Some(number_of(&parameter)?),
            "notification-event" => self.events.push(event_of(&parameter.part)?),
            _ => {}
        }
        Ok(())
    }
}

impl Token {
    /// Reads the answer of `$get-ws-binding-token` (RQ 7.3).
    ///
    /// # Errors
    /// When token or URL is missing.
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let answer: Parameters = serde_json::from_slice(json).context("reading a token")?;
        let (mut token, mut websocket_url) = (None, None);
        for parameter in answer.parameter {
            match parameter.name.as_str() {
                "token" => token = parameter.value_string,
                "websocket-url" => websocket_url = parameter.value_url,
                _ => {}
            }
        }
        Ok(Self {
            token: token.context("no token in the answer")?,
            websocket_url: websocket_url.context("no websocket-url in the answer")?,
        })
    }
}

fn kind_of(code: Option<&str>) -> Kind {
    match code {
        Some("event-notification") => Kind::Event,
        Some("handshake") => Kind::Handshake,
        _ => Kind::Other,
    }
}

fn event_of(parts: &[Parameter]) -> anyhow::Result<Event> {
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    let number = number_of(part("event-number").context("an event without a number")?)?;
    let focus = reference_of(part("focus").context("an event without a focus")?)?;
    let focus = id_in(focus, "Observation").context("the focus is no Observation")?;
    Ok(Event { number, focus: focus.to_owned() })
}

fn number_of(parameter: &Parameter) -> anyhow::Result<u64> {
    let text = parameter.value_string.as_deref().context("a number without a value")?;
    text.parse().context("not a number")
}

fn reference_of(parameter: &Parameter) -> anyhow::Result<&str> {
    let reference = parameter.value_reference.as_ref().context("a reference without a value")?;
    reference.reference.as_deref().context("a reference without a literal")
}

/// What a baseline says about one subscription.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// Id of the subscription.
    pub subscription: &'a str,
    /// `handshake`, `event-notification` or `query-status`.
    pub kind: &'a str,
    /// Events so far.
    pub total: u64,
    /// Id of the Observation in focus of event `total`.
    pub focus: Option<&'a str>,
}

/// Renders the bundle of RQ 6.7 with one status and at most one event.
#[must_use]
pub fn render(base: &str, status: &Status<'_>, now: &str) -> String {
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    let Status { subscription, kind, total, focus } = *status;
    let event = focus.map_or_else(String::new, |focus| {
        format!(
            r#",{{"name":"notification-event","part":[{{"name":"event-number","valueString":"{total}"}},{{"name":"timestamp","valueInstant":"{now}"}},{{"name":"focus","valueReference":{{"reference":"{base}/Observation/{focus}"}}}}]}}"#
        )
    });
    format!(
        r#"{{"resourceType":"Bundle","id":"{total:032x}","meta":{{"profile":["{GUIDE}/backport-subscription-notification-r4"]}},"type":"history","timestamp":"{now}","entry":[{{"fullUrl":"urn:uuid:{total:032x}","resource":{{"resourceType":"Parameters","id":"{total:032x}","meta":{{"profile":["{GUIDE}/backport-subscription-status-r4"]}},"parameter":[{{"name":"subscription","valueReference":{{"reference":"{base}/Subscription/{subscription}"}}}},{{"name":"topic","valueCanonical":"http://cresset.example/SubscriptionTopic/observation-created"}},{{"name":"status","valueCode":"active"}},{{"name":"type","valueCode":"{kind}"}},{{"name":"events-since-subscription-start","valueString":"{total}"}}{event}]}},"request":{{"method":"GET","url":"{base}/Subscription/{subscription}/$status"}},"response":{{"status":"200"}}}}]}}"#
    )
}

#[cfg(test)]
mod tests;
