//! What can be seen without changing anything.

use cresset_client::{Error, FhirVersion, Notification, NotificationType};
use serde_json::Value;

use super::{Finding, Target, Verdict, holds, may, shall, should};

/// The profile of the guide.
const PROFILE: &str =
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription";
/// The CapabilityStatements of the guide begin so.
const STATEMENTS: &str = "http://hl7.org/fhir/uv/subscriptions-backport/CapabilityStatement/";
/// An id that nobody has.
const NOBODY: &str = "cresset-check-no-such-subscription";

pub(super) async fn probe(target: &Target<'_>) -> Vec<Finding> {
    let mut findings = declared(target);
    findings.push(topics(target).await);
    findings.extend(status(target).await);
    findings.extend(events(target).await);
    findings
}

/// What the CapabilityStatement says.
fn declared(target: &Target<'_>) -> Vec<Finding> {
    let of = target.capabilities;
    let interactions = ["create", "read", "update", "delete"];
    let missing: Vec<&str> =
        interactions.into_iter().filter(|one| !of.interactions.contains(*one)).collect();
    let missing = format!("not declared: {}", missing.join(", "));
    let all = interactions.iter().all(|one| of.interactions.contains(*one));
    let entry = target.statement.to_string().contains("\"Subscription\"");
    let mut findings = vec![
        shall("RQ-CF-14", "/metadata has an entry for Subscription", holds(entry, "there is none")),
        shall("RQ-CF-02", "subscriptions can be read and written", holds(all, missing)),
        shall(
            "RQ-CF-03",
            "the operation $status is declared",
            holds(of.operations.contains("status"), "it is not"),
        ),
        may(
            "RQ-OP-20",
            "the operation $events is declared",
            holds(of.operations.contains("events"), "it is not: missed events cannot be recovered"),
        ),
        may(
            "RQ-OP-40",
            "the operation $get-ws-binding-token is declared",
            holds(
                of.operations.contains("get-ws-binding-token"),
                "it is not: there are no websockets",
            ),
        ),
    ];
    if of.version.is_backport() {
        let instantiates = of.instantiates.iter().any(|one| one.starts_with(STATEMENTS));
        let profile = of.profiles.contains(PROFILE);
        findings.push(should(
            "RQ-CF-09",
            "the guide's CapabilityStatement is instantiated",
            holds(instantiates, "it is not named"),
        ));
        findings.push(should(
            "RQ-CF-10",
            "the guide's profile of Subscription is supported",
            holds(profile, "it is not named"),
        ));
    }
    findings
}

async fn topics(target: &Target<'_>) -> Finding {
    match target.version() {
        FhirVersion::R4 => should(
            "RQ-CF-05",
            "the CapabilityStatement names the topics",
            holds(!target.capabilities.topics.is_empty(), "it names none"),
        ),
        FhirVersion::R4B | FhirVersion::R5 => {
            let verdict = match target.client.get("SubscriptionTopic").await {
                Ok(found) => holds(found["type"] == "searchset", "the answer is no searchset"),
                Err(error) => refused(&error),
            };
            shall("RQ-OP-62", "topics can be searched", verdict)
        }
    }
}

async fn status(target: &Target<'_>) -> Vec<Finding> {
    let client = target.client;
    let unknown = client.get(&format!("Subscription/{NOBODY}/$status")).await;
    let mut findings = vec![should(
        "RQ-OP-07",
        "$status of a subscription that is not there is answered with 404",
        refused_with(&unknown, &[404, 410]),
    )];
    let answer = match client.get(&format!("Subscription/$status?id={NOBODY}")).await {
        Ok(answer) => answer,
        Err(error) => {
            findings.push(shall("RQ-OP-01", "$status works on the type", refused(&error)));
            return findings;
        }
    };
    findings.push(shall("RQ-OP-01", "$status works on the type", searchset(&answer)));
    if target.version() == FhirVersion::R5 {
        let links = answer["link"].as_array().into_iter().flatten();
        let own = links.filter(|link| link["relation"] == "self").count();
        findings.push(shall(
            "RQ-OP-05",
            "its answer has a link to itself",
            holds(own == 1, "it has none"),
        ));
    }
    findings
}

/// Whether it is a searchset of statuses.
pub(super) fn searchset(answer: &Value) -> Verdict {
    if answer["type"] != "searchset" {
        return Verdict::Fails("the answer is no searchset".to_owned());
    }
    match Notification::statuses(answer) {
        Ok(statuses) => {
            let right = statuses.iter().all(|one| one.kind == NotificationType::QueryStatus);
            holds(right, "a status is not of the type query-status")
        }
        Err(error) => Verdict::Fails(error.to_string()),
    }
}

async fn events(target: &Target<'_>) -> Option<Finding> {
    if !target.capabilities.operations.contains("events") {
        return None;
    }
    let unknown = target.client.get(&format!("Subscription/{NOBODY}/$events")).await;
    let verdict = refused_with(&unknown, &[404, 410]);
    Some(should(
        "RQ-OP-20",
        "$events of a subscription that is not there is answered with 404",
        verdict,
    ))
}

/// A verdict of a refusal that should not be; one for lack of rights says nothing.
pub(super) fn refused(error: &Error) -> Verdict {
    if matches!(error, Error::Refused { status: 401 | 403, .. }) {
        Verdict::Unknown(error.to_string())
    } else {
        Verdict::Fails(error.to_string())
    }
}

/// A verdict of a refusal that has to be, with one of these statuses.
pub(super) fn refused_with<T>(answer: &Result<T, Error>, wanted: &[u16]) -> Verdict {
    match answer {
        Ok(_) => Verdict::Fails("it was not refused".to_owned()),
        Err(Error::Refused { status, .. }) if wanted.contains(status) => Verdict::Conforms,
        Err(error) => refused(error),
    }
}
