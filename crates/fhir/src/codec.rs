//! One codec per FHIR version: the façade over everything that differs between them.

use std::collections::BTreeSet;

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{
    Issue, IssueCode, Issues, Notification, ResourceId, Subscription, SubscriptionStatus, Topic,
};
use serde_json::Value;

use crate::audit::{AuditEntry, render_audit_event};
use crate::capability::{CapabilityFacts, render_capability_statement};
use crate::format::Format;
use crate::message::{MessageFrame, render_message};
use crate::notification::{
    NotificationTemplate, ReceivedNotification, decode_notification, render_notification,
    render_status_searchset,
};
use crate::openapi::render_openapi;
use crate::own_definitions::{OwnDefinition, own_definitions};
use crate::references::{Targets, conditional_references, rewrite_references};
use crate::resource::{ParsedResource, parse_resource};
use crate::search_parameter::{SearchParameterSupport, render_search_parameter};
use crate::validation::validate;
use crate::values::SubscriptionValues;
use crate::{backport, json, r5, topic, xml};

/// What turns the wire forms of one FHIR version into the model and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codec {
    version: FhirVersion,
}

impl Codec {
    /// The codec of a version.
    pub fn of(version: FhirVersion) -> &'static Self {
        match version {
            FhirVersion::R4 => &Self { version: FhirVersion::R4 },
            FhirVersion::R4B => &Self { version: FhirVersion::R4B },
            FhirVersion::R5 => &Self { version: FhirVersion::R5 },
        }
    }

    /// Its version.
    pub fn version(&self) -> FhirVersion {
        self.version
    }

    /// Reads a resource: JSON, a type that the version knows, an id and meta of the right form.
    ///
    /// # Errors
    /// The request is malformed: not JSON, no or an unknown `resourceType`, a bad id or meta.
    pub fn parse_resource(&self, bytes: &[u8]) -> Result<ParsedResource, Issues> {
        parse_resource(self.version, bytes)
    }

    /// The resource type that carries topics (RQ-TP-02, RQ-TP-03).
    pub fn topic_type(&self) -> &'static str {
        match self.version {
            FhirVersion::R4 => "Basic",
            FhirVersion::R4B | FhirVersion::R5 => "SubscriptionTopic",
        }
    }

    /// Whether the resource is a topic: a SubscriptionTopic, in R4 a `Basic` that says so.
    pub fn is_topic(&self, value: &Value) -> bool {
        let resource_type = value.get("resourceType").and_then(Value::as_str);
        if resource_type != Some(self.topic_type()) {
            return false;
        }
        match self.version {
            FhirVersion::R4 => topic::is_basic_topic(value),
            FhirVersion::R4B | FhirVersion::R5 => true,
        }
    }

    /// Reads a topic in the form of the version (RQ-TP-02, RQ-TP-03).
    ///
    /// # Errors
    /// All issues found. Success does not mean that the topic can be evaluated.
    pub fn parse_topic(&self, value: &Value) -> Result<Topic, Issues> {
        match self.version {
            FhirVersion::R4 => topic::parse_basic(value),
            FhirVersion::R4B | FhirVersion::R5 => topic::parse_resource(value),
        }
    }

    /// Writes a topic in the form of the version, for one that was configured in another.
    pub fn render_topic(&self, topic: &Topic, id: &ResourceId) -> Vec<u8> {
        match self.version {
            FhirVersion::R4 => topic::render_basic(topic, id),
            FhirVersion::R4B | FhirVersion::R5 => topic::render_resource(self.version, topic, id),
        }
    }

    /// Reads a Subscription, with warnings.
    ///
    /// `status` is what the client wrote; which it may write is for the caller to say
    /// (RQ-SB-23). Whether topic, filters and channel are offered is not judged here.
    ///
    /// # Errors
    /// All issues found (RQ section 3.4: 422).
    pub fn parse_subscription(&self, value: &Value) -> Result<(Subscription, Issues), Issues> {
        match self.version {
            FhirVersion::R4 | FhirVersion::R4B => backport::parse_subscription(self.version, value),
            FhirVersion::R5 => r5::parse_subscription(value),
        }
    }

    /// Whether a Subscription is topic-based, not a classic one with a query (RQ-SB-02).
    pub fn is_topic_based(&self, value: &Value) -> bool {
        match self.version {
            FhirVersion::R4 | FhirVersion::R4B => backport::is_topic_based(value),
            FhirVersion::R5 => true,
        }
    }

    /// Where an element that the engine names by its R5 path (`Subscription.filterBy[1].value`)
    /// stands in this Subscription of this version.
    pub fn subscription_path(&self, subscription: &Value, r5_expression: &str) -> String {
        match self.version {
            FhirVersion::R4 | FhirVersion::R4B => {
                backport::subscription_path(self.version, subscription, r5_expression)
            }
            FhirVersion::R5 => r5_expression.to_owned(),
        }
    }

    /// The Subscription's bytes with another status, and in R4 and R4B with this `error` or none.
    /// Every other byte stays.
    pub fn with_subscription_status(
        &self,
        bytes: &[u8],
        status: SubscriptionStatus,
        error: Option<&str>,
    ) -> Vec<u8> {
        match self.version {
            FhirVersion::R4 | FhirVersion::R4B => backport::set_status(bytes, status, error),
            FhirVersion::R5 => r5::set_status(bytes, status),
        }
    }

    /// The Subscription's bytes with values that the server chose (RQ-SB-14, RQ-SB-15,
    /// RQ-SB-27). Every other byte stays.
    pub fn with_subscription_values(
        &self,
        bytes: &[u8],
        values: &SubscriptionValues<'_>,
    ) -> Vec<u8> {
        match self.version {
            FhirVersion::R4 | FhirVersion::R4B => backport::set_values(bytes, values),
            FhirVersion::R5 => r5::set_values(bytes, values),
        }
    }

    /// Writes a notification Bundle to the end of `out` (RQ section 6).
    ///
    /// What the content level forbids is left out. An event notification or query-event must have
    /// events (sst-1), which is for the caller to see to (RQ-OP-25).
    pub fn render_notification(&self, notification: &Notification, out: &mut Vec<u8>) {
        render_notification(self.version, notification, out);
    }

    /// A template of this notification for other subscribers to the same event, if it has one; `salt` is drawn at
    /// random for it.
    pub fn notification_template(
        &self,
        notification: &Notification,
        format: Format,
        salt: u128,
    ) -> Option<NotificationTemplate> {
        NotificationTemplate::of(self.version, notification, format, salt)
    }

    /// Writes a message Bundle around a rendered notification to the end of `out`.
    ///
    /// Spec: RQ-CH-81, RQ-CH-82.
    pub fn render_message(&self, frame: &MessageFrame<'_>, notification: &[u8], out: &mut Vec<u8>) {
        render_message(self.version, frame, notification, out);
    }

    /// Writes an AuditEvent to the end of `out`, without line breaks.
    pub fn render_audit_event(&self, entry: &AuditEntry<'_>, out: &mut Vec<u8>) {
        render_audit_event(self.version, entry, out);
    }

    /// Writes the answer of `$status`.
    pub fn render_status_searchset(&self, statuses: &[Notification], self_url: &str) -> Vec<u8> {
        render_status_searchset(self.version, statuses, self_url)
    }

    /// Reads a notification Bundle as a subscriber does.
    ///
    /// # Errors
    /// All issues found.
    pub fn parse_notification(&self, value: &Value) -> Result<ReceivedNotification, Issues> {
        decode_notification(self.version, value)
    }

    /// A resource of a transaction with its references rewritten; none if there are none.
    pub fn rewrite_references(
        &self,
        bytes: &[u8],
        full_url: Option<&str>,
        targets: &Targets,
    ) -> Option<Vec<u8>> {
        rewrite_references(Definitions::of(self.version), bytes, full_url, targets)
    }

    /// The conditional references in a resource of a transaction (`Patient?identifier=…`), each once.
    pub fn conditional_references(&self, resource: &Value) -> BTreeSet<String> {
        conditional_references(Definitions::of(self.version), resource)
    }

    /// Writes the CapabilityStatement.
    pub fn capability_statement(&self, facts: &CapabilityFacts<'_>) -> Vec<u8> {
        render_capability_statement(self.version, facts)
    }

    /// Writes the OpenAPI description of a base, of these types or of all if none is named.
    pub fn openapi(&self, facts: &CapabilityFacts<'_>, types: &[&str]) -> Vec<u8> {
        render_openapi(self.version, facts, types)
    }

    /// Writes a SearchParameter of HL7's with what of it is supported.
    pub fn search_parameter(&self, support: &SearchParameterSupport<'_>) -> Vec<u8> {
        render_search_parameter(self.version, support)
    }

    /// The definitions of this server's own operations, extensions and codes, and of compartments.
    pub fn own_definitions(&self) -> Vec<OwnDefinition> {
        own_definitions(self.version)
    }

    /// The JSON of a resource that came as XML; it is still to be parsed and checked as such.
    ///
    /// # Errors
    /// `NotXml` and the like with line and column, and nothing of the content.
    pub fn json_of_xml(&self, bytes: &[u8]) -> Result<Vec<u8>, Issues> {
        xml::to_json(Definitions::of(self.version), bytes)
    }

    /// The XML of a resource that was written here as JSON, perhaps with others in it.
    ///
    /// Elements that the version does not define have no form in XML and are left out.
    ///
    /// # Errors
    /// What is wrong with the JSON; nothing is with what was checked when it came in.
    pub fn xml_of_json(&self, bytes: &[u8]) -> Result<Vec<u8>, Issues> {
        let resource = json::parse_written(bytes)?;
        let mut out = String::with_capacity(bytes.len());
        xml::from_json(Definitions::of(self.version), &resource, &mut out);
        Ok(out.into_bytes())
    }

    /// All that is wrong with the form of a resource: elements, types, cardinalities, codes,
    /// references. At most [`crate::VALIDATION_ISSUES_MAX`], each with severity error.
    ///
    /// A resource without issues may still break invariants and profiles.
    pub fn validate(&self, resource: &Value) -> Issues {
        validate(self.version, resource)
    }

    /// Refuses a resource of another type than the one asked for.
    ///
    /// # Errors
    /// `WrongResourceType`.
    pub fn check_type(&self, resource: &ParsedResource, expected: &str) -> Result<(), Issues> {
        if resource.resource_type.as_str() == expected {
            return Ok(());
        }
        let text = format!("the body is a {}, not a {expected}", resource.resource_type);
        Err(Issue::error(IssueCode::WrongResourceType, text).at("resourceType").into())
    }
}
