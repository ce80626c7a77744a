//! What a subscriber asks for, in the form of each version.

use serde_json::{Map, Value, json};

use crate::version::Version;

/// Where the guide's extensions are defined.
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
/// The system of Cresset's own channel types.
const CHANNEL_TYPES_OWN: &str = "https://cresset.dev/fhir/CodeSystem/channel-type";
/// The system of R5's channel types.
const CHANNEL_TYPES: &str = "http://terminology.hl7.org/CodeSystem/subscription-channel-type";

/// How notifications are to travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// By mail to this endpoint.
    Email(String),
    /// As records of a Kafka topic; a channel of Cresset's own.
    Kafka(Option<String>),
    /// As FHIR messages to this endpoint.
    Message(String),
    /// As messages of a NATS stream; a channel of Cresset's own.
    Nats(Option<String>),
    /// To this endpoint.
    RestHook(String),
    /// Over a websocket.
    Websocket,
}

/// One filter.
#[derive(Debug, Clone)]
pub struct Filter {
    resource_type: Option<String>,
    parameter: String,
    comparator: Option<String>,
    modifier: Option<String>,
    value: String,
}

/// A subscription in the making.
#[derive(Debug, Clone)]
pub struct Subscribe {
    id: Option<String>,
    topic: String,
    channel: Channel,
    content: String,
    mime_type: Option<String>,
    status: String,
    filters: Vec<Filter>,
    headers: Vec<(String, String)>,
    heartbeat_period: Option<u32>,
    timeout: Option<u32>,
    max_count: Option<u32>,
    end: Option<String>,
}

impl Filter {
    /// `parameter=value`
    pub fn new(parameter: &str, value: &str) -> Self {
        Self {
            resource_type: None,
            parameter: parameter.to_owned(),
            comparator: None,
            modifier: None,
            value: value.to_owned(),
        }
    }

    /// For one resource type.
    #[must_use]
    pub fn of(self, resource_type: &str) -> Self {
        Self { resource_type: Some(resource_type.to_owned()), ..self }
    }

    /// With a comparator; a prefix of the value in R4 and R4B.
    #[must_use]
    pub fn comparator(self, code: &str) -> Self {
        Self { comparator: Some(code.to_owned()), ..self }
    }

    /// With a modifier.
    #[must_use]
    pub fn modifier(self, code: &str) -> Self {
        Self { modifier: Some(code.to_owned()), ..self }
    }

    fn backport(&self) -> String {
        let of = self.resource_type.as_ref().map(|it| format!("{it}.")).unwrap_or_default();
        let modifier = self.modifier.as_ref().map(|it| format!(":{it}")).unwrap_or_default();
        let comparator = self.comparator.as_deref().unwrap_or_default();
        format!("{of}{}{modifier}={comparator}{}", self.parameter, self.value)
    }

    fn r5(&self) -> Value {
        let mut filter = Map::new();
        let members = [
            ("resourceType", &self.resource_type),
            ("filterParameter", &Some(self.parameter.clone())),
            ("comparator", &self.comparator),
            ("modifier", &self.modifier),
            ("value", &Some(self.value.clone())),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                filter.insert(name.to_owned(), value.as_str().into());
            }
        }
        filter.into()
    }
}

impl Subscribe {
    /// To a topic by websocket, id-only.
    pub fn websocket(topic: &str) -> Self {
        Self {
            id: None,
            topic: topic.to_owned(),
            channel: Channel::Websocket,
            content: "id-only".to_owned(),
            mime_type: Some("application/fhir+json".to_owned()),
            status: "requested".to_owned(),
            filters: Vec::new(),
            headers: Vec::new(),
            heartbeat_period: None,
            timeout: None,
            max_count: None,
            end: None,
        }
    }

    /// To a topic by rest-hook, id-only.
    pub fn rest_hook(topic: &str, endpoint: &str) -> Self {
        Self { channel: Channel::RestHook(endpoint.to_owned()), ..Self::websocket(topic) }
    }

    /// To a topic by records of Kafka, id-only; the endpoint may be left to the server.
    pub fn kafka(topic: &str, endpoint: Option<&str>) -> Self {
        Self { channel: Channel::Kafka(endpoint.map(str::to_owned)), ..Self::websocket(topic) }
    }

    /// To a topic by messages of NATS, id-only; the endpoint may be left to the server.
    pub fn nats(topic: &str, endpoint: Option<&str>) -> Self {
        Self { channel: Channel::Nats(endpoint.map(str::to_owned)), ..Self::websocket(topic) }
    }

    /// To a topic by mail, id-only, with a body in plain text and the Bundle attached.
    pub fn email(topic: &str, address: &str) -> Self {
        let channel = Channel::Email(format!("mailto:{address}"));
        let mime_type = "text/plain;attach=application/fhir+json";
        Self { channel, ..Self::websocket(topic) }.mime_type(mime_type)
    }

    /// To a topic by messages, id-only.
    pub fn message(topic: &str, endpoint: &str) -> Self {
        Self { channel: Channel::Message(endpoint.to_owned()), ..Self::websocket(topic) }
    }

    /// Under an id of the client's.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// With another content level.
    #[must_use]
    pub fn content(self, content: &str) -> Self {
        Self { content: content.to_owned(), ..self }
    }

    /// With another MIME type.
    #[must_use]
    pub fn mime_type(self, mime_type: &str) -> Self {
        Self { mime_type: Some(mime_type.to_owned()), ..self }
    }

    /// With another status.
    #[must_use]
    pub fn status(self, status: &str) -> Self {
        Self { status: status.to_owned(), ..self }
    }

