//! `cresset export` and `cresset import`: topics and subscriptions from one server to another, also of another FHIR
//! version.
//!
//! The file is a collection Bundle of the resources as the server had them, with the version in the MIME parameter
//! of its own `meta.tag`. Subscriptions get new ids, and begin anew with status `requested`; topics keep theirs, so
//! that importing twice changes nothing. Headers that the server masks are lost.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use cresset_client::{Client, Error, FhirVersion, Subscription, SubscriptionStatus};
use cresset_fhir::{Codec, parse_topic_any};
use cresset_model::ResourceId;
use serde_json::{Value, json};

use crate::cli::remote::{Export, Import};
use crate::remote::{client, run};
use crate::subscription::all;
use crate::terminal::{Paint, Progress, note};

#[cfg(test)]
mod tests;

/// Exit code where the server refused some.
const REFUSED: u8 = 2;
/// Where the version of what was exported stands.
const VERSION_TAG: &str = "https://cresset.dev/fhir/exported-version";
/// The code of topics among R4's Basic.
const TOPIC_CODE: &str = "http://hl7.org/fhir/fhir-types|SubscriptionTopic";

/// Writes the file.
pub(crate) fn export(arguments: &Export) -> anyhow::Result<()> {
    let bundle = run(collect(&client(&arguments.server)?))?;
    let text = format!("{bundle:#}\n");
    match &arguments.output {
        Some(file) => {
            fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
        }
        None => crate::print(&text),
    }
}

async fn collect(client: &Client) -> anyhow::Result<Value> {
    let mut progress = Progress::new("asked", 3);
    let capabilities = client.capabilities().await?;
    progress.step();
    let version = capabilities.version;
    let topics = topics(client, version).await?;
    progress.step();
    let subscriptions = all(client, &capabilities).await?;
    progress.step();
    let resources =
        topics.into_iter().chain(subscriptions.into_iter().map(|(_, resource)| resource));
    let entries: Vec<Value> = resources.map(|resource| json!({ "resource": resource })).collect();
    let mut bundle = json!({
        "resourceType": "Bundle",
        "meta": { "tag": [{ "system": VERSION_TAG, "code": code(version) }] },
        "type": "collection",
    });
    // FHIR has no empty lists.
    if !entries.is_empty() {
        bundle["entry"] = entries.into();
    }
    Ok(bundle)
}

async fn topics(client: &Client, version: FhirVersion) -> Result<Vec<Value>, Error> {
    match version {
        FhirVersion::R4 => client.search("Basic", &[("code", TOPIC_CODE)]).await,
        FhirVersion::R4B | FhirVersion::R5 => client.search("SubscriptionTopic", &[]).await,
    }
}

const fn code(version: FhirVersion) -> &'static str {
    match version {
        FhirVersion::R4 => "4.0",
        FhirVersion::R4B => "4.3",
        FhirVersion::R5 => "5.0",
    }
}

/// What became of one resource.
struct Imported {
    what: String,
    problem: Option<String>,
}

/// Reads the file and creates what is in it.
pub(crate) fn import(arguments: &Import) -> anyhow::Result<ExitCode> {
    let (version, resources) = read(&arguments.file)?;
    let client = client(&arguments.server)?;
    let imported = run(async {
        let target = client.capabilities().await?.version;
        let mut progress = Progress::new("imported", resources.len());
        let mut imported = Vec::new();
        for resource in &resources {
            imported.push(one(&client, version, target, resource).await?);
            progress.step();
        }
        Ok(imported)
    })?;
    let refused = imported.iter().filter(|one| one.problem.is_some()).count();
    if arguments.json {
        let rows = imported.iter().map(|one| json!({ "what": one.what, "problem": one.problem }));
        crate::print(&format!("{:#}\n", rows.collect::<Value>()))?;
    } else {
        show(&imported)?;
    }
    note(&format!("{} imported, {refused} refused", imported.len() - refused));
    Ok(if refused == 0 { ExitCode::SUCCESS } else { REFUSED.into() })
}

fn show(imported: &[Imported]) -> anyhow::Result<()> {
    let paint = Paint::stdout();
    for one in imported {
        let told = match &one.problem {
            None => paint.good("imported"),
            Some(problem) => paint.bad(problem),
        };
        crate::print(&format!("{}: {told}\n", one.what))?;
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<(FhirVersion, Vec<Value>)> {
    let name = file.display();
    let text = fs::read(file).with_context(|| format!("{name} cannot be read"))?;
    let bundle: Value =
        serde_json::from_slice(&text).with_context(|| format!("{name} is not JSON"))?;
    let tags = bundle["meta"]["tag"].as_array().into_iter().flatten();
    let version = tags
        .filter(|tag| tag["system"] == VERSION_TAG)
        .find_map(|tag| FhirVersion::parse(tag["code"].as_str()?));
    let Some(version) = version else { bail!("{name} was not written by cresset export") };
    let entries = bundle["entry"].as_array().into_iter().flatten();
    Ok((version, entries.map(|entry| entry["resource"].clone()).collect()))
}

/// Imports a resource. An error is one that concerns all of them.
async fn one(
    client: &Client,
    from: FhirVersion,
    to: FhirVersion,
    resource: &Value,
) -> anyhow::Result<Imported> {
    let resource_type = resource["resourceType"].as_str().unwrap_or("?");
    let what = format!("{resource_type}/{}", resource["id"].as_str().unwrap_or("?"));
    let converted = match resource_type {
        "Subscription" => subscription(from, to, resource),
        _ => topic(to, resource),
    };
    let converted = match converted {
        Ok(converted) => converted,
        Err(problem) => return Ok(Imported { what, problem: Some(problem) }),
    };
    let sent = match converted["id"].as_str() {
        Some(id) => client.put(&format!("{}/{id}", to.topic_type()), &converted).await,
        None => client.create(&converted).await,
    };
    match sent {
        Ok(_) => Ok(Imported { what, problem: None }),
        Err(error @ Error::Refused { status: 400..=499, .. }) => {
            Ok(Imported { what, problem: Some(error.to_string()) })
        }
        Err(error) => Err(error.into()),
    }
}

fn subscription(from: FhirVersion, to: FhirVersion, resource: &Value) -> Result<Value, String> {
    let read = Subscription::parse(from, resource).map_err(|error| error.to_string())?;
    let asked = Subscription { id: None, status: SubscriptionStatus::Requested, ..read };
    Ok(asked.render(to))
}

fn topic(to: FhirVersion, resource: &Value) -> Result<Value, String> {
    let issues = |issues: cresset_model::Issues| {
        let texts: Vec<String> = issues.0.into_iter().map(|issue| issue.text).collect();
        texts.join("; ")
    };
    let parsed = parse_topic_any(resource).map_err(issues)?;
    let id = resource["id"].as_str().and_then(|id| ResourceId::new(id).ok());
    let id = id.ok_or("it has no id")?;
    let codec = Codec::of(match to {
        FhirVersion::R4 => cresset_fhir::FhirVersion::R4,
        FhirVersion::R4B => cresset_fhir::FhirVersion::R4B,
        FhirVersion::R5 => cresset_fhir::FhirVersion::R5,
    });
    serde_json::from_slice(&codec.render_topic(&parsed, &id)).map_err(|error| error.to_string())
}
