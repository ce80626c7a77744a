//! The client library for browsers, in one: its own tests, and a page that listens while its connection breaks.

use std::fs;
use std::path::{Path, PathBuf};

use cresset_conformance::{
    Chromium, Detour, Options, Receiver, Server, Version, patient, verifies,
};
use serde_json::Value;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Serves the modules of a folder of the repository at a path; their names.
fn serve(host: &Receiver, folder: &str, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository(folder)).expect("a folder of modules") {
        let file = entry.expect("an entry").path();
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".js") {
            let module = fs::read_to_string(&file).expect("a module");
            host.serve_module(&format!("{path}/{name}"), module);
            names.push(name);
        }
    }
    names.sort();
    names
}

/// A page that runs a module with the library and the tests' own modules beside it.
fn page(script: &str) -> String {
    format!(
        r#"<!doctype html><title>client</title>
        <script type="importmap">
        {{"imports": {{
          "cresset-client": "/client/src/index.js",
          "node:assert/strict": "/browser/assert.js",
          "node:test": "/browser/test.js"
        }}}}
        </script>
        <script type="module">
        const told = (value) => fetch("/told", {{ method: "POST", body: JSON.stringify(value) }});
        try {{
          {script}
        }} catch (error) {{
          await told({{ failures: [String(error?.stack ?? error)] }});
        }}
        </script>"#
    )
}

async fn told(host: &Receiver) -> Value {
    serde_json::from_slice(&host.next("/told").await.body).expect("JSON")
}

#[tokio::test]
async fn the_tests_of_the_client_library_pass_in_a_browser() {
    let host = Receiver::start().await;
    serve(&host, "clients/typescript/src", "/client/src");
    serve(&host, "crates/conformance/clients/browser", "/browser");
    let files = serve(&host, "clients/typescript/test", "/client/test");
    // What reads files is for Node alone.
    let imports: String = files
        .iter()
        .filter(|name| *name != "examples.test.js")
        .map(|name| format!("await import(\"/client/test/{name}\");\n"))
        .collect();
    let script = format!(
        "const {{ run }} = await import(\"node:test\");\n{imports}await told(await run());"
    );
    host.serve("/page", page(&script));
    let _browser = Chromium::open(&host.endpoint("/page"));
    let told = told(&host).await;
    assert_eq!(told["failures"], serde_json::json!([]), "{told:#}");
    assert!(told["count"].as_u64().is_some_and(|count| count >= 15), "{told}");
}

#[tokio::test]
async fn a_page_with_the_client_library_misses_no_event_when_its_connection_breaks() {
    verifies!("RQ-CH-42", "RQ-CH-44", "RQ-OP-23");
    let host = Receiver::start().await;
    serve(&host, "clients/typescript/src", "/client/src");
    for version in Version::ALL {
        let detour = Detour::start().await;
        let options = Options::default()
            .set("server.cors-origins", vec![host.endpoint("")])
            .set("server.base-url", format!("http://{}", detour.address()));
        let mut server = Server::start_with(options).await;
        detour.lead_to(address(&server));
        let script = format!(
            r#"
            const {{ Client, Listener, subscription }} = await import("cresset-client");
            const client = new Client("http://{}/{version}");
            const {{ version }} = await client.capabilities();
            const {{ id }} = await client.subscribe(subscription(version, {{ topic: "{TOPIC}" }}));
            for await (const update of new Listener(client, id, {{ after: 0n, retryDelay: [10, 100] }})) {{
              if (update.type === "connected") await told("connected");
              if (update.type === "event") await told(String(update.event.number));
              if (update.type === "lost") await told("lost");
            }}"#,
            detour.address()
        );
        let path = format!("/{version}");
        host.serve(&path, page(&script));
        let browser = Chromium::open(&host.endpoint(&path));
        assert_eq!(told(&host).await, "connected");
        server.base(version).save(&patient("p0")).await;
        assert_eq!(told(&host).await, "1");
        detour.lead_to(None);
        server.kill();
        server.start_again().await;
        for id in 1..4 {
            server.base(version).save(&patient(&format!("p{id}"))).await;
        }
        detour.lead_to(address(&server));
        let mut numbers = Vec::new();
        while numbers.len() < 3 {
            let told = told(&host).await;
            if told != "connected" {
                numbers.push(told);
            }
        }
        assert_eq!(numbers, ["2", "3", "4"]);
        drop(browser);
    }
}

fn address(server: &Server) -> Option<std::net::SocketAddr> {
    server.url().strip_prefix("http://").and_then(|address| address.parse().ok())
}
