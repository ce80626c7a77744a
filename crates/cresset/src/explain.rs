//! `cresset explain`: asks a server with `$explain`, and shows the answer as text.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::Explain;
use crate::remote::token;
use crate::topics::read_file;

#[cfg(test)]
mod tests;

/// Asks and prints.
pub(crate) fn explain(arguments: &Explain) -> anyhow::Result<()> {
    // Another one may be installed already; either does.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let answer = crate::remote::run(ask(arguments))?;
    let text = if arguments.json { format!("{answer:#}\n") } else { shown(&answer) };
    crate::print(&text)
}

async fn ask(arguments: &Explain) -> anyhow::Result<Value> {
    let server = arguments.server.trim_end_matches('/');
    let version = arguments.fhir_version.fhir();
    let (resource_type, id) = match (&arguments.subscription, &arguments.topic) {
        (Some(id), _) => ("Subscription", id),
        (None, Some(id)) if version == cresset_fhir::FhirVersion::R4 => ("Basic", id),
        (None, Some(id)) => ("SubscriptionTopic", id),
        (None, None) => bail!("name a subscription or a topic"),
    };
    let url = format!("{server}/{}/{resource_type}/{id}/$explain", version.path());
    let mut request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/fhir+json")
        .body(parameters(arguments)?.to_string());
    if let Some(token) = token(arguments.token_file.as_deref())? {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.context("the server did not answer")?;
    let status = response.status();
    let body = response.bytes().await.context("the answer broke off")?;
    let answer: Value = serde_json::from_slice(&body)
        .with_context(|| format!("the server answered {status}, and no JSON"))?;
    if !status.is_success() {
        bail!("the server answered {status}{}", issues(&answer));
    }
    Ok(answer)
}

/// The input of the operation.
fn parameters(arguments: &Explain) -> anyhow::Result<Value> {
    let mut parameters = Vec::new();
    for (name, file) in [("previous", &arguments.previous), ("current", &arguments.current)] {
        if let Some(file) = file {
            let resource: Value = serde_json::from_slice(&read_file(file)?)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            parameters.push(json!({ "name": name, "resource": resource }));
        }
    }
    if let Some(focus) = &arguments.focus {
        parameters.push(json!({ "name": "focus", "valueString": focus }));
    }
    if let Some(changes) = arguments.changes {
        parameters.push(json!({ "name": "changes", "valueInteger": changes }));
    }
    Ok(json!({ "resourceType": "Parameters", "parameter": parameters }))
}

/// The texts of an OperationOutcome.
fn issues(outcome: &Value) -> String {
    let issues = outcome["issue"].as_array().into_iter().flatten();
    let mut text = String::new();
    for issue in issues {
        let at = issue["expression"][0].as_str().map(|at| format!("{at}: ")).unwrap_or_default();
        let told = issue["details"]["text"].as_str().unwrap_or_default();
        let _ = write!(text, "\n  {at}{told}");
    }
    text
}

/// The answer as text for people.
fn shown(answer: &Value) -> String {
    let mut text = String::new();
    let parts = answer["parameter"].as_array().map(Vec::as_slice).unwrap_or_default();
    if value(parts, "looked-at").is_none() {
        show_explanation(parts, "", &mut text);
        return text;
    }
    let count = |name| value(parts, name).unwrap_or_default();
    let _ = writeln!(
        text,
        "{} changes looked at, {} about types of the topic, {} events",
        count("looked-at"),
        count("concerned"),
        count("events")
    );
    for change in named(parts, "change") {
        let parts = change["part"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = |name| value(parts, name).unwrap_or_default();
        let _ = writeln!(text, "\n{} at {}", told("focus"), told("at"));
        show_explanation(parts, "  ", &mut text);
    }
    text
}

fn show_explanation(parts: &[Value], indent: &str, text: &mut String) {
    let told = |name| value(parts, name).unwrap_or_default();
    let _ = writeln!(text, "{indent}{}: {}", told("verdict"), told("summary"));
    let _ = writeln!(
        text,
        "{indent}{} of {}, topic {}",
        told("interaction"),
        told("resource"),
        told("topic")
    );
    for trigger in named(parts, "trigger") {
        let parts = trigger["part"].as_array().map(Vec::as_slice).unwrap_or_default();
        show_test("trigger", parts, indent, text);
        for criterion in named(parts, "criterion") {
            let parts = criterion["part"].as_array().map(Vec::as_slice).unwrap_or_default();
            show_test("", parts, &format!("{indent}  "), text);
        }
    }
    for filter in named(parts, "filter") {
        let parts = filter["part"].as_array().map(Vec::as_slice).unwrap_or_default();
        show_test("filter", parts, indent, text);
    }
    for name in ["problem", "missing"] {
        for one in named(parts, name) {
            let _ = writeln!(
                text,
                "{indent}{name}: {}",
                one["valueString"].as_str().unwrap_or_default()
            );
        }
    }
}

fn show_test(what: &str, parts: &[Value], indent: &str, text: &mut String) {
    let told = |name| value(parts, name).unwrap_or_default();
    let element = told("element");
    // Criteria stand below their trigger, whose path theirs begin with.
    let element =
        if what.is_empty() { element.rsplit('.').next().unwrap_or_default() } else { &element };
    let what = if what.is_empty() { String::new() } else { format!("{what} ") };
    let written = value(parts, "text").map(|text| format!("  {text}")).unwrap_or_default();
    let _ = writeln!(text, "{indent}  {:<9} {what}{element}{written}", told("verdict"));
    if let Some(reason) = value(parts, "reason") {
        let _ = writeln!(text, "{indent}            {reason}");
    }
    for seen in named(parts, "value") {
        let _ = writeln!(
            text,
            "{indent}            saw {}",
            seen["valueString"].as_str().unwrap_or_default()
        );
    }
    if let Some(more) = value(parts, "values-left-out") {
        let _ = writeln!(text, "{indent}            and {more} more");
    }
}

/// The parts of a name.
fn named<'v>(parts: &'v [Value], name: &str) -> impl Iterator<Item = &'v Value> {
    parts.iter().filter(move |part| part["name"] == *name)
}

/// The primitive value of the first part of a name, as text.
fn value(parts: &[Value], name: &str) -> Option<String> {
    let part = named(parts, name).next()?.as_object()?;
    let (_, value) = part.iter().find(|(member, _)| member.starts_with("value"))?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
