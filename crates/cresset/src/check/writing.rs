//! What can be seen with a subscription of one's own. It is deleted at the end.

use std::time::Duration;

use anyhow::{Context, bail};
use cresset_client::{
    Client, Error, Filter, Listener, Options, Start, Subscription, SubscriptionStatus, Update,
};

use super::reading::{refused, refused_with, searchset};
use super::{Finding, Target, Verdict, holds, may, shall, should};
use crate::remote::EndSignals;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// A topic and a filter that nobody has.
const NO_TOPIC: &str = "http://example.org/cresset-check/no-such-topic";
const NO_FILTER: &str = "cresset-check-no-such-filter=1";

/// Looks at all of it; an error only if it is asked to end before.
pub(super) async fn probe(
    target: &Target<'_>,
    topic: Option<&str>,
) -> anyhow::Result<Vec<Finding>> {
    const CREATED: &str = "a subscription by websocket can be created";
    let topic = match topic_of(target, topic).await {
        Ok(topic) => topic,
        Err(verdict) => return Ok(vec![shall("RQ-CF-06", CREATED, verdict)]),
    };
    // From here on there may be something to clean up.
    let mut end = EndSignals::new()?;
    let mut findings = refusals(target, &topic).await;
    let created = target.client.subscribe(target.version(), &Subscription::websocket(&topic)).await;
    let created = match created.map(|created| (created.id.clone(), created)) {
        Ok((Some(id), created)) => (id, created),
        Ok((None, _)) => {
            findings.push(shall("RQ-CF-06", CREATED, Verdict::Fails("it has no id".to_owned())));
            return Ok(findings);
        }
        Err(error) => {
            // Another channel would do as well, but this one needs nobody else.
            findings.push(may("RQ-CF-06", CREATED, refused(&error)));
            return Ok(findings);
        }
    };
    findings.push(shall("RQ-CF-06", CREATED, Verdict::Conforms));
    let (id, created) = created;
    findings.push(should(
        "RQ-CF-02",
        "what was asked for is what was created",
        holds(created.topic == topic, "it has another topic"),
    ));
    let looked = async {
        findings.extend(status(target, &id).await);
        findings.extend(websocket(target.client, &id).await);
    };
    let is_whole = tokio::select! {
        () = looked => true,
        () = end.any() => false,
    };
    if !is_whole {
        let deleted = target.client.unsubscribe(&id).await;
        deleted.with_context(|| format!("subscription {id} was not deleted"))?;
        bail!("it was asked to end; subscription {id} is deleted");
    }
    findings.extend(deleted(target, &id).await);
    Ok(findings)
}

async fn topic_of(target: &Target<'_>, topic: Option<&str>) -> Result<String, Verdict> {
    if let Some(topic) = topic {
        return Ok(topic.to_owned());
    }
    let topics = target.client.topics(target.capabilities).await;
    let topics = topics.map_err(|error| refused(&error))?;
    let none = || Verdict::Unknown("the server names no topic; name one with --topic".to_owned());
    topics.into_iter().next().ok_or_else(none)
}

/// What must not be taken: it is deleted again if it is.
async fn refusals(target: &Target<'_>, topic: &str) -> Vec<Finding> {
    let unknown_topic = Subscription::websocket(NO_TOPIC);
    let mut unknown_filter = Subscription::websocket(topic);
    unknown_filter.filters.extend(NO_FILTER.parse::<Filter>());
    let mut findings = Vec::new();
    for (requirement, summary, asked) in [
        ("RQ-SB-30", "a topic that is not there is refused", unknown_topic),
        ("RQ-SB-31", "a filter that the topic does not offer is refused", unknown_filter),
    ] {
        let answer = target.client.subscribe(target.version(), &asked).await;
        findings.push(shall(
            requirement,
            summary,
            refused_with(&answer, &[400, 404, 409, 412, 422]),
        ));
        if let Ok(Subscription { id: Some(id), .. }) = answer {
            // What becomes of it shows in the list of the server's subscriptions.
            let _deleted = target.client.unsubscribe(&id).await;
        }
    }
    findings
}

