//! `cresset export` and `cresset import`: topics and subscriptions from one server to another, also of another FHIR
//! version.
//!
//! The file is a collection Bundle of the resources as the server had them, with the version in the MIME parameter
//! of its own `meta.tag`. Subscriptions get new ids, and begin anew with status `requested`; topics keep theirs, so
//! that importing twice changes nothing. A subscription stays what it is between servers that have the same form of
//! it, with all that no other form has. What a subscription sends along is in the file as it is, tokens too.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use cresset_client::{Client, Error, FhirVersion, Subscription, SubscriptionStatus};
use cresset_fhir::{Codec, parse_topic_any};
use cresset_model::ResourceId;
use serde_json::{Value, json};

use crate::cli::remote::{Export, Import};
use crate::remote::{client, run};
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
            write(file, &text).with_context(|| format!("{} cannot be written", file.display()))
        }
        None => crate::print(&text),
    }
}

/// Writes a file that, if it is new, is its owner's alone: there may be tokens in headers.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

async fn collect(client: &Client) -> anyhow::Result<Value> {
    let mut progress = Progress::new("asked", 3);
    let version = client.capabilities().await?.version;
    progress.step();
    let topics = topics(client, version).await?;
    progress.step();
    // Also those that only this server understands.
    let subscriptions = client.search("Subscription", &[]).await?;
    progress.step();
    let resources = topics.into_iter().chain(subscriptions);
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
    outcome: Outcome,
}

enum Outcome {
    Imported,
    /// It is out of use where it comes from.
    LeftOut,
    Refused(String),
}

impl Outcome {
    const fn word(&self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::LeftOut => "left out",
            Self::Refused(_) => "refused",
        }
    }
}

impl Imported {
    fn json(&self) -> Value {
        let problem = match &self.outcome {
            Outcome::Refused(problem) => Some(problem),
            Outcome::Imported | Outcome::LeftOut => None,
        };
        json!({ "what": self.what, "outcome": self.outcome.word(), "problem": problem })
    }

    fn line(&self, paint: Paint) -> String {
        let told = match &self.outcome {
            Outcome::Imported => paint.good("imported"),
            Outcome::LeftOut => paint.odd("left out, it is off"),
            Outcome::Refused(problem) => paint.bad(problem),
        };
        format!("{}: {told}\n", self.what)
    }
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
            let outcome = if is_off(resource) && !arguments.off {
                Outcome::LeftOut
            } else {
                match prepared(version, target, resource) {
                    Ok(prepared) => sent(&client, target, &prepared).await?,
                    Err(problem) => Outcome::Refused(problem),
                }
            };
            imported.push(Imported { what: name_of(resource), outcome });
            progress.step();
        }
        Ok(imported)
    })?;
    let paint = Paint::stdout();
    crate::print(&if arguments.json {
        format!("{:#}\n", imported.iter().map(Imported::json).collect::<Value>())
    } else {
        imported.iter().map(|one| one.line(paint)).collect()
    })?;
    let count = |word: &str| imported.iter().filter(|one| one.outcome.word() == word).count();
    let (left_out, refused) = (count("left out"), count("refused"));
    note(&format!("{} imported, {left_out} left out, {refused} refused", count("imported")));
    Ok(if refused == 0 { ExitCode::SUCCESS } else { REFUSED.into() })
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

fn name_of(resource: &Value) -> String {
    let text = |member: &str| resource[member].as_str().unwrap_or("?");
    format!("{}/{}", text("resourceType"), text("id"))
}

fn is_off(resource: &Value) -> bool {
    resource["resourceType"] == "Subscription"
        && matches!(resource["status"].as_str(), Some("off" | "entered-in-error"))
}

/// The resource as the target is to have it.
fn prepared(from: FhirVersion, to: FhirVersion, resource: &Value) -> Result<Value, String> {
    match resource["resourceType"].as_str() {
        Some("Subscription") => subscription(from, to, resource),
        _ => topic(to, resource),
    }
}

/// Sends a resource. An error is one that concerns all of them.
async fn sent(client: &Client, to: FhirVersion, resource: &Value) -> anyhow::Result<Outcome> {
    let sent = match resource["id"].as_str() {
        Some(id) => client.put(&format!("{}/{id}", to.topic_type()), resource).await,
        None => client.create(resource).await,
    };
    match sent {
        Ok(_) => Ok(Outcome::Imported),
        Err(error @ Error::Refused { status: 400..=499, .. }) => {
            Ok(Outcome::Refused(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn subscription(from: FhirVersion, to: FhirVersion, resource: &Value) -> Result<Value, String> {
    let requested = SubscriptionStatus::Requested;
    if from.is_backport() != to.is_backport() {
        let read = Subscription::parse(from, resource).map_err(|error| error.to_string())?;
        return Ok(Subscription { id: None, status: requested, ..read }.render(to));
    }
    let mut asked = resource.clone();
    if let Some(members) = asked.as_object_mut() {
        // What the other server said of it.
        members.remove("id");
        members.remove("error");
        members.insert("status".to_owned(), requested.code().into());
    }
    Ok(asked)
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
