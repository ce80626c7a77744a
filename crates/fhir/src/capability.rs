//! CapabilityStatement of each version, from what the server says it does (RQ sections 1.1 to 1.3).

use cresset_definitions::{Definitions, FhirVersion, SearchKind};
use cresset_model::Canonical;
use jiff::Timestamp;

use crate::codec::Codec;
use crate::compartment::compartment_url;
use crate::instant::instant;
use crate::json::{ObjectWriter, write_object};
use crate::urls;

/// What patches may be: JSON Patch, and FHIRPath Patch in both formats of FHIR.
const PATCH_FORMATS: [&str; 3] =
    ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"];

/// What a server offers on one base.
#[derive(Debug, Clone)]
pub struct CapabilityFacts<'f> {
    /// URL of the base, without a slash at the end.
    pub base_url: &'f str,
    /// Version of the software.
    pub software_version: &'f str,
    /// When what is said here last changed.
    pub date: Timestamp,
    /// Topics, in the form subscriptions must name them (RQ-OP-61, TR-42).
    pub topics: &'f [Canonical],
    /// Codes of the channels that notifications are sent over.
    pub channels: &'f [&'f str],
    /// Where websockets are served, if they are.
    pub websocket_url: Option<&'f str>,
    /// How clients are authenticated, for people.
    pub security: Option<&'f str>,
    /// Whether batch, transaction and the history of the base are supported.
    pub transactions: bool,
    /// Whether resources of all types can be searched at once.
    pub system_search: bool,
    /// What is offered per type. One entry a type (cpb-9).
    pub resources: &'f [ResourceFacts<'f>],
    /// Operations on Subscription.
    pub operations: &'f [SubscriptionOperation],
    /// Whether `$notify-event` can be called on topics.
    pub notify_event: bool,
}

/// What is offered of one resource type.
#[derive(Debug, Clone)]
pub struct ResourceFacts<'f> {
    /// The type.
    pub resource_type: &'f str,
    /// What can be done.
    pub interactions: &'f [TypeInteraction],
    /// By what it can be searched. Each code once (cpb-12).
    pub search_parameters: &'f [SearchParameterFacts<'f>],
    /// What matches of a search refer to can go with them, by these (`Type:parameter`).
    pub search_includes: &'f [String],
    /// What refers to matches of a search can go with them, by these (`Type:parameter`).
    pub search_rev_includes: &'f [String],
    /// Whether a PUT may create.
    pub update_create: bool,
}

/// One search parameter offered.
#[derive(Debug, Clone, Copy)]
pub struct SearchParameterFacts<'f> {
    /// Its code.
    pub code: &'f str,
    /// Canonical URL of its definition.
    pub url: &'f str,
    /// Its type.
    pub kind: SearchKind,
}

/// An interaction with a type or its instances (`type-restful-interaction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypeInteraction {
    /// `create`
    Create,
    /// `delete`
    Delete,
    /// `history-instance`
    HistoryInstance,
    /// `history-type`
    HistoryType,
    /// `patch`
    Patch,
    /// `read`
    Read,
    /// `search-type`
    SearchType,
    /// `update`
    Update,
    /// `vread`
    Vread,
}

impl TypeInteraction {
    /// FHIR's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::HistoryInstance => "history-instance",
            Self::HistoryType => "history-type",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::SearchType => "search-type",
            Self::Update => "update",
            Self::Vread => "vread",
        }
    }
}

/// An operation on Subscription (RQ section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionOperation {
    /// `$events`
    Events,
    /// `$explain`, of our own, also on topics
    Explain,
    /// `$get-ws-binding-token`
    GetWsBindingToken,
    /// `$resend`, of a later ballot of the guide
    Resend,
    /// `$status`
    Status,
}

impl SubscriptionOperation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Events, Self::Explain, Self::GetWsBindingToken, Self::Resend, Self::Status];

    /// The operation with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The name without `$` (TR-32).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Explain => "explain",
            Self::GetWsBindingToken => "get-ws-binding-token",
            Self::Resend => "resend",
            Self::Status => "status",
        }
    }
}