async fn status(target: &Target<'_>, id: &str) -> Vec<Finding> {
    let answer = target.client.get(&format!("Subscription/{id}/$status")).await;
    let verdict = answer.as_ref().map_or_else(refused, searchset);
    let mut findings =
        vec![shall("RQ-OP-04", "$status tells of the subscription as query-status", verdict)];
    let status = match target.client.status(id).await {
        Ok(status) => status,
        Err(error) => {
            findings.push(shall("RQ-OP-04", "$status has a status", refused(&error)));
            return findings;
        }
    };
    let has_status = holds(status.status.is_some(), "it has none");
    findings.push(shall("RQ-OP-04", "$status has a status", has_status));
    let same = holds(status.subscription_id() == id, "it is of another subscription");
    findings.push(shall("RQ-NB-03", "$status refers to the subscription", same));
    let counts = holds(status.events_since_subscription_start.is_some(), "it counts no events");
    findings.push(should("RQ-NB-40", "$status counts the events", counts));
    findings
}

async fn websocket(client: &Client, id: &str) -> Vec<Finding> {
    let (first, second) = (client.binding_token(id).await, client.binding_token(id).await);
    let token = match (&first, &second) {
        (Ok(first), Ok(second)) => {
            holds(first.websocket_url == second.websocket_url, "the second is for another address")
        }
        (Err(error), _) | (_, Err(error)) => refused(error),
    };
    let mut findings = vec![may("RQ-CH-41", "a binding token can be had, and another one", token)];
    if let Ok(token) = &first {
        let told = holds(token.expiration.is_some(), "it does not tell when it ends");
        findings.push(shall("RQ-OP-40", "the token has an expiration", told));
        findings.push(shall(
            "RQ-CH-44",
            "binding a websocket is answered with a handshake",
            handshake(client, id).await,
        ));
    }
    findings
}

async fn handshake(client: &Client, id: &str) -> Verdict {
    let options = Options { tries_max: Some(1), ..Options::default() };
    let mut listener = Listener::new(client.clone(), id, Start::Now, options);
    let first = async {
        loop {
            match listener.next().await {
                Ok(Update::Connected(notification)) => {
                    let handshake = cresset_client::NotificationType::Handshake;
                    return holds(
                        notification.kind == handshake,
                        "another notification came first",
                    );
                }
                Ok(Update::Disconnected(error, _)) | Err(error) => return refused(&error),
                Ok(_) => {}
            }
        }
    };
    let late = || Verdict::Fails("none came in time".to_owned());
    tokio::time::timeout(HANDSHAKE, first).await.unwrap_or_else(|_| late())
}

/// Turns it off and deletes it.
async fn deleted(target: &Target<'_>, id: &str) -> Vec<Finding> {
    let client = target.client;
    let off = match client.set_status(id, SubscriptionStatus::Off).await {
        Ok(_) => match client.status(id).await {
            Ok(status) => {
                let off = status.status == Some(SubscriptionStatus::Off);
                holds(off, "its status is another one after that")
            }
            Err(error) => refused(&error),
        },
        Err(error) => refused(&error),
    };
    let deleted = client.unsubscribe(id).await;
    let gone = match &deleted {
        Ok(()) => {
            let read = client.get(&format!("Subscription/{id}")).await;
            refused_with(&read, &[404, 410])
        }
        Err(error @ Error::Refused { .. }) => refused(error),
        Err(error) => Verdict::Fails(format!("Subscription/{id} is left behind: {error}")),
    };
    vec![
        shall("RQ-OP-06", "a subscription can be turned off, and $status tells of it", off),
        should("RQ-CF-15", "a subscription can be deleted", gone),
    ]
}
