//! The exact URLs of RQ section 1.2.

/// Where HL7's StructureDefinitions of base types live.
pub(crate) const STRUCTURE_DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Where the extensions and profiles of the Backport guide live.
pub(crate) const BACKPORT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";
/// On `Subscription.criteria`: a filter.
pub(crate) const FILTER_CRITERIA: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-filter-criteria";
/// On `Subscription.channel.payload`: the content level.
pub(crate) const PAYLOAD_CONTENT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content";
/// On `Subscription.channel`: seconds.
pub(crate) const HEARTBEAT_PERIOD: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-heartbeat-period";
/// On `Subscription.channel`: seconds.
pub(crate) const TIMEOUT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-timeout";
/// On `Subscription.channel`: events in one notification.
pub(crate) const MAX_COUNT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-max-count";
/// On a notificationShape and on a notificationEvent: a query that tells more.
pub(crate) const RELATED_QUERY: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-related-query";
/// On `Subscription.channel.type`: overrides it.
pub(crate) const CHANNEL_TYPE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-channel-type";

/// Profile of Subscription.
pub(crate) const PROFILE_SUBSCRIPTION: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription";
/// Profile of R4 notification Bundles.
pub(crate) const PROFILE_NOTIFICATION_R4: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4";
/// Profile of R4B notification Bundles.
pub(crate) const PROFILE_NOTIFICATION_R4B: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification";
/// Profile of the status Parameters in R4.
pub(crate) const PROFILE_STATUS_R4: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4";

/// On the Subscription entry of R4's CapabilityStatement: a topic.
pub(crate) const CAPABILITY_TOPIC: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical";
/// On `CapabilityStatement.rest` in R4 and R4B: where websockets are served.
pub(crate) const CAPABILITY_WEBSOCKET: &str =
    "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket";
/// What an R4 server instantiates.
pub(crate) const CAPABILITY_R4: &str = "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/backport-subscription-server-r4";
/// What an R4B server instantiates (TR-13).
pub(crate) const CAPABILITY_R4B: &str = "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/backport-subscription-server";
/// The Backport guide.
pub(crate) const IMPLEMENTATION_GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/ImplementationGuide/hl7.fhir.uv.subscriptions-backport";
/// Its operations: this and `status`, `events`, `get-ws-binding-token`.
pub(crate) const OPERATION_BACKPORT: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-";
/// On a topic: a subscription that has filters gets events of the types only that they are for.
pub(crate) const FILTERS_CHOOSE_TYPES: &str =
    "https://cresset.dev/fhir/StructureDefinition/filters-choose-types";

/// On a filter of a topic: a kind of event that each event of its types is of.
pub(crate) const EVENT_CODE: &str = "https://cresset.dev/fhir/StructureDefinition/event-code";

/// Channels of our own (docs/channels).
pub(crate) const CHANNEL_TYPE_OWN: &str = "https://cresset.dev/fhir/CodeSystem/channel-type";
/// Operations of our own: this, the type, `-` and the name.
pub(crate) const OPERATION_OWN: &str = "https://cresset.dev/fhir/OperationDefinition/";
/// R5's operations: this and the same names.
pub(crate) const OPERATION_R5: &str = "http://hl7.org/fhir/OperationDefinition/Subscription-";

/// How long what fails is repeated for a Subscription, an extension of our own (docs/operating.md).
pub(crate) const RETRY_PERIOD: &str =
    "https://cresset.dev/fhir/StructureDefinition/subscription-retry-period";

/// `$explain`, an operation of our own (docs/explain.md).
pub(crate) const OPERATION_EXPLAIN: &str = "https://cresset.dev/fhir/OperationDefinition/explain";

/// `$resend` where the guide does not define it (docs/resend.md).
pub(crate) const OPERATION_RESEND: &str = "https://cresset.dev/fhir/OperationDefinition/resend";

/// Codes of `SubscriptionStatus.error`.
pub(crate) const SUBSCRIPTION_ERROR: &str =
    "http://terminology.hl7.org/CodeSystem/subscription-error";
/// Channel types in R5.
pub(crate) const CHANNEL_TYPE_R5: &str =
    "http://terminology.hl7.org/CodeSystem/subscription-channel-type";
/// Channel types in R4 and R4B.
pub(crate) const CHANNEL_TYPE_R4: &str = "http://hl7.org/fhir/subscription-channel-type";

/// Extensions with this start stand for elements of R5 in older versions (TR-05).
pub(crate) const CROSS_VERSION_R5: &str = "http://hl7.org/fhir/5.0/";
/// Cross-version extension for `SubscriptionTopic.canFilterBy.modifier`.
pub(crate) const CROSS_VERSION_MODIFIER: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.canFilterBy.modifier";
/// Cross-version extension for SubscriptionTopic and, behind a dot, its elements.
pub(crate) const CROSS_VERSION_TOPIC: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
/// The code system of type names, in the `code` of a topic in `Basic` (RQ-TP-02).
pub(crate) const FHIR_TYPES: &str = "http://hl7.org/fhir/fhir-types";
/// The code system of resource type names, which some write there.
pub(crate) const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";

/// System of our issue codes in `OperationOutcome.issue.details`.
pub const ISSUE_CODE_SYSTEM: &str = "https://cresset.dev/errors";
/// The definition of `$validate`.
pub(crate) const OPERATION_VALIDATE: &str =
    "http://hl7.org/fhir/OperationDefinition/Resource-validate";
