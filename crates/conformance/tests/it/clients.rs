//! Clients of others, as they come from their registries: what they need is served unchanged
//! (docs/clients.md).

use std::fs;

use cresset_conformance::{
    Chromium, Notification, Options, Receiver, Server, Subscribe, Version, medplum, node,
    observation, patient, python, verifies,
};
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

#[tokio::test]
async fn medplums_client_subscribes_to_criteria() {
    verifies!(R4: "RQ-SB-02", "RQ-CH-43");
    // It renews what ends within five minutes.
    let options = Options::default().set("websocket.token-lifetime", "4m");
    let server = Server::start_with(options).await;
    let printed = medplum(server.url()).await;
    let ids: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(ids["subscriptionId"], ids["renewed"], "it binds the same again");
    assert_ne!(ids["subscriptionId"], ids["reconnected"], "it subscribes anew");
}

#[tokio::test]
async fn the_paths_of_medplums_client_can_be_switched_off() {
    verifies!(R4: "RQ-SB-02");
    let on = Server::start().await;
    let off = Server::start_with(Options::default().set("server.medplum", false)).await;
    for (server, expected) in [(on, 200), (off, 404)] {
        let base = server.base(Version::R4);
        let reply = base.get(&format!("{}/fhir/R4/metadata", server.url())).await;
        assert_eq!(reply.status, expected, "{reply}");
    }
}

/// What a client has received: an event, and the delete that came after it.
fn check_received(version: Version, printed: &str) {
    let received: Value = serde_json::from_str(printed).expect("JSON");
    for (name, number) in [("told", 1), ("deleted", 2)] {
        let told = Notification::read(version, &received[name]);
        assert_eq!((told.kind.as_str(), told.numbers()), ("event-notification", vec![number]));
    }
}

#[tokio::test]
async fn smarts_client_creates_searches_pages_subscribes_and_receives() {
    verifies!("RQ-CH-42", "RQ-CH-47");
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).json(base.version).to_string();
        let printed = node("fhirclient.cjs", &[&base.url, &asked]).await;
        check_received(base.version, &printed);
    }
}

#[tokio::test]
async fn fhirpy_creates_searches_pages_subscribes_and_receives() {
    verifies!("RQ-CH-42", "RQ-CH-47");
    let server = Server::start_with(Options::default().set("search.index", "all")).await;
    for base in server.bases() {
        let asked = Subscribe::websocket(TOPIC).json(base.version).to_string();
        let printed = python("fhirpy_client.py", &[&base.url, &asked]).await;
        check_received(base.version, &printed);
    }
}

#[tokio::test]
async fn the_models_of_fhir_resources_read_all_that_is_said_and_write_what_is_taken() {
    verifies!(R4B, R5: "RQ-NB-01", "RQ-CF-08", "RQ-OP-05");
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    for (version, name) in [(Version::R4B, "R4B"), (Version::R5, "R5")] {
        let base = server.base(version);
        let mut lines = Vec::new();
        for content in ["empty", "id-only", "full-resource"] {
            let path = format!("/{version}/{content}");
            let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&path))
                .content(content)
                .heartbeat_period(1);
            let id = base.subscribe(&asked).await;
            base.wait_for_status(&id, "active").await;
            base.save(&patient("p")).await;
            base.remove("Patient/p").await;
            let mut kinds = Vec::new();
            while kinds.len() < 3 {
                let told = receiver.notification(version, &path).await;
                if !kinds.contains(&told.kind) {
                    kinds.push(told.kind);
                }
                lines.push(told.json);
            }
            for path in ["$status", "$events"] {
                lines.push(base.read(&format!("Subscription/{id}/{path}")).await);
            }
            lines.push(base.read(&format!("Subscription/{id}")).await);
        }
        base.save(&patient("q")).await;
        base.save(&observation("o", "q", 70.0)).await;
        for path in ["metadata", "Patient?_id=q", "Patient/q", "Patient/q/_history"] {
            lines.push(base.read(path).await);
        }
        lines.push(base.get("Patient/none").await.json());
        base.subscribe(&Subscribe::websocket(TOPIC)).await;
        lines.push(base.read("Subscription/$get-ws-binding-token").await);
        let topics = base.read("SubscriptionTopic?_count=1").await;
        lines.push(topics["entry"][0]["resource"].clone());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("lines");
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(&file, text.join("\n")).expect("a temporary file");
        let file = file.display().to_string();
        let printed = python("fhir_resources.py", &[&base.url, name, &file]).await;
        assert_eq!(printed.trim(), lines.len().to_string());
    }
}

/// A page that knows nothing but `fetch` and `WebSocket`: a token, a bind, what is told.
fn page(base: &str, subscription: &Value) -> String {
    format!(
        r##"<!doctype html><title>news</title><ul id="news"></ul><script>
        const base = "{base}";
        const shown = (text) => {{
          const item = document.createElement("li");
          item.textContent = text;
          document.querySelector("#news").append(item);
          return fetch("/shown", {{ method: "POST", body: document.querySelector("#news").innerText }});
        }};
        (async () => {{
          const made = await fetch(`${{base}}/Subscription`, {{
            method: "POST",
            headers: {{ "content-type": "application/fhir+json" }},
            body: JSON.stringify({subscription}),
          }});
          const location = made.headers.get("location");
          const {{ id }} = await made.json();
          const answer = await fetch(`${{base}}/Subscription/${{id}}/$get-ws-binding-token`);
          const parameters = (await answer.json()).parameter;
          const part = (name) => parameters.find((one) => one.name === name);
          const socket = new WebSocket(part("websocket-url").valueUrl);
          socket.onopen = () => socket.send(`bind-with-token ${{part("token").valueString}}`);
          socket.onmessage = async (event) => {{
            const focus = event.data.match(/Patient\/[a-z-]+/);
            await shown(focus ? focus[0] : `bound ${{location !== null}}`);
          }};
        }})().catch((error) => shown(`failed: ${{error}}`));
        </script>"##
    )
}

#[tokio::test]
async fn a_page_in_a_browser_shows_what_happens() {
    verifies!("RQ-CH-42", "RQ-CH-44");
    let host = Receiver::start().await;
    let origin = host.endpoint("");
    let options = Options::default().set("server.cors-origins", vec![origin]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let path = format!("/{}", base.version);
        let asked = Subscribe::websocket(TOPIC).json(base.version);
        host.serve(&path, page(&base.url, &asked));
        let _browser = Chromium::open(&host.endpoint(&path));
        let shown = |sent: cresset_conformance::Sent| {
            String::from_utf8_lossy(&sent.body).trim().replace('\n', ",")
        };
        // The page has read `Location` of another origin, and is bound.
        assert_eq!(shown(host.next("/shown").await), "bound true");
        base.save(&patient("shown")).await;
        assert_eq!(shown(host.next("/shown").await), "bound true,Patient/shown");
        base.remove("Patient/shown").await;
        let all = "bound true,Patient/shown,Patient/shown";
        assert_eq!(shown(host.next("/shown").await), all);
    }
}