    /// With one more filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a heartbeat period, in seconds.
    #[must_use]
    pub fn heartbeat_period(self, seconds: u32) -> Self {
        Self { heartbeat_period: Some(seconds), ..self }
    }

    /// With a timeout, in seconds.
    #[must_use]
    pub fn timeout(self, seconds: u32) -> Self {
        Self { timeout: Some(seconds), ..self }
    }

    /// With at most so many events in a notification.
    #[must_use]
    pub fn max_count(self, max_count: u32) -> Self {
        Self { max_count: Some(max_count), ..self }
    }

    /// With an end.
    #[must_use]
    pub fn end(self, end: &str) -> Self {
        Self { end: Some(end.to_owned()), ..self }
    }

    /// The Subscription resource.
    pub fn json(&self, version: Version) -> Value {
        let mut subscription = if version.is_backport() { self.backport() } else { self.r5() };
        let root = subscription.as_object_mut().expect("an object");
        if let Some(id) = &self.id {
            root.insert("id".to_owned(), id.as_str().into());
        }
        if let Some(end) = &self.end {
            root.insert("end".to_owned(), end.as_str().into());
        }
        subscription
    }

    fn backport(&self) -> Value {
        let filters: Vec<Value> = self
            .filters
            .iter()
            .map(|filter| extension("backport-filter-criteria", "valueString", filter.backport()))
            .collect();
        let mut bounds = Vec::new();
        for (name, value_name, bound) in [
            ("backport-heartbeat-period", "valueUnsignedInt", self.heartbeat_period),
            ("backport-timeout", "valueUnsignedInt", self.timeout),
            ("backport-max-count", "valuePositiveInt", self.max_count),
        ] {
            bounds.extend(bound.map(|bound| extension(name, value_name, bound)));
        }
        let headers: Vec<String> =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let own = self.channel.is_own();
        // The code that the type must have all the same means nothing beside the extension.
        let mut channel = json!({"type": if own { "rest-hook" } else { self.channel.code() }});
        if own {
            let coding = json!({"system": CHANNEL_TYPES_OWN, "code": self.channel.code()});
            let extension = extension("backport-channel-type", "valueCoding", coding);
            set(&mut channel, "/_type", json!({"extension": [extension]}));
        }
        let content = extension("backport-payload-content", "valueCode", self.content.as_str());
        let members = [
            ("extension", bounds.into()),
            ("endpoint", self.channel.endpoint().into()),
            ("payload", self.mime_type.clone().into()),
            ("_payload", json!({"extension": [content]})),
            ("header", headers.into()),
        ];
        fill(&mut channel, members);
        let mut subscription = json!({
            "resourceType": "Subscription",
            "status": self.status,
            "reason": "a test",
            "criteria": self.topic,
        });
        let filters = if filters.is_empty() { Value::Null } else { json!({"extension": filters}) };
        fill(&mut subscription, [("_criteria", filters), ("channel", channel)]);
        subscription
    }

    fn r5(&self) -> Value {
        let filters: Vec<Value> = self.filters.iter().map(Filter::r5).collect();
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut subscription = json!({
            "resourceType": "Subscription",
            "status": self.status,
            "reason": "a test",
            "topic": self.topic,
        });
        let system = if self.channel.is_own() { CHANNEL_TYPES_OWN } else { CHANNEL_TYPES };
        let members = [
            ("filterBy", filters.into()),
            ("channelType", json!({"system": system, "code": self.channel.code()})),
            ("endpoint", self.channel.endpoint().into()),
            ("parameter", headers.into()),
            ("heartbeatPeriod", self.heartbeat_period.into()),
            ("timeout", self.timeout.into()),
            ("contentType", self.mime_type.clone().into()),
            ("content", self.content.as_str().into()),
            ("maxCount", self.max_count.into()),
        ];
        fill(&mut subscription, members);
        subscription
    }
}

impl Channel {
    /// The channel's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Kafka(_) => "kafka",
            Self::Message(_) => "message",
            Self::Nats(_) => "nats",
            Self::RestHook(_) => "rest-hook",
            Self::Websocket => "websocket",
        }
    }

    fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Kafka(endpoint) | Self::Nats(endpoint) => endpoint.as_deref(),
            Self::Email(endpoint) | Self::Message(endpoint) | Self::RestHook(endpoint) => {
                Some(endpoint)
            }
            Self::Websocket => None,
        }
    }

    fn is_own(&self) -> bool {
        matches!(self, Self::Kafka(_) | Self::Nats(_))
    }
}

/// Sets or takes out one member, named by a JSON pointer to it whose last part may be new.
///
/// # Panics
/// If what should hold it is not there.
pub fn set(resource: &mut Value, pointer: &str, value: impl Into<Value>) {
    let value = value.into();
    let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
    let parent = resource.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match parent {
        Value::Object(members) if value.is_null() => {
            members.remove(name);
        }
        Value::Object(members) => {
            members.insert(name.to_owned(), value);
        }
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            panic!("{pointer} is in no object")
        }
    }
}

fn extension(name: &str, value_name: &str, value: impl Into<Value>) -> Value {
    let mut extension = json!({"url": format!("{GUIDE}/{name}")});
    set(&mut extension, &format!("/{value_name}"), value);
    extension
}

/// Adds the members that hold anything.
fn fill<const N: usize>(object: &mut Value, members: [(&str, Value); N]) {
    for (name, value) in members {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if !value.is_null() && !empty {
            set(object, &format!("/{name}"), value);
        }
    }
}