/// Writes the CapabilityStatement.
pub(crate) fn render_capability_statement(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "CapabilityStatement");
        o.string("name", "Cresset");
        o.string("title", "Cresset, a FHIR topic-based subscription server");
        o.string("status", "active");
        o.string("date", &instant(facts.date));
        o.string("kind", "instance");
        o.strings("instantiates", instantiates(version));
        o.object("software", |o| {
            o.string("name", "Cresset");
            o.string("version", facts.software_version);
        });
        o.object("implementation", |o| {
            o.string("description", "Cresset, a FHIR topic-based subscription server");
            o.string("url", facts.base_url);
        });
        o.string("fhirVersion", version.full());
        o.strings("format", ["application/fhir+json", "json", "application/fhir+xml", "xml"]);
        o.strings("patchFormat", PATCH_FORMATS);
        o.strings("implementationGuide", backport(version).then_some(urls::IMPLEMENTATION_GUIDE));
        o.array("rest", |a| a.object(|o| rest(version, facts, o)));
    });
    out
}

/// The channels of subscriptions with a search as their criteria.
const CLASSIC: [&str; 3] = ["email", "rest-hook", "websocket"];

const fn backport(version: FhirVersion) -> bool {
    match version {
        FhirVersion::R4 | FhirVersion::R4B => true,
        FhirVersion::R5 => false,
    }
}

/// RQ-CF-09.
const fn instantiates(version: FhirVersion) -> Option<&'static str> {
    match version {
        FhirVersion::R4 => Some(urls::CAPABILITY_R4),
        FhirVersion::R4B => Some(urls::CAPABILITY_R4B),
        FhirVersion::R5 => None,
    }
}

fn rest(version: FhirVersion, facts: &CapabilityFacts<'_>, o: &mut ObjectWriter<'_>) {
    if let (true, Some(url)) = (backport(version), facts.websocket_url) {
        o.array("extension", |a| {
            a.object(|o| {
                o.string("url", urls::CAPABILITY_WEBSOCKET);
                o.string("valueUri", url);
            });
        });
    }
    o.string("mode", "server");
    // There is no element for them.
    let channels = format!("Subscription channels: {}.", facts.channels.join(", "));
    o.string(
        "documentation",
        &match version {
            FhirVersion::R4 | FhirVersion::R4B => {
                let classic = facts.channels.iter().filter(|code| CLASSIC.contains(*code));
                let classic: Vec<&str> = classic.copied().collect();
                let classic = classic.join(", ");
                format!("{channels} Of them for a search as criteria: {classic}.")
            }
            FhirVersion::R5 => channels,
        },
    );
    if let Some(security) = facts.security {
        o.object("security", |o| o.string("description", security));
    }
    o.array("resource", |a| {
        for resource in facts.resources {
            a.object(|o| write_resource(version, facts, resource, o));
        }
    });
    let bundles: &[&str] = match facts.transactions {
        true => &["transaction", "batch", "history-system"],
        false => &[],
    };
    let search: &[&str] = if facts.system_search { &["search-system"] } else { &[] };
    o.array("interaction", |a| {
        for code in bundles.iter().chain(search) {
            a.object(|o| o.string("code", code));
        }
    });
    if facts.system_search {
        o.strings("compartment", Definitions::of(version).compartments().map(compartment_url));
    }
}

fn write_resource(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
    resource: &ResourceFacts<'_>,
    o: &mut ObjectWriter<'_>,
) {
    let subscription = resource.resource_type == "Subscription";
    if subscription {
        topic_extensions(version, facts.topics, o);
    }
    o.string("type", resource.resource_type);
    o.strings("supportedProfile", supported_profile(version, resource.resource_type));
    o.array("interaction", |a| {
        for interaction in resource.interactions {
            a.object(|o| o.string("code", interaction.code()));
        }
    });
    o.string("versioning", "versioned-update");
    o.boolean("readHistory", resource.interactions.contains(&TypeInteraction::Vread));
    o.boolean("updateCreate", resource.update_create);
    o.boolean("conditionalCreate", true);
    o.string("conditionalRead", "full-support");
    o.boolean("conditionalUpdate", true);
    if !backport(version) {
        o.boolean("conditionalPatch", true);
    }
    o.string("conditionalDelete", "single");
    o.strings("searchInclude", resource.search_includes.iter().map(String::as_str));
    o.strings("searchRevInclude", resource.search_rev_includes.iter().map(String::as_str));
    o.array("searchParam", |a| {
        for parameter in resource.search_parameters {
            a.object(|o| {
                o.string("name", parameter.code);
                o.string("definition", parameter.url);
                o.string("type", parameter.kind.code());
            });
        }
    });
    o.array("operation", |a| {
        for (name, definition) in operations_on(version, facts, resource.resource_type) {
            a.object(|o| {
                o.string("name", name);
                o.string("definition", &definition);
            });
        }
    });
}

