//! `serve --demo`: a small hospital that writes, and a subscriber that listens.
//!
//! Both are ordinary clients of the server over HTTP and a websocket; what they do is printed as
//! the `curl` lines with which the reader does the same by hand.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::config::Config;

/// Between two steps of the story.
const STEP: Duration = Duration::from_millis(1500);

/// Prepares a configuration for the demo: a store of its own that starts empty, and endpoints on
/// this machine allowed, so that the reader can try rest-hook as well.
pub(crate) fn adjust(config: &mut Config, keep_directory: bool) {
    config.rest_hook.allow_local_endpoints = true;
    if !keep_directory {
        let name = format!("cresset-demo-{}", std::process::id());
        config.store.directory = std::env::temp_dir().join(name);
    }
}

/// Plays the story, then shows what the reader's own changes bring, until the server stops.
pub(crate) async fn play(base_url: String, directory: PathBuf) {
    let demo = Demo { base_url, client: reqwest::Client::new() };
    if let Err(error) = demo.run(&directory).await {
        say(&format!("\nThe demo ended: {error:#}\n"));
    }
}

struct Demo {
    base_url: String,
    client: reqwest::Client,
}

impl Demo {
    async fn run(&self, directory: &std::path::Path) -> anyhow::Result<()> {
        let base = &self.base_url;
        say(&format!(
            "\nCresset demo. FHIR R4 at {base}/r4, R4B at {base}/r4b, R5 at {base}/r5; data in {}.\n\
             Each step shows how to do the same with curl.\n\n",
            directory.display()
        ));
        say(
            "1. A subscriber asks to be told when an encounter starts, with the whole resource:\n\n",
        );
        let subscription = subscription("encounter-start", "full-resource");
        let created = self.post("/r4/Subscription", &subscription).await?;
        let id = text(&created, "id")?;
        say(&format!(
            "   curl -s {base}/r4/Subscription -H 'content-type: application/fhir+json' -d '{subscription}'\n\n"
        ));
        say(&format!("   Subscription/{id} is {}.\n\n", text(&created, "status")?));
        say("2. It gets a token, opens a websocket and binds it:\n\n");
        let path = format!("/r4/Subscription/{id}/$get-ws-binding-token");
        say(&format!("   curl -s '{base}{path}'\n"));
        let answer = self.get(&path).await?;
        let token = parameter(&answer, "token", "valueString")?;
        let url = parameter(&answer, "websocket-url", "valueUrl")?;
        say(&format!("   websocat {url}        (then type: bind-with-token <token>)\n\n"));
        let (mut socket, _) =
            tokio_tungstenite::connect_async(&url).await.context("the websocket did not open")?;
        socket.send(Message::text(format!("bind-with-token {token}"))).await?;
        let story = self.story();
        tokio::pin!(story);
        let mut told = false;
        loop {
            tokio::select! {
                outcome = &mut story, if !told => {
                    outcome?;
                    told = true;
                    self.closing_words(&id);
                }
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(frame))) => show(frame.as_str())?,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ok(()),
                },
            }
        }
    }

    /// What happens at the hospital.
    async fn story(&self) -> anyhow::Result<()> {
        tokio::time::sleep(STEP).await;
        say("3. The hospital writes:\n\n");
        let people = [("Amara", "Okafor", "1987-04-12"), ("Jonas", "Lindqvist", "1952-11-03")];
        for (given, family, born) in people {
            let patient = json!({
                "resourceType": "Patient",
                "name": [{"family": family, "given": [given]}],
                "birthDate": born,
            });
            let patient = self.write("Patient", &patient).await?;
            let subject = format!("Patient/{}", text(&patient, "id")?);
            let mut encounter = self.write("Encounter", &encounter("planned", &subject)).await?;
            for status in ["arrived", "in-progress", "finished"] {
                tokio::time::sleep(STEP).await;
                encounter["status"] = json!(status);
                let path = format!("Encounter/{}", text(&encounter, "id")?);
                say(&format!("   PUT  {path} (status {status})\n"));
                encounter = self.put(&format!("/r4/{path}"), &encounter).await?;
            }
        }
        Ok(())
    }

    async fn write(&self, resource_type: &str, resource: &Value) -> anyhow::Result<Value> {
        let written = self.post(&format!("/r4/{resource_type}"), resource).await?;
        let status = written.get("status").and_then(Value::as_str);
        let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
        say(&format!("   POST {resource_type}/{}{status}\n", text(&written, "id")?));
        Ok(written)
    }

    fn closing_words(&self, id: &str) {
        let base = &self.base_url;
        let by_hand = encounter("in-progress", "Patient/anyone");
        say(&format!(
            "\n4. Your turn. The subscriber is still listening; this brings it a notification:\n\n   \
             curl -s {base}/r4/Encounter -H 'content-type: application/fhir+json' -d '{by_hand}'\n\n   \
             How the subscription stands, and its events again:\n\n   \
             curl -s '{base}/r4/Subscription/{id}/$status'\n   \
             curl -s '{base}/r4/Subscription/{id}/$events?eventsSinceNumber=1'\n\n   \
             What this server can do:\n\n   \
             curl -s {base}/r4/metadata\n\n   \
             Ctrl-C stops it.\n\n"
        ));
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.client.get(format!("{}{path}", self.base_url))).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base_url));
        self.send(with_body(request, body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.client.put(format!("{}{path}", self.base_url));
        self.send(with_body(request, body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.context("the server did not answer")?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            bail!("the server answered {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

fn with_body(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    request.header("content-type", "application/fhir+json").body(body.to_string())
}

/// An R4 Subscription in the form of the backport guide.
fn subscription(topic: &str, content: &str) -> Value {
    const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "The demo shows notifications",
        "criteria": format!("https://cresset.dev/fhir/SubscriptionTopic/{topic}"),
        "channel": {
            "type": "websocket",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{
                "url": format!("{GUIDE}/backport-payload-content"),
                "valueCode": content,
            }]},
        },
    })
}

fn encounter(status: &str, subject: &str) -> Value {
    json!({
        "resourceType": "Encounter",
        "status": status,
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
        },
        "subject": {"reference": subject},
    })
}

fn text(value: &Value, member: &str) -> anyhow::Result<String> {
    let found = value.get(member).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("the answer has no {member}"))
}

/// The value of a part of a Parameters resource.
fn parameter(parameters: &Value, name: &str, member: &str) -> anyhow::Result<String> {
    let mut all = parameters["parameter"].as_array().into_iter().flatten();
    let found =
        all.find(|parameter| parameter["name"] == name).and_then(|one| one[member].as_str());
    found.map(str::to_owned).with_context(|| format!("the answer has no {name}"))
}

/// Prints a notification: one line that sums it up, and the bundle where it tells of an event.
fn show(frame: &str) -> anyhow::Result<()> {
    let bundle: Value = serde_json::from_str(frame)?;
    let status = &bundle["entry"][0]["resource"];
    let kind = parameter(status, "type", "valueCode").unwrap_or_default();
    let count =
        parameter(status, "events-since-subscription-start", "valueString").unwrap_or_default();
    say(&format!("   <<< {kind}, events so far: {count}\n"));
    if kind == "event-notification" {
        let pretty = cresset_fhir::json::pretty(frame.as_bytes());
        for line in String::from_utf8_lossy(&pretty).lines() {
            say(&format!("       {line}\n"));
        }
    }
    Ok(())
}

/// Prints; nobody reading it is no failure.
fn say(text: &str) {
    let mut out = io::stdout();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "standard output is closed");
    }
}
