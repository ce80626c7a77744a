//! FHIR's operations (`$…`) on subscriptions and topics.

use cresset_definitions::FhirVersion;
use serde_json::{Value, json};

use super::paths::Operation;
use super::{Paths, component};
use crate::capability::{CapabilityFacts, SubscriptionOperation};
use crate::codec::Codec;

/// Where an operation is, its parameters in the query and what it answers.
struct Offer {
    on_type: &'static [(&'static str, &'static str)],
    on_instance: Option<&'static [(&'static str, &'static str)]>,
    answer: &'static str,
}

/// Parameters of a range of events.
const RANGE: [(&str, &str); 2] = [("eventsSinceNumber", "string"), ("eventsUntilNumber", "string")];

fn offer(operation: SubscriptionOperation) -> Offer {
    match operation {
        SubscriptionOperation::Events => Offer {
            on_type: &[],
            on_instance: Some(&[RANGE[0], RANGE[1], ("content", "code")]),
            answer: "Bundle",
        },
        SubscriptionOperation::Explain => Offer {
            on_type: &[],
            on_instance: Some(&[("focus", "string"), ("changes", "string")]),
            answer: "Parameters",
        },
        SubscriptionOperation::GetWsBindingToken => {
            Offer { on_type: &[("id", "string")], on_instance: Some(&[]), answer: "Parameters" }
        }
        SubscriptionOperation::Resend => Offer {
            on_type: &[],
            on_instance: Some(&[
                RANGE[0],
                RANGE[1],
                ("eventsSinceInstant", "instant"),
                ("eventsUntilInstant", "instant"),
            ]),
            answer: "OperationOutcome",
        },
        SubscriptionOperation::Status => Offer {
            on_type: &[("id", "string"), ("status", "code")],
            on_instance: Some(&[]),
            answer: "Bundle",
        },
    }
}

/// The operations on a type and its instances, each by GET and by POST.
pub(super) fn of_type(
    version: FhirVersion,
    facts: &CapabilityFacts<'_>,
    tag: &str,
    paths: &mut Paths,
) {
    let root = format!("/{}/{tag}", version.path());
    let is_topic = tag == Codec::of(version).topic_type();
    for operation in facts.operations {
        let is_here = match operation {
            SubscriptionOperation::Explain => tag == "Subscription" || is_topic,
            SubscriptionOperation::Events
            | SubscriptionOperation::GetWsBindingToken
            | SubscriptionOperation::Resend
            | SubscriptionOperation::Status => tag == "Subscription",
        };
        if !is_here {
            continue;
        }
        let (name, offer) = (operation.name(), offer(*operation));
        if !offer.on_type.is_empty() {
            let item = by_get_and_post(tag, (name, &[]), &offer, offer.on_type);
            paths.insert(format!("{root}/${name}"), item);
        }
        if let Some(parameters) = offer.on_instance {
            let item =
                by_get_and_post(tag, (&format!("{name}-instance"), &["id"]), &offer, parameters);
            paths.insert(format!("{root}/{{id}}/${name}"), item);
        }
    }
    if is_topic && facts.notify_event {
        let notify = |name, parameters| {
            let (body, answers) = (Some("Parameters"), &[("200", "Parameters")][..]);
            let call = Operation { name, tag, parameters, body, answers };
            json!({"post": call.render()})
        };
        paths.insert(format!("{root}/$notify-event"), notify("notify-event", &[]));
        let on_instance = notify("notify-event-instance", &["id"]);
        paths.insert(format!("{root}/{{id}}/$notify-event"), on_instance);
    }
}

fn by_get_and_post(
    tag: &str,
    (name, parameters): (&str, &[&str]),
    offer: &Offer,
    query: &[(&str, &str)],
) -> Value {
    let answers = &[("200", offer.answer)];
    let get = Operation { name, tag, parameters, body: None, answers };
    let mut get = get.render();
    let by_post = format!("{name}-by-post");
    let post = Operation { name: &by_post, tag, parameters, body: Some("Parameters"), answers };
    if let Some(parameters) = get["parameters"].as_array_mut() {
        parameters.extend(query.iter().map(|(name, schema)| {
            json!({"name": name, "in": "query", "schema": component("schemas", schema)})
        }));
    }
    json!({"get": get, "post": post.render()})
}
