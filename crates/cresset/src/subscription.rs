//! `cresset subscription`: what a server's subscriptions are, and a hand on them.

use anyhow::Context;
use cresset_client::{Client, FhirVersion, Notification, Subscription, SubscriptionStatus};
use serde_json::{Value, json};

use crate::cli::remote::Subscription as What;
use crate::remote::{client, run};
use crate::terminal::Paint;

/// Does it.
pub(crate) fn subscription(what: &What) -> anyhow::Result<()> {
    let text = run(async {
        match what {
            What::List { server, status, json } => list(&client(server)?, *status, *json).await,
            What::Show { server, id, json } => show(&client(server)?, id, *json).await,
            What::Resend { server, id, since, until, json } => {
                let answer = resend(&client(server)?, id, *since, *until).await?;
                Ok(if *json { format!("{answer:#}\n") } else { issues(&answer) })
            }
            What::Off { server, id, json } => {
                let resource = client(server)?.set_status(id, SubscriptionStatus::Off).await?;
                let text = format!("subscription {id} is off\n");
                Ok(if *json { format!("{resource:#}\n") } else { text })
            }
        }
    })?;
    crate::print(&text)
}

async fn list(
    client: &Client,
    status: Option<SubscriptionStatus>,
    json: bool,
) -> anyhow::Result<String> {
    let version = client.capabilities().await?.version;
    let mut all = client.search("Subscription", &[]).await?;
    all.retain(|resource| status.is_none_or(|status| resource["status"] == status.code()));
    if json {
        return Ok(format!("{:#}\n", Value::from(all)));
    }
    let paint = Paint::stdout();
    Ok(all.iter().map(|resource| row(paint, version, resource)).collect())
}

fn row(paint: Paint, version: FhirVersion, resource: &Value) -> String {
    match Subscription::parse(version, resource) {
        Ok(subscription) => format!(
            "{} {} {} {} {}\n",
            paint.bold(subscription.id.as_deref().unwrap_or("-")),
            painted(paint, subscription.status),
            subscription.channel_type.code,
            subscription.topic,
            paint.dim(subscription.endpoint.as_deref().unwrap_or_default()),
        ),
        // Such as one of R4 to a query.
        Err(error) => {
            let text = |member: &str| resource[member].as_str().unwrap_or("-");
            let (id, status) = (paint.bold(text("id")), paint.odd(text("status")));
            format!("{id} {status} is no subscription to a topic: {error}\n")
        }
    }
}

fn painted(paint: Paint, status: SubscriptionStatus) -> String {
    match status {
        SubscriptionStatus::Active => paint.good(status.code()),
        SubscriptionStatus::Error => paint.bad(status.code()),
        SubscriptionStatus::EnteredInError
        | SubscriptionStatus::Off
        | SubscriptionStatus::Requested => paint.odd(status.code()),
    }
}

async fn show(client: &Client, id: &str, json: bool) -> anyhow::Result<String> {
    let version = client.capabilities().await?.version;
    let resource = client.get(&format!("Subscription/{id}")).await?;
    let status = client.status(id).await?;
    if json {
        let shown = json!({
            "subscription": resource,
            "status": status.status.map(SubscriptionStatus::code),
            "eventsSinceSubscriptionStart": status.events_since_subscription_start,
            "errors": status.errors,
        });
        return Ok(format!("{shown:#}\n"));
    }
    shown(version, &resource, &status)
}

fn shown(version: FhirVersion, resource: &Value, status: &Notification) -> anyhow::Result<String> {
    let read =
        Subscription::parse(version, resource).context("it is no subscription to a topic")?;
    let paint = Paint::stdout();
    let bound = |seconds: Option<u32>| seconds.map(|seconds| format!("{seconds} s"));
    let code = status.status.unwrap_or(read.status);
    let count = status.events_since_subscription_start.map(|count| count.to_string());
    let mut rows = vec![
        ("status", Some(painted(paint, code))),
        ("topic", Some(read.topic)),
        ("channel", Some(read.channel_type.code)),
        ("endpoint", read.endpoint),
        ("content", Some(read.content.code().to_owned())),
        ("MIME type", read.content_type),
        ("heartbeat", bound(read.heartbeat_period)),
        ("timeout", bound(read.timeout)),
        ("at most", read.max_count.map(|count| format!("{count} events a notification"))),
        ("end", read.end),
        ("reason", read.reason),
        ("events", count),
    ];
    rows.extend(read.filters.iter().map(|filter| ("filter", Some(filter.to_string()))));
    rows.extend(status.errors.iter().map(|error| ("error", Some(concept(error)))));
    let rows = rows.into_iter().filter_map(|(name, value)| {
        Some(format!("{} {}\n", paint.dim(&format!("{name:<9}")), value?))
    });
    Ok(rows.collect())
}

/// A CodeableConcept for people.
fn concept(error: &Value) -> String {
    let coding = &error["coding"][0];
    let told = [&error["text"], &coding["display"], &coding["code"]];
    told.into_iter().find_map(Value::as_str).unwrap_or("unknown").to_owned()
}

async fn resend(
    client: &Client,
    id: &str,
    since: Option<u64>,
    until: Option<u64>,
) -> anyhow::Result<Value> {
    let bounds = [("eventsSinceNumber", since), ("eventsUntilNumber", until)];
    let parameters: Vec<Value> = bounds
        .into_iter()
        .filter_map(|(name, number)| {
            Some(json!({ "name": name, "valueString": number?.to_string() }))
        })
        .collect();
    let mut body = json!({ "resourceType": "Parameters" });
    // FHIR has no empty lists.
    if !parameters.is_empty() {
        body["parameter"] = parameters.into();
    }
    Ok(client.post(&format!("Subscription/{id}/$resend"), &body).await?)
}

/// The texts of an OperationOutcome.
fn issues(outcome: &Value) -> String {
    let issues = outcome["issue"].as_array().into_iter().flatten();
    let texts = issues.filter_map(|issue| {
        issue["details"]["text"].as_str().or_else(|| issue["diagnostics"].as_str())
    });
    texts.map(|text| format!("{text}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_listed_all_the_same() {
        let paint = Paint::plain();
        let topic = Subscription::websocket("http://example.org/t").render(FhirVersion::R4);
        assert_eq!(
            row(paint, FhirVersion::R4, &topic),
            "- requested websocket http://example.org/t \n"
        );
        let query = json!({
            "resourceType": "Subscription", "id": "q", "status": "active",
            "criteria": "Encounter?status=in-progress", "channel": {"type": "rest-hook"},
        });
        let row = row(paint, FhirVersion::R4, &query);
        assert!(row.starts_with("q active is no subscription to a topic: criteria"), "{row}");
    }
}