/// The guide's profile that subscriptions, or notifications and what is in them, conform to
/// (RQ-CF-10, RQ-CF-11).
fn supported_profile(version: FhirVersion, resource_type: &str) -> Option<&'static str> {
    match (version, resource_type) {
        (FhirVersion::R4 | FhirVersion::R4B, "Subscription") => Some(urls::PROFILE_SUBSCRIPTION),
        (FhirVersion::R4, "Bundle") => Some(urls::PROFILE_NOTIFICATION_R4),
        (FhirVersion::R4, "Parameters") => Some(urls::PROFILE_STATUS_R4),
        (FhirVersion::R4B, "Bundle") => Some(urls::PROFILE_NOTIFICATION_R4B),
        (FhirVersion::R4 | FhirVersion::R4B | FhirVersion::R5, _) => None,
    }
}

/// The operations on a type, with the canonical URLs of their definitions.
fn operations_on(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
    resource_type: &str,
) -> Vec<(&'static str, String)> {
    let mut operations = vec![("validate", urls::OPERATION_VALIDATE.to_owned())];
    if resource_type == Codec::of(version).topic_type() {
        if facts.notify_event {
            let definition = format!("{}{resource_type}-notify-event", urls::OPERATION_OWN);
            operations.push(("notify-event", definition));
        }
        let of_topics = facts.operations.iter().filter(|one| match one {
            SubscriptionOperation::Explain => true,
            SubscriptionOperation::Events
            | SubscriptionOperation::GetWsBindingToken
            | SubscriptionOperation::Resend
            | SubscriptionOperation::Status => false,
        });
        operations.extend(of_topics.map(|one| (one.name(), definition(version, *one))));
    }
    if resource_type == "Subscription" {
        let own = facts.operations.iter().map(|one| (one.name(), definition(version, *one)));
        operations.extend(own);
    }
    operations
}

/// The topics, in R4 only: it has no topic resource to be searched (RQ-CF-05).
fn topic_extensions(version: FhirVersion, topics: &[Canonical], o: &mut ObjectWriter<'_>) {
    match version {
        FhirVersion::R4B | FhirVersion::R5 => return,
        FhirVersion::R4 => {}
    }
    o.array("extension", |a| {
        for topic in topics {
            a.object(|o| {
                o.string("url", urls::CAPABILITY_TOPIC);
                o.string("valueCanonical", &topic.to_string());
            });
        }
    });
}

/// The canonical URL of an operation's definition.
pub(crate) fn definition(version: FhirVersion, operation: SubscriptionOperation) -> String {
    let start = match (operation, version) {
        (SubscriptionOperation::Explain, _) => return urls::OPERATION_EXPLAIN.to_owned(),
        (SubscriptionOperation::Resend, FhirVersion::R5) => {
            return urls::OPERATION_RESEND.to_owned();
        }
        (
            SubscriptionOperation::Events
            | SubscriptionOperation::GetWsBindingToken
            | SubscriptionOperation::Resend
            | SubscriptionOperation::Status,
            FhirVersion::R4 | FhirVersion::R4B,
        ) => urls::OPERATION_BACKPORT,
        (
            SubscriptionOperation::Events
            | SubscriptionOperation::GetWsBindingToken
            | SubscriptionOperation::Status,
            FhirVersion::R5,
        ) => urls::OPERATION_R5,
    };
    format!("{start}{}", operation.name())
}
