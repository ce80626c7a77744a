//! `cresset subscription`: what a server's subscriptions are, and a hand on them.

use std::fmt::Write as _;

use anyhow::Context;
use cresset_client::{
    Capabilities, Client, FhirVersion, Notification, Subscription, SubscriptionStatus,
};
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

/// The subscriptions to topics, with their resources.
pub(crate) async fn all(
    client: &Client,
    capabilities: &Capabilities,
) -> anyhow::Result<Vec<(Subscription, Value)>> {
    let found = client.search("Subscription", &[]).await?;
    // Others, to a query of R4, are none of ours.
    let read = found.into_iter().filter_map(|resource| {
        Some((Subscription::parse(capabilities.version, &resource).ok()?, resource))
    });
    Ok(read.collect())
}

async fn list(
    client: &Client,
    status: Option<SubscriptionStatus>,
    json: bool,
) -> anyhow::Result<String> {
    let capabilities = client.capabilities().await?;
    let mut all = all(client, &capabilities).await?;
    all.retain(|(subscription, _)| status.is_none_or(|status| subscription.status == status));
    if json {
        let resources: Vec<Value> = all.into_iter().map(|(_, resource)| resource).collect();
        return Ok(format!("{:#}\n", Value::from(resources)));
    }
    let paint = Paint::stdout();
    let mut text = String::new();
    for (subscription, _) in &all {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {} {}",
            paint.bold(subscription.id.as_deref().unwrap_or("-")),
            painted(paint, subscription.status),
            subscription.channel_type.code,
            subscription.topic,
            paint.dim(subscription.endpoint.as_deref().unwrap_or_default()),
        );
    }
    Ok(text)
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
